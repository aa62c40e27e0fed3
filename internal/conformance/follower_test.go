package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/notifications-go/notifications"
)

// patience bounds the wait for what a stream is to tell.
const patience = 20 * time.Second

// follower keeps a copy of a user's inbox by the events of watches alone. Where
// a watch says that changes may be missing, it reads the list again, as a host
// does. Its ids are those of the service.
type follower struct {
	svc  *notifications.Service
	who  notifications.Identity
	f    notifications.SystemFilter
	once int // how many events a watch tells before it is cut; 0 for all

	mu     sync.Mutex
	at     notifications.Position
	shown  map[string]notifications.Notification
	events []notifications.Event // since taken

	changed chan struct{} // has a value if there may have been an event
}

func newFollower(svc *notifications.Service, user string, f notifications.SystemFilter) *follower {
	return &follower{svc: svc, who: notifications.User(user), f: f, shown: map[string]notifications.Notification{}, changed: make(chan struct{}, 1)}
}

// begin reads the list and forgets the place, so that the next watch begins
// anew.
func (l *follower) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.events = "", nil
	return l.relist(ctx)
}

// relist reads the list. The caller holds mu.
func (l *follower) relist(ctx context.Context) error {
	clear(l.shown)
	for page, err := range l.svc.All(ctx, l.who, notifications.Filter{System: l.f, Archived: notifications.ArchivedOrNot}) {
		if err != nil {
			return err
		}
		l.shown[page.ID] = page
	}
	return nil
}

// catchUp watches until everything has been told: until the count that a watch
// takes at its beginning. It continues from the last position, and waits until
// Run has begun.
func (l *follower) catchUp() (status notifications.Status, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		told := 0
		l.svc.Ring()
		for e, err := range l.svc.Watch(ctx, l.who, notifications.WatchQuery{System: l.f, After: l.position()}) {
			if errors.Is(err, notifications.ErrUnavailable) {
				break
			}
			if err == nil {
				err = l.apply(ctx, e)
			}
			if err != nil || e.Kind == notifications.EventCount {
				e.Status.Position = ""
				return e.Status, err
			}
			// Of events at one position the watch must get further than
			// before, or it would tell them for ever.
			if told++; l.once > 0 && told > l.once {
				l.once = told
				break
			}
		}
	}
	return status, errors.New("no count came")
}

// follow watches until ctx ends. It is for a goroutine of its own.
func (l *follower) follow(ctx context.Context) error {
	for e, err := range l.svc.Watch(ctx, l.who, notifications.WatchQuery{System: l.f, After: l.position()}) {
		if err == nil {
			err = l.apply(ctx, e)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (l *follower) position() notifications.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

func (l *follower) apply(ctx context.Context, e notifications.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}()
	l.at = e.Position
	l.events = append(l.events, e)
	switch e.Kind {
	case notifications.EventNotification:
		l.shown[e.Notification.ID] = e.Notification
	case notifications.EventRemoved:
		delete(l.shown, e.ID)
	case notifications.EventState:
		return l.markAgain(ctx, e)
	case notifications.EventResync:
		return l.relist(ctx)
	}
	return nil
}

// markAgain reads the marks that an EventState is about. The caller holds mu.
func (l *follower) markAgain(ctx context.Context, e notifications.Event) error {
	for id := range l.shown {
		if !e.Many && !slices.Contains(e.IDs, id) {
			continue
		}
		n, err := l.svc.Get(ctx, l.who, id)
		switch {
		case errors.Is(err, notifications.ErrNotFound): // another event tells so
		case err != nil:
			return err
		default:
			l.shown[id] = n
		}
	}
	return nil
}

// take returns the events since the last call, and the copy.
func (l *follower) take() (events []notifications.Event, shown []notifications.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, l.events = l.events, nil
	return events, slices.SortedFunc(maps.Values(l.shown), func(a, b notifications.Notification) int { return -compareText(a.ID, b.ID) })
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// running is Run of a Service in the background.
type running struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// run starts Run, and waits until it has purged. purged is closed then: nothing
// else that it does changes an answer.
func run(svc *notifications.Service, purged <-chan struct{}) (*running, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan struct{})}
	go func() {
		defer close(r.ended)
		_ = svc.Run(ctx)
	}()
	select {
	case <-purged:
		return r, nil
	case <-r.ended:
		return nil, errors.New("Run has ended")
	case <-time.After(patience):
		r.stop()
		return nil, fmt.Errorf("Run has not purged within %v", patience)
	}
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// purgeLog is a log handler that closes a channel when a purge has ended.
type purgeLog struct {
	slog.Handler
	once   *sync.Once
	purged chan struct{}
}

func newPurgeLog() purgeLog {
	return purgeLog{slog.DiscardHandler, new(sync.Once), make(chan struct{})}
}

func (purgeLog) Enabled(context.Context, slog.Level) bool { return true }

func (l purgeLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "purged" {
		l.once.Do(func() { close(l.purged) })
	}
	return nil
}
