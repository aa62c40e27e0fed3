package notifications_test

import (
	"context"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestWatchBound: what a Service bound to a transaction of the host does shows
// after the commit only, and then at once if Ring is called. What is rolled back
// never shows.
func TestWatchBound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.SetPace(time.Hour, 1<<20) // it looks only if somebody rings
		f.run()
		j := f.watch(jane, notifications.WatchQuery{})
		before := f.post("before", toJane)
		j.want("notification before")
		tx := db.Begin()
		defer tx.Rollback()
		s := f.WithTx(tx)
		if _, err := s.Post(t.Context(), ci, draft("in it", toJane)); err != nil {
			t.Fatal(err)
		}
		if err := s.MarkRead(t.Context(), jane, before, true); err != nil {
			t.Fatal(err)
		}
		f.Ring()
		// Had the watch been told of the transaction, that would come first.
		f.watch(jane, notifications.WatchQuery{After: j.last}).count(1, 0, 0, 0)
		if len(j.events) > 0 {
			if e := <-j.events; e.Kind != notifications.EventCount {
				t.Errorf("before the commit comes %s", text(e))
			}
		}
		if err := tx.Commit().Error; err != nil {
			t.Fatal(err)
		}
		f.Ring()
		j.wantInAnyOrder("notification in it", "state ["+before+"] false")
		if err := inTx(db, func(tx *gorm.DB) error {
			if _, err := f.WithTx(tx).Post(t.Context(), ci, draft("undone", toJane)); err != nil {
				return err
			}
			return errRollback
		}); err == nil {
			t.Fatal("it is committed")
		}
		f.Ring()
		f.post("after", toJane)
		j.want("notification after")
	})
}

// room is where all who ring hear each other.
type room struct{ rings chan struct{} }

func (r room) Ring(context.Context) error {
	select {
	case r.rings <- struct{}{}:
	default:
	}
	return nil
}

func (r room) Listen(ctx context.Context, heard func()) error {
	heard()
	for {
		select {
		case <-r.rings:
			heard()
		case <-ctx.Done():
			return nil
		}
	}
}

// TestWatchBell: with Config.Bell the changes of another instance show at once,
// also those of a bound Service after Ring.
func TestWatchBell(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		bell := room{make(chan struct{}, 1)}
		shared := func(cfg *notifications.Config) { cfg.Bell = bell }
		here, there := f.with(shared), f.with(shared)
		here.SetPace(time.Hour, 1<<20) // it looks only if it hears the bell
		j := here.run().watch(jane, notifications.WatchQuery{})
		there.post("there", toJane)
		j.want("notification there")
		if err := inTx(db, func(tx *gorm.DB) error {
			_, err := there.WithTx(tx).Post(t.Context(), ci, draft("bound", toJane))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		there.Ring()
		j.want("notification bound")
	})
}

// TestWatchPolls: without Config.Bell the changes of another instance show
// within about a second. The bound is generous, but shorter than the beat.
func TestWatchPolls(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		here, there := f.with(nil), f.with(nil)
		j := here.run().watch(jane, notifications.WatchQuery{})
		began := time.Now()
		there.post("there", toJane)
		j.want("notification there")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
