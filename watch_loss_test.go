package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// follower keeps a copy of an inbox by the events of watches that it cuts at
// random.
type follower struct {
	f   *fixture
	who notifications.Identity
	// cut is the chance that the watch ends after an event. Most events of a
	// tick have the position before it, so a watch that always ends at once
	// would never come to the end of a tick.
	cut float64

	mu     sync.Mutex
	shown  map[string]notifications.Notification
	status notifications.Status
	at     notifications.Position
	resync []string
	events int
	// unmarked says that nobody marks for this reader, so that each count can be
	// compared with the copy at that moment.
	unmarked bool
	wrong    []string
}

func (f *fixture) follower(who notifications.Identity, cut float64) *follower {
	return &follower{f: f, who: who, cut: cut, shown: map[string]notifications.Notification{}}
}

// follow follows until ctx ends.
func (l *follower) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		for e, err := range l.f.Watch(ctx, l.who, notifications.WatchQuery{After: l.position()}) {
			if errors.Is(err, notifications.ErrUnavailable) {
				break // Run has not begun
			}
			if err != nil {
				return err
			}
			l.apply(e)
			if rand.Float64() < l.cut {
				break
			}
		}
	}
	return nil
}

func (l *follower) position() notifications.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

func (l *follower) apply(e notifications.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events++
	switch e.Kind {
	case notifications.EventHello:
		if l.at != "" && !e.Resumed {
			l.resync = append(l.resync, "hello")
		}
	case notifications.EventNotification:
		l.shown[e.Notification.ID] = e.Notification
	case notifications.EventRemoved:
		delete(l.shown, e.ID)
	case notifications.EventState:
		for id, n := range l.shown {
			if e.Many || slices.Contains(e.IDs, id) {
				if now, err := l.f.Get(context.Background(), l.who, id); err == nil {
					n = now
				}
				l.shown[id] = n
			}
		}
	case notifications.EventCount:
		l.status = e.Status
		l.status.Position = ""
		if n := int64(len(l.shown)); l.unmarked && n != e.Status.Unread {
			l.wrong = append(l.wrong, fmt.Sprintf("%d unread, while the events show %d", e.Status.Unread, n))
		}
	case notifications.EventResync:
		l.resync = append(l.resync, e.Reason)
	}
	l.at = e.Position
}

// differs says how the copy differs from what the reader sees.
func (l *follower) differs() string {
	page, err := l.f.List(context.Background(), l.who, notifications.ListQuery{Filter: withArchived, Limit: 10_000})
	if err != nil {
		return err.Error()
	}
	status, err := l.f.Status(context.Background(), l.who, notifications.SystemOrNot)
	if err != nil {
		return err.Error()
	}
	status.Position = ""
	l.mu.Lock()
	defer l.mu.Unlock()
	want := map[string]notifications.Notification{}
	for _, n := range page.Items {
		want[n.ID] = n
	}
	var missing, surplus, other []string
	for id, n := range want {
		got, found := l.shown[id]
		if !found {
			missing = append(missing, n.Title)
		} else if got.Title != n.Title || got.Read != n.Read || got.Saved != n.Saved || got.Archived != n.Archived {
			other = append(other, fmt.Sprintf("%s is %s", n.Title, got.Title))
		}
	}
	for id := range maps.Keys(l.shown) {
		if _, found := want[id]; !found {
			surplus = append(surplus, l.shown[id].Title)
		}
	}
	if len(missing)+len(surplus)+len(other) == 0 && l.status == status {
		return ""
	}
	slices.Sort(missing)
	return fmt.Sprintf("of %d, missing %q, surplus %q, different %q; status %+v, want %+v", len(want), missing, surplus, other, l.status, status)
}

