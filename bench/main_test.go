package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is how a run ended.
type result struct {
	status         int
	stdout, stderr string
}

// invoke runs notifybench in this process.
func invoke(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), process{args: args, environ: environ, stdout: &stdout, stderr: &stderr})
	return result{status, stdout.String(), stderr.String()}
}

// succeeded is invoke for what must work.
func succeeded(t *testing.T, args ...string) result {
	t.Helper()
	r := invoke(t, nil, args...)
	if r.status != 0 {
		t.Fatalf("notifybench %q ends with %d: %s", args, r.status, r.stderr)
	}
	return r
}

// databases runs a test on both, with the argument that names the database.
func databases(t *testing.T, body func(t *testing.T, argument string)) {
	t.Parallel()
	t.Run(sqliteName, func(t *testing.T) {
		t.Parallel()
		body(t, "--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run(postgresName, func(t *testing.T) {
		t.Parallel()
		body(t, "--database="+dbtest.PostgresURL(t))
	})
}

// small is a fill and a measurement that take no time.
func small(args ...string) []string {
	return append([]string{
		"--messages=420", "--users=30", "--measured=3", "--visible=60", "--groups=4", "--group-posts=20", "--system=10",
		"--rounds=2", "--slice-operations=6", "--samples=8", "--concurrency=4",
	}, args...)
}

// targetOf is the database of an argument.
func targetOf(argument string) *target {
	url := strings.TrimPrefix(argument, "--database=")
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return &target{path: path}
	}
	return &target{url: url}
}

// opened opens the database of an argument.
func opened(t *testing.T, argument string) *gorm.DB {
	t.Helper()
	db, err := targetOf(argument).open(t.Context(), fillConns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeDatabase(db); err != nil {
			t.Error(err)
		}
	})
	return db
}

func rowsIn(t *testing.T, db *gorm.DB, table string) int {
	t.Helper()
	var n int
	if err := db.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRun(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		out := filepath.Join(t.TempDir(), "result.json")
		r := succeeded(t, small(argument, "--out="+out)...)
		got, err := readReport(out)
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, got)
		for _, o := range got.Results {
			if !strings.Contains(r.stdout, "| "+o.Title+" | floor |") {
				t.Errorf("the table lacks %q:\n%s", o.Title, r.stdout)
			}
		}
		for _, s := range got.Settings {
			if !strings.Contains(r.stdout, s.Name+"="+s.Value) {
				t.Errorf("the output does not say %s=%s", s.Name, s.Value)
			}
		}

		// Again, over what the first left behind.
		again := succeeded(t, small(argument, "--only=list,unread")...)
		if !strings.Contains(again.stderr, "filled already") {
			t.Errorf("the second run printed %q", again.stderr)
		}
		if n := rowsIn(t, opened(t, argument), messagesTable); n != 420 {
			t.Errorf("there are %d messages, want 420", n)
		}
	})
}

func checkReport(t *testing.T, r *report) {
	t.Helper()
	overHTTP := map[string]bool{
		opList: true, opListCursor: true, opListPage: true, opListText: true, opUnread: true,
		opMarkOne: true, opPostUser: true, opPostMany: true, opPostGroup: true, opPostEveryone: true,
	}
	if len(r.Results) != 12 || r.Rounds != 2 || r.Concurrency != 4 || len(r.Settings) == 0 {
		t.Fatalf("%d results of %d rounds, %d at once, with %d settings", len(r.Results), r.Rounds, r.Concurrency, len(r.Settings))
	}
	for _, o := range r.Results {
		for _, name := range []string{floorName, serviceName, httpName} {
			c := o.find(name)
			if c == nil {
				if name != httpName || overHTTP[o.Operation] {
					t.Errorf("%s was not measured at %s", name, o.Operation)
				}
				continue
			}
			if c.Operations != 12 || c.PerSecond <= 0 || c.P50 <= 0 || c.P50 > c.P99 || c.Alone <= 0 {
				t.Errorf("%s at %s: %+v", name, o.Operation, *c)
			}
			if c.Allocations == nil || *c.Allocations <= 0 {
				t.Errorf("%s at %s: no allocations", name, o.Operation)
			}
			if c.ToFloor == nil || c.ToFloor.Median <= 0 || name == floorName && c.ToFloor.Median != 1 {
				t.Errorf("%s at %s: to floor %+v", name, o.Operation, c.ToFloor)
			}
		}
	}
}

// The figures of a server that does not wait for the disk say so.
func TestSettingsText(t *testing.T) {
	t.Parallel()
	const warning = "do not wait for the disk"
	for value, want := range map[string]bool{"off": true, "on": false} {
		if got := settingsText([]setting{{"fsync", value}}); strings.Contains(got, warning) != want {
			t.Errorf("fsync=%s: %q", value, got)
		}
	}
}

