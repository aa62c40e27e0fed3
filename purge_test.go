package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestSaveWhilePurging: a purge keeps a notification whose save succeeded, and
// the save fails for one that it removes.
func TestSaveWhilePurging(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		rounds := 20
		if db.Name() == "postgres" {
			rounds = 150
		}
		var kept, lost int
		for range rounds {
			list := make([]string, 8)
			for i := range list {
				list[i] = f.post(fmt.Sprint(i), toOps)
			}
			f.advance(10 * day)
			savedNow := make([]bool, len(list))
			concurrently(t, len(list)+1, func(i int) error {
				if i == 0 {
					_, err := f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: day, Batch: 3})
					return err
				}
				n, err := f.SetState(t.Context(), jane, ids(list[i-1]), saved)
				savedNow[i-1] = n == 1
				return err
			})
			for i, id := range list {
				_, err := f.Get(t.Context(), john, id)
				if visible := err == nil; visible != savedNow[i] {
					t.Fatalf("saved %t, visible %t, %v", savedNow[i], visible, err)
				}
				if savedNow[i] {
					kept++
				} else {
					lost++
				}
			}
			f.setState(jane, filter(withArchived), unsaved, int64(len(f.list(jane, notifications.ListQuery{}).Items)))
			if _, err := f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: day}); err != nil {
				t.Fatal(err)
			}
			f.wantVisible(jane)
		}
		t.Logf("%d saved in time, %d too late", kept, lost)
		f.wantRows(map[string]int64{"messages": 0, "deliveries": 0, "states": 0})
	})
}

// TestRewriteWhilePurging: a post with KeepPlace gives a new expiry to a
// notification that is about to expire. Either the purge keeps it or the post
// is a new one.
func TestRewriteWhilePurging(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		later := f.with(func(cfg *notifications.Config) { cfg.Now = func() time.Time { return f.now().Add(time.Hour) } })
		for range 50 {
			d := keepPlaceDraft("first", toJane)
			d.Expires = f.now().Add(time.Hour)
			f.postDraft(d)
			concurrently(t, 2, func(i int) (err error) {
				if i == 0 {
					_, err = later.Purge(t.Context(), notifications.PurgeOptions{})
				} else {
					_, err = f.Post(t.Context(), ci, keepPlaceDraft("rewritten", toJane))
				}
				return err
			})
			f.wantVisible(jane, "rewritten")
			f.withdrawScope(1)
			if t.Failed() {
				return
			}
		}
	})
}

// TestPurgesAtOnce: several purges together remove what one would.
func TestPurgesAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		const messages = 100
		for i := range messages {
			f.mark(jane, f.post(fmt.Sprint(i), toOps), true)
		}
		f.advance(10 * day)
		kept := f.post("kept", toOps)
		f.mark(jane, kept, true)
		var removed atomic.Int64
		var finished atomic.Bool
		concurrently(t, 3, func(int) error {
			result, err := f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: day, Batch: 7})
			removed.Add(result.Removed)
			if !result.Elsewhere {
				finished.Store(true)
			}
			return err
		})
		if removed.Load() != messages || !finished.Load() {
			t.Errorf("removed %d, finished %t; want %d", removed.Load(), finished.Load(), messages)
		}
		f.wantRows(map[string]int64{"messages": 1, "deliveries": 1, "states": 1})
		f.wantVisible(jane, "kept")
	})
}

// TestPurgeElsewhere: one instance purges at a time, and another stops.
func TestPurgeElsewhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.Postgres(t))
	f.withdraw(f.post("a", toJane))
	err := f.db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", 0x6e6f746966707572).Error; err != nil {
			return err
		}
		result, err := f.Purge(t.Context(), notifications.PurgeOptions{})
		if result != (notifications.PurgeResult{Elsewhere: true}) {
			t.Errorf("purged %+v while another does", result)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.purge(0, 1)
}

