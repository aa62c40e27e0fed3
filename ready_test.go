package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func wantUnready(t *testing.T, svc *notifications.Service, because string) {
	t.Helper()
	if err := svc.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) || !strings.Contains(err.Error(), because) {
		t.Errorf("ready: %v, want %q", err, because)
	}
}

// TestReadyNeedsTheFile: a SQLite file that was deleted, replaced or made
// read-only is not ready, although SQLite does not notice.
func TestReadyNeedsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := database.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	f := newFixture(t, db)
	ready := func() {
		t.Helper()
		if err := f.Ready(t.Context()); err != nil {
			t.Errorf("ready: %v", err)
		}
	}
	ready()
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantUnready(t, f.Service, "read-only")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ready()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	wantUnready(t, f.Service, "no such file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantUnready(t, f.Service, "another file")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	ready()
}

// TestReadyNeedsWrites: a database that is set to read only is not ready.
func TestReadyNeedsWrites(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, db)
		if err := f.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if db.Name() == "sqlite" {
			pool.SetMaxOpenConns(1)
			if err := db.Exec("PRAGMA query_only = ON").Error; err != nil {
				t.Fatal(err)
			}
			wantUnready(t, f.Service, "readonly")
			return
		}
		// Connections that are open keep their setting.
		name := pgName(t, db)
		if err := db.Exec("ALTER DATABASE " + name + " SET default_transaction_read_only = on").Error; err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ? AND pid <> pg_backend_pid()", name).Error; err != nil {
			t.Fatal(err)
		}
		_ = db.Exec("SELECT pg_terminate_backend(pg_backend_pid())") // its result is that the connection is lost
		wantUnready(t, f.Service, "takes no writes")
	})
}

func pgName(t *testing.T, db *gorm.DB) (name string) {
	t.Helper()
	if err := db.Raw("SELECT current_database()").Scan(&name).Error; err != nil {
		t.Fatal(err)
	}
	return name
}

// TestReadyIsBounded: Ready returns at the end of its context even if the
// database does not.
func TestReadyIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		release, asked := make(chan struct{}), make(chan struct{}, 100)
		beforeStatements(t, db, func(*gorm.DB) {
			asked <- struct{}{}
			<-release // hangs, whatever happens to the context
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if err := f.Ready(ctx); !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("ready while the database hangs: %v", err)
		}
		close(release)
	})
}

// TestReadsLeaveConnections: no more reads than MaxReads run at once. The others
// wait until their contexts end, and writes do not wait.
func TestReadsLeaveConnections(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.post("before", toJane)
		const most = 2
		limited := f.with(func(cfg *notifications.Config) { cfg.MaxReads, cfg.Probe = most, db })
		release, reading := make(chan struct{}), make(chan struct{})
		beforeStatements(t, db, func(db *gorm.DB) {
			if strings.HasPrefix(db.Statement.SQL.String(), "SELECT count(DISTINCT del.message_id)") {
				reading <- struct{}{}
				<-release
			}
		})
		var readers sync.WaitGroup
		for range most {
			readers.Go(func() {
				if n, err := limited.Count(t.Context(), jane, all); err != nil || n < 1 {
					t.Errorf("a read: %d, %v", n, err)
				}
			})
			<-reading
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := limited.List(ended, jane, notifications.ListQuery{}); !errors.Is(err, notifications.ErrUnavailable) || !strings.Contains(err.Error(), "all reads") {
			t.Errorf("one read too many: %v", err)
		}
		limited.post("meanwhile", toJane)
		if err := limited.Ready(t.Context()); err != nil {
			t.Errorf("ready: %v", err)
		}
		close(release)
		readers.Wait()
		if page := limited.list(jane, notifications.ListQuery{}); len(page.Items) != 2 {
			t.Errorf("afterwards a list has %q", titlesOf(page.Items))
		}
	})
}

// TestReadsSurviveACutConnection: a read whose connection was cut is done again.
func TestReadsSurviveACutConnection(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresIfWanted(t)
	if db == nil {
		t.Skip("needs PostgreSQL")
	}
	f := newFixture(t, db)
	f.post("x", toJane)
	var cut sync.Once
	beforeStatements(t, db, func(tx *gorm.DB) {
		if strings.HasPrefix(tx.Statement.SQL.String(), "SELECT count(DISTINCT del.message_id)") {
			cut.Do(func() {
				_ = tx.AddError(io.ErrUnexpectedEOF) // as the driver returns it
			})
		}
	})
	if n, err := f.Count(t.Context(), jane, all); err != nil || n != 1 {
		t.Errorf("count: %d, %v", n, err)
	}
}

// TestFullDatabase: a SQLite file that cannot grow refuses posts, alone and in
// transactions with others, and loses none that it took.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1) // the limit belongs to a connection
	f := newFixture(t, db)
	d := draft("large", toJane)
	d.Message = strings.Repeat("x", 10_000)
	limit := func(pages int) {
		t.Helper()
		if err := db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Error; err != nil {
			t.Fatal(err)
		}
	}
	limit(100) // some 400 KiB
	var taken atomic.Int64
	var posters sync.WaitGroup
	for range 8 {
		posters.Go(func() {
			for range 50 {
				_, err := f.Post(t.Context(), ci, d)
				switch {
				case err == nil:
					taken.Add(1)
				case !errors.Is(err, notifications.ErrUnavailable) || !strings.Contains(err.Error(), "full"):
					t.Errorf("a full database: %v", err)
				}
			}
		})
	}
	posters.Wait()
	if taken.Load() == 0 || taken.Load() > 100 {
		t.Errorf("%d posts were taken", taken.Load())
	}
	limit(1 << 20)
	f.post("afterwards", toJane)
	if n, err := f.Count(t.Context(), jane, all); err != nil || n != taken.Load()+1 {
		t.Errorf("%d notifications, %v; %d were taken", n, err, taken.Load()+1)
	}
}
