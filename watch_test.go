package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// run starts Run for the rest of the test.
func (f *fixture) run() *fixture {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.Run(ctx)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return f
}

// watcher collects the events of a watch.
type watcher struct {
	t      *testing.T
	events chan notifications.Event
	failed chan error
	stop   context.CancelFunc
	last   notifications.Position
	counts []notifications.Event
	// ignored is a notification whose removal may be told or not.
	ignored string

	patience *time.Timer
}

// watch starts a watch, and returns it after its EventHello. It waits until Run
// has begun.
func (f *fixture) watch(who notifications.Identity, q notifications.WatchQuery) *watcher {
	f.t.Helper()
	for err := notifications.ErrUnavailable; errors.Is(err, notifications.ErrUnavailable); {
		for _, err = range f.Watch(f.t.Context(), who, q) {
			break
		}
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &watcher{t: f.t, events: make(chan notifications.Event, 10_000), failed: make(chan error, 1), stop: cancel, patience: time.NewTimer(eventually)}
	go func() {
		for e, err := range f.Watch(ctx, who, q) {
			if err != nil {
				w.failed <- err
				break
			}
			w.events <- e
		}
		close(w.events)
	}()
	f.t.Cleanup(cancel)
	hello := w.next()
	if hello.Kind != notifications.EventHello || "default/"+strings.TrimPrefix(hello.Reader, "default/") != who.Name {
		f.t.Fatalf("the first event is %+v", hello)
	}
	return w
}

// eventually bounds the wait of a test for an event.
const eventually = 20 * time.Second

// next returns the next event that is neither a count nor idle.
func (w *watcher) next() notifications.Event {
	w.t.Helper()
	w.patience.Reset(eventually)
	for {
		e := w.nextOfAny()
		switch e.Kind {
		case notifications.EventIdle:
		case notifications.EventCount:
			w.counts = append(w.counts, e)
		case notifications.EventRemoved:
			if e.ID != w.ignored {
				return e
			}
		default:
			return e
		}
	}
}

func (w *watcher) nextOfAny() notifications.Event {
	w.t.Helper()
	select {
	case e, open := <-w.events:
		if !open {
			w.t.Fatalf("the watch has ended: %v", w.failed)
		}
		w.last = e.Position
		return e
	case err := <-w.failed:
		w.t.Fatalf("the watch has failed: %v", err)
	case <-w.patience.C:
		w.t.Fatal("no event came")
	}
	return notifications.Event{}
}

// count waits for a count with this status.
func (w *watcher) count(unread, read, saved, archived int64) {
	w.t.Helper()
	w.patience.Reset(eventually)
	for {
		e := w.nextOfAny()
		if e.Kind != notifications.EventCount {
			continue
		}
		if s := e.Status; s.Unread == unread && s.Read == read && s.Saved == saved && s.Archived == archived {
			return
		}
	}
}

// text is an event in short.
func text(e notifications.Event) string {
	switch e.Kind {
	case notifications.EventNotification:
		n, marks := e.Notification, ""
		for mark, is := range map[string]bool{" read": n.Read, " saved": n.Saved, " archived": n.Archived} {
			if is {
				marks += mark
			}
		}
		return "notification " + n.Title + marks
	case notifications.EventRemoved:
		return "removed " + e.ID
	case notifications.EventState:
		return fmt.Sprintf("state %v %t", e.IDs, e.Many)
	case notifications.EventResync:
		return "resync " + e.Reason
	}
	return string(e.Kind)
}

// want checks the next events, apart from counts.
func (w *watcher) want(texts ...string) {
	w.t.Helper()
	for _, want := range texts {
		if got := text(w.next()); got != want {
			w.t.Errorf("the next event is %q, want %q", got, want)
		}
	}
}

// wantInAnyOrder checks the next events, apart from counts.
func (w *watcher) wantInAnyOrder(texts ...string) {
	w.t.Helper()
	var got []string
	for range texts {
		got = append(got, text(w.next()))
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		w.t.Errorf("the next events are %q, want %q", got, texts)
	}
}

// TestWatch: each change reaches those whom it concerns, and nobody else.
func TestWatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db).run()
		j, g := f.watch(jane, notifications.WatchQuery{}), f.watch(guest, notifications.WatchQuery{})
		j.count(0, 0, 0, 0)
		one := f.post("to jane", toJane)
		j.want("notification to jane")
		f.post("to ops", toOps)
		j.want("notification to ops")
		f.post("to all", toEveryone)
		j.want("notification to all")
		g.want("notification to all")
		j.count(3, 0, 0, 0)
		f.mark(jane, one, true)
		j.want("state [" + one + "] false")
		j.count(2, 1, 0, 0)
		f.setState(jane, filter(all), saved, 3)
		j.want("state [] true")
		f.withdraw(one)
		j.want("removed " + one)
		kept := f.postDraft(keepPlaceDraft("first text", toEveryone))
		j.want("notification first text")
		g.want("notification first text")
		f.mark(jane, kept, true)
		j.want("state [" + kept + "] false")
		f.wantSameID(keepPlaceDraft("second text", toEveryone), kept)
		j.want("notification second text read")
		g.want("notification second text")
		f.postDraft(scopedDraft("beside it", toJane)) // the earlier post stays, to everybody
		j.want("notification beside it")
		f.postDraft(scopedDraft("in its place", toEveryone))
		j.wantInAnyOrder("notification in its place", "removed "+kept)
		g.wantInAnyOrder("notification in its place", "removed "+kept)
	})
}

