package database_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"gorm.io/gorm"
)

func openPostgres(t *testing.T, c database.PostgresConfig) *gorm.DB {
	t.Helper()
	db, err := database.OpenPostgres(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	pool(t, db)
	return db
}

// with returns the URL of the server with another user, password or database.
func with(t *testing.T, server string, user *url.Userinfo, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	if user != nil {
		u.User = user
	}
	if name != "" {
		u.Path = "/" + name
		u.RawPath = "/" + url.PathEscape(name)
	}
	return u.String()
}

func TestPostgresAcquireTimeout(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, database.PostgresConfig{
		URL:            dbtest.PostgresURL(t),
		MaxConns:       1,
		AcquireTimeout: 2 * time.Second, // enough for the first one to connect
	})
	tx := db.Begin()
	err := db.Exec("SELECT 1").Error
	if !errors.Is(err, database.ErrAcquireTimeout) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no connection free: %v", err)
	}
	if want := "waited 2s, 1 of at most 1 are in use"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want %q in it", err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err = db.WithContext(ctx).Exec("SELECT 1").Error
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, database.ErrAcquireTimeout) {
		t.Errorf("with a caller who waits no longer: %v", err)
	}
	if err := tx.Rollback().Error; err != nil {
		t.Fatal(err)
	}
	exec(t, db, "SELECT 1")
}

func TestPostgresPoolBounds(t *testing.T) {
	t.Parallel()
	const most = 3
	db := openPostgres(t, database.PostgresConfig{URL: dbtest.PostgresURL(t), MaxConns: most})
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := map[int]bool{}
	for range 40 {
		wg.Go(func() {
			var pid int
			if err := db.Raw("SELECT pg_backend_pid()").Row().Scan(&pid); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[pid] = true
		})
	}
	wg.Wait()
	if len(pids) > most {
		t.Errorf("%d connections were used, want at most %d", len(pids), most)
	}
}

// PostgreSQL refuses to drop a database that has connections.
func TestPostgresCloseClosesThePool(t *testing.T) {
	t.Parallel()
	server := dbtest.ServerURL(t)
	target := dbtest.PostgresURL(t)
	db := openPostgres(t, database.PostgresConfig{URL: target, MinConns: 3})
	name := query[string](t, db, "SELECT current_database()")
	if err := pool(t, db).Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Exec("SELECT 1").Error; err == nil {
		t.Error("a closed database answered")
	}
	exec(t, openPostgres(t, database.PostgresConfig{URL: server}), "DROP DATABASE "+name)
}

