package notificationstest

import (
	"sync"
	"time"
)

// Clock is a time that passes when a test says so, for
// [notifications.Config].Now. It is safe for concurrent use and must not be
// copied. [NewClock] makes one; ids cannot hold the time of the zero Clock.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock on, and returns the time it then is.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}
