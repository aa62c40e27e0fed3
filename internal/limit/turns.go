package limit

import (
	"context"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/fairqueue"
)

// Turns lets so many callers work at once. The others wait in a
// [fairqueue.Line]. It is safe for concurrent use.
type Turns struct {
	most int // of one caller that wait

	mu   sync.Mutex
	free int
	line fairqueue.Line[*turn]
}

// turn is one that somebody waits for.
type turn struct {
	granted chan struct{}
	began   time.Time // when it was granted; the wait for a processor counts too
}

// NewTurns returns Turns for so many at once. Of one caller most may wait.
func NewTurns(atOnce, most int) *Turns { return &Turns{free: atOnce, most: most} }

// Take begins a turn, which lasts until done is called, exactly once. It waits
// for it up to patience. The error is [ErrOwnShare] if too many of the caller's
// wait, [ErrAllInUse], or that of the context.
func (t *Turns) Take(ctx context.Context, key string, patience time.Duration) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	switch {
	case t.free > 0:
		t.free--
		t.line.Begin(key)
		t.mu.Unlock()
		return t.end(key, time.Now()), nil
	case t.line.Waiting(key) >= t.most:
		t.mu.Unlock()
		return nil, ErrOwnShare
	}
	own := &turn{granted: make(chan struct{})}
	t.line.Join(key, own)
	t.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-own.granted:
		return t.end(key, own.began), nil
	case <-timer.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.line.Leave(key, own): // granted at the last moment
		return t.end(key, own.began), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, ErrAllInUse
	}
}

// Mean returns how long the caller's latest turns took; zero if it is unknown.
func (t *Turns) Mean(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.Mean(key)
}

// end returns the function that ends a turn.
func (t *Turns) end(key string, began time.Time) (done func()) {
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.line.End(key, time.Since(began))
		if next, waits := t.line.Next(); waits {
			next.began = time.Now()
			close(next.granted)
		} else {
			t.free++
		}
	}
}
