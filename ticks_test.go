package notifications_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func (f *fixture) tick() {
	f.t.Helper()
	if err := notifications.Tick(f.t.Context(), f.Service); err != nil {
		f.t.Fatal(err)
	}
}

// wantLog checks how many changes and ticks the log has.
func (f *fixture) wantLog(changes, ticks int64) {
	f.t.Helper()
	f.wantRows(map[string]int64{"changes": changes, "ticks": ticks})
}

// A tick is made if something has changed. Changes stay as long as a position
// of the last 15 minutes may need them.
func TestTicks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		if err := notifications.SettleLog(t.Context(), f.Service); err != nil {
			t.Fatal(err)
		}
		f.tick()
		f.wantLog(0, 0)
		f.post("a", toJane)
		f.tick()
		f.tick()
		f.wantLog(1, 1)
		f.advance(time.Minute)
		f.post("b", toJane)
		f.postDraft(scheduledDraft(f.now().Add(time.Hour), "later", toJane))
		f.tick()
		f.wantLog(3, 2)
		f.advance(14*time.Minute + 30*time.Second)
		f.tick()
		f.wantLog(3, 2)
		f.advance(30 * time.Second) // a's tick is 16 minutes old
		f.tick()
		f.wantLog(2, 2)
		f.advance(time.Minute)
		f.tick()
		f.wantLog(1, 1)
		f.advance(57 * time.Minute) // it was due 13 minutes ago
		f.tick()
		f.wantLog(1, 1)
		f.advance(15 * time.Minute)
		f.tick()
		f.wantLog(0, 1)
	})
}

// A position of the last 15 minutes always works, whatever has been pruned
// since, and an older one works as long as nothing was; then it is refused.
func TestPositionsOfTheWindow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		type page struct {
			at     notifications.Position
			taken  time.Time
			unseen string
		}
		var pages []page
		for range 120 { // half an hour
			f.advance(15 * time.Second)
			f.tick()
			p := page{at: f.at(jane), taken: f.now()}
			p.unseen = f.post("x", toJane)
			pages = append(pages, p)
			for _, p := range pages {
				n, err := f.SetState(t.Context(), jane, seen(p.at), read)
				switch age := f.now().Sub(p.taken); {
				case err == nil && n > 1:
					t.Fatalf("%v after its list, a position marks %d", age, n)
				case err == nil && len(f.list(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}).Items) == 0:
					t.Fatalf("%v after its list, a position marks what the list did not show", age)
				case err != nil && age <= 15*time.Minute:
					t.Fatalf("%v after its list: %v", age, err)
				case err == nil && age > 16*time.Minute:
					t.Fatalf("%v after its list, a position still works", age)
				}
			}
		}
		// While nothing changes, a position stays.
		f.tick()
		at := f.at(jane)
		f.advance(time.Hour)
		f.tick()
		f.post("new", toJane)
		f.tick()
		f.setState(jane, seen(at), read, 1)
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "new")
	})
}

// Tables that were restored begin another epoch: positions of the one before
// are refused, and the log is empty.
func TestEpochs(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	f := newFixture(t, db)
	f.post("a", toJane)
	f.tick()
	at := f.at(jane)
	f.setState(jane, seen(at), read, 1)
	for _, statement := range []string{ // as after pg_dump, dropping the tables, and pg_restore
		"ALTER TABLE notification_changes RENAME TO was",
		"CREATE TABLE notification_changes (LIKE was INCLUDING ALL)",
		"INSERT INTO notification_changes SELECT * FROM was",
		"DROP TABLE was",
	} {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	f.wantGone(at)
	f.post("b", toJane)
	others := []*fixture{f.with(nil), f.with(nil), f.with(nil), f.with(nil)}
	positions := make([]notifications.Position, len(others))
	concurrently(t, len(others), func(i int) error {
		page, err := others[i].List(t.Context(), jane, notifications.ListQuery{})
		positions[i] = page.Position
		return err
	})
	for i, other := range others {
		if positions[i] == "" {
			t.Errorf("instance %d has no position", i)
			continue
		}
		other.wantGone(at)
		f.setState(jane, seen(positions[i]), read, int64(max(0, 1-i)))
	}
}

// A SQLite file that was copied back knows fewer changes than positions from
// after the copy was made.
func TestFileCopiedBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "n.db")
	open := func() *fixture {
		db, err := database.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		return newFixture(t, db)
	}
	restored := func(f *fixture, file []byte) *fixture {
		closePool(t, f.db)
		for _, suffix := range []string{"-wal", "-shm"} {
			_ = os.Remove(path + suffix)
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return open()
	}
	f := open()
	f.post("a", toJane)
	f.tick()
	early := f.at(jane)
	closePool(t, f.db)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f = open()
	f.post("b", toJane)
	beforeTick := f.at(jane)
	f.tick()
	notifications.ForgetEpoch(f.Service)
	afterTick := f.at(jane)
	f = restored(f, file)
	f.wantGone(beforeTick) // it knows more changes
	f.clock = newClock()
	f.clock.t = time.Now().Add(2 * time.Minute)
	f = f.with(nil)
	runUntil(f, func() bool {
		var ticks int64
		return f.db.Raw("SELECT count(*) FROM notification_ticks").Scan(&ticks).Error == nil && ticks == 2
	})
	for range 5 {
		f.post("c", toJane)
	}
	f.wantGone(beforeTick) // a tick since then knows fewer
	f.wantGone(afterTick)  // its tick is not there
	f.setState(jane, seen(early), read, 1)
	closePool(t, f.db)
}

// runUntil runs the background work until something has happened.
func runUntil(f *fixture, happened func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	for !happened() && ctx.Err() == nil { // each asks the database
	}
	if ctx.Err() != nil {
		f.t.Error("it has not happened")
	}
	cancel()
	if err := <-ended; err != nil {
		f.t.Error(err)
	}
}

// Run makes ticks; without it, posts do now and then, but not those in a
// transaction of the host.
func TestWhoTicks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		err := db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(t.Context(), ci, draft("a", toJane))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.wantLog(1, 0)
		f.post("b", toJane)
		f.wantLog(2, 1)
		f.post("c", toJane) // at once
		f.wantLog(3, 1)
		runUntil(f, func() bool {
			var ticks int64
			return db.Raw("SELECT count(*) FROM notification_ticks").Scan(&ticks).Error == nil && ticks == 2
		})
	})
}
