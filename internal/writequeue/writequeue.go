// Package writequeue lets writes to one database wait in a queue and share
// transactions. It is for databases that take one writer at a time.
package writequeue

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/fairqueue"
	"gorm.io/gorm"
)

// maxGroup is the largest number of writes in one transaction, and maxGroupTime
// the time after which it takes no more: who comes next waits for all of it.
const maxGroup, maxGroupTime = 128, 3 * time.Millisecond

// Queue lets writes wait in order. While one transaction commits, which takes a
// write to the disk, the short writes that arrive collect, and then share the
// next transaction. A long write has a transaction of its own, and the short
// writes that wait when it ends go before the next long one. No write waits for another one
// after its own context has ended, nor for the lock of the database. The zero
// Queue is empty. It is safe for concurrent use.
type Queue struct {
	// Lock takes the database's write lock in a transaction that has just begun.
	// Nil if it has the lock already. Set it before the first write.
	Lock func(tx *gorm.DB) error

	mu          sync.Mutex
	leading     bool // a write is being done
	due         int  // how many short writes go before the next long one
	failed      bool // the transaction before it was not committed
	short, long fairqueue.Line[*write]

	anyTime bool // for tests: a transaction takes more after maxGroupTime too
}

// write is one write. Its caller waits until lead or done is closed, or until
// its context ends.
type write struct {
	key    string
	ctx    context.Context
	do     func(db *gorm.DB) error // may be called again after its work was rolled back
	lead   chan struct{}           // closed when it must do the work
	done   chan struct{}           // closed when err is set
	err    error
	defect any // what do panicked with, in a transaction with others
	alone  bool
	used   time.Duration // by do

	// state and leads, which says that lead is closed, are guarded by the queue.
	state state
	leads bool
}

// state says how far a write has come.
type state int

const (
	waiting state = iota
	begun         // its outcome is that of the transaction
	left          // its caller waits no more, and it will not be done
)

// errUndone is the result of a write whose transaction ended in a panic.
var errUndone = errors.New("the transaction was not committed")

// Run does a short write, perhaps together with others, and returns its own
// result: either it has been committed, or nothing of it. begin returns a
// handle outside of any transaction. do gets one in a transaction, and may be
// called a second time, after its work was rolled back. Run gives up if ctx ends
// before the write has begun, even if a driver waits for the lock and does not
// notice; a write that shares a transaction cannot be interrupted.
func (q *Queue) Run(ctx context.Context, key string, begin func(ctx context.Context) *gorm.DB, do func(db *gorm.DB) error) error {
	return q.run(ctx, &q.short, key, begin, do)
}

// RunAlone is Run for a write that may take long. It shares no transaction, so
// the end of ctx interrupts it.
func (q *Queue) RunAlone(ctx context.Context, key string, begin func(ctx context.Context) *gorm.DB, do func(db *gorm.DB) error) error {
	return q.run(ctx, &q.long, key, begin, do)
}

func (q *Queue) run(ctx context.Context, line *fairqueue.Line[*write], key string, begin func(ctx context.Context) *gorm.DB, do func(db *gorm.DB) error) error {
	w := &write{key: key, ctx: ctx, do: do, lead: make(chan struct{}), done: make(chan struct{})}
	q.join(line, w)
	select {
	case <-w.lead:
		q.work(w, begin)
	case <-w.done:
	case <-ctx.Done():
		if q.mustLead(line, w) {
			q.work(w, begin)
		}
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if q.leave(w) {
			return ctx.Err()
		}
		<-w.done
	}
	if w.defect != nil {
		panic(w.defect)
	}
	return w.err
}

// join appends a write to a line.
func (q *Queue) join(line *fairqueue.Line[*write], w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line.Join(w.key, w)
	if !q.leading {
		q.next()
	}
}

// Working reports whether a write is being done, and the one before it
// succeeded.
func (q *Queue) Working() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leading && !q.failed
}

// Len returns the number of waiting writes.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.short.Len() + q.long.Len()
}

// mustLead reports whether a write must do the work although its context has
// ended. If not, it takes the write out of the line.
func (q *Queue) mustLead(line *fairqueue.Line[*write], w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !w.leads {
		line.Leave(w.key, w)
	}
	return w.leads
}

// leave reports whether a write has not begun, and then never will.
func (q *Queue) leave(w *write) bool { return q.change(w, left) }

// change moves a waiting write to another state, and reports whether it is in
// that state.
func (q *Queue) change(w *write, to state) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.state == waiting {
		w.state = to
	}
	return w.state == to
}

// next makes the next write, if there is one, do the work. The caller holds mu.
func (q *Queue) next() {
	long := q.long.Len() > 0 && (q.short.Len() == 0 || q.due <= 0)
	var w *write
	if long {
		w, q.leading = q.long.Next()
	} else {
		w, q.leading = q.takeShort()
	}
	if q.leading {
		w.alone, w.leads = long, true
		close(w.lead)
	}
}

