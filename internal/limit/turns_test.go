package limit

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A caller who needs little waits for at most one turn, however many others are
// in a loop.
func TestTurnsAreFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const long = 10 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		turns := NewTurns(2, 100)
		var hostile sync.WaitGroup
		for n := range 16 {
			for range 10 {
				hostile.Go(func() {
					for {
						done, err := turns.Take(ctx, strconv.Itoa(n), time.Hour)
						if err != nil {
							return
						}
						time.Sleep(long - time.Duration(n)*97*time.Microsecond) // no two alike; in the bubble's time, here and below
						done()
					}
				})
			}
		}
		time.Sleep(time.Second) // then each has had a turn
		for range 100 {
			time.Sleep(50 * time.Millisecond)
			began := time.Now()
			done, err := turns.Take(ctx, "victim", time.Hour)
			// Each of the two turns ends within that time.
			if waited := time.Since(began); err != nil || waited > long {
				t.Errorf("the victim waits %v: %v", waited, err)
			}
			if err != nil {
				break
			}
			time.Sleep(time.Millisecond)
			done()
		}
		if mean := turns.Mean("0"); mean < long/2 || mean > long {
			t.Errorf("the mean turn takes %v", mean)
		}
		cancel()
		hostile.Wait()
		if turns.free != 2 || turns.line.Len() != 0 {
			t.Errorf("%d are free, and %d wait", turns.free, turns.line.Len())
		}
	})
}

// A wait ends with a turn, with the patience or with the context, and a caller
// for whom many wait is refused.
func TestTurnsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 2)
		done, err := turns.Take(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results := make(chan error, 2)
		for _, c := range []context.Context{ctx, t.Context()} {
			go func() {
				_, err := turns.Take(c, "a", time.Minute)
				results <- err
			}()
			synctest.Wait()
		}
		if _, err := turns.Take(t.Context(), "a", time.Minute); !errors.Is(err, ErrOwnShare) {
			t.Errorf("the third that waits: %v", err)
		}
		for _, want := range []error{context.DeadlineExceeded, ErrAllInUse} {
			if err := <-results; !errors.Is(err, want) {
				t.Errorf("a wait ends with %v, want %v", err, want)
			}
		}
		done()
		if done, err = turns.Take(t.Context(), "b", 0); err != nil {
			t.Fatal(err)
		}
		done()
	})
}
