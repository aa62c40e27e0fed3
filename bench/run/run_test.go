package run

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/record"
	"github.com/notifications-go/notifications/bench/report"
	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEach runs a test on both databases, with a configuration that takes no time.
func onEach(t *testing.T, body func(t *testing.T, c Config)) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
		"postgres": func(t *testing.T) string { return dbtest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body(t, small(t, open(t)))
		})
	}
}

func small(t *testing.T, database string) Config {
	return Config{
		Database: database, Samples: 8, Duration: 1 << 40, Log: t.Output(), Output: t.Output(),
		Plan: measure.Plan{Concurrency: 4, Rounds: 2, Operations: 6},
		Spec: fill.Spec{
			Seed: 1, Messages: 420, Users: 30, Measured: 3, Visible: 60, Groups: 4, GroupsPerUser: 2, GroupPosts: 20, System: 30, ReadFraction: 0.5,
		},
	}
}

// opened is a small filled database, and its operations.
func opened(t *testing.T, c Config) (*bed, []*measure.Operation) {
	t.Helper()
	b, err := c.openBed(t.Context(), c.Spec, "")
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	phases, err := all(t.Context(), b.world, b.svc, c.Samples)
	if err != nil {
		t.Fatal(err)
	}
	return b, slices.Concat(phases[:]...)
}

func TestBench(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		r, err := Bench(t.Context(), c, "")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, result := range r.Results {
			names = append(names, result.Operation)
			for i, name := range []string{report.Floor, report.Service, report.HTTP} {
				got := result.Contenders[i]
				if got.Name != name || got.Operations != 12 || got.PerSecond <= 0 || got.P50 <= 0 || got.P50 > got.P99 || got.Alone <= 0 ||
					got.Allocations <= 0 || got.ToFloor.Median <= 0 || i == 0 && got.ToFloor.Median != 1 {
					t.Errorf("%s: %+v", result.Operation, got)
				}
			}
		}
		if got := strings.Join(names, ", "); got != Operations || r.Rounds != 2 {
			t.Errorf("measured %s in %d rounds", got, r.Rounds)
		}
		if _, err := Bench(t.Context(), c, "sing"); err == nil || !strings.Contains(err.Error(), "no such operation") {
			t.Errorf("measured: %v", err)
		}
	})
}

func TestCurve(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		if strings.HasPrefix(c.Database, "postgres") {
			c.Database, c.Server = "", dbtest.ServerURL(t) // databases beside one that is named would stay
		}
		r, err := Curve(t.Context(), c, []int{400, 800}, []Inbox{visible(25), visible(50), hidden(0), hidden(30), inGroups(1), inGroups(4)})
		if err != nil {
			t.Fatal(err)
		}
		var points []string
		for _, result := range r.Results {
			points = append(points, fmt.Sprint(result.Curve, " ", result.X))
			if len(result.Contenders) != 3 || result.Contenders[2].P50 <= 0 {
				t.Errorf("%+v", result)
			}
		}
		points = slices.Compact(points)
		if want := []string{report.Rows + " 400", report.Rows + " 800", "messages a user sees 25"}; len(points) != 8 || !slices.Equal(points[:3], want) {
			t.Errorf("the points are %q", points)
		}
	})
}

func TestScale(t *testing.T) {
	t.Parallel()
	c := small(t, dbtest.PostgresURL(t))
	c.Spec.Messages = 2000
	var out, log strings.Builder
	c.Output, c.Log = &out, &log
	if err := Scale(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, want := range []string{
		`autovacuum=on`, `\*\*After the fill\*\*, 0 in 0\.0 s, 0 a second: list, first page \d+\.\d\d ms\. unread count \d+\.\d\d ms\.`,
		`\| notification_messages \| \d\.\d \| 2000 \| 0 \|`, `During marks and posts: list`, `100 in \d+\.\d s`,
		`\| notification_messages \| \d\.\d \| 2010 \|`, `\| notification_states \| \d\.\d \| \d{3,4} \| \d+ \| \d\d \|`,
		`oldest fifth, 500 messages to a transaction\*\*, [2-4]\d\d in`, `notification_messages \| \d\.\d \| 1[5-7]\d\d \| \d{3}`,
		`After VACUUM`, `notification_messages \| \d\.\d \| 1[5-7]\d\d \| 0 \|`, `After REINDEX`, `notification_states_pkey \| 0\.\d`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("there is no %s in\n%s\nof\n%s", want, rest, &out)
		}
		rest = rest[at[1]:]
	}
	c.Log = &log
	if err := Fill(t.Context(), c); err != nil || strings.Count(log.String(), "filled with 2000 messages") != 2 { // it was churned and purged
		t.Errorf("it is not filled again: %s, %v", &log, err)
	}
}

