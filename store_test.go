package notifications

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// A query that was broken off is no fault, one that cannot be is.
func TestBrokenOffQueriesAreNoFaults(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var out bytes.Buffer
		st, err := newStore(db, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for ctx, level := range map[context.Context]string{cancelled: "level=DEBUG", t.Context(): "level=ERROR"} {
			out.Reset()
			if _, err := st.facts(ctx, inbox{}, ""); err == nil { // there are no tables
				t.Error("no error")
			}
			if text := out.String(); !strings.Contains(text, level) || strings.Count(text, "level=") != 1 {
				t.Errorf("want %s, told is %s", level, text)
			}
		}
	})
}

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