// A database of our own is gone afterwards.
func TestOwnDatabase(t *testing.T) {
	t.Parallel()
	environ := []string{envServer + "=ignored", envServer + "=" + dbtest.ServerURL(t)}
	own, err := newTarget(t.Context(), process{environ: environ}, &options{}, "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), own.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := own.close(ended); err != nil { // although somebody is connected, and we were told to end
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), own.url); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connecting afterwards: %v", err)
	}
}

// Somebody's messages are never removed.
func TestForeignDatabase(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		db := opened(t, argument)
		w, err := newWorld((&options{spec: smallSpec()}).sized(420))
		if err != nil {
			t.Fatal(err)
		}
		svc, err := newService(db, newCatalog(w))
		if err != nil {
			t.Fatal(err)
		}
		if err := svc.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Post(t.Context(), poster, systemDraft(0)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{small(argument), append([]string{"fill"}, small(argument)...)} {
			r := invoke(t, nil, args...)
			if r.status != exitUsage || !strings.Contains(r.stderr, "did not make") {
				t.Errorf("ends with %d: %s", r.status, r.stderr)
			}
		}
		if n := rowsIn(t, db, messagesTable); n != 1 {
			t.Errorf("there are %d messages, want 1", n)
		}
	})
}

func smallSpec() spec {
	return spec{
		Seed: 1, Messages: 420, Users: 30, Measured: 3, Visible: 60, Groups: 4, GroupsPerUser: 2, GroupPosts: 20, System: 10, ReadFraction: 0.5,
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"walk"}, "no command"},
		{[]string{"--nonsense"}, "nonsense"},
		{[]string{}, "there is no database"},
		{[]string{"--database=mysql://secret@h"}, "--database: must be"},
		{[]string{"--database=sqlite:"}, "--database: must be"},
		{[]string{"--database=sqlite:x", "stray"}, "stray"},
		{[]string{"--concurrency=0"}, "--concurrency"},
		{[]string{"--slice=0s"}, "--slice"},
		{[]string{"--slice=1h"}, "--slice"},
		{[]string{"--rounds=0"}, "--rounds"},
		{[]string{"--samples=0"}, "--samples"},
		{[]string{"--curve-groups=0"}, "--curve-groups"},
		{[]string{"--curve-sizes=1,x"}, "not a whole number"},
		{[]string{"--token=x"}, "go with --url"},
		{[]string{"--url=http://h", "--token=x", "--token-file=y"}, "exclude"},
		{[]string{"--url=ftp://h"}, "--url"},
		{[]string{"--url=http://127.0.0.1:1", "--token-file=/does/not/exist"}, "/does/not/exist"},
		{[]string{"--compare", "one.json"}, "needs two files"},
		{[]string{"--compare", "/does/not/exist", "two.json"}, "/does/not/exist"},
		{[]string{"fill"}, "needs --database"},
		{[]string{"--messages=10", "--database=sqlite:x"}, "alone get"},
		{[]string{"--groups=1", "--groups-per-user=2", "--database=sqlite:x"}, "--groups-per-user"},
		{[]string{"--read-fraction=2", "--users=-1", "--database=sqlite:x"}, "--read-fraction"},
	} {
		r := invoke(t, nil, c.args...)
		if r.status != exitUsage || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("notifybench %q ends with %d, prints %q and %q", c.args, r.status, r.stdout, r.stderr)
		}
		if strings.Contains(r.stderr, "secret") {
			t.Errorf("notifybench %q shows what may be a password: %s", c.args, r.stderr)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a database was made")
	}
}

func TestNothingChosen(t *testing.T) {
	t.Parallel()
	path := "--database=sqlite:" + filepath.Join(t.TempDir(), "test.db")
	if r := invoke(t, nil, small(path, "--only=sing")...); r.status != exitUsage || !strings.Contains(r.stderr, "no such operation") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	r := succeeded(t, "--help")
	for _, want := range []string{"--database URL", "--curve-sizes NUMBERS", "Default 10000,100000,1000000,10000000.", "--compare A B", "notifybench scale", "--purge-part PART"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the help lacks %q:\n%s", want, r.stdout)
		}
	}
}

// Whoever is told to end does, and says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var stderr cancelling
	stderr.cancel = cancel // when the database is filled
	args := small("--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"), "--slice-operations=0", "--slice=1m")
	if status := run(ctx, process{args: args, stdout: &stderr, stderr: &stderr}); status != exitFailure {
		t.Errorf("ends with %d: %s", status, stderr.String())
	}
}

type cancelling struct {
	bytes.Buffer
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}

// Counting by hand what the fill says of itself.
func TestFill(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		s := smallSpec()
		s.WideVisible, s.WideHidden, s.WideGroups = []int{7}, []int{0, 9}, []int{3}
		s.Messages = s.least() + 50
		w, err := newWorld(s)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if err := prepare(t.Context(), targetOf(argument), w, &log); err != nil {
			t.Fatal(err)
		}
		db := opened(t, argument)
		for _, table := range []string{messagesTable, deliveriesTable} {
			if n := rowsIn(t, db, table); n != s.Messages {
				t.Errorf("%s has %d rows, want %d", table, n, s.Messages)
			}
		}
		svc, err := newService(db, newCatalog(w))
		if err != nil {
			t.Fatal(err)
		}
		checkInboxes(t, svc)
	})
}