// TestWatchLosesNothing: readers whose connection is cut at any time keep a true
// copy of their inbox by the events alone, while transactions commit in any
// order, late or not at all, through two instances.
func TestWatchLosesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		const writers, each = 6, 40
		f := newFixture(t, db).run()
		other := f.with(nil).run() // another instance
		ctx, cancel := context.WithCancel(t.Context())
		var following, writing sync.WaitGroup
		followers := []*follower{f.follower(jane, 0.1), f.follower(jane, 0.01), other.follower(jane, 0.05), other.follower(john, 0.1), f.follower(guest, 0), other.follower(guest, 0.02)}
		followers[4].unmarked, followers[5].unmarked = true, true
		failed := make(chan error, len(followers))
		for _, l := range followers {
			following.Go(func() { failed <- l.follow(ctx) })
		}
		for _, l := range followers {
			settled(func() string {
				if l.position() == "" {
					return "not begun"
				}
				return ""
			})
		}
		progress := newProgress()
		for w := range writers {
			writing.Go(func() { write(f, w, each, progress) })
		}
		writing.Wait()
		for _, l := range followers {
			if diff := settled(l.differs); diff != "" {
				t.Errorf("%s: %s", l.who, diff)
			}
			if len(l.resync) > 0 {
				t.Errorf("%s had to begin again: %q", l.who, l.resync)
			}
			if len(l.wrong) > 0 {
				t.Errorf("counts of %s: %q", l.who, l.wrong)
			}
			if l.events < each {
				t.Errorf("%s got %d events", l.who, l.events)
			}
		}
		cancel()
		following.Wait()
		for range followers {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}

// settled waits until a difference is gone, and returns it if it stays.
func settled(differs func() string) (diff string) {
	for begin := time.Now(); time.Since(begin) < eventually; time.Sleep(20 * time.Millisecond) {
		if diff = differs(); diff == "" {
			return ""
		}
	}
	return diff
}

// progress counts writes, so that a transaction can stay open until there have
// been others.
type progress struct{ steps chan struct{} }

func newProgress() progress { return progress{make(chan struct{}, 1000)} }

func (p progress) step() {
	select {
	case p.steps <- struct{}{}:
	default:
	}
}

// others waits for some writes of others, if there are any: they may wait for
// this transaction.
func (p progress) others(n int) {
	patience := time.NewTimer(200 * time.Millisecond)
	defer patience.Stop()
	for range n {
		select {
		case <-p.steps:
		case <-patience.C:
			return
		}
	}
}

// write does random things, some in transactions of the host.
func write(f *fixture, writer, times int, p progress) {
	random := rand.New(rand.NewPCG(uint64(writer), 1))
	audiences := []notifications.Audience{toJane, toJohn, toOps, toEveryone, toJane.And(toEveryone)}
	ctx := context.Background()
	var mine []string
	act := func(s *notifications.Service, n int) error {
		d := notifications.Draft{Origin: "test", Title: fmt.Sprintf("%d.%d", writer, n), To: audiences[random.IntN(len(audiences))]}
		switch random.IntN(8) {
		case 0:
			d.Scope, d.KeepPlace = fmt.Sprint("place ", writer), true
		case 1:
			d.Scope = fmt.Sprint("scope ", random.IntN(3))
		case 2:
			if len(mine) > 0 {
				err := s.Withdraw(ctx, ci, mine[random.IntN(len(mine))])
				if errors.Is(err, notifications.ErrNotFound) {
					err = nil
				}
				return err
			}
		case 3:
			_, err := s.SetState(ctx, jane, filter(all), read)
			return err
		case 4:
			if len(mine) > 0 {
				_, err := s.SetState(ctx, john, ids(mine[random.IntN(len(mine))]), archived)
				return err
			}
		}
		posted, err := s.Post(ctx, ci, d)
		if errors.Is(err, notifications.ErrTargetsDiffer) {
			return nil
		}
		if err == nil {
			mine = append(mine, posted.ID)
		}
		return err
	}
	for n := range times {
		var err error
		switch {
		case random.IntN(4) > 0:
			err = act(f.Service, n)
		default:
			err = inTx(f.db, func(tx *gorm.DB) error {
				before := len(mine)
				if err := act(f.WithTx(tx), n); err != nil {
					return err
				}
				if f.db.Name() == "postgres" && random.IntN(3) == 0 { // others write meanwhile
					p.others(10)
				}
				if random.IntN(3) == 0 {
					mine = mine[:before]
					return errRollback
				}
				return nil
			})
			if errors.Is(err, errRollback) {
				err = nil
			}
		}
		if err != nil {
			f.t.Errorf("writer %d: %v", writer, err)
		}
		p.step()
	}
}

var errRollback = errors.New("rolled back on purpose")