func TestPostgresTakesTheEnvironment(t *testing.T) {
	target, err := url.Parse(dbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	host := target.Hostname()
	if host == "" {
		host = target.Query().Get("host")
	}
	password, _ := target.User.Password()
	for name, value := range map[string]string{
		"PGHOST":     host,
		"PGPORT":     target.Port(),
		"PGUSER":     target.User.Username(),
		"PGPASSWORD": password,
		"PGDATABASE": strings.TrimPrefix(target.Path, "/"),
	} {
		t.Setenv(name, value)
	}
	db := openPostgres(t, database.PostgresConfig{URL: "postgres://"})
	if got := query[string](t, db, "SELECT current_database()"); "/"+got != target.Path {
		t.Errorf("connected to %s, want %s", got, target.Path)
	}
}

// No error contains any part of a password, even if the URL was mistyped.
func TestPostgresRefuses(t *testing.T) {
	t.Parallel()
	valid := "postgres://jane:s3cr3t@localhost/app"
	for _, tc := range []struct {
		name   string
		config database.PostgresConfig
		want   string
	}{
		{"another scheme", database.PostgresConfig{URL: "mysql://jane:s3cr3t@localhost/app"}, "does not begin with postgres://"},
		{"key and value", database.PostgresConfig{URL: "host=localhost password=s3cr3t"}, "does not begin with postgres://"},
		{"@ in password", database.PostgresConfig{URL: "postgres://jane:x@s3cr3t@localhost/app"}, "%40"},
		{"/ in password", database.PostgresConfig{URL: "postgres://jane:12/s3cr3t@localhost/app"}, "%2F"},
		{"? in password", database.PostgresConfig{URL: "postgres://jane:12?s3cr3t/@localhost/app"}, "%2F"},
		{"bad escape", database.PostgresConfig{URL: "postgres://jane:s3cr3t%zz@localhost/app"}, "parse"},
		{"bad escape in query", database.PostgresConfig{URL: "postgres://localhost/app?password=s3cr3t%zz"}, "parse"},
		{"bad port", database.PostgresConfig{URL: "postgres://jane:s3cr3t@localhost:port/app"}, "invalid port"},
		{"bad mode", database.PostgresConfig{URL: valid + "?sslmode=maybe"}, "sslmode"},
		{"bad pool size", database.PostgresConfig{URL: valid + "?pool_max_conns=s3"}, "pool_max_conns"},
		{"negative size", database.PostgresConfig{URL: valid, MaxConns: -1}, "number of connections"},
		{"huge size", database.PostgresConfig{URL: valid, MaxConns: 1 << 32}, "number of connections"},
		{"min above max", database.PostgresConfig{URL: valid, MinConns: 3, MaxConns: 2}, "at least 3 connections and at most 2"},
		{"negative duration", database.PostgresConfig{URL: valid, AcquireTimeout: -1}, "negative"},
		{"no server", database.PostgresConfig{URL: "postgres://jane:s3cr3t@127.0.0.1:1/app?sslmode=disable"}, "connection refused"},
		{"no socket", database.PostgresConfig{URL: "postgres://jane@/app?host=/nowhere", Password: "s3cr3t"}, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, openErr := database.OpenPostgres(t.Context(), tc.config)
			ensureErr := database.EnsureDatabase(t.Context(), tc.config)
			for _, err := range []error{openErr, ensureErr} {
				wantError(t, err, tc.want, "s3cr3t")
				if parse := new(pgconn.ParseConfigError); errors.As(err, &parse) {
					t.Errorf("the error carries the URL: %s", parse.ConnString)
				}
			}
		})
	}
}

// OpenStandby succeeds if the server is down, and fails if the settings are
// wrong.
func TestOpenStandby(t *testing.T) {
	t.Parallel()
	db, err := database.OpenStandby(t.Context(), database.PostgresConfig{URL: "postgres://jane:s3cr3t@127.0.0.1:1/app?sslmode=disable"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pool(t, db)
	wantError(t, db.Exec("SELECT 1").Error, "connection refused", "s3cr3t")
	_, err = database.OpenStandby(t.Context(), database.PostgresConfig{URL: "postgres://jane:x@s3cr3t@localhost/app"}, nil)
	wantError(t, err, "%40", "s3cr3t")
}

// Each new connection must lead to a standby of the primary.
func TestStandbyIsChecked(t *testing.T) {
	t.Parallel()
	r := dbtest.StartReplicated(t, pgcluster.Options{})
	primary := r.Open(r.Primary)
	standby := func(url string) *gorm.DB {
		t.Helper()
		db, err := database.OpenStandby(t.Context(), database.PostgresConfig{URL: url, MaxConns: 1}, primary)
		if err != nil {
			t.Fatal(err)
		}
		pool(t, db)
		return db
	}
	db := standby(r.Standby.URL())
	pid := query[int](t, db, "SELECT pg_backend_pid()")
	wantError(t, standby(r.Primary.URL()).Exec("SELECT 1").Error, "it is not a standby", "s3cr3t")
	wantError(t, standby(dbtest.PostgresURL(t)).Exec("SELECT 1").Error, "it is another PostgreSQL", "s3cr3t")

	// The server of a later connection may be another one.
	other := r.Open(r.Standby)
	exec(t, other, "SELECT pg_promote()")
	if again := query[int](t, db, "SELECT pg_backend_pid()"); again != pid {
		t.Fatal("a connection is not used again")
	}
	exec(t, other, "SELECT pg_terminate_backend(?)", pid)
	if err := db.Exec("SELECT 1").Error; err == nil {
		t.Fatal("the connection was not cut")
	}
	wantError(t, db.Exec("SELECT 1").Error, "it is not a standby", "s3cr3t")
}

func wantError(t *testing.T, err error, want, secret string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", want)
		return
	}
	if s := err.Error(); !strings.Contains(s, want) || strings.Contains(s, secret) {
		t.Errorf("the error is %q, want %q in it and no password", s, want)
	}
}

func TestEnsureDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	server := dbtest.ServerURL(t)
	admin := openPostgres(t, database.PostgresConfig{URL: server})
	name := query[string](t, admin, `SELECT 'Odd "name"; ' || gen_random_uuid()`)
	config := database.PostgresConfig{URL: with(t, server, nil, name)}
	t.Cleanup(func() { exec(t, admin, `DROP DATABASE "`+strings.ReplaceAll(name, `"`, `""`)+`" WITH (FORCE)`) })

	if _, err := database.OpenPostgres(t.Context(), config); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("before it exists: %v", err)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := database.EnsureDatabase(t.Context(), config); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db := openPostgres(t, config)
	if got := query[string](t, db, "SELECT current_database()"); got != name {
		t.Errorf("created %q, want %q", got, name)
	}
	if got := query[string](t, db, "SHOW server_encoding"); got != "UTF8" {
		t.Errorf("its encoding is %s", got)
	}
	exec(t, db, "CREATE TABLE kept (a INTEGER)")
	if err := database.EnsureDatabase(t.Context(), config); err != nil {
		t.Error(err)
	}
	exec(t, db, "SELECT * FROM kept")
}