func checkInboxes(t *testing.T, svc *notifications.Service) {
	t.Helper()
	const all, user = notifications.ScopeAll, notifications.ScopeUser
	for _, c := range []struct {
		user   string
		filter notifications.Filter
		want   int64
	}{
		{"measured-000000", notifications.Filter{}, 60 + 2*5},
		{"measured-000002", notifications.Filter{Scope: all}, 60 + 2*5 + 10},
		{"visible-000007-3", notifications.Filter{}, 7},
		{"hidden-000009-0", notifications.Filter{Read: notifications.Unread}, besideHidden},
		{"hidden-000009-0", notifications.Filter{Archived: notifications.Archived, Read: notifications.Read}, 9},
		{"hidden-000000-0", notifications.Filter{Archived: notifications.ArchivedOrNot}, besideHidden},
		{"wide-groups-000003-001", notifications.Filter{Scope: user}, besideHidden + widePosts},
	} {
		n, err := svc.Count(t.Context(), notifications.User("bench/"+c.user), c.filter)
		if err != nil || n != c.want {
			t.Errorf("%s sees %d (%v), want %d with %+v", c.user, n, err, c.want, c.filter)
		}
	}
	// What is hidden lies before the rest.
	page, err := svc.List(t.Context(), notifications.User("bench/hidden-000009-1"), notifications.ListQuery{
		Filter: notifications.Filter{Archived: notifications.ArchivedOrNot}, Limit: 10,
	})
	if err != nil || len(page.Items) != 10 {
		t.Fatalf("%d notifications, %v", len(page.Items), err)
	}
	for i, n := range page.Items {
		if n.Archived != (i < 9) || n.Read != (i < 9) {
			t.Errorf("number %d is archived=%t, read=%t", i, n.Archived, n.Read)
		}
	}
	found, err := svc.Count(t.Context(), notifications.User("bench/measured-000001"), notifications.Filter{Scope: all, Text: searched})
	if err != nil || found == 0 || found > 40 {
		t.Errorf("%d notifications have the text %q (%v)", found, searched, err)
	}
}

// The marks of measured users are the same after a reset.
func TestReset(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		succeeded(t, append([]string{"fill"}, small(argument)...)...)
		db := opened(t, argument)
		states := func() string {
			t.Helper()
			var ids []string
			err := db.Raw("SELECT user_ref || ' ' || message_id FROM " + statesTable + " WHERE read_at IS NOT NULL ORDER BY user_ref, message_id").
				Scan(&ids).Error
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(ids, "\n")
		}
		before := states()
		if strings.Count(before, "\n") < 50 {
			t.Fatalf("few are read: %s", before)
		}
		for _, statement := range []string{
			"UPDATE " + statesTable + " SET read_at = NULL",
			"DELETE FROM " + statesTable + " WHERE user_ref LIKE '%measured-000001'",
		} {
			if err := db.Exec(statement + " ").Error; err != nil {
				t.Fatal(err)
			}
		}
		succeeded(t, append([]string{"fill"}, small(argument)...)...)
		var measured []string
		for line := range strings.Lines(before) {
			if strings.Contains(line, "measured-") {
				measured = append(measured, strings.TrimSpace(line))
			}
		}
		if got, want := states(), strings.Join(measured, "\n"); got != want {
			t.Errorf("read are\n%s\nwant\n%s", got, want)
		}
	})
}

// Other numbers fill the database anew.
func TestRefill(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		succeeded(t, append([]string{"fill"}, small(argument)...)...)
		succeeded(t, append([]string{"fill"}, small(argument, "--messages=400")...)...)
		db := opened(t, argument)
		for table, want := range map[string]int{messagesTable: 400, deliveriesTable: 400} {
			if n := rowsIn(t, db, table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
	})
}

// The fill may be larger than one statement and one transaction.
func TestLargeSQLiteFill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := database.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeDatabase(db); err != nil {
			t.Error(err)
		}
	}()
	if err := db.Exec("CREATE TABLE numbers (a INTEGER, b TEXT)").Error; err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	const rows = rowsPerInsert*insertsPerTx + rowsPerInsert + 1
	l := sqliteLoader{pool}
	err = l.load(t.Context(), "numbers", []string{"a", "b"}, func(yield func([]any) bool) {
		for i := range rows {
			if !yield([]any{i, fmt.Sprint(i)}) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.rows(t.Context(), "SELECT count(*), count(DISTINCT a), max(a) FROM numbers WHERE b = a")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got[0]) != fmt.Sprint([]any{rows, rows, rows - 1}) {
		t.Errorf("stored are %v", got[0])
	}
}
