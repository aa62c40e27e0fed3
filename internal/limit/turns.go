package limit

import (
	"context"
	"sync"
	"time"
)

// Turns lets so many callers work at once. The others wait in a [Line]. It is
// safe for concurrent use.
type Turns struct {
	most int // of one caller that wait

	mu   sync.Mutex
	free int
	line Line[*turn]
}

type turn struct{ granted chan struct{} }

// NewTurns returns Turns for so many at once. Of one caller most may wait.
func NewTurns(atOnce, most int) *Turns { return &Turns{free: atOnce, most: most} }

// Take begins a turn, which lasts until done is called, exactly once. It waits
// for it up to patience. The error is [ErrOwnShare] if too many of the caller's
// wait, [ErrAllInUse], or that of the context.
func (t *Turns) Take(ctx context.Context, key string, patience time.Duration) (done func(), err error) {
	t.mu.Lock()
	switch {
	case t.free > 0:
		t.free--
		t.line.Begin(key)
		t.mu.Unlock()
		return t.begun(key), nil
	case t.line.Waiting(key) >= t.most:
		t.mu.Unlock()
		return nil, ErrOwnShare
	}
	own := &turn{make(chan struct{})}
	t.line.Join(key, own)
	t.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-own.granted:
		return t.begun(key), nil
	case <-timer.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.line.Leave(key, own): // granted at the last moment
		return t.begun(key), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, ErrAllInUse
	}
}

func (t *Turns) begun(key string) (done func()) {
	began := time.Now()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.line.End(key, time.Since(began))
		if next, waits := t.line.Next(); waits {
			close(next.granted)
		} else {
			t.free++
		}
	}
}
