package notifications

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
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
	db := dbtest.SQLite(t)
	if err := db.Exec("CREATE TABLE x (i INTEGER PRIMARY KEY) STRICT").Error; err != nil {
		t.Fatal(err)
	}
	st, err := newStore(db, discard)
	if err != nil {
		t.Fatal(err)
	}
	insert := func(i int) func(*gorm.DB) error {
		return func(db *gorm.DB) error { return db.Exec("INSERT INTO x VALUES (?)", i).Error }
	}
	errRefused := errors.New("refused")
	cancelled, cancel := context.WithCancel(t.Context())
	writes := []struct {
		ctx  context.Context
		do   func(*gorm.DB) error
		want error
		kept bool
	}{
		{ctx: t.Context(), do: insert(1), kept: true},
		{ctx: t.Context(), do: func(db *gorm.DB) error { return errors.Join(insert(2)(db), errRefused) }, want: errRefused},
		{ctx: cancelled, do: insert(3), want: context.Canceled},
		{ctx: t.Context(), do: func(db *gorm.DB) error { return errors.Join(insert(4)(db), insert(4)(db)) }, want: ErrUnavailable},
		{ctx: t.Context(), do: func(db *gorm.DB) error {
			return db.Transaction(func(tx *gorm.DB) error { return insert(5)(tx) })
		}, kept: true},
	}
	pools := make([]any, len(writes))
	results := make([]error, len(writes))
	var wg sync.WaitGroup
	err = st.write(t.Context(), func(*gorm.DB) error {
		for i, w := range writes {
			wg.Go(func() {
				results[i] = st.write(w.ctx, func(db *gorm.DB) error {
					pools[i] = db.Statement.ConnPool
					return w.do(db)
				})
			})
			for st.queue.length() <= i {
				runtime.Gosched()
			}
		}
		cancel()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
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
	var stored []int
	if err := db.Raw("SELECT i FROM x ORDER BY i").Find(&stored).Error; err != nil || fmt.Sprint(stored) != fmt.Sprint(kept) {
		t.Errorf("stored %v, %v; want %v", stored, err, kept)
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
		_ = st.write(t.Context(), func(*gorm.DB) error { panic("a defect") })
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