// TestWatchNeedsRun: without Run there is nothing to watch.
func TestWatchNeedsRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		for e, err := range f.Watch(t.Context(), jane, notifications.WatchQuery{}) {
			if !errors.Is(err, notifications.ErrUnavailable) {
				t.Errorf("%+v, %v", e, err)
			}
		}
	})
}

// TestWatchTimes: a scheduled notification comes when it is due, and one that
// expires goes then, also for a reader who was away.
func TestWatchTimes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.SetPace(10*time.Millisecond, 1<<20)
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		later := f.postDraft(scheduledDraft(f.now().Add(time.Hour), "later", toJane))
		gone := f.postDraft(scheduledDraft(f.now().Add(time.Hour), "withdrawn before it appears", toJane))
		f.withdraw(gone)
		j.ignored = gone // that it is gone may be told, but not that it was there
		short := f.postDraft(expiringDraft(f.now().Add(2*time.Hour), "short", toJane))
		j.want("notification short")
		before := j.last
		f.advance(time.Hour)
		j.want("notification later")
		between := j.last
		f.advance(time.Hour)
		j.want("removed " + short)
		from := func(f *fixture, at notifications.Position) *watcher {
			w := f.watch(jane, notifications.WatchQuery{After: at})
			w.ignored = gone
			return w
		}
		from(f, before).wantInAnyOrder("notification later", "removed "+short)
		from(f, between).want("removed " + short)
		other := f.with(nil) // another instance, which begins later
		other.SetPace(10*time.Millisecond, 1<<20)
		from(other.run(), before).wantInAnyOrder("notification later", "removed "+short)
		f.wantPurged(short)
		from(f, between).want("removed " + short)
		f.withdraw(later)
		if got := text(j.next()); got == "removed "+short { // again, when it was purged
			j.want("removed " + later)
		} else if got != "removed "+later {
			t.Errorf("after the withdrawal: %q", got)
		}
	})
}

// TestWatchTimesAfterAFailure: what was due while the database failed is told
// later.
func TestWatchTimesAfterAFailure(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.SetPace(10*time.Millisecond, 1<<20)
		var failures atomic.Int32
		beforeStatements(t, db, func(db *gorm.DB) {
			if strings.Contains(db.Statement.SQL.String(), "msg.expires_at IS NULL)") && failures.Add(1) <= 2 {
				_ = db.AddError(errors.New("it fails on purpose"))
			}
		})
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		short := f.postDraft(expiringDraft(f.now().Add(time.Minute), "short", toJane))
		j.want("notification short")
		f.advance(time.Hour)
		j.want("removed " + short)
		if failures.Load() < 3 {
			t.Errorf("it failed %d times", failures.Load())
		}
	})
}

// wantPurged waits until a notification has been purged, perhaps by Run.
func (f *fixture) wantPurged(id string) {
	f.t.Helper()
	settled(func() string {
		if _, err := f.Purge(f.t.Context(), notifications.PurgeOptions{}); err != nil {
			return err.Error()
		}
		var found []string
		f.db.Raw("SELECT id FROM notification_messages WHERE id = ?", id).Scan(&found)
		return strings.Join(found, " ")
	})
}

