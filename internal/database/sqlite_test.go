package database_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// pool returns the pool of db, and closes it when the test ends.
func pool(t *testing.T, db *gorm.DB) *sql.DB {
	t.Helper()
	p, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func openSQLite(t *testing.T, path string, opts ...database.SQLiteOption) *gorm.DB {
	t.Helper()
	db, err := database.OpenSQLite(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	pool(t, db)
	return db
}

func exec(t *testing.T, db *gorm.DB, statement string, args ...any) {
	t.Helper()
	if err := db.Exec(statement, args...).Error; err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query[T any](t *testing.T, db *gorm.DB, statement string, args ...any) T {
	t.Helper()
	var v T
	if err := db.Raw(statement, args...).Row().Scan(&v); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return v
}

// SQLite's settings belong to a connection, so every connection of the pool
// must have them.
func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, filepath.Join(t.TempDir(), "x.db"), database.BusyTimeout(1234*time.Millisecond))
	p := pool(t, db)
	want := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "1234", "wal_autocheckpoint": "10000",
	}
	for i := range 3 {
		conn, err := p.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // at the end, so that the next connection is another one
		for pragma, want := range want {
			var got string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("connection %d: %s is %s, want %s", i, pragma, got, want)
			}
		}
	}
}

func TestSQLitePathsAreLiteral(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"plain.db", "with space.db", "per%20cent.db", "100%.db", "what?.db", "x.db?mode=memory", "hash#1.db",
		"a&b=c+d.db", "quote'\"`.db", "back\\slash.db", "naïve ☃.db", "file:x.db", "new\nline.db", "colon:.db",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), name+" dir")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			db := openSQLite(t, path)
			exec(t, db, "CREATE TABLE t (a INTEGER)")
			if got := ls(t, dir); !slices.Equal(got, []string{name, name + "-shm", name + "-wal"}) {
				t.Errorf("the directory holds %q", got)
			}
			again := openSQLite(t, path)
			if n := query[int](t, again, "SELECT count(*) FROM sqlite_master"); n != 1 {
				t.Errorf("opened again, the file holds %d tables", n)
			}
		})
	}
}

func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A relative path keeps its meaning if the working directory changes.
func TestSQLiteRelativePath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Chdir(first)
	db := openSQLite(t, "x.db")
	t.Chdir(second)
	p := pool(t, db)
	p.SetMaxIdleConns(0) // each statement uses a new connection
	exec(t, db, "CREATE TABLE t (a INTEGER)")
	if _, err := os.Stat(filepath.Join(first, "x.db")); err != nil {
		t.Error(err)
	}
	if got := ls(t, second); len(got) != 0 {
		t.Errorf("the other directory holds %q", got)
	}
}

func TestSQLiteRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("not a database\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"empty path", "", "path is empty"},
		{"in memory", ":memory:", "in memory is not supported"},
		{"NUL", filepath.Join(dir, "a\x00b"), "NUL"},
		{"no such directory", filepath.Join(dir, "missing", "x.db"), "no such file or directory"},
		{"directory is a file", filepath.Join(text, "x.db"), "is not a directory"},
		{"file is a directory", dir, "not a regular file"},
		{"another kind of file", text, "file is not a database"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refuses(t, tc.path, tc.want)
		})
	}
	if got := ls(t, dir); !slices.Equal(got, []string{"text"}) {
		t.Errorf("the directory holds %q", got)
	}
}

func refuses(t *testing.T, path, want string) {
	t.Helper()
	db, err := database.OpenSQLite(path)
	if err == nil {
		pool(t, db)
		t.Error("it was opened")
		return
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "open SQLite database") {
		t.Errorf("the error is %q, want %q in it", err, want)
	}
}

// SQLite does not wait for the lock under which it creates the write-ahead log
// of a new file, so programs that start at once used to fail.
func TestSQLiteOpenedAtOnce(t *testing.T) {
	t.Parallel()
	for range 25 {
		path := filepath.Join(t.TempDir(), "x.db")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := database.OpenSQLite(path)
				if err != nil {
					t.Error(err)
					return
				}
				pool(t, db)
			})
		}
		wg.Wait()
	}
}

// A transaction that reads and then writes fails at once, whatever the timeout,
// unless it took the write lock when it began.
func TestSQLiteWritersWait(t *testing.T) {
	t.Parallel()
	const writers, each = 16, 10
	path := filepath.Join(t.TempDir(), "x.db")
	db := openSQLite(t, path)
	other := openSQLite(t, path) // as another process would
	exec(t, db, "CREATE TABLE t (n INTEGER)")
	exec(t, db, "INSERT INTO t VALUES (0)")
	increment := func(tx *gorm.DB) error {
		var n int
		if err := tx.Raw("SELECT n FROM t").Row().Scan(&n); err != nil {
			return err
		}
		return tx.Exec("UPDATE t SET n = ?", n+1).Error
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if err := []*gorm.DB{db, other}[i%2].Transaction(increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := query[int](t, db, "SELECT n FROM t"); n != writers*each {
		t.Errorf("%d increments were stored, want %d", n, writers*each)
	}
}

func TestSQLiteBusyTimeoutEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	holder := openSQLite(t, path).Begin()
	defer holder.Rollback()
	_, err := database.OpenSQLite(path, database.BusyTimeout(time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "database is locked") {
		t.Errorf("the error is %v", err)
	}
}

func TestLoggerHidesParameters(t *testing.T) {
	t.Parallel()
	const secret = "what a user wrote"
	check := func(t *testing.T, open func(*slog.Logger) (*gorm.DB, error)) {
		t.Helper()
		var out bytes.Buffer
		db, err := open(slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		pool(t, db)
		if err := db.Exec("INSERT INTO nowhere VALUES (?)", secret).Error; err == nil {
			t.Fatal("there is no such table")
		}
		if s := out.String(); !strings.Contains(s, "INSERT INTO nowhere") || strings.Contains(s, secret) {
			t.Errorf("logged: %s", s)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		check(t, func(log *slog.Logger) (*gorm.DB, error) {
			return database.OpenSQLite(filepath.Join(t.TempDir(), "x.db"), database.SQLiteLogger(log))
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		check(t, func(log *slog.Logger) (*gorm.DB, error) {
			return database.OpenPostgres(t.Context(), database.PostgresConfig{URL: dbtest.PostgresURL(t), Logger: log})
		})
	})
}
