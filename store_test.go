package notifications

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// A query that its caller cancelled is logged at level Debug, one that failed
// is not.
func TestCancelledQueriesAreNoFaults(t *testing.T) {
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
			if _, err := st.facts(ctx, inbox{}, firstID); err == nil { // there are no tables
				t.Error("no error")
			}
			if text := out.String(); !strings.Contains(text, level) || strings.Count(text, "level=") != 1 {
				t.Errorf("want %s, logged %s", level, text)
			}
		}
	})
}

// TestCancelledWrite: the error of an interrupted write matches the context's
// error, whatever the database returns.
func TestCancelledWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		st, err := newStore(db, discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("CREATE TABLE notification_scopes (used_at bigint)").Error; err != nil { // takeLock names it
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = st.writeTx(ctx, short, func(tx *gorm.DB) error {
			cancel()
			for { // until database/sql itself has rolled back
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