// TestWatchNewExpiry: of a notification that gets new content, only the new
// expiry counts.
func TestWatchNewExpiry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.SetPace(10*time.Millisecond, 1<<20)
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		d := keepPlaceDraft("first", toJane)
		d.Expires = f.now().Add(30 * time.Second)
		id := f.postDraft(d)
		j.want("notification first")
		d.Title, d.Expires = "second", f.now().Add(50*time.Second)
		f.postDraft(d)
		j.want("notification second")
		f.advance(40 * time.Second)
		f.post("meanwhile", toJane)
		j.want("notification meanwhile")
		f.advance(20 * time.Second)
		j.want("removed " + id)
	})
}

// TestWatchSelects: a watch tells only what its query selects.
func TestWatchSelects(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db).run()
		draft := func(title, topic, origin string, severity notifications.Severity, to notifications.Audience) notifications.Draft {
			return notifications.Draft{Title: title, Topic: topic, Origin: origin, Severity: severity, To: to}
		}
		queries := map[string]notifications.WatchQuery{
			"system": {System: notifications.System}, "own": {System: notifications.NotSystem},
			"topic": {Topic: "a"}, "origin": {Origin: "x"}, "severe": {MinSeverity: notifications.SeverityHigh},
		}
		watchers := map[string]*watcher{}
		for name, q := range queries {
			watchers[name] = f.watch(jane, q)
		}
		for _, d := range []notifications.Draft{
			draft("1", "a", "x", notifications.SeverityLow, toJane), draft("2", "b", "x", notifications.SeverityHigh, toEveryone),
			draft("3", "a", "y", notifications.SeverityCritical, toOps), draft("4", "", "y", "", toJohn), draft("5", "", "y", "", toJane.And(toEveryone)),
		} {
			f.postDraft(d)
		}
		for name, titles := range map[string][]string{
			"system": {"2", "5"}, "own": {"1", "3", "5"}, "topic": {"1", "3"}, "origin": {"1", "2"}, "severe": {"2", "3"},
		} {
			for _, title := range titles {
				watchers[name].want("notification " + title)
			}
		}
		moved := draft("moved", "a", "z", "", toJane)
		moved.Scope, moved.KeepPlace = "s", true
		id := f.postDraft(moved)
		watchers["topic"].want("notification moved")
		moved.Topic = "b"
		f.postDraft(moved)
		watchers["topic"].want("removed " + id) // it is no longer of this topic
		f.withdraw(id)
		f.post("last", toEveryone)
		for name, want := range map[string]string{"system": "notification last", "origin": "", "severe": "", "topic": ""} {
			if want != "" {
				watchers[name].want(want)
			}
		}
	})
}

// TestWatchMembership: who joins or leaves a group begins again, and after that
// sees what members see.
func TestWatchMembership(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.SetPace(10*time.Millisecond, 1<<20)
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		f.post("to ops", toOps)
		j.want("notification to ops")
		f.directory.SetUser("default/jane", "default/dev")
		j.want("resync membership")
		f.post("to ops again", toOps)
		f.post("to jane", toJane)
		j.want("notification to jane")
		f.directory.SetUser("default/jane", "default/ops")
		j.want("resync membership")
		f.post("to ops at last", toOps)
		j.want("notification to ops at last")
		f.erase("default/jane")
		j.want("resync membership")
		f.directory.RemoveUser("default/jane")
		j.wantError(notifications.ErrForbidden)
	})
}

// wantError checks that the watch ends with an error.
func (w *watcher) wantError(want error) {
	w.t.Helper()
	for e := range w.events { // what came before
		w.last = e.Position
	}
	select {
	case err := <-w.failed:
		if !errors.Is(err, want) {
			w.t.Errorf("the watch ended with %v, want %v", err, want)
		}
	default:
		w.t.Errorf("the watch ended without an error, want %v", want)
	}
}

