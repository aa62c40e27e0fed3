package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
