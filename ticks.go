package notifications

import (
	"context"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

const (
	// tickInterval is the time between two ticks.
	tickInterval = 10 * time.Second
	// changesKept is how long the log keeps changes. It is longer than
	// resumable, because the clocks of instances differ, and a mark that has
	// found its position in the log takes time.
	changesKept = resumable + time.Minute
	// pruneBatch is how many changes one statement removes.
	pruneBatch = 1000
	// tickPatience limits a tick that a post makes.
	tickPatience = time.Second
)

// tickPeriodically makes ticks until ctx ends. The first one is made even if
// nothing has changed: a file that was copied back has none with its nonce.
func (s *Service) tickPeriodically(ctx context.Context) {
	s.store.epochs.keep(true)
	defer s.store.epochs.keep(false)
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for first := true; ; first = false {
		if err := s.store.tick(ctx, s.now(), first); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the log of changes is not looked after; the next attempt follows", "next", tickInterval, "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (e *epochs) keep(kept bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept = kept
}

// mayTick reports whether a post must look after the log: Run does not, and no
// post did in the last interval.
func (e *epochs) mayTick() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept || !e.ticked.IsZero() && time.Since(e.ticked) < tickInterval {
		return false
	}
	e.ticked = time.Now()
	return true
}

// tickAfterPost looks after the log if nothing else does. It never fails the
// post.
func (s *store) tickAfterPost(ctx context.Context, now time.Time) {
	if s.bound || !s.epochs.mayTick() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tickPatience)
	defer cancel()
	if err := s.tick(ctx, now, false); err != nil {
		s.log.DebugContext(ctx, "the log of changes was not looked after", "error", err)
	}
}

// tick records what is visible if that has changed since the last tick, or if
// forced, and removes what is older than the log keeps. It begins a new epoch if
// the tables have been restored or moved.
func (s *store) tick(ctx context.Context, now time.Time, forced bool) error {
	row, err := s.currentEpoch(ctx)
	if err != nil {
		s.epochs.forget()
		return err
	}
	var last changelog.Snapshot
	if row.Snapshot != "" {
		if last, err = s.dialect.parseSnapshot(row.Snapshot); err != nil {
			return err
		}
	}
	nonce := newNonce()
	sql := s.sql("INSERT INTO notification_ticks (snapshot, at, nonce) SELECT "+s.dialect.tickSnapshot()+", CAST(? AS bigint), CAST(? AS text)",
		now.UnixMilli(), nonce)
	if !forced {
		sql.Add(" WHERE ")
		s.dialect.changedSince(sql, last)
	}
	var ticked int64
	err = s.write(ctx, short, func(db *gorm.DB) (err error) {
		ticked, err = exec(db, sql)
		return err
	})
	if err != nil {
		return err
	}
	if ticked == 0 {
		nonce = row.Tick
	}
	s.epochs.set(row.epoch(), nonce)
	if err := s.takeView(ctx, row.epoch()); err != nil {
		return err
	}
	return s.pruneChanges(ctx, now)
}

// pruneChanges removes the changes that every position in use has seen, and the
// ticks before them. It never runs in a transaction of the host.
func (s *store) pruneChanges(ctx context.Context, now time.Time) error {
	until := now.Add(-changesKept).UnixMilli()
	var oldest []string
	newest := s.sql("SELECT CAST(tick.snapshot AS text) FROM notification_ticks tick WHERE tick.at <= ? ORDER BY tick.at DESC LIMIT 1", until)
	if err := s.read(ctx, func(db *gorm.DB) error { oldest = nil; return find(db, newest, &oldest) }); err != nil || len(oldest) == 0 {
		return err
	}
	seen, err := s.dialect.parseSnapshot(oldest[0])
	if err != nil {
		return err
	}
	changes := s.sql("")
	s.dialect.prune(changes, seen, until)
	for more := true; more; {
		err := s.write(ctx, short, func(db *gorm.DB) error {
			n, err := exec(db, changes)
			more = n == pruneBatch
			return err
		})
		if err != nil {
			return err
		}
	}
	ticks := s.sql("DELETE FROM notification_ticks WHERE at < (SELECT max(tick.at) FROM notification_ticks tick WHERE tick.at <= ?)", until)
	return s.write(ctx, short, func(db *gorm.DB) error { _, err := exec(db, ticks); return err })
}
