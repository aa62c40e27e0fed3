package record

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestRecorder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		source, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		rec := &Recorder{Begin: "begin"}
		pool := rec.Open(source)
		defer pool.Close()
		ctx := t.Context()
		do := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(pool.ExecContext(ctx, "CREATE TABLE t (a INTEGER, b TEXT)")) // before, so not noted
		if got := rec.stop(); got != nil {
			t.Errorf("noted %v before the start", got)
		}
		rec.start()
		do(pool.ExecContext(ctx, "INSERT INTO t VALUES ($1, $2)", 1, "one"))
		tx, err := pool.BeginTx(ctx, nil)
		do(tx, err)
		do(tx.ExecContext(ctx, "DELETE FROM t"))
		do(nil, tx.Rollback())
		tx, err = pool.BeginTx(ctx, nil)
		do(tx, err)
		var b string
		do(nil, tx.QueryRowContext(ctx, "SELECT b FROM t WHERE a = $1", 1).Scan(&b))
		do(nil, tx.Commit())
		if b != "one" {
			t.Errorf("read %q through it", b)
		}
		var got []string
		for _, s := range rec.stop() {
			got = append(got, fmt.Sprintf("%t %s %v", s.query, s.sql, s.args))
		}
		want := []string{
			"false INSERT INTO t VALUES ($1, $2) [1 one]", "false begin []", "false DELETE FROM t []", "false rollback []",
			"false begin []", "true SELECT b FROM t WHERE a = $1 [1]", "false commit []",
		}
		if !slices.Equal(got, want) {
			t.Errorf("noted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if stmt, err := pool.PrepareContext(ctx, "SELECT 1"); err == nil {
			defer stmt.Close()
			t.Error("a statement is prepared, which is not recorded")
		}
	})
}

// A driver that is not known is refused, not recorded by halves.
func TestUnknownDriver(t *testing.T) {
	t.Parallel()
	source := sql.OpenDB(poorDriver{})
	defer source.Close()
	pool := new(Recorder).Open(source)
	defer pool.Close()
	if err := pool.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be recorded") {
		t.Errorf("connects: %v", err)
	}
}

// poorDriver is a driver and its connections.
type poorDriver struct{}

func (d poorDriver) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (poorDriver) Driver() driver.Driver                          { return nil }
func (poorDriver) Prepare(string) (driver.Stmt, error)            { return nil, errors.ErrUnsupported }
func (poorDriver) Close() error                                   { return nil }
func (poorDriver) Begin() (driver.Tx, error)                      { return nil, errors.ErrUnsupported }

// asked is a session that notes what it is asked.
type asked [][]any

func (a *asked) close() {}
func (a *asked) exec(_ context.Context, sql string, args []any) error {
	*a = append(*a, append([]any{sql}, args...))
	return nil
}
func (a *asked) query(ctx context.Context, sql string, args []any) error {
	return a.exec(ctx, "? "+sql, args)
}

// Every run of a script has an id of its own, in each argument that has the id.
func TestScript(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	text := id.String()
	if _, err := newScript(nil, ""); err == nil {
		t.Error("a script without a statement is one")
	}
	if _, err := newScript([]step{{sql: "INSERT", args: []any{"x"}}}, text); err == nil {
		t.Error("a post whose id is nowhere is one")
	}
	args := []any{plain(id), text, []byte("[" + text + "]"), `{"id":"` + text + `"}`, int64(7), nil}
	s, err := newScript([]step{{sql: "INSERT", args: args}, {sql: "SELECT", query: true, args: []any{"x"}}}, text)
	if err != nil || !s.writes {
		t.Fatalf("%+v, %v", s, err)
	}
	var seen asked
	for range 2 {
		if err := s.run(t.Context(), &seen, uuid.NewGen()); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{0, 2} {
		other := uuid.UUID(seen[i][1].([16]byte))
		now := other.String()
		want := []any{"INSERT", [16]byte(other), now, []byte("[" + now + "]"), `{"id":"` + now + `"}`, int64(7), nil}
		if other == id || !reflect.DeepEqual(seen[i], want) || !reflect.DeepEqual(seen[i+1], []any{"? SELECT", "x"}) {
			t.Errorf("asked %v and %v, want %v", seen[i], seen[i+1], want)
		}
	}
	if reflect.DeepEqual(seen[0], seen[2]) {
		t.Error("the second time has the id of the first")
	}
}
