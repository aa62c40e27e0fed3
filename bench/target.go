package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications/internal/database"
)

// envServer is the URL of a PostgreSQL server on which databases of our own
// may be made, as cmd internal/dbtest/withpostgres sets it.
const envServer = "NOTIFICATIONS_TEST_POSTGRES"

// dropTimeout bounds removing a database of our own at the end.
const dropTimeout = time.Minute

// target is a database to be filled and measured: a URL of PostgreSQL or the
// path of a SQLite file.
type target struct {
	url, path string
	drop      string // the server on which to drop it at the end; "" keeps it
}

// newTarget finds the database, and makes it where it does not exist. The
// suffix tells several apart.
func newTarget(ctx context.Context, p process, o *options, suffix string) (*target, error) {
	if path, ok := strings.CutPrefix(o.database, "sqlite:"); ok {
		if suffix != "" {
			path += "." + suffix
		}
		return &target{path: path}, nil
	}
	t := &target{url: o.database}
	if o.database == "" {
		server := environment(p.environ, envServer)
		if server == "" {
			return nil, usagef("there is no database: give --database postgres://… or --database sqlite:PATH, " +
				"or run under `go run ./internal/dbtest/withpostgres --`")
		}
		t.drop = server
		t.url = server
		suffix = strings.ToLower(rand.Text())
	}
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, usagef("--database: is not a URL") // which may hold a password
	}
	if t.drop != "" {
		u.Path = "/notifybench"
	}
	if suffix != "" {
		u.Path += "_" + suffix
	}
	t.url = u.String()
	if err := database.EnsureDatabase(ctx, database.PostgresConfig{URL: t.url}); err != nil {
		return nil, err
	}
	return t, nil
}

func environment(environ []string, name string) string {
	// The last one counts, as for a process.
	for _, entry := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v
		}
	}
	return ""
}

func (t *target) isSQLite() bool { return t.path != "" }

// open opens the database as notifyd does.
func (t *target) open(ctx context.Context, conns int) (*gorm.DB, error) {
	if t.isSQLite() {
		return database.OpenSQLite(t.path)
	}
	return database.OpenPostgres(ctx, database.PostgresConfig{URL: t.url, MaxConns: conns, AcquireTimeout: time.Minute})
}

// close drops the database if it is our own. It does so also when the program
// was told to end.
func (t *target) close(ctx context.Context) error {
	if t.drop == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	config, err := pgx.ParseConfig(t.url)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, t.drop)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{config.Database}.Sanitize()+" WITH (FORCE)")
	return errors.Join(err, conn.Close(ctx))
}

// setting is one of the database that decides what is measured.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var (
	postgresSettings = []string{
		"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "jit",
	}
	sqliteSettings = []string{"journal_mode", "synchronous", "cache_size", "page_size"}
)

// settings reads what a reader of the figures must know of the database.
func (t *target) settings(ctx context.Context, db *gorm.DB) ([]setting, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	ask, names := "SHOW ", postgresSettings
	if t.isSQLite() {
		ask, names = "PRAGMA ", sqliteSettings
	}
	var all []setting
	for _, name := range names {
		s := setting{Name: name}
		if err := pool.QueryRowContext(ctx, ask+name).Scan(&s.Value); err != nil {
			return nil, fmt.Errorf("%s%s: %w", ask, name, err)
		}
		all = append(all, s)
	}
	if t.isSQLite() {
		s := setting{Name: "sqlite_version"}
		err = pool.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&s.Value)
		all = append([]setting{s}, all...)
	}
	return all, err
}

// closeDatabase closes all connections.
func closeDatabase(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
