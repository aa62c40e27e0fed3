package notifications_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
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

// another returns a second service on both databases, which knows no marks of
// the first.
func (r *replicated) another(f *fixture) *fixture {
	f.t.Helper()
	return f.with(func(cfg *notifications.Config) {
		cfg.Replica, cfg.Logger = r.replica, slog.New(slog.NewTextHandler(r.log, nil))
	})
}

// reset forgets recorded statements and the log.
func (r *replicated) reset() {
	r.primary.take()
	r.standby.take()
	r.log.take()
}

// statements records the statements of a database.
type statements struct {
	mu   sync.Mutex
	list []string
	fail string // statements that contain this text fail
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
			_ = db.AddError(errors.New("told to fail")) // AddError returns the same error
		}
	}
	beforeStatements(t, db, see)
	return s
}

// take returns the statements since its last call.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}

// failing makes statements that contain the text fail from now on; none if it
// is empty.
func (s *statements) failing(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = part
}

// containing counts the statements that contain the text.
func containing(list []string, part string) (n int) {
	for _, sql := range list {
		if strings.Contains(sql, part) {
			n++
		}
	}
	return n
}

// Parts of statements by which the tests tell reads from questions for the
// position.
const (
	aRead       = "notification_deliveries d"
	howFarDB    = "pg_current_wal_insert_lsn"
	howFarIsIt  = "pg_last_wal_replay_lsn"
	readsOfView = 5
)

// view is what all reading verbs show to a user.
type view struct {
	listed  []string // "title" or "title, read"
	unread  int64
	status  notifications.Status
	topics  int64 // unread ones of the origin
	fetched bool  // whether the first listed one is read
}

func viewOf(ctx context.Context, f *fixture, who notifications.Identity, id string) view {
	f.t.Helper()
	var v view
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
	v.status.Position = ""
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

// wantView checks what a user sees, and that all of it came from one database.
func (r *replicated) wantView(ctx context.Context, f *fixture, who notifications.Identity, id string, from *statements, listed ...string) {
	r.t.Helper()
	r.reset()
	v := viewOf(ctx, f, who, id)
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

// A user who has just marked something sees the mark. Other users read from the
// replica.
func TestReplica(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	ctx := t.Context()
	first := r.post("first", notifications.Users("default/jane", "default/john", "default/guest"))
	r.CatchUp()

	// Without marks everybody reads from the replica, which lacks the second
	// post.
	r.Pause()
	r.post("second", notifications.Everyone())
	for _, who := range []notifications.Identity{jane, john, guest} {
		r.wantView(ctx, r.fixture, who, first, r.standby, "first")
	}
	if n := len(r.primary.take()); n != 0 {
		t.Errorf("%d statements were for the primary", n)
	}

	// Jane and the guest mark it, John does not.
	r.mark(jane, first, true)
	if n, err := r.SetState(ctx, guest, notifications.ByIDs(first), notifications.StateChange{Read: new(true)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.wantView(ctx, r.fixture, jane, first, r.primary, "second", "first, read")
	r.wantView(ctx, r.fixture, guest, first, r.primary, "second", "first, read")
	r.wantView(ctx, r.fixture, john, first, r.standby, "first")

	// Another instance knows the mark if it gets the text of Marked, or if the
	// user marks there, even if that changes nothing.
	other := r.another(r.fixture)
	r.wantView(ctx, other, jane, first, r.standby, "first")
	r.wantView(notifications.AfterMark(ctx, r.Marked(jane)), other, jane, first, r.primary, "second", "first, read")
	for _, nothing := range []string{"", "?", "-1", "0", "99999999999999999999", strings.Repeat("A", 22), strings.Repeat("_", 22), strings.Repeat("é", 11), other.Marked(jane)} {
		r.wantView(notifications.AfterMark(ctx, nothing), other, jane, first, r.standby, "first")
	}
	other.mark(jane, first, true)
	r.wantView(ctx, other, jane, first, r.primary, "second", "first, read")
	third := r.another(r.fixture)
	if n, err := third.SetState(ctx, jane, notifications.ByIDs(first), notifications.StateChange{Read: new(true)}); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	r.wantView(ctx, third, jane, first, r.primary, "second", "first, read")

	// When the replica has the mark, it is asked for its position once more
	// only.
	r.Resume()
	r.CatchUp()
	token := r.Marked(jane)
	for _, ctx := range []context.Context{ctx, notifications.AfterMark(ctx, token)} {
		for _, who := range []notifications.Identity{jane, guest} {
			r.wantView(ctx, r.fixture, who, first, r.standby, "second", "first, read")
		}
	}
	r.list(jane, notifications.ListQuery{})
	if list := r.standby.take(); containing(list, howFarIsIt) != 0 || len(list) != 1 || len(r.primary.take()) != 0 {
		t.Errorf("a list took %q", list)
	}
	r.wantView(ctx, r.fixture, john, first, r.standby, "second", "first")
	if n := notifications.MarkedUsers(r.Service); n != 0 {
		t.Errorf("%d users are remembered", n)
	}
	if r.Marked(jane) == "" || r.Marked(ci) != "" {
		t.Errorf("another instance is told %q of Jane and %q of a service", r.Marked(jane), r.Marked(ci))
	}
}

// Only reads of users go to the replica.
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
	_, eraseErr := r.EraseUser(ctx, ci, "default/jane")
	if err := errors.Join(pendingErr, scopeErr, withdrawErr, purgeErr, eraseErr); err != nil {
		t.Error(err)
	}
	if list := r.standby.take(); len(list) > 0 {
		t.Errorf("the replica was asked %q", list)
	}
}

// If too many users have marked something, nobody reads from the replica until
// it has the latest mark.
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
			r.wantView(t.Context(), r.fixture, who(j), ids[j], r.primary, "first, read")
		}
		if i < most {
			r.wantView(t.Context(), r.fixture, john, johns, r.standby, "first")
		}
	}
	r.wantView(t.Context(), r.fixture, john, johns, r.primary, "first")
	r.Resume()
	r.CatchUp()
	for i := range users {
		r.wantView(t.Context(), r.fixture, who(i), ids[i], r.standby, "first, read")
	}
	r.wantView(t.Context(), r.fixture, john, johns, r.standby, "first")
}

