// Package dbtest gives each test its own real database: a SQLite file or a
// PostgreSQL database. It is empty at first, and closed and removed when the
// test ends.
//
// Environment variables, which "make test" sets, choose the databases:
//
//   - NOTIFICATIONS_TEST_POSTGRES is the URL of a role that may create
//     databases. Without it, tests on PostgreSQL are skipped.
//   - NOTIFICATIONS_TEST_REQUIRE=1 makes them fail instead.
//   - NOTIFICATIONS_TEST_DATABASES=sqlite leaves them out on purpose.
package dbtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"gorm.io/gorm"
)

// The environment variables.
const (
	envPostgres  = "NOTIFICATIONS_TEST_POSTGRES"
	envRequire   = "NOTIFICATIONS_TEST_REQUIRE"
	envDatabases = "NOTIFICATIONS_TEST_DATABASES"
)

const (
	poolSize       = 5                // of one test; the server has 300 connections
	acquireTimeout = 30 * time.Second // enough for a busy machine
)

// Each runs body twice, as parallel subtests "sqlite" and "postgres", each with
// an empty database.
func Each(t *testing.T, body func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		body(t, SQLite(t))
	})
	if sqliteOnly() {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		body(t, Postgres(t))
	})
}

// SQLite opens a new SQLite file.
func SQLite(t testing.TB) *gorm.DB {
	t.Helper()
	db, err := database.OpenSQLite(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, db)
}

// Postgres opens a new PostgreSQL database with a pool of 5 connections.
func Postgres(t testing.TB) *gorm.DB {
	t.Helper()
	db, err := database.OpenPostgres(t.Context(), database.PostgresConfig{
		URL:            PostgresURL(t),
		MaxConns:       poolSize,
		AcquireTimeout: acquireTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return closed(t, db)
}

// closed closes db when the test ends.
func closed(t testing.TB, db *gorm.DB) *gorm.DB {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		done := make(chan error, 1)
		go func() { done <- pool.Close() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("close the test's database: %v", err)
			}
		case <-time.After(acquireTimeout):
			t.Errorf("%d connections of the test's database were never given back", pool.Stats().InUse)
		}
	})
	return db
}

// PostgresURL creates a new PostgreSQL database and returns its URL.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := ServerURL(t)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", envPostgres)
	}
	name := "notifications_test_" + strings.ToLower(rand.Text())
	u.Path = "/" + name
	execute(t, server, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	t.Cleanup(func() { execute(t, server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return u.String()
}

// execute runs one statement on a new connection. Cleanups call it after the
// context of the test has ended.
func execute(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), acquireTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("the server of %s: %v", envPostgres, err)
	}
	_, err = conn.Exec(ctx, statement)
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// ServerURL returns the URL of the PostgreSQL server that all tests share.
func ServerURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(envPostgres)
	if server == "" || sqliteOnly() {
		noPostgres(t, "run it by `make test`, or set "+envPostgres)
	}
	return server
}

// StartPostgres starts a PostgreSQL server for a test that stops it.
func StartPostgres(t testing.TB, o pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	NeedsInstalled(t)
	return closing(t)(pgcluster.Start(o))
}

// closing closes a started cluster when the test ends.
func closing(t testing.TB) func(*pgcluster.Cluster, error) *pgcluster.Cluster {
	t.Helper()
	return func(c *pgcluster.Cluster, err error) *pgcluster.Cluster {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
}

// NeedsInstalled skips or fails a test that starts servers if PostgreSQL is not
// installed.
func NeedsInstalled(t testing.TB) {
	t.Helper()
	if sqliteOnly() || !pgcluster.Installed() {
		noPostgres(t, pgcluster.ErrNotInstalled.Error())
	}
}

func sqliteOnly() bool { return os.Getenv(envDatabases) == "sqlite" }

// noPostgres ends a test that needs PostgreSQL. Where PostgreSQL is required
// the test fails, because a test that did not run must not look like one that
// passed. It is skipped in the run without cgo, which tests SQLite, and on
// machines without PostgreSQL.
func noPostgres(t testing.TB, reason string) {
	t.Helper()
	switch {
	case sqliteOnly():
		t.Skip("needs PostgreSQL, and " + envDatabases + "=sqlite") // the run without cgo; the run with cgo has both
	case os.Getenv(envRequire) == "1":
		t.Fatal("needs PostgreSQL: " + reason)
	default:
		t.Skip("needs PostgreSQL: " + reason) // a developer's machine; make test and .ci/run require PostgreSQL
	}
}

// PostgresIfWanted is Postgres for tests that compare the two databases. It
// returns nil if PostgreSQL is left out on purpose.
func PostgresIfWanted(t testing.TB) *gorm.DB {
	t.Helper()
	if sqliteOnly() {
		return nil
	}
	return Postgres(t)
}
