package notifications_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"gorm.io/gorm"
)

// replicated is a service that reads from a standby.
type replicated struct {
	*fixture
	*dbtest.Replicated
	primary, standby *statements
	replica          *gorm.DB
	log              *lockedBuffer
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	r := &replicated{Replicated: dbtest.StartReplicated(t, pgcluster.Options{}), log: new(lockedBuffer)}
	db := r.Open(r.Primary)
	r.replica = r.Open(r.Standby)
	r.fixture = r.another(newClockedFixture(t, db))
	r.primary, r.standby = watch(t, db), watch(t, r.replica)
	r.CatchUp()
	return r
}

// another is a service on both that knows nothing of the first.
func (r *replicated) another(f *fixture) *fixture {
	f.t.Helper()
	return f.with(func(cfg *notifications.Config) {
		cfg.Replica, cfg.Logger = r.replica, slog.New(slog.NewTextHandler(r.log, nil))
	})
}

// reset forgets what was asked and logged.
func (r *replicated) reset() {
	r.primary.take()
	r.standby.take()
	r.log.take()
}

// statements are those that went to a database.
type statements struct {
	mu   sync.Mutex
	list []string
	fail string // what is in those that are to fail
}

func watch(t *testing.T, db *gorm.DB) *statements {
	t.Helper()
	s := new(statements)
	see := func(db *gorm.DB) {
		s.mu.Lock()
		defer s.mu.Unlock()
		sql := db.Statement.SQL.String()
		s.list = append(s.list, sql)
		if s.fail != "" && strings.Contains(sql, s.fail) {
			_ = db.AddError(errors.New("told to fail")) // which is what it returns
		}
	}
	beforeStatements(t, db, see)
	return s
}

// take returns what came since it was called last.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// failing makes statements with a part fail from now on; none if it is empty.
func (s *statements) failing(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = part
}

// containing counts statements with a part.
func containing(list []string, part string) (n int) {
	for _, sql := range list {
		if strings.Contains(sql, part) {
			n++
		}
	}
	return n
}

// What tells reads, and the questions how far the two are.
const (
	aRead       = "notification_deliveries d"
	howFarDB    = "pg_current_wal_insert_lsn"
	howFarIsIt  = "pg_last_wal_replay_lsn"
	readsOfView = 5
)

// sight is what a user sees by every verb that reads.
type sight struct {
	listed  []string // "title" or "title, read"
	unread  int64
	status  notifications.Status
	topics  int64 // unread ones of the origin
	fetched bool  // the first one listed is read
}

func sightOf(ctx context.Context, f *fixture, who notifications.Identity, id string) sight {
	f.t.Helper()
	var v sight
	page, err := f.List(ctx, who, notifications.ListQuery{Filter: all})
	errs := []error{err}
	for _, n := range page.Items {
		title := n.Title
		if n.Read {
			title += ", read"
		}
		v.listed = append(v.listed, title)
	}
	unread := all
	unread.Read = notifications.Unread
	v.unread, err = f.Count(ctx, who, unread)
	errs = append(errs, err)
	v.status, err = f.Status(ctx, who, notifications.SystemOrNot)
	errs = append(errs, err)
	topics, err := f.Topics(ctx, who, notifications.SystemOrNot)
	errs = append(errs, err)
	for _, o := range topics.Origins {
		v.topics += o.Unread
	}
	n, err := f.Get(ctx, who, id)
	errs = append(errs, err)
	v.fetched = n.Read
	if err := errors.Join(errs...); err != nil {
		f.t.Fatal(err)
	}
	return v
}

