package notifications_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func newService(t *testing.T, db *gorm.DB, edit ...func(*notifications.Config)) *notifications.Service {
	t.Helper()
	cfg := notifications.Config{DB: db, Catalog: newDirectory(), Policy: notifications.AllowAll{}}
	for _, e := range edit {
		e(&cfg)
	}
	svc, err := notifications.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func TestNewTouchesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		if tables, err := db.Migrator().GetTables(); err != nil || len(tables) != 0 {
			t.Errorf("after New the database has tables %v, %v", tables, err)
		}
		if err := svc.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("Ready before Migrate: %v, want ErrUnavailable", err)
		}
	})
}

func TestPendingMigrations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		for range 2 { // it changes nothing
			pending, err := svc.PendingMigrations(t.Context())
			if err != nil || len(pending) == 0 || pending[0].Version != 1 || !strings.Contains(pending[0].SQL, "CREATE TABLE notification_messages") {
				t.Fatalf("pending %+v, %v; want all", pending, err)
			}
			if tables, err := db.Migrator().GetTables(); err != nil || len(tables) != 0 {
				t.Fatalf("asking made tables %v, %v", tables, err)
			}
		}
		for range 2 {
			if err := svc.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if pending, err := svc.PendingMigrations(t.Context()); err != nil || len(pending) != 0 {
				t.Errorf("pending after Migrate: %+v, %v", pending, err)
			}
		}
		if err := svc.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestInstancesStartAtOnce migrates an empty database from eight instances at
// once, each with its own pool.
func TestInstancesStartAtOnce(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, open func() (*gorm.DB, error)) {
		t.Helper()
		var services []*notifications.Service
		var last *gorm.DB
		for range 8 {
			db, err := open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closePool(t, db) })
			services, last = append(services, newService(t, db)), db
		}
		concurrently(t, len(services), func(i int) error { return services[i].Migrate(t.Context()) })
		recordedOnce(t, last)
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		for range 5 {
			path := filepath.Join(t.TempDir(), "new.db")
			start(t, func() (*gorm.DB, error) { return database.OpenSQLite(path) })
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := dbtest.PostgresURL(t)
		start(t, func() (*gorm.DB, error) {
			return database.OpenPostgres(t.Context(), database.PostgresConfig{URL: url, MaxConns: 2})
		})
	})
}

// TestPoolOfOne: Migrate needs no second connection.
func TestPoolOfOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		pool.SetMaxOpenConns(1)
		f := newFixture(t, db)
		id := f.post("x", notifications.Users("default/jane"))
		f.mark(jane, id, true)
		f.wantList(jane, notifications.ListQuery{}, "x")
		err = db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(t.Context(), ci, notifications.Draft{Origin: "o", Title: "y", To: notifications.Users("default/jane")})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.wantList(jane, notifications.ListQuery{}, "y", "x")
	})
}

func TestOtherEncodingsAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "utf16.db")
		empty, err := database.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		closePool(t, empty)
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		const encodingOffset, utf16le = 59, 2 // https://www.sqlite.org/fileformat.html, section 1.3
		if _, err := file.WriteAt([]byte{utf16le}, encodingOffset); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := database.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		defer closePool(t, db)
		if err := newService(t, db).Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "UTF-16le") {
			t.Errorf("Migrate on UTF-16: %v", err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db := dbtest.Postgres(t)
		server, err := url.Parse(dbtest.ServerURL(t))
		if err != nil {
			t.Fatal(err)
		}
		name := db.Migrator().CurrentDatabase() + "_ascii"
		server.Path = "/" + name
		if err := db.Exec("CREATE DATABASE " + name + " ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").Error; err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Exec("DROP DATABASE " + name + " WITH (FORCE)") })
		ascii, err := database.OpenPostgres(t.Context(), database.PostgresConfig{URL: server.String(), MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer closePool(t, ascii)
		if err := newService(t, ascii).Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "SQL_ASCII") {
			t.Errorf("Migrate on SQL_ASCII: %v", err)
		}
	})
}

func TestTransactionIsNoConfig(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		err := db.Transaction(func(tx *gorm.DB) error {
			_, err := notifications.New(notifications.Config{DB: tx, Catalog: newDirectory(), Policy: notifications.AllowAll{}})
			if err == nil || !strings.Contains(err.Error(), "Config.DB is a transaction") {
				t.Errorf("New on a transaction: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func closePool(t *testing.T, db *gorm.DB) {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}
