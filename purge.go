package notifications

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// How much one transaction of a purge removes.
const (
	defaultPurgeBatch = 500    // messages
	purgeStates       = 10_000 // states
)

// scopeLockKept is how long the lock row of a scope without messages is kept.
// It is longer than any transaction that may wait for the row.
const scopeLockKept = 24 * time.Hour

// PurgeOptions says what [Service.Purge] removes. The zero PurgeOptions removes
// expired, withdrawn and replaced notifications, and expired idempotency keys.
type PurgeOptions struct {
	// OlderThan also removes notifications older than this that no user has
	// saved. Zero keeps them; negative is an error.
	OlderThan time.Duration
	// Batch is the number of notifications that one transaction removes. Zero
	// means 500; negative is an error.
	Batch int
}

// PurgeResult is the result of [Service.Purge].
type PurgeResult struct {
	// Removed is the number of notifications removed.
	Removed int64
	// Elsewhere reports that another instance was purging. This one then
	// stopped.
	Elsewhere bool
}

// A clock that runs ahead by more than maxJump is not believed before
// jumpBelieved has passed: a purge would remove too much.
const (
	maxJump      = time.Hour
	jumpBelieved = 24 * time.Hour
)

// jump compares the wall clock with the time that has passed.
type jump struct {
	began time.Time // with the reading of the monotonic clock
	wall  time.Time
}

func (s *Service) noJump() jump { return jump{time.Now(), s.now().Round(0)} }

// ahead returns how far the wall clock has come ahead.
func (j jump) ahead(wall time.Time) time.Duration {
	return wall.Round(0).Sub(j.wall) - time.Since(j.began)
}