// sees checks what a user sees, all of it from one of the two.
func (r *replicated) sees(ctx context.Context, f *fixture, who notifications.Identity, id string, from *statements, listed ...string) {
	r.t.Helper()
	r.reset()
	v := sightOf(ctx, f, who, id)
	var unread int64
	for _, l := range listed {
		if !strings.HasSuffix(l, ", read") {
			unread++
		}
	}
	if !slices.Equal(v.listed, listed) || v.unread != unread || v.topics != unread ||
		v.status.Unread != unread || v.status.Read != int64(len(listed))-unread || v.fetched != slices.Contains(listed, "first, read") {
		r.t.Errorf("%s sees %+v, want %q", who, v, listed)
	}
	reads := map[*statements]int{r.primary: containing(r.primary.take(), aRead), r.standby: containing(r.standby.take(), aRead)}
	if reads[from] != readsOfView || reads[r.primary]+reads[r.standby] != readsOfView {
		r.t.Errorf("%s read %d times from the primary and %d times from the standby", who, reads[r.primary], reads[r.standby])
	}
}

// Whoever has just marked something sees it; everybody reads from the replica.
func TestReplica(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	ctx := t.Context()
	first := r.post("first", notifications.Users("default/jane", "default/john", "default/guest"))
	r.CatchUp()

	// Nobody has marked anything. What only the primary has is not there.
	r.Pause()
	r.post("second", notifications.Everyone())
	for _, who := range []notifications.Identity{jane, john, guest} {
		r.sees(ctx, r.fixture, who, first, r.standby, "first")
	}
	if n := len(r.primary.take()); n != 0 {
		t.Errorf("%d statements were for the primary", n)
	}

	// Jane and the guest mark, John does not.
	r.mark(jane, first, true)
	if n, err := r.SetState(ctx, guest, notifications.ByIDs(first), notifications.StateChange{Read: new(true)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.sees(ctx, r.fixture, jane, first, r.primary, "second", "first, read")
	r.sees(ctx, r.fixture, guest, first, r.primary, "second", "first, read")
	r.sees(ctx, r.fixture, john, first, r.standby, "first")

	// Another instance knows of it when it is told, or when the user marks
	// there, even though nothing is left to change.
	other := r.another(r.fixture)
	r.sees(ctx, other, jane, first, r.standby, "first")
	r.sees(notifications.AfterMark(ctx, r.Marked(jane)), other, jane, first, r.primary, "second", "first, read")
	for _, nothing := range []string{"", "?", "-1", "0", "99999999999999999999", other.Marked(jane)} {
		r.sees(notifications.AfterMark(ctx, nothing), other, jane, first, r.standby, "first")
	}
	other.mark(jane, first, true)
	r.sees(ctx, other, jane, first, r.primary, "second", "first, read")
	third := r.another(r.fixture)
	if n, err := third.SetState(ctx, jane, notifications.ByIDs(first), notifications.StateChange{Read: new(true)}); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	r.sees(ctx, third, jane, first, r.primary, "second", "first, read")

	// The replica has it: it is asked once how far it is, and then no more.
	r.Resume()
	r.CatchUp()
	token := r.Marked(jane)
	for _, ctx := range []context.Context{ctx, notifications.AfterMark(ctx, token)} {
		for _, who := range []notifications.Identity{jane, guest} {
			r.sees(ctx, r.fixture, who, first, r.standby, "second", "first, read")
		}
	}
	r.list(jane, notifications.ListQuery{})
	if list := r.standby.take(); containing(list, howFarIsIt) != 0 || len(list) != 1 || len(r.primary.take()) != 0 {
		t.Errorf("a list took %q", list)
	}
	r.sees(ctx, r.fixture, john, first, r.standby, "second", "first")
	if n := notifications.MarkedUsers(r.Service); n != 0 {
		t.Errorf("%d users are remembered", n)
	}
	if r.Marked(jane) == "" || r.Marked(ci) != "" {
		t.Errorf("another instance is told %q of Jane and %q of a service", r.Marked(jane), r.Marked(ci))
	}
}

// Nothing but reads of users goes to the replica.
func TestReplicaTakesReadsAlone(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	ctx := t.Context()
	r.Pause()
	r.reset()
	if err := r.Migrate(ctx); err != nil {
		t.Error(err)
	}
	d := notifications.Draft{Origin: "test", Title: "x", To: notifications.Users("default/jane"), IdempotencyKey: "k", Scope: "s"}
	id := r.postDraft(d)
	if again := r.postDraft(d); again != id {
		t.Errorf("posted again is %s, want %s", again, id)
	}
	err := r.db.Transaction(func(tx *gorm.DB) error {
		_, err := r.WithTx(tx).Post(ctx, ci, d)
		return err
	})
	_, reachErr := r.Reach(ctx, ci, id)
	e, explainErr := r.Explain(ctx, ci, notifications.ExplainQuery{ID: id, User: "default/jane"})
	if err := errors.Join(err, reachErr, explainErr, r.Ready(ctx)); err != nil || !e.Visible {
		t.Errorf("%+v, %v", e, err)
	}
	r.mark(jane, id, true)
	r.mark(jane, id, true)
	if err := r.MarkRead(ctx, john, id, true); !errors.Is(err, notifications.ErrNotFound) {
		t.Errorf("what John does not see: %v", err)
	}
	_, pendingErr := r.PendingMigrations(ctx)
	_, scopeErr := r.WithdrawScope(ctx, ci, notifications.ScopeKey{Origin: "test", Scope: "s"})
	withdrawErr := r.Withdraw(ctx, ci, r.post("x", notifications.Everyone()))
	_, purgeErr := r.Purge(ctx, notifications.PurgeOptions{})
	if err := errors.Join(pendingErr, scopeErr, withdrawErr, purgeErr, r.EraseUser(ctx, ci, "default/jane")); err != nil {
		t.Error(err)
	}
	if list := r.standby.take(); len(list) > 0 {
		t.Errorf("the replica was asked %q", list)
	}
}

// Where there is no room for more users, nobody reads from the replica before
// it has the latest mark of all.
func TestReplicaRemembersABoundedNumber(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	const most, users = 3, 8
	notifications.SetMaxMarked(r.Service, most)
	ids := map[int]string{}
	who := func(i int) notifications.Identity { return notifications.User(fmt.Sprint("default/u", i)) }
	for i := range users {
		r.directory.SetAccount(fmt.Sprint("default/u", i), time.Time{})
		ids[i] = r.post("first", notifications.Users(fmt.Sprint("default/u", i)))
	}
	johns := r.post("first", notifications.Users("default/john"))
	r.CatchUp()
	r.Pause()
	for i := range users {
		r.mark(who(i), ids[i], true)
		if n := notifications.MarkedUsers(r.Service); n > most {
			t.Errorf("%d users are remembered", n)
		}
		for j := range i + 1 {
			r.sees(t.Context(), r.fixture, who(j), ids[j], r.primary, "first, read")
		}
		if i < most {
			r.sees(t.Context(), r.fixture, john, johns, r.standby, "first")
		}
	}
	r.sees(t.Context(), r.fixture, john, johns, r.primary, "first")
	r.Resume()
	r.CatchUp()
	for i := range users {
		r.sees(t.Context(), r.fixture, who(i), ids[i], r.standby, "first, read")
	}
	r.sees(t.Context(), r.fixture, john, johns, r.standby, "first")
}

// A mark counts also where it could not be learnt how far the log was.
func TestReplicaWhereThePositionIsUnknown(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.CatchUp()
	r.Pause()
	r.primary.failing(howFarDB)
	r.mark(jane, first, true)
	r.sees(t.Context(), r.fixture, jane, first, r.primary, "first, read")
	r.sees(notifications.AfterMark(t.Context(), r.Marked(jane)), r.another(r.fixture), jane, first, r.primary, "first, read")
	r.primary.failing("")
	r.reset()
	r.list(jane, notifications.ListQuery{})
	r.list(jane, notifications.ListQuery{})
	if n := containing(r.primary.take(), howFarDB); n != 1 {
		t.Errorf("the primary was asked %d times how far it is, want once", n)
	}
	r.sees(t.Context(), r.fixture, jane, first, r.primary, "first, read")
	r.Resume()
	r.CatchUp()
	r.sees(t.Context(), r.fixture, jane, first, r.standby, "first, read")
}

// While the replica is down DB does its work, and the replica is left alone for
// a while.
func TestReplicaDown(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.mark(jane, first, false)
	r.CatchUp()
	r.sees(t.Context(), r.fixture, jane, first, r.standby, "first")
	marked := notifications.AfterMark(t.Context(), r.Marked(jane))
	r.sees(marked, r.fixture, jane, first, r.standby, "first")
	if err := r.Standby.Stop(); err != nil {
		t.Fatal(err)
	}
	const told = `level=WARN msg="the replica failed, and the database is asked instead" error=`
	for range 2 {
		r.reset()
		for range 3 {
			r.expect(jane, notifications.ListQuery{}, "first")
		}
		if n := strings.Count(r.log.take(), told); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
		if n := len(r.standby.take()); n != 1 {
			t.Errorf("the replica was asked %d times, want once", n)
		}
		r.clock.pass(notifications.ReplicaPause)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if err := r.Standby.Start(); err != nil {
		t.Fatal(err)
	}
	r.CatchUp()
	// The pool may hold more than one connection that is dead.
	for deadline := time.Now().Add(time.Minute); ; {
		r.clock.pass(notifications.ReplicaPause)
		r.reset()
		r.expect(jane, notifications.ListQuery{}, "first")
		if len(r.primary.take()) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("reads never go back to the replica")
		}
	}
	// It may be another one: how far that is was forgotten.
	if _, err := r.Count(marked, jane, all); err != nil {
		t.Fatal(err)
	}
	if n := containing(r.standby.take(), howFarIsIt); n != 1 {
		t.Errorf("the replica was asked %d times how far it is, want once", n)
	}
	r.sees(marked, r.fixture, jane, first, r.standby, "first")
}

// A query of which the recovery of the standby gets rid, or which takes too
// long, is asked of DB.
func TestReplicaBreaksOff(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	// On one way in, reading states takes long.
	for _, sql := range []string{
		"CREATE SCHEMA slow",
		"CREATE VIEW slow.notification_states AS SELECT s.* FROM (SELECT pg_sleep(600)) z, public.notification_states s",
		"CREATE ROLE slow LOGIN SUPERUSER",
		"ALTER ROLE slow SET search_path = slow, public",
	} {
		if err := r.db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	r.CatchUp()
	exec(t, r.replica, "ALTER SYSTEM SET max_standby_streaming_delay = 0")
	exec(t, r.replica, "SELECT pg_reload_conf()")
	unread := all
	unread.Read = notifications.Unread
	count := func(f *fixture) {
		t.Helper()
		if n, err := f.Count(t.Context(), jane, unread); n != 1 || err != nil {
			t.Errorf("%d are counted, %v", n, err)
		}
	}
	slowly := r.with(func(cfg *notifications.Config) {
		cfg.Replica, cfg.Logger = r.OpenAs(r.Standby, "slow"), slog.New(slog.NewTextHandler(r.log, nil))
	})

	// Too long.
	notifications.SetReplicaPatience(slowly.Service, 100*time.Millisecond)
	r.reset()
	count(slowly)
	if text := r.log.take(); !strings.Contains(text, "the replica failed") {
		t.Errorf("told is %q", text)
	}
	r.clock.pass(notifications.ReplicaPause)

	// In the way of a lock that is replayed.
	const sleeping = " FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
	r.Until(r.Standby, "SELECT count(*) = 0"+sleeping) // the one before
	notifications.SetReplicaPatience(slowly.Service, time.Minute)
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		count(slowly)
	}()
	r.Until(r.Standby, "SELECT count(*) = 1"+sleeping)
	exec(t, r.db, "ALTER TABLE notification_states ADD COLUMN unused INTEGER")
	<-counted
	if text := r.log.take(); !strings.Contains(text, "the replica failed") || !strings.Contains(text, "40001") {
		t.Errorf("told is %q", text)
	}
	// Which is no reason to leave it alone.
	r.CatchUp()
	notifications.SetReplicaPatience(slowly.Service, 100*time.Millisecond)
	count(slowly)
	if text := r.log.take(); !strings.Contains(text, "the replica failed") {
		t.Errorf("the replica was not asked: %q", text)
	}
	r.sees(t.Context(), r.fixture, jane, first, r.standby, "first")

	// Whoever asks does not wait any more.
	r.clock.pass(notifications.ReplicaPause)
	notifications.SetReplicaPatience(slowly.Service, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r.reset()
	if _, err := slowly.Count(ctx, jane, unread); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, notifications.ErrUnavailable) {
		t.Errorf("after the time of the caller: %v", err)
	}
	if text := r.log.take(); strings.Contains(text, "the replica failed") {
		t.Errorf("told is %q", text)
	}
}

// Users mark and read at once, while the standby comes after.
func TestReplicaAtOnce(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	notifications.SetMaxMarked(r.Service, 3)
	const users, marks = 6, 30
	var wg sync.WaitGroup
	for i := range users {
		name := fmt.Sprint("default/u", i)
		r.directory.SetAccount(name, time.Time{})
		id := r.post("x", notifications.Users(name))
		wg.Go(func() {
			for n := range marks {
				if err := r.MarkRead(t.Context(), notifications.User(name), id, n%2 == 0); err != nil {
					t.Error(err)
					return
				}
				page, err := r.List(t.Context(), notifications.User(name), notifications.ListQuery{})
				if err != nil || len(page.Items) != 1 || page.Items[0].Read != (n%2 == 0) {
					t.Errorf("after mark %d: %+v, %v", n, page.Items, err)
				}
			}
		})
	}
	wg.Wait()
	r.CatchUp()
	r.reset()
	for i := range users {
		r.expect(notifications.User(fmt.Sprint("default/u", i)), notifications.ListQuery{}, "x")
	}
	if list := r.primary.take(); len(list) > 0 {
		t.Errorf("when the standby has come after, the primary is asked %q", list)
	}
}

// What is no standby never has what was marked.
func TestReplicaThatIsNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.Postgres(t))
	f = f.with(func(cfg *notifications.Config) { cfg.Replica = f.db })
	id := f.post("x", notifications.Users("default/jane"))
	seen := watch(t, f.db)
	f.expect(jane, notifications.ListQuery{}, "x")
	f.mark(jane, id, true)
	f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read}}, "x")
	if list := seen.take(); containing(list, howFarIsIt) != 2 || containing(list, howFarDB) != 1 {
		t.Errorf("the statements are %q", list)
	}
}

