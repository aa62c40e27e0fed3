package notifications

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// purgeLock is the advisory lock on PostgreSQL that lets one instance purge at
// a time: "notifpur" in ASCII.
const purgeLock = 0x6e6f746966707572

// How much one transaction of a purge removes at most.
const (
	defaultPurgeBatch = 500    // messages
	purgeStates       = 10_000 // states
)

// scopeLockKept is how long the lock row of a scope without messages is kept:
// longer than any transaction that may still wait for it.
const scopeLockKept = 24 * time.Hour

// PurgeOptions says what [Service.Purge] removes beside what has expired, what
// was withdrawn or replaced, and idempotency keys whose time is over.
type PurgeOptions struct {
	// OlderThan removes what was created longer ago and nobody has saved.
	// Zero keeps it however old it is; it must not be negative.
	OlderThan time.Duration
	// Batch is how many notifications one transaction removes; zero is 500.
	Batch int
}

// PurgeResult is what a purge did.
type PurgeResult struct {
	// Removed is how many notifications are gone for good.
	Removed int64
	// Elsewhere says that another instance was purging, and that this one left
	// the rest to it.
	Elsewhere bool
}

// errElsewhere ends a purge that found another one.
var errElsewhere = errors.New("another instance is purging")

// Purge removes what nobody can see any more, and what is too old, with all
// that readers did with it. It works in short transactions: one that is
// interrupted has done a part of the work, and the next goes on from there. On
// PostgreSQL one instance purges at a time. Call it now and then: the library
// starts nothing by itself.
//
// It asks no policy: it belongs to whoever runs the service.
func (s *Service) Purge(ctx context.Context, o PurgeOptions) (PurgeResult, error) {
	if o.OlderThan < 0 || o.Batch < 0 {
		return PurgeResult{}, errors.New("notifications: PurgeOptions must not be negative")
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

// purge is one run. First whatever is to go is withdrawn, which makes it
// invisible and is what an interrupted run leaves behind; then what is
// withdrawn is removed.
type purge struct {
	*store
	now   time.Time
	batch int
}

func (p purge) run(ctx context.Context, o PurgeOptions, removed *int64) error {
	if err := p.withdrawAll(ctx, "expires_at <= ?", []any{p.now.UnixMilli()}, ""); err != nil {
		return err
	}
	if oldest, bounded := firstIDAfter(p.now.Add(-o.OlderThan).Add(-time.Millisecond)); o.OlderThan > 0 && bounded {
		// Not by NOT EXISTS, which the planner turns into a join that reads all
		// states for each batch. Nor by IS NULL, which it takes for so rare that
		// a batch looks dear enough to compile (JIT).
		const nobodySaved = " AND coalesce((SELECT FALSE FROM notification_states s" +
			" WHERE s.message_id = notification_messages.id AND s.saved_at IS NOT NULL LIMIT 1), TRUE)"
		if err := p.withdrawAll(ctx, "id < ?", []any{oldest}, nobodySaved); err != nil {
			return err
		}
	}
	if err := p.removeAll(ctx, removed); err != nil {
		return err
	}
	return p.removeLeftovers(ctx)
}

// tx runs one transaction of a purge. Its first statement writes, see writeTx.
func (p purge) tx(ctx context.Context, do func(tx *gorm.DB) error) error {
	var elsewhere bool
	err := p.writeTx(ctx, func(tx *gorm.DB) error {
		if p.dialect.purgeLock != "" {
			var mine bool
			if err := tx.Raw(p.dialect.purgeLock, int64(purgeLock)).Find(&mine).Error; err != nil {
				return err
			}
			if elsewhere = !mine; elsewhere {
				return nil
			}
		}
		if err := tx.Exec("DELETE FROM notification_idempotency_keys WHERE expires_at <= ?", p.now.UnixMilli()).Error; err != nil {
			return err
		}
		return do(tx)
	})
	if err == nil && elsewhere {
		return errElsewhere
	}
	return err
}

// withdrawAll withdraws what the condition selects, a batch a transaction, in
// the order of ids. unless is asked twice: when selecting, and again of what is
// locked, as somebody may have saved it in between.
func (p purge) withdrawAll(ctx context.Context, condition string, args []any, unless string) error {
	for last, more := firstID, true; more; {
		next := last // counts once the transaction has ended well
		err := p.tx(ctx, func(tx *gorm.DB) error {
			var ids []string
			err := tx.Raw(fmt.Sprintf("SELECT id FROM notification_messages WHERE %s AND withdrawn_at IS NULL AND id > ?%s ORDER BY id LIMIT %d%s",
				condition, unless, p.batch, p.dialect.lockRows), append(append([]any{}, args...), last)...).Find(&ids).Error
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			next = ids[len(ids)-1]
			_, err = p.withdrawTx(tx, p.now.UnixMilli(), ids, unless)
			return err
		})
		if err != nil {
			return err
		}
		last = next
	}
	return nil
}

// removeAll removes what is withdrawn: first what readers did with it, which
// may be much, then the messages themselves.
func (p purge) removeAll(ctx context.Context, removed *int64) error {
	for more := true; more; {
		var gone int64 // counts once the transaction has ended well
		err := p.tx(ctx, func(tx *gorm.DB) error {
			gone = 0
			var ids []string
			err := tx.Raw(fmt.Sprintf("SELECT id FROM notification_messages WHERE withdrawn_at IS NOT NULL ORDER BY withdrawn_at LIMIT %d%s",
				p.batch, p.dialect.lockRows)).Find(&ids).Error
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			if all, err := p.removeStates(tx, ids); err != nil || !all {
				return err
			}
			messages := tx.Exec("DELETE FROM notification_messages WHERE id IN ("+p.dialect.ids+")", jsonArray(ids))
			gone = messages.RowsAffected
			return messages.Error
		})
		if err != nil {
			return err
		}
		*removed += gone
	}
	return nil
}

// removeStates removes what readers did with some messages, and reports whether
// that is all of it.
func (p purge) removeStates(tx *gorm.DB, ids []string) (bool, error) {
	done := tx.Exec(fmt.Sprintf("DELETE FROM notification_states WHERE (user_ref, message_id) IN"+
		" (SELECT user_ref, message_id FROM notification_states WHERE message_id IN (%s) LIMIT %d)", p.dialect.ids, purgeStates), jsonArray(ids))
	return done.RowsAffected < purgeStates, done.Error
}

// removeLeftovers removes lock rows of scopes that have no messages, and states
// that were written while their message was being removed.
func (p purge) removeLeftovers(ctx context.Context) error {
	err := p.tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM notification_scopes WHERE used_at < ? AND NOT EXISTS (SELECT 1 FROM notification_messages m"+
			" WHERE m.poster = notification_scopes.poster AND m.origin = notification_scopes.origin AND m.scope = notification_scopes.scope)",
			p.now.Add(-scopeLockKept).UnixMilli()).Error
	})
	for more := true; more && err == nil; {
		err = p.tx(ctx, func(tx *gorm.DB) error {
			// Looked for in order, so that nothing is read where there are none.
			var ids []string
			err := tx.Raw(fmt.Sprintf("SELECT message_id FROM notification_states"+
				" WHERE message_id < (SELECT id FROM notification_messages ORDER BY id LIMIT 1) ORDER BY message_id LIMIT %d", p.batch)).Find(&ids).Error
			if more = len(ids) > 0; err != nil || !more {
				return err
			}
			_, err = p.removeStates(tx, ids)
			return err
		})
	}
	return err
}