// TestPurgeInterrupted cancels a purge after its first statement, then one
// after its second, and so on, until one finishes.
func TestPurgeInterrupted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		const messages = 10
		for i := range messages {
			f.mark(jane, f.postDraft(withKey(fmt.Sprint(i), keyedDraft(fmt.Sprint(i), toOps))), true)
		}
		f.postDraft(withKey("scope", scopedDraft("a", toJane)))
		f.withdrawScope(1)
		f.advance(10 * day)
		f.setState(jane, ids(f.post("kept", toOps)), saved, 1)
		var removed int64
		var after int64
		for {
			after++
			ctx, cancel := context.WithCancel(t.Context())
			stop := onStatement(t, db, func(n int64) {
				if n == after {
					cancel()
				}
			})
			result, err := f.Purge(ctx, notifications.PurgeOptions{OlderThan: day, Batch: 3})
			stop()
			if err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			cancel()
			removed += result.Removed
			if result.Elsewhere { // PostgreSQL still holds the lock of the cancelled purge
				after--
				continue
			}
			if err == nil {
				break
			}
			if !errors.Is(err, notifications.ErrUnavailable) {
				t.Fatalf("cancelled after %d statements: %v", after, err)
			}
			for _, n := range f.list(john, notifications.ListQuery{}).Items {
				f.mark(john, n.ID, true) // a notification that is left is complete
			}
		}
		if removed != messages+1 || after < 10 {
			t.Errorf("removed %d after %d attempts, want %d", removed, after, messages+1)
		}
		f.wantVisible(jane, "kept")
		f.wantRows(map[string]int64{"messages": 1, "deliveries": 1, "states": 2, "scopes": 0, "idempotency_keys": 0})
	})
}

// wantRows checks the number of rows of tables.
func (f *fixture) wantRows(want map[string]int64) {
	f.t.Helper()
	for table, want := range want {
		var n int64
		if err := f.db.Raw("SELECT count(*) FROM notification_" + table).Find(&n).Error; err != nil || n != want {
			f.t.Errorf("%d rows in %s, %v; want %d", n, table, err, want)
		}
	}
}

// TestPurgeLeftovers: a purge removes rows that belong to no notification, but
// not young ones and not keys that are still remembered.
func TestPurgeLeftovers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.setState(jane, ids(f.postDraft(withKey("old", scopedDraft("kept", toJane)))), saved, 1)
		for _, id := range oldIDs {
			for _, user := range []string{"jane", "john"} {
				if err := db.Exec("INSERT INTO notification_states (user_ref, message_id, logged) VALUES (?, ?, TRUE)", "user:default/"+user, id).Error; err != nil {
					t.Fatal(err)
				}
			}
		}
		d := scopedDraft("gone", toJane)
		d.Origin = "other"
		id := f.postDraft(d)
		f.mark(jane, id, true)
		f.withdraw(id)
		f.advance(notifications.DefaultIdempotencyWindow - time.Millisecond)
		d.Origin = "third"
		f.withdraw(f.postDraft(withKey("young", d)))
		f.advance(time.Millisecond)
		result, err := f.Purge(t.Context(), notifications.PurgeOptions{Batch: 1})
		if err != nil || result.Removed != 2 {
			t.Errorf("purged %+v, %v", result, err)
		}
		f.wantVisible(jane, "kept")
		f.wantRows(map[string]int64{"messages": 1, "deliveries": 1, "states": 1, "scopes": 2, "idempotency_keys": 1})
		f.advance(day - time.Millisecond)
		f.purge(0, 0)
		f.wantRows(map[string]int64{"scopes": 2}) // one millisecond too early
		f.advance(time.Millisecond)
		f.purge(0, 0)
		f.wantRows(map[string]int64{"scopes": 1})
	})
}

// TestPurgeManyStates: many marks of one notification are removed in several
// transactions.
func TestPurgeManyStates(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		kept, id := f.post("kept", toEveryone), f.post("a", toEveryone)
		f.mark(jane, kept, true)
		err := db.Exec("INSERT INTO notification_states (user_ref, message_id, logged) WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20000)"+
			" SELECT 'user:default/u' || n, m.id, TRUE FROM i JOIN notification_messages m ON m.id = ?", id).Error
		if err != nil {
			t.Fatal(err)
		}
		f.withdraw(id)
		f.purge(0, 1)
		f.wantRows(map[string]int64{"messages": 1, "states": 1})
		f.wantMarks(jane, kept, "read")
	})
}

// TestPurgeByAge checks the age to the millisecond.
func TestPurgeByAge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.post("old", toJane)
		f.advance(time.Millisecond)
		f.post("young", toJane)
		f.advance(day - time.Millisecond)
		f.purge(day, 0)
		f.advance(time.Millisecond)
		f.purge(day, 1)
		f.wantVisible(jane, "young")
	})
}

func TestFaultsOfPurge(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	f.post("a", toJane)
	_, err := f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: -1, Batch: -1})
	wantFields(t, err, "OlderThan", "Batch")
	f.purge(time.Duration(1<<63-1), 0) // before the time of any id
	f.wantVisible(jane, "a")
}