// TestPostgresServer uses a server that asks for passwords and is restarted.
func TestPostgresServer(t *testing.T) {
	t.Parallel()
	const secret = "p@ss/w?rd%:#"
	cluster := dbtest.StartPostgres(t, pgcluster.Options{Password: secret})
	admin := openPostgres(t, database.PostgresConfig{URL: cluster.URL(), MaxConns: 1})
	exec(t, admin, "CREATE ROLE clerk LOGIN PASSWORD 'clerk-secret'")
	clerk := with(t, cluster.URL(), url.User("clerk"), "")

	t.Run("password beside the URL", func(t *testing.T) {
		wrong := with(t, cluster.URL(), url.UserPassword("clerk", "wrong-secret"), "")
		_, err := database.OpenPostgres(t.Context(), database.PostgresConfig{URL: wrong})
		wantError(t, err, "password authentication failed", "wrong-secret")
		db := openPostgres(t, database.PostgresConfig{URL: wrong, Password: "clerk-secret"})
		if got := query[string](t, db, "SELECT current_user"); got != "clerk" {
			t.Errorf("connected as %s", got)
		}
	})
	t.Run("no such role", func(t *testing.T) {
		config := database.PostgresConfig{URL: with(t, cluster.URL(), url.UserPassword("nobody", "a-secret"), "")}
		wantError(t, database.EnsureDatabase(t.Context(), config), "password authentication failed", "a-secret")
	})
	t.Run("may not create", func(t *testing.T) {
		config := database.PostgresConfig{URL: with(t, clerk, nil, "app"), Password: "clerk-secret"}
		err := database.EnsureDatabase(t.Context(), config)
		wantError(t, err, `CREATE DATABASE "app" ENCODING 'UTF8' TEMPLATE template0 failed: ERROR: permission denied`, "clerk-secret")
	})
	t.Run("without the database postgres", func(t *testing.T) {
		if err := pool(t, admin).Close(); err != nil {
			t.Fatal(err)
		}
		maintenance := openPostgres(t, database.PostgresConfig{URL: with(t, cluster.URL(), nil, "template1"), MaxConns: 1})
		exec(t, maintenance, "DROP DATABASE postgres")
		config := database.PostgresConfig{URL: with(t, cluster.URL(), nil, "app")}
		if err := database.EnsureDatabase(t.Context(), config); err != nil {
			t.Error(err)
		}
		if err := pool(t, maintenance).Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("down and up again", func(t *testing.T) {
		config := database.PostgresConfig{URL: with(t, cluster.URL(), nil, "app"), MaxConns: 1}
		db := openPostgres(t, config)
		exec(t, db, "CREATE TABLE t (a INTEGER)")
		exec(t, db, "INSERT INTO t VALUES (1)")
		if err := cluster.Crash(); err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("SELECT 1").Error; err == nil {
			t.Error("a dead server answered")
		}
		_, err := database.OpenPostgres(t.Context(), config)
		wantError(t, err, "open PostgreSQL database", secret)
		if err := cluster.Start(); err != nil {
			t.Fatal(err)
		}
		if got := query[int](t, db, "SELECT a FROM t"); got != 1 {
			t.Errorf("after the crash the row reads %d", got)
		}
	})
}
