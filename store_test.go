package notifications

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestOneWriterAtATime: on SQLite the writes of a service queue in order
// instead of polling for the lock; who gives up waiting is not stuck.
func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	st, err := newStore(dbtest.SQLite(t), discard)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var inside atomic.Int32
	for range 16 {
		wg.Go(func() {
			for range 50 {
				err := st.write(t.Context(), func(*gorm.DB) error {
					defer inside.Add(-1)
					if n := inside.Add(1); n > 1 {
						t.Errorf("%d writers at a time", n)
					}
					runtime.Gosched()
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	err = st.write(t.Context(), func(*gorm.DB) error {
		cancel()
		return st.write(ctx, func(*gorm.DB) error { return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writer in the queue: %v", err)
	}
}
