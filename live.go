package notifications

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// pace says how fast the background work of watches goes, and how far back.
type pace struct {
	poll time.Duration // between two looks at the log if nobody rings
	beat time.Duration // between two EventIdle
	// recheck is the age at which the policy and the catalog are asked again,
	// patience how long their answer may be missing then.
	recheck, patience time.Duration
	ringBytes         int // how much memory the changes of the last minutes may take
}

func usualPace() pace {
	return pace{poll: time.Second, beat: 15 * time.Second, recheck: 35 * time.Second, patience: 25 * time.Second, ringBytes: 16 << 20}
}

// live connects the verbs that change something, the tailer and the watches. A
// Service and those bound to transactions share it.
type live struct {
	changed chan struct{} // has a value if the log may have grown
	bell    Bell          // nil if there is none
	log     *slog.Logger
	pace    pace

	mu    sync.Mutex
	tail  *tail         // nil unless Run runs
	began chan struct{} // closed when Run begins
}

func newLive(bell Bell, log *slog.Logger) *live {
	return &live{changed: make(chan struct{}, 1), bell: bell, log: log, pace: usualPace(), began: make(chan struct{})}
}

// heard makes the tailer look at the log.
func (l *live) heard() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// ring does so here and in other instances.
func (l *live) ring(ctx context.Context) {
	l.heard()
	if l.bell == nil {
		return
	}
	if err := l.bell.Ring(ctx); err != nil {
		l.log.DebugContext(ctx, "the bell did not ring; others look within a second", "error", err)
	}
}

// listen hears the bells of other instances until ctx ends.
func (s *Service) listen(ctx context.Context) {
	if s.bell == nil {
		return
	}
	if err := s.bell.Listen(ctx, s.live.heard); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the bell cannot be heard; changes of other instances show within a second", "error", err)
	}
}

func (l *live) set(t *tail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = t; t != nil {
		close(l.began)
	} else {
		l.began = make(chan struct{})
	}
}

// running returns the tailer, and nil if Run does not begin soon.
func (l *live) running(ctx context.Context) *tail {
	l.mu.Lock()
	t, began := l.tail, l.began
	l.mu.Unlock()
	if t != nil {
		return t
	}
	patience := time.NewTimer(runPatience)
	defer patience.Stop()
	select {
	case <-began:
	case <-patience.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail
}

// following returns the tailer when it has read the log.
func (l *live) following(ctx context.Context) (*tail, error) {
	t := l.running(ctx)
	if t == nil {
		return nil, unavailable("watch", errors.New("Run is not running"))
	}
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	select {
	case <-t.ready:
		return t, nil
	case <-t.ended:
	case <-patience.C:
	case <-ctx.Done():
		return nil, unavailable("watch", ctx.Err())
	}
	return nil, unavailable("watch", errors.New("the log of changes has not been read"))
}

// Ring makes watches look for changes at once, here and through Config.Bell in
// other instances. Call it after the commit of a transaction in which a bound
// Service has written; without it the changes show within a second. It does not
// block.
func (s *Service) Ring() { s.live.ring(context.Background()) }
