package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"gorm.io/gorm"
)

// openFile opens a SQLite file.
func openFile(t *testing.T, path string) *gorm.DB {
	t.Helper()
	db, err := database.OpenSQLite(path, database.BusyTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return db
}

// TestDeadlineWhileLocked: a write that waits for another program's lock on the
// SQLite file returns at its deadline, although the driver waits for 20 s. What
// was not done is not done later.
func TestDeadlineWhileLocked(t *testing.T) {
	t.Parallel()
	const deadline, slack = 300 * time.Millisecond, 5 * time.Second
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, f *fixture, id string) error
	}{
		{"post", func(ctx context.Context, f *fixture, _ string) error {
			_, err := f.Post(ctx, ci, draft("late", toJane))
			return err
		}},
		{"post with a key", func(ctx context.Context, f *fixture, _ string) error {
			_, err := f.Post(ctx, ci, keyedDraft("late", toJane))
			return err
		}},
		{"mark", func(ctx context.Context, f *fixture, id string) error { return f.MarkRead(ctx, jane, id, true) }},
		{"mark all", func(ctx context.Context, f *fixture, _ string) error {
			_, err := f.SetState(ctx, jane, notifications.ByFilter(all), read)
			return err
		}},
		{"withdraw", func(ctx context.Context, f *fixture, id string) error { return f.Withdraw(ctx, ci, id) }},
	} {
		for _, callers := range []int{1, 8} {
			t.Run(fmt.Sprint(tt.name, " by ", callers), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "test.db")
				f := newFixture(t, openFile(t, path))
				id := f.post("before", toJane)
				other := openFile(t, path).Begin() // as another program would
				if other.Error != nil {
					t.Fatal(other.Error)
				}
				var calls sync.WaitGroup
				for range callers {
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), deadline)
						defer cancel()
						start := time.Now()
						err := tt.do(ctx, f, id)
						if !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("%v", err)
						}
						took := time.Since(start)
						if took > deadline+slack {
							t.Errorf("it took %v", took)
						}
						t.Logf("after %v", took)
					})
				}
				calls.Wait()
				if err := other.Rollback().Error; err != nil {
					t.Fatal(err)
				}
				f.post("afterwards", toJane) // waits in line behind the others
				if n := f.list(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}).Items; len(n) != 2 {
					t.Errorf("unread are %q", titlesOf(n))
				}
			})
		}
	}
}
