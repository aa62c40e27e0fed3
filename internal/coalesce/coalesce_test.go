package coalesce_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/notifications-go/notifications/internal/coalesce"
)

// The first signal is taken at once, those that follow within the gap as one
// after it, and none is lost.
func TestSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const gap = 10 * time.Millisecond
		s := coalesce.NewSignal()
		var taken []time.Duration
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			var earliest time.Time
			for s.Wait(ctx, earliest) {
				taken = append(taken, time.Since(start))
				earliest = time.Now().Add(gap)
			}
		}()
		for range 3 { // at 0, 1 and 2 ms
			s.Set()
			s.Set()
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100*time.Millisecond - time.Since(start))
		s.Set()
		synctest.Wait()
		cancel()
		synctest.Wait()
		want := []time.Duration{0, gap, 10 * gap}
		if len(taken) != len(want) || taken[0] != want[0] || taken[1] != want[1] || taken[2] != want[2] {
			t.Errorf("taken after %v, want %v", taken, want)
		}
	})
}

// A wait that ends by its context takes nothing.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	s := coalesce.NewSignal()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Set()
	if s.Wait(ended, time.Now().Add(time.Hour)) {
		t.Error("it took the signal before its time")
	}
	if !s.Wait(t.Context(), time.Time{}) {
		t.Error("the signal was lost")
	}
	if s.Wait(ended, time.Time{}) {
		t.Error("there was a signal")
	}
}
