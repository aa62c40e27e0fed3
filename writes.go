package notifications

import (
	"context"
	"errors"
	"slices"
	"sync"

	"gorm.io/gorm"
)

// maxGroup is how many writes share a transaction at most.
const maxGroup = 128

// writeQueue is for a database that takes one writer at a time. Writes wait in
// line, and while one transaction is being committed, which takes a write to
// the disk, those that have come share the next one. There is no goroutine
// behind it: whoever is first in line does the work of the others, too.
type writeQueue struct {
	mu      sync.Mutex
	leading bool // somebody is at work
	waiting []*queuedWrite
}

// queuedWrite is one write. Whoever waits for it is told by one of the
// channels being closed.
type queuedWrite struct {
	ctx   context.Context
	do    func(db *gorm.DB) error
	lead  chan struct{} // it is first in line, and nobody is at work
	leads bool          // lead is closed; guarded by the queue
	done  chan struct{} // err is its outcome
	err   error
}

// errUndone is the outcome of a write whose transaction ended in a panic.
var errUndone = errors.New("the transaction was not committed")

// run does the write, perhaps together with others, and returns its own
// outcome: it has been committed, or nothing of it has. begin is the database
// handle outside of any transaction.
func (q *writeQueue) run(ctx context.Context, begin func(ctx context.Context) *gorm.DB, do func(db *gorm.DB) error) error {
	w := &queuedWrite{ctx: ctx, do: do, lead: make(chan struct{}), done: make(chan struct{})}
	q.join(w)
	select {
	case <-w.lead:
		q.work(begin)
	case <-w.done:
	case <-ctx.Done():
		if q.leave(w) {
			return ctx.Err()
		}
		select { // too late: somebody has taken it, or it is its turn to work
		case <-w.lead:
			q.work(begin)
		case <-w.done:
		}
	}
	<-w.done
	return w.err
}

// join puts a write at the end of the line.
func (q *writeQueue) join(w *queuedWrite) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, w)
	if !q.leading {
		q.next()
	}
}

// leave takes a write out of the line, unless it is being done or is to lead.
func (q *writeQueue) leave(w *queuedWrite) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 || w.leads {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// next makes the first in line lead, if there is one. The caller holds mu.
func (q *writeQueue) next() {
	if q.leading = len(q.waiting) > 0; q.leading {
		q.waiting[0].leads = true
		close(q.waiting[0].lead)
	}
}

// work does what has come, and makes the next in line lead.
func (q *writeQueue) work(begin func(ctx context.Context) *gorm.DB) {
	q.mu.Lock()
	n := min(len(q.waiting), maxGroup)
	group := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.mu.Unlock()

	for _, w := range group {
		w.err = errUndone
	}
	defer func() {
		for _, w := range group {
			close(w.done)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.next()
	}()
	if len(group) == 1 {
		w := group[0]
		w.err = w.do(begin(w.ctx))
		return
	}
	// The transaction outlives the caller who happens to lead: SQLite takes
	// all of it back when a statement is interrupted.
	ctx := context.WithoutCancel(group[0].ctx)
	if err := begin(ctx).Transaction(func(tx *gorm.DB) error { return doGroup(tx, group) }); err != nil {
		for _, w := range group {
			w.err = errors.Join(w.err, err)
		}
	}
}

// doGroup does several writes in one transaction, each in a savepoint: one that
// fails is taken back alone.
func doGroup(tx *gorm.DB, group []*queuedWrite) error {
	for _, w := range group {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if err := tx.Exec("SAVEPOINT notification_write").Error; err != nil {
			return err
		}
		own := context.WithoutCancel(w.ctx)
		if w.err = w.do(tx.WithContext(own)); w.err != nil {
			if err := tx.Exec("ROLLBACK TO notification_write").Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("RELEASE notification_write").Error; err != nil {
			return err
		}
	}
	return nil
}