// takeShort takes the next short write out of the line. The caller holds mu.
func (q *Queue) takeShort() (*write, bool) {
	w, found := q.short.Next()
	if found && q.due > 0 {
		q.due--
	}
	return w, found
}

// more is takeShort for a transaction that has begun; nil if none waits.
func (q *Queue) more() *write {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, _ := q.takeShort()
	return w
}

// work does a write, and those that may share its transaction. It does not wait
// for them if the caller's context may end.
func (q *Queue) work(w *write, begin func(ctx context.Context) *gorm.DB) {
	runtime.Gosched() // callers whose writes are done may come with the next ones
	do, group := q.only, []*write{w}
	if !w.alone {
		if other := q.more(); other != nil {
			do, group = q.together, append(group, other)
		}
	}
	if len(group) == 1 && w.ctx.Done() == nil {
		do(group, begin)
		return
	}
	go do(group, begin)
}

// errLeft ends the transaction of a write whose caller waits no more.
var errLeft = errors.New("the caller has left")

// only does a write in a transaction of its own, which ends with its context.
func (q *Queue) only(group []*write, begin func(ctx context.Context) *gorm.DB) {
	w := group[0]
	q.finish(group, q.transaction(begin(w.ctx), func(tx *gorm.DB) (err error) {
		if !q.change(w, begun) {
			return errLeft
		}
		return w.call(tx, w.ctx)
	}))
}

// transaction runs do in a transaction that has the write lock.
func (q *Queue) transaction(db *gorm.DB, do func(tx *gorm.DB) error) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if q.Lock != nil {
			if err := q.Lock(tx); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// call does a write in a transaction. A panic becomes errUndone. A failed write
// is rolled back as a whole, so it needs no savepoints itself.
func (w *write) call(tx *gorm.DB, ctx context.Context) (err error) {
	began := time.Now()
	defer func() {
		w.used += time.Since(began)
		if w.defect = recover(); w.defect != nil {
			err = errUndone
		}
	}()
	return w.do(tx.Session(&gorm.Session{Context: ctx, DisableNestedTransaction: true}))
}

// finish tells the callers of a transaction its result, and starts the next
// one.
func (q *Queue) finish(group []*write, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range group {
		if w.err == nil {
			w.err = err
		}
		line := &q.short
		if w.alone {
			line, q.due = &q.long, q.short.Len()
		}
		line.End(w.key, w.used)
		close(w.done)
	}
	q.failed = err != nil
	q.next()
}

// together does writes in one transaction.
func (q *Queue) together(group []*write, begin func(ctx context.Context) *gorm.DB) {
	// The transaction must not end with the context of one write: SQLite rolls
	// all of it back when a statement is interrupted.
	db := begin(context.WithoutCancel(group[0].ctx))
	began := time.Now()
	transaction := func(do func(*Queue, *write, *gorm.DB) error) error {
		return q.transaction(db, func(tx *gorm.DB) error {
			for i := 0; i < len(group); i++ {
				if err := do(q, group[i], tx); err != nil {
					return err
				}
				if i < len(group)-1 || len(group) == maxGroup || time.Since(began) > maxGroupTime && !q.anyTime {
					continue
				}
				if w := q.more(); w != nil {
					group = append(group, w)
				}
			}
			return nil
		})
	}
	err := transaction((*Queue).share)
	if errors.Is(err, errOneFailed) {
		err = transaction((*Queue).shareInSavepoint)
	}
	q.finish(group, err)
}

// errOneFailed says that a write without a savepoint failed.
var errOneFailed = errors.New("a write in the transaction failed")

// share does a write in a transaction with others, without a savepoint, which
// would slow down all of them. If it fails, the transaction is rolled back and
// all are done again in savepoints.
func (q *Queue) share(w *write, tx *gorm.DB) error {
	if w.err = w.ctx.Err(); w.err != nil || !q.change(w, begun) {
		return nil
	}
	w.err = w.call(tx, context.WithoutCancel(w.ctx))
	switch {
	case w.defect != nil:
		return errUndone
	case w.err != nil:
		return errOneFailed
	}
	return nil
}

// shareInSavepoint is share with a savepoint: a write that fails is rolled back
// alone.
func (q *Queue) shareInSavepoint(w *write, tx *gorm.DB) error {
	if err := tx.Exec("SAVEPOINT notification_write").Error; err != nil {
		return err
	}
	if err := q.share(w, tx); errors.Is(err, errUndone) {
		return err
	} else if err != nil {
		// SQLite may have rolled back the whole transaction, if the disk is full.
		if undo := tx.Exec("ROLLBACK TO notification_write").Error; undo != nil {
			return errors.Join(w.err, undo)
		}
	}
	return tx.Exec("RELEASE notification_write").Error
}
