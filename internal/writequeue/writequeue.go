// Package writequeue lets writes to one database wait in a queue and share
// transactions. It is for databases that take one writer at a time.
package writequeue

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"gorm.io/gorm"
)

// maxGroup is the largest number of writes in one transaction.
const maxGroup = 128

// Queue lets writes wait in order. While one transaction commits, which takes a
// write to the disk, the writes that arrive collect, and then share the next
// transaction. The Queue has no goroutine: the caller of the first write does
// the work for the others. The zero Queue is empty. It is safe for concurrent
// use.
type Queue struct {
	mu      sync.Mutex
	leading bool // a write is being done
	waiting []*write
}

// write is one write. Its caller waits until lead or done is closed.
type write struct {
	ctx   context.Context
	do    func(db *gorm.DB) error // may be called again after its work was rolled back
	lead  chan struct{}           // closed when it must do the work
	leads bool                    // lead is closed; guarded by the queue
	done  chan struct{}           // closed when err is set
	err   error
}

// errUndone is the result of a write whose transaction ended in a panic.
var errUndone = errors.New("the transaction was not committed")

// Run does the write, perhaps together with others, and returns its own result:
// either it has been committed, or nothing of it. begin returns a handle
// outside of any transaction. do may be called a second time, after its work
// was rolled back. Run gives up if ctx ends before the write has begun.
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
		select { // too late: the write is being done, or must do the work
		case <-w.lead:
			q.work(begin)
		case <-w.done:
		}
	}
	<-w.done
	return w.err
}

// join appends a write to the queue.
func (q *Queue) join(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, w)
	if !q.leading {
		q.next()
	}
}

// leave removes a write from the queue, unless it is being done or must do the
// work.
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

// next makes the first write of the queue, if there is one, do the work. The
// caller holds mu.
func (q *Queue) next() {
	if q.leading = len(q.waiting) > 0; q.leading {
		q.waiting[0].leads = true
		close(q.waiting[0].lead)
	}
}

// take removes up to n writes from the front of the queue.
func (q *Queue) take(n int) []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.waiting))
	taken := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return taken
}

// work does the waiting writes, and then starts the next one.
func (q *Queue) work(begin func(ctx context.Context) *gorm.DB) {
	runtime.Gosched() // callers whose writes are done may come with the next ones
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
	// The transaction must not end with the context of the first write: SQLite
	// rolls all of it back when a statement is interrupted.
	db := begin(context.WithoutCancel(group[0].ctx))
	together := func(do func(*write, *gorm.DB) error) error {
		return db.Transaction(func(tx *gorm.DB) error {
			for i := 0; i < len(group); i++ {
				if err := do(group[i], tx); err != nil {
					return err
				}
				if i == len(group)-1 { // others may have come meanwhile
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

// errOneFailed says that a write without a savepoint failed.
var errOneFailed = errors.New("a write in the transaction failed")

// share does a write in a transaction with others, without a savepoint, which
// would slow down all of them. If it fails, the transaction is rolled back and
// all are done again in savepoints.
func (w *write) share(tx *gorm.DB) error {
	if w.err = w.ctx.Err(); w.err != nil {
		return nil
	}
	// A failed write is rolled back as a whole, so it needs no savepoints itself.
	w.err = w.do(tx.Session(&gorm.Session{Context: context.WithoutCancel(w.ctx), DisableNestedTransaction: true}))
	if w.err != nil {
		return errOneFailed
	}
	return nil
}

// shareInSavepoint is share with a savepoint: a write that fails is rolled back
// alone.
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
