package writequeue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// queue is a Queue of one database.
type queue struct {
	*Queue
	db *gorm.DB
}

func newQueue(db *gorm.DB) queue { return queue{new(Queue), db} }

func (q queue) write(ctx context.Context, do func(*gorm.DB) error) error {
	return q.Run(ctx, func(ctx context.Context) *gorm.DB {
		return q.db.Session(&gorm.Session{NewDB: true, Context: ctx, SkipDefaultTransaction: true})
	}, do)
}

// TestOneWriterAtATime: on SQLite the writes of a service queue in order
// instead of polling for the lock; who gives up waiting is not stuck.
func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	var wg sync.WaitGroup
	var inside atomic.Int32
	for range 16 {
		wg.Go(func() {
			for range 50 {
				err := q.write(t.Context(), func(*gorm.DB) error {
					defer inside.Add(-1)
					if n := inside.Add(1); n > 1 {
						t.Errorf("%d writers at a time", n)
					}
					runtime.Gosched()
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	err := q.write(t.Context(), func(*gorm.DB) error {
		cancel()
		return q.write(ctx, func(*gorm.DB) error { return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writer in the queue: %v", err)
	}
}

// TestWritesShareATransaction: what comes while somebody writes is committed
// together, and what fails among it fails alone.
func TestWritesShareATransaction(t *testing.T) {
	t.Parallel()
	errRefused, errTwice := errors.New("refused"), errors.New("stored twice")
	cancelled, cancel := context.WithCancel(t.Context())
	writes := []struct {
		ctx  context.Context
		do   func(*gorm.DB) error
		want error
		kept bool
	}{
		{ctx: t.Context(), do: insertX(1), kept: true},
		{ctx: t.Context(), do: func(db *gorm.DB) error { return errors.Join(insertX(2)(db), errRefused) }, want: errRefused},
		{ctx: cancelled, do: insertX(3), want: context.Canceled},
		{ctx: t.Context(), do: func(db *gorm.DB) error {
			if insertX(4)(db) != nil || insertX(4)(db) != nil {
				return errTwice
			}
			return nil
		}, want: errTwice},
		{ctx: t.Context(), do: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return insertX(5)(tx) })
		}, kept: true},
	}
	pools := make([]any, len(writes))
	var line []aWrite
	for i, w := range writes {
		line = append(line, aWrite{w.ctx, func(db *gorm.DB) error {
			pools[i] = db.Statement.ConnPool
			return w.do(db)
		}})
	}
	results, stored := together(t, cancel, line...)
	var kept []int
	for i, w := range writes {
		if !errors.Is(results[i], w.want) {
			t.Errorf("write %d: %v, want %v", i+1, results[i], w.want)
		}
		if pools[i] != pools[0] && w.ctx != cancelled {
			t.Errorf("write %d is in a transaction of its own", i+1)
		}
		if w.kept {
			kept = append(kept, i+1)
		}
	}
	if !slices.Equal(stored, kept) {
		t.Errorf("stored %v, want %v", stored, kept)
	}
}

type aWrite struct {
	ctx context.Context
	do  func(*gorm.DB) error
}

// together lets writes wait in line behind another one, calls inLine when all
// of them do, and returns what became of each, and what they stored in the
// table x.
func together(t *testing.T, inLine func(), writes ...aWrite) (results []error, stored []int) {
	t.Helper()
	db := dbtest.SQLite(t)
	if err := db.Exec("CREATE TABLE x (i INTEGER PRIMARY KEY) STRICT").Error; err != nil {
		t.Fatal(err)
	}
	q := newQueue(db)
	results = make([]error, len(writes))
	var wg sync.WaitGroup
	err := q.write(t.Context(), func(*gorm.DB) error {
		for i, w := range writes {
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						results[i] = fmt.Errorf("panic: %v", p)
					}
				}()
				results[i] = q.write(w.ctx, w.do)
			})
			for q.length() <= i {
				runtime.Gosched()
			}
		}
		inLine()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := db.Raw("SELECT i FROM x ORDER BY i").Find(&stored).Error; err != nil {
		t.Fatal(err)
	}
	return results, stored
}

func insertX(i int) func(*gorm.DB) error {
	return func(db *gorm.DB) error { return db.Exec("INSERT INTO x VALUES (?)", i).Error }
}

// TestWritesThatAreNotCommitted: when the transaction that writes share comes
// to nothing, each of them is told so.
func TestWritesThatAreNotCommitted(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]func(*gorm.DB) error{
		"commit fails": func(db *gorm.DB) error { return db.Exec("ROLLBACK").Error },
		"panic":        func(*gorm.DB) error { panic("a defect") }, // as code that does may
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, stored := together(t, func() {}, aWrite{t.Context(), insertX(1)}, aWrite{t.Context(), insertX(2)}, aWrite{t.Context(), last})
			for i, err := range results {
				if err == nil {
					t.Errorf("write %d was acknowledged", i+1)
				}
			}
			if len(stored) > 0 {
				t.Errorf("stored %v", stored)
			}
		})
	}
}

// TestCancelledAmongWrites: whose context ends while the transaction is going
// on does no harm to the others, not even if the transaction began with them.
// What has not begun by then does not.
func TestCancelledAmongWrites(t *testing.T) {
	t.Parallel()
	leader, cancelLeader := context.WithCancel(t.Context())
	third, cancelThird := context.WithCancel(t.Context())
	results, stored := together(t, func() {},
		aWrite{leader, func(db *gorm.DB) error { cancelLeader(); return insertX(1)(db) }},
		aWrite{t.Context(), func(db *gorm.DB) error { cancelThird(); return insertX(2)(db) }},
		aWrite{third, insertX(3)},
		aWrite{t.Context(), insertX(4)},
	)
	for i, want := range []error{nil, nil, context.Canceled, nil} {
		if !errors.Is(results[i], want) {
			t.Errorf("write %d: %v, want %v", i+1, results[i], want)
		}
	}
	if !slices.Equal(stored, []int{1, 2, 4}) {
		t.Errorf("stored %v", stored)
	}
}

// TestWritesJoinATransaction: what comes while others write is committed with
// them, not after them.
func TestWritesJoinATransaction(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	var pools [3]gorm.ConnPool
	var wg sync.WaitGroup
	write := func(i int, then func()) {
		err := q.write(t.Context(), func(db *gorm.DB) error {
			pools[i] = db.Statement.ConnPool
			then()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	waitInLine := func(i int, then func()) {
		before := q.length()
		wg.Go(func() { write(i, then) })
		for q.length() == before {
			runtime.Gosched()
		}
	}
	err := q.write(t.Context(), func(*gorm.DB) error {
		waitInLine(0, func() {})
		waitInLine(1, func() { waitInLine(2, func() {}) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if pools[0] != pools[1] || pools[2] != pools[1] {
		t.Error("they did not share a transaction")
	}
}

// TestWritersSurviveAPanic: whoever stood in line behind it goes on.
func TestWritersSurviveAPanic(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = q.write(t.Context(), func(*gorm.DB) error { panic("a defect") }) // which is what is tested
	}()
	if err := q.write(t.Context(), func(*gorm.DB) error { return nil }); err != nil {
		t.Error(err)
	}
}

// length is how many writes stand in line.
func (q queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
