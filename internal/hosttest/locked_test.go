package hosttest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
)

// TestDeadlineWhileLocked: a write returns at its deadline although another
// connection holds SQLite's lock and the host's busy_timeout is 20 s, also if
// the host's transactions do not begin with the lock.
func TestDeadlineWhileLocked(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"immediate", "deferred"} {
		t.Run(lock, func(t *testing.T) {
			t.Parallel()
			const deadline, slack = 300 * time.Millisecond, 5 * time.Second
			h := sqliteHost(t, lock, inSQLTx)
			jane := notifications.User("jane")
			d := notifications.Draft{Origin: "test", Title: "late", To: notifications.Users("jane")}
			first, err := h.svc.Post(t.Context(), jane, d)
			if err != nil {
				t.Fatal(err)
			}
			other, err := h.pool.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.ExecContext(t.Context(), "DELETE FROM orders"); err != nil {
				t.Fatal(err)
			}
			for name, do := range map[string]func(ctx context.Context) error{
				"post": func(ctx context.Context) error { _, err := h.svc.Post(ctx, jane, d); return err },
				"mark": func(ctx context.Context) error { return h.svc.MarkRead(ctx, jane, first.ID, true) },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				start := time.Now()
				if err := do(ctx); !errors.Is(err, notifications.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(start); took > deadline+slack {
					t.Errorf("%s took %v", name, took)
				}
				cancel()
			}
			if err := other.Rollback(); err != nil {
				t.Fatal(err)
			}
			if n, err := h.svc.Count(t.Context(), jane, notifications.Filter{Read: notifications.Unread}); err != nil || n != 1 {
				t.Errorf("%d are unread, %v; want 1", n, err)
			}
		})
	}
}
