package notifications_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/sqlgolden"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

// newDirectory returns the users and groups of most tests.
func newDirectory() *notificationstest.Directory {
	d := new(notificationstest.Directory)
	d.SetUser("default/jane", "default/ops", "default/dev")
	d.SetUser("default/john", "default/ops")
	d.SetUser("default/guest")
	d.AddGroup("default/empty")
	return d
}

// policyFunc is a policy made of a function.
type policyFunc func(notifications.Identity, notifications.Permission) (notifications.Decision, error)

func (f policyFunc) Decide(_ context.Context, r notifications.Request) (notifications.Decision, error) {
	return f(r.Who, r.Permission)
}

// requestPolicy is a policy made of a function of the whole request.
type requestPolicy func(notifications.Request) notifications.Decision

func (p requestPolicy) Decide(_ context.Context, r notifications.Request) (notifications.Decision, error) {
	return p(r), nil
}

func allowAll(notifications.Identity, notifications.Permission) (notifications.Decision, error) {
	return notifications.Allow, nil
}

// clock is a clock that only a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock {
	return &clock{t: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fixture is a service over a fresh database.
type fixture struct {
	*notifications.Service
	t         *testing.T
	db        *gorm.DB
	directory *notificationstest.Directory
	clock     *clock // nil: the machine's clock

	ids map[string]string // of notifications, by what a test calls them

	recorded *sqlgolden.Recorder // nil unless a test looks at statements
}

func newFixture(t *testing.T, db *gorm.DB) *fixture {
	t.Helper()
	f := (&fixture{t: t, db: db, directory: newDirectory()}).with(nil)
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// newClockedFixture is newFixture with a clock that stands still.
func newClockedFixture(t *testing.T, db *gorm.DB) *fixture {
	t.Helper()
	f := newFixture(t, db)
	f.clock = newClock()
	return f.with(nil)
}

// with is another service over the same database, directory and clock, configured
// otherwise.
func (f *fixture) with(change func(*notifications.Config)) *fixture {
	f.t.Helper()
	cfg := notifications.Config{DB: f.db, Catalog: f.directory, Policy: policyFunc(allowAll)}
	if f.clock != nil {
		cfg.Now = f.clock.now
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := notifications.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return &fixture{Service: svc, t: f.t, db: f.db, directory: f.directory, clock: f.clock, recorded: f.recorded}
}

var (
	ci    = notifications.ServiceAccount("ci")
	jane  = notifications.User("default/jane")
	john  = notifications.User("default/john")
	guest = notifications.User("default/guest")
)

// post posts a notification that has just a title and an audience.
func (f *fixture) post(title string, to notifications.Audience) string {
	f.t.Helper()
	return f.postDraft(notifications.Draft{Origin: "test", Title: title, To: to})
}

func (f *fixture) postDraft(d notifications.Draft) string {
	f.t.Helper()
	posted, err := f.Post(f.t.Context(), ci, d)
	if err != nil {
		f.t.Fatalf("Post(%+v): %v", d, err)
	}
	return posted.ID
}

func (f *fixture) mark(who notifications.Identity, id string, read bool) {
	f.t.Helper()
	if err := f.MarkRead(f.t.Context(), who, id, read); err != nil {
		f.t.Fatalf("MarkRead(%s, %s, %t): %v", who, id, read, err)
	}
}

func (f *fixture) list(who notifications.Identity, q notifications.ListQuery) notifications.Page {
	f.t.Helper()
	page, err := f.List(f.t.Context(), who, q)
	if err != nil {
		f.t.Fatalf("List(%s, %+v): %v", who, q, err)
	}
	return page
}

// expect checks that list, in order, and count agree on what who sees.
func (f *fixture) wantList(who notifications.Identity, q notifications.ListQuery, titles ...string) {
	f.t.Helper()
	page := f.list(who, q)
	got := titlesOf(page.Items)
	if !slices.Equal(got, titles) {
		f.t.Errorf("List(%s, %+v) = %q, want %q", who, q, got, titles)
	}
	n, err := f.Count(f.t.Context(), who, q.Filter)
	if err != nil {
		f.t.Fatalf("Count(%s, %+v): %v", who, q.Filter, err)
	}
	if q.Offset == 0 && q.After == "" && page.Next == "" && n != int64(len(titles)) {
		f.t.Errorf("Count(%s, %+v) = %d, want %d", who, q.Filter, n, len(titles))
	}
}

func titlesOf(items []notifications.Notification) []string {
	titles := make([]string, len(items))
	for i, n := range items {
		titles[i] = n.Title
	}
	return titles
}

// all selects everything a reader can see except archived notifications.
var all notifications.Filter

// personal selects notifications addressed to the reader and their groups.
var personal = notifications.Filter{System: notifications.NotSystem}

// wantFields checks that err is an InvalidError about exactly these fields.
func wantFields(t *testing.T, err error, fields ...string) {
	t.Helper()
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("error %v, want an InvalidError about %q", err, fields)
		return
	}
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Field)
		if f.Reason == "" {
			t.Errorf("field %s has no reason", f.Field)
		}
	}
	if !slices.Equal(got, fields) {
		t.Errorf("bad fields %q, want %q", got, fields)
	}
}

// beforeStatements has GORM call do before each statement, as plugins of hosts
// are called; an error that do adds keeps the statement from being executed.
func beforeStatements(t *testing.T, db *gorm.DB, do func(db *gorm.DB)) {
	t.Helper()
	const name = "test:before"
	c := db.Callback()
	for _, err := range []error{
		c.Row().Before("*").Register(name, do),
		c.Query().Before("*").Register(name, do),
		c.Raw().Before("*").Register(name, do),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}
