package main

import (
	"crypto/sha256"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// succeeds runs a command that must exit with 0 and print nothing on standard
// error.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	r := invoke(t, nil, args...)
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("%q: exit status %d: %s", args, r.status, r.stderr)
	}
	return r.stdout
}

// A dry run prints the SQL of a missing database, a run creates it, and the
// next run finds nothing to do.
func TestMigrate(t *testing.T) {
	t.Parallel()
	migrate := func(t *testing.T, database string, exists func() bool) {
		sql := succeeds(t, "migrate", "--dry-run", database)
		if !strings.Contains(sql, "-- 00001_") || !strings.Contains(sql, "CREATE TABLE notification_messages") {
			t.Errorf("the dry run prints %q", sql)
		}
		if strings.Contains(sql, "DROP TABLE notification_messages") {
			t.Errorf("the dry run prints what takes it back: %q", sql)
		}
		if exists() {
			t.Error("the dry run made the database")
		}
		if told := succeeds(t, "migrate", database); !strings.HasPrefix(told, "applied 00001_") || !strings.HasSuffix(told, "the tables are up to date\n") {
			t.Errorf("the output is %q", told)
		}
		if !exists() {
			t.Error("the database was not made")
		}
		if told := succeeds(t, "migrate", database); told != "the tables are up to date\n" {
			t.Errorf("the second output is %q", told)
		}
		if sql := succeeds(t, "migrate", "--dry-run", database); sql != "" {
			t.Errorf("the dry run still prints %q", sql)
		}
		serving(t, database).post(t, "default/guest").want(t, http.StatusOK)
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "test.db")
		migrate(t, "--database=sqlite:"+path, func() bool {
			found, err := filepath.Glob(path + "*")
			if err != nil {
				t.Fatal(err)
			}
			return len(found) > 0
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		address := missingDatabase(t)
		named, err := pgx.ParseConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		server := connect(t, dbtest.ServerURL(t))
		migrate(t, "--database="+address, func() bool {
			var there bool
			err := server.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", named.Database).Scan(&there)
			if err != nil {
				t.Fatal(err)
			}
			return there
		})
	})
}

// A dry run treats databases without tables, and empty files, as missing ones,
// and leaves them empty.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	empty := file(t, "empty.db", "")
	if sql := succeeds(t, "migrate", "--dry-run", "--database=sqlite:"+empty); !strings.Contains(sql, "CREATE TABLE") {
		t.Errorf("it prints %q", sql)
	}
	if info, err := os.Stat(empty); err != nil || info.Size() != 0 {
		t.Errorf("the empty file is not empty: %v, %v", info, err)
	}
	full := filepath.Join(t.TempDir(), "full.db")
	succeeds(t, "migrate", "--database=sqlite:"+full)
	before := digest(t, full)
	succeeds(t, "migrate", "--dry-run", "--database=sqlite:"+full)
	if digest(t, full) != before {
		t.Error("the dry run changed the file")
	}
	refused(t, invoke(t, nil, "migrate", "--dry-run", "--database=sqlite:"+file(t, "text", strings.Repeat("no database", 100))), exitFailure, "text")
}

func TestDryRunOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	address := dbtest.PostgresURL(t)
	if sql := succeeds(t, "migrate", "--dry-run", "--database="+address); !strings.Contains(sql, "CREATE TABLE") {
		t.Errorf("it prints %q", sql)
	}
	var tables int
	err := connect(t, address).QueryRow(t.Context(), "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("there are %d tables, %v", tables, err)
	}
}

// migrate accepts all settings of the server and uses those of the database.
func TestMigrateTakesServerSettings(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	r := invoke(t, []string{"NOTIFYD_DATABASE=sqlite:" + path, "NOTIFYD_JWKS_URL=https://id.example/keys"}, "migrate", "--listen=:7007", "--external-caller-secret-file=/no/secret")
	if r.status != 0 {
		t.Errorf("exit status %d: %s", r.status, r.stderr)
	}
	refused(t, invoke(t, []string{"NOTIFYD_NOPE=1"}, "migrate", "--dry-run", "--database=sqlite:"+path), exitUsage, "NOTIFYD_NOPE")
	refused(t, invoke(t, nil, "migrate", "--database=mysql://"), exitUsage, "--database")
	refused(t, invoke(t, nil, "migrate", "--database=postgres://", "--database-password-file=/no/file"), exitUsage, "/no/file")
	refused(t, invoke(t, nil, "migrate", "--dry-run", "--database=postgres://", "--database-password-file=/no/file"), exitUsage, "/no/file")
}

func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}