// purgePeriodically purges at once and then at every interval, until ctx ends.
func (s *Service) purgePeriodically(ctx context.Context) {
	tick := time.NewTicker(s.purgeInterval)
	defer tick.Stop()
	var noticed time.Time
	for since := s.noJump(); ; {
		if ahead := since.ahead(s.now()); ahead > maxJump && (noticed.IsZero() || time.Since(noticed) < jumpBelieved) {
			if noticed.IsZero() {
				noticed = time.Now()
			}
			s.log.Error("nothing is purged, because the clock has jumped ahead; correct it, or start again if it is right", "by", ahead)
		} else {
			since, noticed = s.noJump(), time.Time{}
			s.purgeAndLog(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) purgeAndLog(ctx context.Context) {
	began := time.Now()
	did, err := s.Purge(ctx, PurgeOptions{OlderThan: s.retention})
	switch {
	case err == nil:
		level := slog.LevelDebug
		if did.Removed > 0 {
			level = slog.LevelInfo
		}
		s.log.Log(ctx, level, "purged", "removed", did.Removed, "elsewhere", did.Elsewhere, "took", time.Since(began))
	case ctx.Err() != nil:
		s.log.Debug("the purge was interrupted", "removed", did.Removed)
	default:
		s.log.Error("the purge failed; the next one continues", "removed", did.Removed, "next", s.purgeInterval, "error", err)
	}
}

// errElsewhere ends a purge when another instance is purging.
var errElsewhere = errors.New("another instance is purging")

// Purge deletes expired, withdrawn and replaced notifications, with all marks
// of them. PurgeOptions.OlderThan adds old ones. It works in short
// transactions: an interrupted purge has done a part of the work, and the next
// one continues. On PostgreSQL one instance purges at a time. [Service.Run]
// calls it at intervals.
//
// It asks no policy, because it belongs to the host and is not an operation of
// a user.
func (s *Service) Purge(ctx context.Context, o PurgeOptions) (PurgeResult, error) {
	if s.InTransaction() {
		return PurgeResult{}, ErrBound
	}
	var bad faults
	if o.OlderThan < 0 {
		bad.add("OlderThan", "is negative")
	}
	if o.Batch < 0 {
		bad.add("Batch", "is negative")
	}
	if err := bad.err(); err != nil {
		return PurgeResult{}, err
	}
	if o.Batch == 0 {
		o.Batch = defaultPurgeBatch
	}
	p := purge{store: s.store, now: s.now(), batch: o.Batch}
	var result PurgeResult
	err := p.run(ctx, o, &result.Removed)
	if errors.Is(err, errElsewhere) {
		result.Elsewhere, err = true, nil
	}
	return result, err
}

// purge is one run. First it withdraws everything that must go, which makes it
// invisible at once; an interrupted run leaves withdrawn messages behind. Then
// it deletes all withdrawn messages.
type purge struct {
	*store
	now   time.Time
	batch int
}

func (p purge) run(ctx context.Context, o PurgeOptions, removed *int64) error {
	now := p.now.UnixMilli()
	expired := sqltext.Part("expires_at <= ?", now)
	if err := p.withdrawAll(ctx, expired, new(sqltext.Text), removals); err != nil {
		return err
	}
	if oldest, bounded := firstIDAfter(p.now.Add(-o.OlderThan).Add(-time.Millisecond)); o.OlderThan > 0 && bounded {
		// Two other forms were slower. The planner turns NOT EXISTS into a join
		// that reads all states for each batch. It takes IS NULL for so rare
		// that it compiles the query (JIT).
		nobodySaved := sqltext.Part(" AND coalesce((SELECT FALSE FROM notification_states st" +
			" WHERE st.message_id = notification_messages.id AND st.saved_at IS NOT NULL LIMIT 1), TRUE)")
		if err := p.withdrawAll(ctx, sqltext.Part("id < ?", oldest), nobodySaved, purged(now)); err != nil {
			return err
		}
	}
	if err := p.removeAll(ctx, removed); err != nil {
		return err
	}
	return p.removeLeftovers(ctx)
}

// tx runs one transaction of a purge, without a limit of time. Its first
// statement writes; see writeTx.
func (p purge) tx(ctx context.Context, do func(tx *gorm.DB) error) error {
	var elsewhere bool
	inTx := func(tx *gorm.DB) error {
		if err := p.dialect.unlimit(tx); err != nil {
			return err
		}
		mine, err := p.dialect.tryPurgeLock(tx)
		if elsewhere = !mine; elsewhere || err != nil {
			return err
		}
		if _, err := exec(tx, p.sql("DELETE FROM notification_idempotency_keys WHERE expires_at <= ?", p.now.UnixMilli())); err != nil {
			return err
		}
		return do(tx)
	}
	err := p.write(ctx, "", long, func(db *gorm.DB) error { return db.Transaction(inTx, p.dialect.transaction()) })
	if err == nil && elsewhere {
		return errElsewhere
	}
	return err
}

// withdrawAll withdraws the messages that the condition selects, in the order
// of ids, one batch a transaction. unless is checked twice: when selecting, and
// after locking, because a user may save a message in between. It logs the
// changes that changes returns.
func (p purge) withdrawAll(ctx context.Context, condition, unless *sqltext.Text, changes func(gone []messageRow) []change) error {
	for last, more := firstID, true; more; {
		next := last // set to last after the transaction has committed
		err := p.tx(ctx, func(tx *gorm.DB) error {
			sql := p.sql("SELECT id FROM notification_messages WHERE ").AddPart(condition).
				Add(" AND withdrawn_at IS NULL AND id > ?", last).AddPart(unless).
				Add(" ORDER BY id LIMIT " + strconv.Itoa(p.batch) + p.dialect.lock(lockAll))
			var ids []string
			err := find(tx, sql, &ids)
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			next = ids[len(ids)-1]
			_, err = p.withdrawTx(tx, p.now.UnixMilli(), ids, unless, changes)
			return err
		})
		if err != nil {
			return err
		}
		last = next
	}
	return nil
}

// removeAll deletes the withdrawn messages. It deletes the marks first, because
// a message may have many.
func (p purge) removeAll(ctx context.Context, removed *int64) error {
	for more := true; more; {
		var gone int64 // added to removed after the transaction has committed
		err := p.tx(ctx, func(tx *gorm.DB) error {
			gone = 0
			var ids []string
			err := find(tx, p.sql("SELECT id FROM notification_messages WHERE withdrawn_at IS NOT NULL ORDER BY withdrawn_at LIMIT "+
				strconv.Itoa(p.batch)+p.dialect.lock(lockAll)), &ids)
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			if all, err := p.removeStates(tx, ids); err != nil || !all {
				return err
			}
			gone, err = exec(tx, p.amongIDs("DELETE FROM notification_messages WHERE id", ids))
			return err
		})
		if err != nil {
			return err
		}
		*removed += gone
	}
	return nil
}

// removeStates deletes marks of some messages, and reports whether it deleted
// all of them.
func (p purge) removeStates(tx *gorm.DB, ids []string) (bool, error) {
	sql := p.amongIDs("DELETE FROM notification_states WHERE (user_ref, message_id) IN"+
		" (SELECT user_ref, message_id FROM notification_states WHERE message_id", ids)
	n, err := exec(tx, sql.Add(" LIMIT "+strconv.Itoa(purgeStates)+")"))
	return n < purgeStates, err
}

// removeLeftovers deletes lock rows of scopes without messages, and states that
// were written while their message was being deleted.
func (p purge) removeLeftovers(ctx context.Context) error {
	err := p.tx(ctx, func(tx *gorm.DB) error {
		_, err := exec(tx, p.sql("DELETE FROM notification_scopes WHERE used_at < ? AND NOT EXISTS (SELECT 1 FROM notification_messages msg"+
			" WHERE msg.poster = notification_scopes.poster AND msg.origin = notification_scopes.origin AND msg.scope = notification_scopes.scope)",
			p.now.Add(-scopeLockKept).UnixMilli()))
		return err
	})
	for more := true; more && err == nil; {
		err = p.tx(ctx, func(tx *gorm.DB) error {
			// In the order of ids, so that it reads nothing if there are none.
			var ids []string
			err := find(tx, p.sql("SELECT message_id FROM notification_states"+
				" WHERE message_id < (SELECT id FROM notification_messages ORDER BY id LIMIT 1) ORDER BY message_id LIMIT "+strconv.Itoa(p.batch)), &ids)
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			_, err = p.removeStates(tx, ids)
			return err
		})
	}
	return err
}