// TestWatchRefuses: who may not list may not watch, and positions are checked.
func TestWatchRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db).run()
		good := f.watch(jane, notifications.WatchQuery{}).last
		denied := f.with(func(cfg *notifications.Config) {
			cfg.Policy = policyFunc(func(notifications.Identity, notifications.Permission) (notifications.Decision, error) {
				return notifications.Deny, nil
			})
		})
		try := func(s *notifications.Service, who notifications.Identity, q notifications.WatchQuery) (err error) {
			for _, err = range s.Watch(t.Context(), who, q) {
				break
			}
			return err
		}
		for name, err := range map[string]error{
			"a service": try(f.Service, ci, notifications.WatchQuery{}), "an unknown user": try(f.Service, notifications.User("default/nobody"), notifications.WatchQuery{}),
			"the policy": try(denied.Service, jane, notifications.WatchQuery{}),
		} {
			if !errors.Is(err, notifications.ErrForbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := try(f.Service, notifications.Identity{}, notifications.WatchQuery{}); !errors.Is(err, notifications.ErrUnauthenticated) {
			t.Errorf("nobody: %v", err)
		}
		wantFields(t, try(f.Service, jane, notifications.WatchQuery{After: "x"}), "After")
		wantFields(t, try(f.Service, jane, notifications.WatchQuery{MinSeverity: "x"}), "MinSeverity")
		if err := db.Transaction(func(tx *gorm.DB) error { return try(f.WithTx(tx), jane, notifications.WatchQuery{}) }); !errors.Is(err, notifications.ErrBound) {
			t.Errorf("in a transaction: %v", err)
		}
		// A position belongs to nobody: it says when, not what.
		if err := try(f.Service, john, notifications.WatchQuery{After: good}); err != nil {
			t.Errorf("a position of another user: %v", err)
		}
		foreign := notifications.Position("0123456789abcdef" + string(good[16:]))
		f.watch(jane, notifications.WatchQuery{After: foreign}).want("resync epoch")
	})
}

// TestWatchEndsWithRun: a watch ends when Run does, and goes on when Run runs
// again.
func TestWatchEndsWithRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.Run(ctx) }()
		j := f.watch(jane, notifications.WatchQuery{})
		f.post("before", toJane)
		j.want("notification before")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		j.wantError(notifications.ErrUnavailable)
		f.post("meanwhile", toJane)
		f.run()
		f.watch(jane, notifications.WatchQuery{After: j.last}).want("notification meanwhile")
	})
}

// TestWatchBehindTheRing: what the ring has no room for is read from the log,
// and a reader who takes nothing for too long begins again.
func TestWatchBehindTheRing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.SetPace(50*time.Millisecond, 3000)
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		before := j.last
		slow := make(chan notifications.Event)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer close(slow)
			for e, err := range f.Watch(ctx, jane, notifications.WatchQuery{After: before}) {
				if err != nil {
					t.Error(err)
				}
				select {
				case slow <- e:
				case <-ctx.Done():
				}
			}
		}()
		<-slow // its hello
		f.postDraft(scheduledDraft(time.Now().Add(time.Hour), "not yet", toJane))
		var want []string
		for i := range 50 {
			title := fmt.Sprint("post ", i)
			f.post(title, toJane)
			want = append(want, "notification "+title)
			j.want(want[i])
		}
		f.watch(jane, notifications.WatchQuery{After: before}).want(want...)
		var overflow bool
		for e := range slow {
			if overflow = e.Kind == notifications.EventResync && e.Reason == notifications.ResyncOverflow; overflow {
				break
			}
		}
		if !overflow {
			t.Error("the slow reader was told nothing")
		}
	})
}

// TestWatchWaitsForRun: a watch that begins a little earlier than Run is served.
func TestWatchWaitsForRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		first := make(chan error, 1)
		go func() {
			var failed error
			for _, failed = range f.Watch(t.Context(), jane, notifications.WatchQuery{}) {
				break
			}
			first <- failed
		}()
		f.run()
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// TestWatchQueryFaults: all are named at once.
func TestWatchQueryFaults(t *testing.T) {
	t.Parallel()
	q := notifications.WatchQuery{System: 7, MinSeverity: "x", Topic: strings.Repeat("x", 256), Origin: "\x00", After: "X"}
	var invalid *notifications.InvalidError
	if err := q.Check(); !errors.As(err, &invalid) || len(invalid.Fields) != 5 {
		t.Errorf("%v", err)
	}
	if err := (notifications.WatchQuery{}).Check(); err != nil {
		t.Error(err)
	}
}
