package notifications

import (
	"context"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// counting is the work on the EventCount of one watch.
type counting struct {
	wanted bool      // something has changed since the last count began; for the watch's goroutine
	began  time.Time // when the last count was asked for

	mu    sync.Mutex
	state countState
	// asked is the number of the last count; results of earlier ones are
	// dropped.
	asked int
	done  *statusAt
	timer *time.Timer
}

// countState says how far a count has come.
type countState int

const (
	countIdle    countState = iota
	countQueued             // it waits for its time, or for other counts
	countRunning            // the database is being asked
	countDone               // it waits for its place between the changes
	countFailed
)

// statusAt is a status, and the position at which it is true.
type statusAt struct {
	status Status
	at     changelog.Position
}

func (c *counting) is(state countState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == state
}

func (c *counting) running() bool { return c.is(countRunning) }
func (c *counting) idle() bool    { return c.is(countIdle) }

// result returns the count, if it is done.
func (c *counting) result() *statusAt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// set moves count number n to a state, unless it was forgotten.
func (c *counting) set(n int, state countState, done *statusAt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n != c.asked {
		return false
	}
	c.state, c.done = state, done
	return true
}

// forget drops the count that is being made. Another one is needed.
func (c *counting) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.state, c.done, c.wanted = countIdle, nil, true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// stop ends the work at the end of the watch.
func (c *counting) stop() { c.forget() }

// next begins another count, and returns its number.
func (c *counting) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.state = countQueued
	return c.asked
}

// askCount begins a count if one is wanted and none is being made. It comes no
// sooner than countPause after the one before.
func (w *watch) askCount(ctx context.Context) {
	if w.count.is(countFailed) {
		w.count.forget()
	}
	if !w.count.idle() || !w.count.wanted {
		return
	}
	wait := countPause - time.Since(w.count.began)
	w.count.wanted, w.count.began = false, time.Now().Add(max(wait, 0))
	n, in := w.count.next(), w.in
	w.count.timer = time.AfterFunc(wait, func() { w.makeCount(ctx, n, in) })
}

// makeCount counts when few enough others are counting.
func (w *watch) makeCount(ctx context.Context, n int, in inbox) {
	defer w.reader.Wake()
	select {
	case w.tail.counting <- struct{}{}:
		defer func() { <-w.tail.counting }()
	case <-ctx.Done():
		return
	case <-w.tail.ended:
		return
	}
	if !w.count.set(n, countRunning, nil) {
		return
	}
	in.now = w.now()
	status, err := w.store.primary().status(ctx, in, w.query.System)
	var at changelog.Position
	if err == nil {
		at, err = changelog.ParsePosition(string(status.Position))
	}
	if err != nil {
		w.count.set(n, countFailed, nil)
		return
	}
	w.count.set(n, countDone, &statusAt{status, at})
	w.live.heard() // the tailer gives it its place
}

// tellCount tells a count, all of whose changes have been told.
func (w *watch) tellCount(done *statusAt) error {
	if !done.at.Includes(w.at) { // later ones have been told, too
		w.count.forget()
		return nil
	}
	w.at = done.at
	w.count.set(w.count.asked, countIdle, nil)
	return w.send(w.position(), Event{Kind: EventCount, Status: done.status})
}