// A mark counts even if the position of the log could not be read.
func TestReplicaWhereThePositionIsUnknown(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.CatchUp()
	r.Pause()
	r.primary.failing(howFarDB)
	r.mark(jane, first, true)
	r.wantView(t.Context(), r.fixture, jane, first, r.primary, "first, read")
	r.wantView(notifications.AfterMark(t.Context(), r.Marked(jane)), r.another(r.fixture), jane, first, r.primary, "first, read")
	r.primary.failing("")
	r.reset()
	r.list(jane, notifications.ListQuery{})
	r.list(jane, notifications.ListQuery{})
	if n := containing(r.primary.take(), howFarDB); n != 1 {
		t.Errorf("the primary was asked %d times how far it is, want once", n)
	}
	r.wantView(t.Context(), r.fixture, jane, first, r.primary, "first, read")
	r.Resume()
	r.CatchUp()
	r.wantView(t.Context(), r.fixture, jane, first, r.standby, "first, read")
}

// A position that the log has not reached counts as the log's present one, and
// clients cannot see or choose positions.
func TestMarkedIsClampedAndSealed(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.mark(jane, first, true)
	beyond := notifications.SealedPosition(r.Service, math.MaxInt64)
	r.CatchUp()
	r.wantView(notifications.AfterMark(t.Context(), beyond), r.another(r.fixture), jane, first, r.standby, "first, read")
	r.Pause()
	r.post("second", notifications.Everyone())
	r.wantView(notifications.AfterMark(t.Context(), beyond), r.another(r.fixture), jane, first, r.primary, "second", "first, read")

	one, two := notifications.SealedPosition(r.Service, 1000), notifications.SealedPosition(r.Service, 1001)
	same := 0
	for i := range one {
		if one[i] == two[i] {
			same++
		}
	}
	if len(one) != 22 || same > len(one)/2 {
		t.Errorf("neighbours are sealed as %s and %s", one, two)
	}
}

// While the replica is down, DB answers and the replica is not asked for a
// while.
func TestReplicaDown(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.mark(jane, first, false)
	r.CatchUp()
	r.wantView(t.Context(), r.fixture, jane, first, r.standby, "first")
	marked := notifications.AfterMark(t.Context(), r.Marked(jane))
	r.wantView(marked, r.fixture, jane, first, r.standby, "first")
	if err := r.Standby.Stop(); err != nil {
		t.Fatal(err)
	}
	const told = `level=WARN msg="the replica failed, and the database is asked instead" error=`
	for range 2 {
		r.reset()
		for range 3 {
			r.wantList(jane, notifications.ListQuery{}, "first")
		}
		if n := strings.Count(r.log.take(), told); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
		if n := len(r.standby.take()); n != 1 {
			t.Errorf("the replica was asked %d times, want once", n)
		}
		r.clock.advance(notifications.ReplicaPause)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if err := r.Standby.Start(); err != nil {
		t.Fatal(err)
	}
	r.CatchUp()
	// The pool may hold more than one dead connection.
	asked := 0
	for deadline := time.Now().Add(time.Minute); ; {
		r.clock.advance(notifications.ReplicaPause)
		r.reset()
		r.wantList(jane, notifications.ListQuery{}, "first")
		asked += containing(r.standby.take(), howFarIsIt)
		if containing(r.primary.take(), aRead) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("reads never go back to the replica")
		}
	}
	// Another server may answer now, so its position is asked again.
	if _, err := r.Count(marked, jane, all); err != nil {
		t.Fatal(err)
	}
	if asked += containing(r.standby.take(), howFarIsIt); asked == 0 {
		t.Error("the replica was not asked how far it is")
	}
	r.wantView(marked, r.fixture, jane, first, r.standby, "first")
}