func TestURL(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		b, _ := opened(t, c)
		user := b.world.UserNames(fill.Measured)[0]
		server, err := startServer(t.Context(), b.svc)
		if err != nil {
			t.Fatal(err)
		}
		defer server.close()
		counts := func(filter notifications.Filter) int64 {
			t.Helper()
			n, err := b.svc.Count(t.Context(), notifications.User(user), filter)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		tokens := map[string]string{}
		for _, name := range []string{"", user} {
			if tokens[name], err = server.token(name); err != nil {
				t.Fatal(err)
			}
		}
		seen, unread := counts(notifications.Filter{}), counts(notifications.Filter{Read: notifications.Unread})
		r, err := URL(t.Context(), c, server.url, tokens[user], "", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range r.Results {
			if got := result.Contenders[0]; len(result.Contenders) != 1 || got.Operations != 12 || got.P50 <= 0 || got.ToFloor != nil || got.Allocations != 0 {
				t.Errorf("%+v", result)
			}
		}
		if nowSeen, nowUnread := counts(notifications.Filter{}), counts(notifications.Filter{Read: notifications.Unread}); len(r.Results) != 7 || nowSeen != seen || nowUnread != unread {
			t.Errorf("%d results; %d and %d unread are %d and %d", len(r.Results), seen, unread, nowSeen, nowUnread)
		}
		if _, err := URL(t.Context(), c, server.url, tokens[user], user, report.PostUser); err != nil || counts(notifications.Filter{}) <= seen {
			t.Errorf("posted: %v", err)
		}
		for token, want := range map[string]string{"not-a-secret": "401", tokens[""]: "403"} { // a service has no inbox
			if _, err := URL(t.Context(), c, server.url, token, "", ""); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// tracer sees what goes over the wire to PostgreSQL.
type tracer struct {
	mu   sync.Mutex
	seen []string
}

func (tr *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var args []any
	for _, arg := range data.Args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && !v.IsNil() {
			arg = v.Elem()
		}
		if _, is := arg.(pgx.QueryResultFormatsByOID); !is { // how database/sql wants its answer
			args = append(args, arg)
		}
	}
	tr.seen = append(tr.seen, fmt.Sprintf("%s %v", data.SQL, args))
	return ctx
}

func (tr *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// take returns what was seen since it was taken last.
func (tr *tracer) take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	seen := tr.seen
	tr.seen = nil
	return seen
}

// traced is a pool to a database that a tracer watches.
func traced(t *testing.T, url string) (*pgxpool.Pool, *tracer) {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	tr := new(tracer)
	config.ConnConfig.Tracer = tr
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, tr
}

// What the floor asks of PostgreSQL is what the service asks, but for new ids and
// the time.
func TestFloor(t *testing.T) {
	t.Parallel()
	c := small(t, dbtest.PostgresURL(t))
	b, ops := opened(t, c)
	if _, err := b.entries(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	servicePool, ofService := traced(t, b.database.URL)
	pool := sql.OpenDB(stdlib.GetPoolConnector(servicePool))
	defer pool.Close()
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}))
	if err != nil {
		t.Fatal(err)
	}
	svc, err := fill.NewService(db, b.world)
	if err != nil {
		t.Fatal(err)
	}
	floorPool, ofFloor := traced(t, b.database.URL)
	for _, op := range ops {
		// As when it is recorded: now and then a list asks for the epoch of the
		// log, and a post makes a tick.
		if _, err := op.Service(t.Context(), svc, op.Period-1); err != nil {
			t.Fatal(err)
		}
		ofService.take()
		id, err := op.Service(t.Context(), svc, 0)
		if err != nil {
			t.Fatal(err)
		}
		do, done, err := measure.Floor(record.NewPostgresFloor(floorPool)).Worker(t.Context(), op)
		if err != nil {
			t.Fatal(err)
		}
		ofFloor.take()
		if err := do(0); err != nil {
			t.Fatal(err)
		}
		want, got := ofService.take(), ofFloor.take()
		if len(want) == 0 || !slices.Equal(blurred(got), blurred(want)) {
			t.Errorf("%s: the floor asked\n%s\nthe service\n%s", op.Title, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if id != "" && strings.Contains(strings.Join(got, "\n"), id) {
			t.Errorf("%s: the floor posted the same message again", op.Title)
		}
		if err := do(op.Period); err != nil {
			t.Errorf("%s, a second time: %v", op.Title, err)
		}
		done()
	}
}

var (
	anyID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\[(\d+ ){15}\d+\]`)
	anyTime = regexp.MustCompile(`\b1[0-9]{12}\b`) // Unix milliseconds
)

func blurred(seen []string) (out []string) {
	for _, s := range seen {
		out = append(out, anyTime.ReplaceAllString(anyID.ReplaceAllString(s, "ID"), "NOW"))
	}
	return out
}
