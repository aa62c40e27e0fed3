// Package writequeue is for a database that takes one writer at a time.
package writequeue

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"gorm.io/gorm"
)

// maxGroup is how many writes share a transaction at most.
const maxGroup = 128

// Queue lets writes wait in line. While one transaction is being committed,
// which takes a write to the disk, those that have come share the next one.
// There is no goroutine behind it: the first in line does the work of the
// others, too. The zero Queue is empty. It is safe for concurrent use.
type Queue struct {
	mu      sync.Mutex
	leading bool // somebody is at work
	waiting []*write
}

// write is one write. Its caller waits for one of the channels to be closed.
type write struct {
	ctx   context.Context
	do    func(db *gorm.DB) error // may be called again once what it did was taken back
	lead  chan struct{}           // it is first in line, and nobody is at work
	leads bool                    // lead is closed; guarded by the queue
	done  chan struct{}           // err is its outcome
	err   error
}

// errUndone is the outcome of a write whose transaction ended in a panic.
var errUndone = errors.New("the transaction was not committed")

// Run does the write, perhaps together with others, and returns its own
// outcome: it has been committed, or nothing of it has. begin returns a handle
// outside of any transaction; do may be called again once its first attempt was
// taken back. It gives up when ctx ends before its turn.
func (q *Queue) Run(ctx context.Context, begin func(ctx context.Context) *gorm.DB, do func(db *gorm.DB) error) error {
	w := &write{ctx: ctx, do: do, lead: make(chan struct{}), done: make(chan struct{})}
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
func (q *Queue) join(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, w)
	if !q.leading {
		q.next()
	}
}

// leave takes a write out of the line, unless it is being done or is to lead.
func (q *Queue) leave(w *write) bool {
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
func (q *Queue) next() {
	if q.leading = len(q.waiting) > 0; q.leading {
		q.waiting[0].leads = true
		close(q.waiting[0].lead)
	}
}

// take takes the first of the line out of it, n at most.
func (q *Queue) take(n int) []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.waiting))
	taken := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return taken
}

// work does what has come, and makes the next in line lead.
func (q *Queue) work(begin func(ctx context.Context) *gorm.DB) {
	runtime.Gosched() // those who have just been told may come again at once
	group, err := q.take(maxGroup), errUndone
	defer func() {
		for _, w := range group {
			if w.err == nil {
				w.err = err
			}
			close(w.done)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.next()
	}()
	if len(group) == 1 {
		err = group[0].do(begin(group[0].ctx))
		return
	}
	// The transaction outlives the caller who happens to lead: SQLite takes
	// all of it back when a statement is interrupted.
	db := begin(context.WithoutCancel(group[0].ctx))
	together := func(do func(*write, *gorm.DB) error) error {
		return db.Transaction(func(tx *gorm.DB) error {
			for i := 0; i < len(group); i++ {
				if err := do(group[i], tx); err != nil {
					return err
				}
				if i == len(group)-1 { // more may have come meanwhile
					group = append(group, q.take(maxGroup-len(group))...)
				}
			}
			return nil
		})
	}
	if err = together((*write).share); errors.Is(err, errOneFailed) {
		err = together((*write).shareInSavepoint)
	}
}

// errOneFailed says that a write failed that was not in a savepoint.
var errOneFailed = errors.New("a write in the transaction failed")

// share does a write in a transaction with others, without a savepoint, which
// would make all of them slower for the few that fail. If it does fail, all must
// be taken back, and be done again in savepoints.
func (w *write) share(tx *gorm.DB) error {
	if w.err = w.ctx.Err(); w.err != nil {
		return nil
	}
	// If a part of it fails, it is taken back whole.
	w.err = w.do(tx.Session(&gorm.Session{Context: context.WithoutCancel(w.ctx), DisableNestedTransaction: true}))
	if w.err != nil {
		return errOneFailed
	}
	return nil
}

// shareInSavepoint does the same, and takes a write that fails back alone.
func (w *write) shareInSavepoint(tx *gorm.DB) error {
	if err := tx.Exec("SAVEPOINT notification_write").Error; err != nil {
		return err
	}
	if w.share(tx) != nil {
		if err := tx.Exec("ROLLBACK TO notification_write").Error; err != nil {
			return err
		}
	}
	return tx.Exec("RELEASE notification_write").Error
}
