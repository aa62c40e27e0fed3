package limit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	b := NewBudget(4, 6)
	hold := func(key string, n int64, want error) func() {
		t.Helper()
		release, err := b.Acquire(t.Context(), key, n, 0)
		if !errors.Is(err, want) {
			t.Fatalf("%s asks for %d: %v, want %v", key, n, err, want)
		}
		return release
	}
	first := hold("a", 3, nil)
	hold("a", 2, ErrOwnShare)
	second := hold("b", 3, nil)
	hold("c", 1, ErrAllInUse)
	first()
	hold("c", 1000, ErrAllInUse) // counts as 4
	second()
	whole := hold("c", 1000, nil)
	whole()
	if b.used != 0 || len(b.byKey) != 0 {
		t.Errorf("after everything is released %d are held by %v", b.used, b.byKey)
	}
}

// A wait ends with the amount, with the patience or with the context. A small
// amount is not held up by a large one that came before.
func TestBudgetWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(4, 6)
		release, err := b.Acquire(t.Context(), "a", 4, 0)
		if err != nil {
			t.Fatal(err)
		}
		large := make(chan error, 1)
		go func() {
			_, err := b.Acquire(t.Context(), "b", 3, time.Minute)
			large <- err
		}()
		synctest.Wait()
		small, err := b.Acquire(t.Context(), "c", 2, 0)
		if err != nil {
			t.Fatalf("a small amount behind a large one: %v", err)
		}
		started := time.Now()
		if _, err := b.Acquire(t.Context(), "a", 1, time.Second); !errors.Is(err, ErrOwnShare) || time.Since(started) != time.Second {
			t.Errorf("without room: %v after %v", err, time.Since(started))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Acquire(ctx, "d", 1, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that ends: %v", err)
		}
		release()
		if err := <-large; err != nil {
			t.Errorf("after a release: %v", err)
		}
		small()
		if b.waiting.Len() != 0 || b.used != 3 {
			t.Errorf("%d wait, and %d are held", b.waiting.Len(), b.used)
		}
	})
}

// The key that holds least is next, so one that waits many times does not hold
// up another.
func TestBudgetIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := NewBudget(3, 3)
		var order []string
		served := make(chan string)
		var busy []func()
		for range 3 {
			release, err := b.Acquire(t.Context(), "loop", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			busy = append(busy, release)
		}
		for _, key := range []string{"loop", "loop", "a", "loop", "b", "a"} {
			go func() {
				if _, err := b.Acquire(ctx, key, 1, time.Hour); err == nil {
					served <- key
				}
			}()
			synctest.Wait()
		}
		for _, release := range busy {
			release()
			order = append(order, <-served)
		}
		if got := strings.Join(order, " "); got != "a b loop" {
			t.Errorf("served are %s", got)
		}
		cancel()
		synctest.Wait()
		if b.waiting.Len() != 0 {
			t.Errorf("%d still wait", b.waiting.Len())
		}
	})
}
