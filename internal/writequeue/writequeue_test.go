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
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// queue is a Queue with its database.
type queue struct {
	*Queue
	db *gorm.DB
}

func newQueue(db *gorm.DB) queue { return queue{&Queue{anyTime: true}, db} }

func (q queue) write(ctx context.Context, do func(*gorm.DB) error) error {
	return q.writeFor(ctx, "", do)
}

func (q queue) writeFor(ctx context.Context, key string, do func(*gorm.DB) error) error {
	return q.Run(ctx, key, func(ctx context.Context) *gorm.DB {
		return q.db.Session(&gorm.Session{NewDB: true, Context: ctx, SkipDefaultTransaction: true})
	}, do)
}

// TestOneWriterAtATime: on SQLite writes wait in order instead of polling for
// the lock. A write whose context ends stops waiting.
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

// TestWritesShareATransaction: writes that arrive during another one are
// committed together. A write that fails does not affect the others.
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
			if err := insertX(4)(db); err != nil {
				return err
			}
			if insertX(4)(db) != nil {
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

// together starts writes behind another one, and calls inLine when all are
// waiting. It returns the result of each, and the values in the table x.
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
			for q.Len() <= i {
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

// TestWritesThatAreNotCommitted: if the shared transaction fails, each of its
// writes returns an error.
func TestWritesThatAreNotCommitted(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]func(*gorm.DB) error{
		"commit fails": func(db *gorm.DB) error { return db.Exec("ROLLBACK").Error },
		"panic":        func(*gorm.DB) error { panic("a defect") }, // a defect in the code of the write
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

// TestCancelledAmongWrites: a context that ends during the transaction does not
// affect the other writes, even if its write was the first. A write that has
// not begun is not done.
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

// TestWritesJoinATransaction: writes that arrive while others are done are
// committed with them.
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
		before := q.Len()
		wg.Go(func() { write(i, then) })
		for q.Len() == before {
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

// TestLongWritesStandAlone: a long write takes nobody into its transaction, so
// those who wait leave when their contexts end, and its own context interrupts
// it. Short writes that wait go before the next long one.
func TestLongWritesStandAlone(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	begin := func(ctx context.Context) *gorm.DB {
		return q.db.Session(&gorm.Session{NewDB: true, Context: ctx, SkipDefaultTransaction: true})
	}
	waiting, giveUp := context.WithCancel(t.Context())
	long, interrupt := context.WithCancel(t.Context())
	started, longDone, shortDone := make(chan struct{}), make(chan error, 1), make(chan error, 5)
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	err := q.write(t.Context(), func(*gorm.DB) error {
		for i := range 6 {
			go func() {
				if i > 0 {
					shortDone <- q.write(waiting, func(*gorm.DB) error { return errors.New("done with the long write") })
					return
				}
				longDone <- q.RunAlone(long, "", begin, func(db *gorm.DB) error {
					close(started)
					return db.Transaction(func(tx *gorm.DB) error { return tx.Exec(endless).Error })
				})
			}()
			for q.Len() <= i {
				runtime.Gosched()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-started
	giveUp()
	for range 5 {
		if err := <-shortDone; !errors.Is(err, context.Canceled) {
			t.Errorf("a write behind a long one: %v", err)
		}
	}
	var order []string
	var wg sync.WaitGroup
	add := func(name string, run func(context.Context, string, func(context.Context) *gorm.DB, func(*gorm.DB) error) error) {
		before := q.Len()
		wg.Go(func() {
			_ = run(t.Context(), "", begin, func(*gorm.DB) error { order = append(order, name); return nil })
		})
		for q.Len() == before {
			runtime.Gosched()
		}
	}
	add("long", q.RunAlone)
	add("long", q.RunAlone)
	add("short", q.Run)
	add("short", q.Run)
	select {
	case err := <-longDone:
		t.Fatalf("the long write ended: %v", err)
	default:
	}
	interrupt()
	if err := <-longDone; err == nil {
		t.Error("the long write was not interrupted")
	}
	wg.Wait()
	if want := []string{"short", "short", "long", "long"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// TestWritersSurviveAPanic: the writes behind a panic are done.
func TestWritersSurviveAPanic(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = q.write(t.Context(), func(*gorm.DB) error { panic("a defect") }) // the panic that is tested
	}()
	if err := q.write(t.Context(), func(*gorm.DB) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestCallersTakeTurns: one caller's many writes do not hold up another's.
func TestCallersTakeTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	var order []string
	var all sync.WaitGroup
	err := q.write(t.Context(), func(*gorm.DB) error {
		for i := range 21 {
			key := "flood"
			if i == 20 {
				key = "victim"
			}
			all.Go(func() {
				if err := q.writeFor(t.Context(), key, func(*gorm.DB) error { order = append(order, key); return nil }); err != nil {
					t.Error(err)
				}
			})
			for q.Len() <= i {
				runtime.Gosched()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if at := slices.Index(order, "victim"); at > 1 {
		t.Errorf("the victim's write comes after %d others", at)
	}
}

// TestTransactionsAreBounded: a transaction that takes long takes no more
// writes, since all of them wait for its end.
func TestTransactionsAreBounded(t *testing.T) {
	t.Parallel()
	q := newQueue(dbtest.SQLite(t))
	q.anyTime = false
	const writes = 4
	transactions := map[gorm.ConnPool]int{}
	var all sync.WaitGroup
	err := q.write(t.Context(), func(*gorm.DB) error {
		for i := range writes {
			all.Go(func() {
				err := q.write(t.Context(), func(db *gorm.DB) error {
					transactions[db.Statement.ConnPool]++
					for began := time.Now(); time.Since(began) <= maxGroupTime; {
						runtime.Gosched()
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
			for q.Len() <= i {
				runtime.Gosched()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all.Wait()
	for _, n := range transactions {
		if n > 2 {
			t.Errorf("transactions of a number of writes each: %v", transactions)
		}
	}
}
