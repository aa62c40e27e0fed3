package notifications

import (
	"context"
	"slices"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

// A standby's own snapshots lack the transactions that are in progress on the
// primary. So the position of a read from the replica is a snapshot of the
// primary: the newest one of which the replica has everything.

// view is a snapshot of the primary, and a position that its log had reached
// after the snapshot was taken: all that the snapshot sees is before it.
type view struct {
	epoch string
	seen  changelog.Snapshot
	at    walPosition
}

// readFrom says which database answered a reader.
type readFrom struct {
	replica bool
	view    view // what the replica had before the read, at least; zero if that is not known
}

const (
	// maxViews limits the views that the replica has not reached.
	maxViews = 64
	// viewsAsked is how often the replica is asked, at most, which views it has
	// reached.
	viewsAsked = time.Second
)

// takeView takes a view of the primary, and does nothing without a replica.
func (s *store) takeView(ctx context.Context, epoch string) error {
	if s.replica == nil {
		return nil
	}
	var row struct {
		Seen string `gorm:"column:seen"`
		At   int64  `gorm:"column:at"`
	}
	// The snapshot is taken before the statement runs, the position while it
	// does.
	sql := s.sql("SELECT " + s.dialect.snapshot(false) + " AS seen, (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS at")
	if err := s.read(ctx, func(db *gorm.DB) error { return find(db, sql, &row) }); err != nil {
		return err
	}
	seen, err := s.dialect.parseSnapshot(row.Seen)
	if err == nil {
		s.replica.viewed(view{epoch, seen, walPosition(row.At)})
	}
	return err
}

// viewed adds a view. Those with a later position are of a log that has ended.
// If the replica is so late that there is no room, the newest one makes way: the
// replica will reach the others first.
func (r *replica) viewed(v view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.views = slices.DeleteFunc(r.views, func(old view) bool { return old.at > v.at })
	if len(r.views) == maxViews {
		r.views = r.views[:maxViews-1]
	}
	r.views = append(r.views, v)
}

// replicaSees returns the newest view that the replica has reached.
func (s *store) replicaSees(ctx context.Context) (readFrom, error) {
	if s.replica.mayAsk() {
		reached, err := s.askWAL(ctx, s.replica.db, "coalesce(pg_last_wal_replay_lsn(), '0/0')")
		if err != nil {
			return readFrom{}, err
		}
		s.replica.wasAt(reached)
	}
	return s.replica.sees(), nil
}

// mayAsk reports whether the replica must be asked how far it is: there are
// views that it was not seen to have reached, and it was not asked just now.
func (r *replica) mayAsk() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.views) == 0 || r.views[len(r.views)-1].at <= r.reached || !r.asked.IsZero() && time.Since(r.asked) < r.askEvery {
		return false
	}
	r.asked = time.Now()
	return true
}

// sees returns the newest view that the replica has reached, and drops those
// before it.
func (r *replica) sees() readFrom {
	r.mu.Lock()
	defer r.mu.Unlock()
	reached := 0
	for reached < len(r.views) && r.views[reached].at <= r.reached {
		reached++
	}
	if reached == 0 {
		return readFrom{replica: true}
	}
	r.views = slices.Delete(r.views, 0, reached-1)
	return readFrom{replica: true, view: r.views[0]}
}