func TestFaultsOfReplica(t *testing.T) {
	t.Parallel()
	sqlite, postgres := dbtest.SQLite(t), dbtest.Postgres(t)
	tx := postgres.Begin()
	defer tx.Rollback()
	for _, tt := range []struct {
		db, replica *gorm.DB
		want        []string
	}{
		{sqlite, sqlite, []string{`Config.Replica is "sqlite"`, `Config.DB, which is "sqlite"`}},
		{sqlite, postgres, []string{`Config.DB, which is "sqlite"`}},
		{postgres, sqlite, []string{`Config.Replica is "sqlite"`}},
		{postgres, tx, []string{"Config.Replica is a transaction"}},
		{nil, sqlite, []string{"Config.DB is required", `Config.Replica is "sqlite"`}},
		{postgres, postgres, nil},
	} {
		_, err := notifications.New(notifications.Config{DB: tt.db, Replica: tt.replica, Catalog: newDirectory(), Policy: notifications.AllowAll{}})
		if (err == nil) != (tt.want == nil) {
			t.Errorf("New: %v, want %q", err, tt.want)
		}
		for _, part := range tt.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("New: %v, want %q", err, part)
			}
		}
	}
}

func exec(t *testing.T, db *gorm.DB, sql string) {
	t.Helper()
	if err := db.Exec(sql).Error; err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// lockedBuffer takes a log.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// take returns what was written since it was called last.
func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}
