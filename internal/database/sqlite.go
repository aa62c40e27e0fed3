package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// DefaultBusyTimeout is how long a SQLite connection waits for the lock of
// another one.
const DefaultBusyTimeout = 5 * time.Second

// sqliteConns limits the pool. Writers that wait for SQLite's lock poll for it
// in no order, so with many it is fairer to wait for a connection.
const sqliteConns = 8

// Result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeCantOpen = 14
)

// SQLiteOption changes a setting of [OpenSQLite].
type SQLiteOption func(*sqliteOptions)

type sqliteOptions struct {
	busyTimeout time.Duration
	logger      *slog.Logger
}

// BusyTimeout sets how long a connection waits for a lock before it fails with
// "database is locked", in whole milliseconds. Zero does not wait. The default
// is [DefaultBusyTimeout].
func BusyTimeout(d time.Duration) SQLiteOption {
	return func(o *sqliteOptions) { o.busyTimeout = d }
}

// SQLiteLogger sets the logger for failed and slow statements, without their
// parameters. By default they are not logged.
func SQLiteLogger(log *slog.Logger) SQLiteOption {
	return func(o *sqliteOptions) { o.logger = log }
}

// OpenSQLite opens the database file at path, and creates it if it does not
// exist; its directory must exist. Any path of a file is taken literally.
// ":memory:" is an error, because every connection would have its own database.
//
// Commits survive a loss of power (write-ahead log with synchronous=FULL).
// Transactions take the write lock when they begin, so they wait for each other
// instead of failing. A setting that SQLite did not accept is an error.
// Programs built with and without cgo read each other's files.
//
// Only the owner may read or write the file and those that SQLite keeps beside
// it (mode 0600). Rights of others to existing files are taken, unless the files
// belong to another user.
func OpenSQLite(path string, opts ...SQLiteOption) (*gorm.DB, error) {
	o := sqliteOptions{busyTimeout: DefaultBusyTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	db, err := openSQLite(path, o)
	if err != nil {
		return nil, fmt.Errorf("open SQLite database %q: %w", path, err)
	}
	return db, nil
}

func openSQLite(path string, o sqliteOptions) (*gorm.DB, error) {
	file, err := checkPath(path)
	if err != nil {
		return nil, err
	}
	createPrivate(file)
	if err := makePrivate(file); err != nil {
		return nil, err
	}
	pool := sql.OpenDB(sqliteConnector{sqliteDSN(file, o.busyTimeout)})
	pool.SetMaxOpenConns(sqliteConns)
	pool.SetMaxIdleConns(sqliteConns)
	db, err := setUpSQLite(pool, o)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

func setUpSQLite(pool *sql.DB, o sqliteOptions) (*gorm.DB, error) {
	err := retryBusy(o.busyTimeout, func() error { return checkSQLite(pool, o.busyTimeout) })
	switch sqliteCode(err) {
	case codeReadOnly, codeCantOpen:
		return nil, fmt.Errorf("%w: the file and its directory must be writable", err)
	}
	if err != nil {
		return nil, err
	}
	return open(sqlite.New(sqlite.Config{Conn: pool}), o.logger)
}

// checkPath returns the absolute path, or a better error than SQLite's "unable
// to open database file".
func checkPath(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(path, 0):
		return "", errors.New("the path contains a NUL character")
	case path == ":memory:":
		return "", errors.New("a database in memory is not supported, name a file")
	}
	file, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil {
		return "", fmt.Errorf("its directory: %w", err)
	} else if !dir.IsDir() {
		return "", fmt.Errorf("%s is not a directory", filepath.Dir(file))
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	return file, nil
}

// sqliteDSN writes the parameters in a form that both drivers understand. Only
// the form file: accepts any path, because it escapes the path.
func sqliteDSN(file string, busyTimeout time.Duration) string {
	params := url.Values{
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
		// Preparing takes longer than most statements run. The driver without
		// cgo has no such cache.
		"_stmt_cache_size": {"64"},
	}
	return (&url.URL{Scheme: "file", Path: file, RawQuery: params.Encode()}).String()
}

// checkpoint is the number of pages, 40 MB, after which a commit copies the log
// to the database. A page that was written many times is copied once, so more
// than SQLite's 1000 writes less.
const checkpoint = 10_000

// sqliteConnector sets on each connection the settings for which the drivers
// have no common parameter.
type sqliteConnector struct{ dsn string }

// Driver implements [driver.Connector].
func (c sqliteConnector) Driver() driver.Driver { return sqliteDriver }

// Connect implements [driver.Connector].
func (c sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := sqliteDriver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	set := fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", checkpoint)
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, set, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// retryBusy repeats f while the database is locked, until the timeout. SQLite
// itself waits for locks, but not when it creates the write-ahead log of a new
// file: if several processes open one at once, some fail.
func retryBusy(timeout time.Duration, f func() error) error {
	const pause = 5 * time.Millisecond
	for deadline := time.Now().Add(timeout); ; time.Sleep(pause) { // SQLite does not notify
		err := f()
		if sqliteCode(err) != codeBusy || time.Now().After(deadline) {
			return err
		}
	}
}

// checkSQLite connects, compares the settings, and begins a write, which fails
// if the file is read-only.
func checkSQLite(pool *sql.DB, busyTimeout time.Duration) error {
	for _, pragma := range []struct{ name, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		{"wal_autocheckpoint", strconv.Itoa(checkpoint)},
	} {
		var got string
		if err := pool.QueryRow("PRAGMA " + pragma.name).Scan(&got); err != nil {
			return err
		}
		if got != pragma.want {
			return fmt.Errorf("PRAGMA %s is %s, it must be %s", pragma.name, got, pragma.want)
		}
	}
	tx, err := pool.Begin()
	if err != nil {
		return err
	}
	_, err = tx.Exec("CREATE TABLE IF NOT EXISTS notifications_write_check (a INTEGER)")
	return errors.Join(err, tx.Rollback())
}