// DB answers a query that the standby cancels because of its recovery, or that
// takes too long.
func TestReplicaBreaksOff(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	// For the role slow, reading states takes ten minutes.
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

	// The query takes too long.
	notifications.SetReplicaPatience(slowly.Service, 100*time.Millisecond)
	r.reset()
	count(slowly)
	if text := r.log.take(); !strings.Contains(text, "the replica failed") {
		t.Errorf("logged %q", text)
	}
	r.clock.advance(notifications.ReplicaPause)

	// The query conflicts with a lock that the standby replays.
	const sleeping = " FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
	r.Until(r.Standby, "SELECT count(*) = 0"+sleeping) // until the query before has ended
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
		t.Errorf("logged %q", text)
	}
	// The replica is not paused after that.
	r.CatchUp()
	notifications.SetReplicaPatience(slowly.Service, 100*time.Millisecond)
	count(slowly)
	if text := r.log.take(); !strings.Contains(text, "the replica failed") {
		t.Errorf("the replica was not asked: %q", text)
	}
	r.wantView(t.Context(), r.fixture, jane, first, r.standby, "first")

	// The caller's own deadline ends the query.
	r.clock.advance(notifications.ReplicaPause)
	notifications.SetReplicaPatience(slowly.Service, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r.reset()
	if _, err := slowly.Count(ctx, jane, unread); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, notifications.ErrUnavailable) {
		t.Errorf("after the time of the caller: %v", err)
	}
	if text := r.log.take(); strings.Contains(text, "the replica failed") {
		t.Errorf("logged %q", text)
	}
}

// Users mark and read at once, while the standby lags behind.
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
		r.wantList(notifications.User(fmt.Sprint("default/u", i)), notifications.ListQuery{}, "x")
	}
	if list := r.primary.take(); len(list) > 0 {
		t.Errorf("when the standby has come after, the primary is asked %q", list)
	}
}

// Only a standby of the database answers. Anything else is named in the log, and
// the database answers instead.
func TestReplicaThatIsNone(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	exec(t, r.db, "CREATE SCHEMA other")
	exec(t, r.db, "CREATE TABLE other.notification_messages (id uuid)")
	exec(t, r.db, "CREATE ROLE elsewhere LOGIN SUPERUSER")
	exec(t, r.db, "ALTER ROLE elsewhere SET search_path = other, public")
	exec(t, r.db, "CREATE DATABASE another")
	r.CatchUp()
	for name, tt := range map[string]struct {
		replica *gorm.DB
		want    string
	}{
		"the database itself":    {r.Open(r.Primary), "it is not a standby"},
		"another PostgreSQL":     {dbtest.Postgres(t), "it is another PostgreSQL"},
		"another database of it": {r.OpenDatabase(r.Standby, "another"), "another database of the standby"},
		"other tables":           {r.OpenAs(r.Standby, "elsewhere"), "other tables than the database"},
	} {
		log := new(lockedBuffer)
		f := r.with(func(cfg *notifications.Config) {
			cfg.Replica, cfg.Logger = tt.replica, slog.New(slog.NewTextHandler(log, nil))
		})
		seen := watch(t, tt.replica)
		for range 2 {
			f.wantList(jane, notifications.ListQuery{}, "first")
		}
		if n := containing(seen.take(), aRead); n != 0 {
			t.Errorf("%s: it was read %d times", name, n)
		}
		if text := log.take(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, tt.want) {
			t.Errorf("%s: the log has %s", name, text)
		}
	}

	// Run says so too, without a read.
	log := new(lockedBuffer)
	f := r.with(func(cfg *notifications.Config) {
		cfg.Replica, cfg.Logger = r.db, slog.New(slog.NewTextHandler(log, nil))
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), "it is not a standby"); {
		if time.Now().After(deadline) {
			t.Fatalf("Run logged %s", log.String())
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.wantView(t.Context(), r.fixture, jane, first, r.standby, "first")
}

// A standby that is promoted is none any more.
func TestReplicaPromoted(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	first := r.post("first", notifications.Users("default/jane"))
	r.CatchUp()
	r.wantView(t.Context(), r.fixture, jane, first, r.standby, "first")
	exec(t, r.replica, "SELECT pg_promote()")
	r.post("second", notifications.Users("default/jane"))
	r.clock.advance(notifications.ReplicaTrust)
	r.reset()
	r.wantList(jane, notifications.ListQuery{}, "second", "first")
	if text := r.log.take(); !strings.Contains(text, "it is not a standby") {
		t.Errorf("the log has %q", text)
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

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns the text, and keeps it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// take returns the text since its last call.
func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}
