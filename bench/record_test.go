package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
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
		rec := new(recorder)
		pool := rec.open(source)
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
		stmt, err := pool.PrepareContext(ctx, "SELECT b FROM t WHERE a = $1")
		do(stmt, err)
		defer stmt.Close()
		var b string
		do(nil, stmt.QueryRowContext(ctx, 1).Scan(&b))
		tx, err = pool.BeginTx(ctx, nil)
		do(tx, err)
		do(nil, tx.QueryRowContext(ctx, "SELECT b FROM t").Scan(&b))
		do(nil, tx.Commit())
		if b != "one" {
			t.Errorf("read %q through it", b)
		}
		list := func(args ...any) string { return fmt.Sprintf("%v", append([]any{}, args...)) }
		want := []string{
			"1 INSERT INTO t VALUES ($1, $2) " + list(1, "one"),
			"2  " + list(), "1 DELETE FROM t " + list(), "4  " + list(),
			"0 SELECT b FROM t WHERE a = $1 " + list(1),
			"2  " + list(), "0 SELECT b FROM t " + list(), "3  " + list(),
		}
		var got []string
		for _, s := range rec.stop() {
			got = append(got, fmt.Sprintf("%d %s %v", s.kind, s.sql, append([]any{}, s.args...)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("noted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A driver we do not know is refused, not recorded by halves.
func TestRecorderUnknownDriver(t *testing.T) {
	t.Parallel()
	source := sql.OpenDB(poorConnector{})
	defer source.Close()
	pool := new(recorder).open(source)
	defer pool.Close()
	if err := pool.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be recorded") {
		t.Errorf("connects: %v", err)
	}
}

type poorConnector struct{}

func (poorConnector) Connect(context.Context) (driver.Conn, error) { return poorConn{}, nil }
func (poorConnector) Driver() driver.Driver                        { return nil }

type poorConn struct{}

func (poorConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (poorConn) Close() error                        { return nil }
func (poorConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

func TestScript(t *testing.T) {
	t.Parallel()
	const id = "019593fa-5d95-7c3a-9d21-6f0b8a4e5c17"
	if _, err := newScript([]step{{kind: stepBegin}}, ""); err == nil {
		t.Error("a script without a statement is one")
	}
	if _, err := newScript([]step{{sql: "INSERT", args: []any{"x"}}}, id); err == nil {
		t.Error("a post whose id is nowhere is one")
	}
	s, err := newScript([]step{
		{kind: stepExec, sql: "INSERT", args: []any{id, 7}}, {kind: stepQuery, sql: "SELECT", args: []any{"x"}},
	}, id)
	if err != nil {
		t.Fatal(err)
	}
	const other = "019593f6-d910-7b64-8c02-91d3f7a2e6b8"
	values := []value{idValue(parseUUID(other))}
	if got := s.steps[0].arguments(values); !reflect.DeepEqual(got, []any{other, 7}) {
		t.Errorf("the arguments are %v", got)
	}
	if got := s.steps[1].arguments(values); !reflect.DeepEqual(got, []any{"x"}) || !s.writes || !s.posts {
		t.Errorf("the arguments are %v, writes %t, posts %t", got, s.writes, s.posts)
	}
}

// filled is a small filled database, and its operations.
func filled(t *testing.T, argument string) (*bed, []*operation) {
	t.Helper()
	args := small(argument)
	o, err := parseOptions(args)
	if err != nil {
		t.Fatal(err)
	}
	b, err := openBed(t.Context(), process{stderr: new(strings.Builder)}, o, o.sized(o.spec.Messages), "")
	t.Cleanup(func() {
		if err := b.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ops, err := worldOperations(t.Context(), b.world, b.svc, o.samples)
	if err != nil {
		t.Fatal(err)
	}
	return b, ops
}

// tracer sees what goes over the wire to PostgreSQL.
type tracer struct {
	mu   sync.Mutex
	seen []string
}

func (tr *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var values []any
	for _, arg := range data.Args {
		if _, is := arg.(pgx.QueryResultFormatsByOID); !is { // how database/sql wants its answer
			values = append(values, plain(arg))
		}
	}
	tr.seen = append(tr.seen, fmt.Sprintf("%s %v", data.SQL, values))
	return ctx
}

func (tr *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (tr *tracer) take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	seen := tr.seen
	tr.seen = nil
	return seen
}

func tracedPool(t *testing.T, url string) (*pgxpool.Pool, *tracer) {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	tr := new(tracer)
	config.ConnConfig.Tracer = tr
	config.MaxConns = 2
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, tr
}

// What the floor sends to PostgreSQL is what the service sends.
func TestFloorOnPostgres(t *testing.T) {
	t.Parallel()
	b, ops := filled(t, "--database="+dbtest.PostgresURL(t))
	if err := b.record(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	servicePool, ofService := tracedPool(t, b.target.url)
	pool := sql.OpenDB(stdlib.GetPoolConnector(servicePool))
	defer pool.Close()
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}))
	if err != nil {
		t.Fatal(err)
	}
	svc, err := newService(db, newCatalog(b.world))
	if err != nil {
		t.Fatal(err)
	}
	floorPool, ofFloor := tracedPool(t, b.target.url)
	floor := &postgresFloor{floorPool, b.scripts}
	for _, op := range ops {
		compareWithFloor(t, op, floor, func() ([]string, string) {
			ofService.take()
			id, err := op.service(t.Context(), svc, 0)
			if err != nil {
				t.Fatal(err)
			}
			return ofService.take(), id
		}, ofFloor.take)
	}
}

// The same on SQLite, where a recorder is below the floor.
func TestFloorOnSQLite(t *testing.T) {
	t.Parallel()
	b, ops := filled(t, "--database=sqlite:"+t.TempDir()+"/test.db")
	if err := b.record(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	source := opened(t, "--database=sqlite:"+b.target.path)
	db, rec, err := recorded(source)
	if err != nil {
		t.Fatal(err)
	}
	floor, err := newSQLiteFloor(db, 2, b.scripts)
	if err != nil {
		t.Fatal(err)
	}
	defer floor.close()
	svc, err := newService(db, newCatalog(b.world))
	if err != nil {
		t.Fatal(err)
	}
	seen := func() (all []string) {
		for _, s := range rec.stop() {
			all = append(all, fmt.Sprintf("%d %s %v", s.kind, s.sql, s.args))
		}
		rec.start()
		return all
	}
	for _, op := range ops {
		compareWithFloor(t, op, floor, func() ([]string, string) {
			seen()
			id, err := op.service(t.Context(), svc, 0)
			if err != nil {
				t.Fatal(err)
			}
			return seen(), id
		}, seen)
	}
}

// compareWithFloor does the operation through the service and through the
// floor, and compares what the database was asked. Ids of new messages and of
// their actions, and the time, differ.
func compareWithFloor(t *testing.T, op *operation, floor contender, service func() ([]string, string), ofFloor func() []string) {
	t.Helper()
	want, id := service()
	do, done, err := floor.worker(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ofFloor()
	if err := do(0); err != nil {
		t.Fatalf("%s: %v", op.title, err)
	}
	got := ofFloor()
	if len(want) == 0 {
		t.Errorf("%s: the service asked nothing", op.title)
	}
	if !slices.Equal(blurred(got), blurred(want)) {
		t.Errorf("%s: the floor asked\n%s\nthe service\n%s", op.title, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if id != "" && strings.Contains(strings.Join(got, "\n"), id) {
		t.Errorf("%s: the floor posted the same message again", op.title)
	}
	if again := do(op.period); again != nil {
		t.Errorf("%s, a second time: %v", op.title, again)
	}
	ofFloor()
}

var (
	anyUUID  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyBytes = regexp.MustCompile(`\[(\d+ ){15}\d+\]`)
	anyTime  = regexp.MustCompile(`\b1[0-9]{12}\b`) // Unix milliseconds
)

// blurred hides what differs from one time to the next: new ids, and now. Ids
// of the fill are not new, and stay.
func blurred(seen []string) []string {
	end := fillEnd().String()
	out := make([]string, len(seen))
	for i, s := range seen {
		s = anyUUID.ReplaceAllStringFunc(s, func(id string) string {
			if id[14] == '7' && id < end {
				return id
			}
			return "ID"
		})
		out[i] = anyTime.ReplaceAllString(anyBytes.ReplaceAllString(s, "ID"), "NOW")
	}
	return out
}
