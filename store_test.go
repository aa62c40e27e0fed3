package notifications

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// A query that was broken off is no fault, one that cannot be is.
func TestBrokenOffQueriesAreNoFaults(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var out bytes.Buffer
		st, err := newStore(db, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for ctx, level := range map[context.Context]string{cancelled: "level=DEBUG", t.Context(): "level=ERROR"} {
			out.Reset()
			if _, err := st.facts(ctx, inbox{}, ""); err == nil { // there are no tables
				t.Error("no error")
			}
			if text := out.String(); !strings.Contains(text, level) || strings.Count(text, "level=") != 1 {
				t.Errorf("want %s, told is %s", level, text)
			}
		}
	})
}

// TestOneWriterAtATime: on SQLite the writes of a service queue in order
// instead of polling for the lock; who gives up waiting is not stuck.
func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	st, err := newStore(dbtest.SQLite(t), discard)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var inside atomic.Int32
	for range 16 {
		wg.Go(func() {
			for range 50 {
				err := st.write(t.Context(), func(*gorm.DB) error {
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
	err = st.write(t.Context(), func(*gorm.DB) error {
		cancel()
		return st.write(ctx, func(*gorm.DB) error { return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writer in the queue: %v", err)
	}
}

// TestWritesShareATransaction: what comes while somebody writes is committed
// together, and what fails among it fails alone.
func TestWritesShareATransaction(t *testing.T) {
	t.Parallel()
	errRefused := errors.New("refused")
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
		{ctx: t.Context(), do: func(db *gorm.DB) error { return errors.Join(insertX(4)(db), insertX(4)(db)) }, want: ErrUnavailable},
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
	st, err := newStore(db, discard)
	if err != nil {
		t.Fatal(err)
	}
	results = make([]error, len(writes))
	var wg sync.WaitGroup
	err = st.write(t.Context(), func(*gorm.DB) error {
		for i, w := range writes {
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						results[i] = fmt.Errorf("panic: %v", p)
					}
				}()
				results[i] = st.write(w.ctx, w.do)
			})
			for st.queue.length() <= i {
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
	st, err := newStore(dbtest.SQLite(t), discard)
	if err != nil {
		t.Fatal(err)
	}
	var pools [3]gorm.ConnPool
	var wg sync.WaitGroup
	write := func(i int, then func()) {
		err := st.write(t.Context(), func(db *gorm.DB) error {
			pools[i] = db.Statement.ConnPool
			then()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	waitInLine := func(i int, then func()) {
		before := st.queue.length()
		wg.Go(func() { write(i, then) })
		for st.queue.length() == before {
			runtime.Gosched()
		}
	}
	err = st.write(t.Context(), func(*gorm.DB) error {
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
	st, err := newStore(dbtest.SQLite(t), discard)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = st.write(t.Context(), func(*gorm.DB) error { panic("a defect") }) // which is what is tested
	}()
	if err := st.write(t.Context(), func(*gorm.DB) error { return nil }); err != nil {
		t.Error(err)
	}
}

// length is how many writes stand in line.
func (q *writeQueue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// TestCancelledWrite: why a write was broken off stays recognisable, whatever
// the database makes of it.
func TestCancelledWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		st, err := newStore(db, discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = st.writeTx(ctx, func(tx *gorm.DB) error {
			cancel()
			for { // until database/sql has noticed, and says no more than that it is over
				err := tx.WithContext(t.Context()).Exec("SELECT 1").Error
				if errors.Is(err, sql.ErrTxDone) {
					return err
				}
				runtime.Gosched()
			}
		})
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("a write that was cancelled in the middle: %v", err)
		}
	})
}
