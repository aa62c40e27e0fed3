// Package coalesce merges signals that come faster than they are of use.
package coalesce

import (
	"context"
	"time"
)

// Signal is set by any number of goroutines, and stays set until a waiting one
// takes it.
type Signal chan struct{}

// NewSignal returns a Signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Set sets the signal, and never blocks. A signal that is set stays so.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Wait waits until earliest, then until the signal is set, and takes it. It
// reports false, and leaves the signal as it is, if ctx ends before that.
func (s Signal) Wait(ctx context.Context, earliest time.Time) bool {
	if pause := time.Until(earliest); pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-s:
		return true
	case <-ctx.Done():
		return false
	}
}
