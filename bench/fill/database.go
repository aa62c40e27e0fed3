package fill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
)

// Database is a PostgreSQL database or a SQLite file to be filled and measured.
type Database struct {
	URL  string // of PostgreSQL; empty for SQLite
	path string // of SQLite
	drop string // the server to drop it on in the end; empty keeps it
}

// CheckURL reports whether a URL is of one of the two forms that [Find] takes.
// The error does not show the URL, which may hold a password.
func CheckURL(databaseURL string) error {
	path, isSQLite := strings.CutPrefix(databaseURL, "sqlite:")
	if isSQLite && path != "" || strings.HasPrefix(databaseURL, "postgres://") || strings.HasPrefix(databaseURL, "postgresql://") {
		return nil
	}
	return errors.New("--database: must be postgres://USER@HOST/NAME or sqlite:PATH")
}

// Find returns the database of a URL, and makes it where it does not exist. An
// empty URL makes a new one on the server, which [Database.Drop] drops. The
// suffix, which may be empty, tells several apart.
func Find(ctx context.Context, databaseURL, server, suffix string) (*Database, error) {
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		return &Database{path: path + suffix}, nil
	}
	d := &Database{}
	if databaseURL == "" {
		d.drop, databaseURL, suffix = server, server, strings.ToLower(rand.Text())
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, errors.New("the URL of the database is none") // it may hold a password
	}
	if d.drop != "" {
		u.Path = "/notifybench_"
	}
	u.Path += suffix
	d.URL = u.String()
	return d, database.EnsureDatabase(ctx, database.PostgresConfig{URL: d.URL})
}

// Open connects to the database as notifyd does. [Close] closes what it
// returns.
func (d *Database) Open(ctx context.Context, conns int) (*gorm.DB, error) {
	if d.URL == "" {
		return database.OpenSQLite(d.path)
	}
	return database.OpenPostgres(ctx, database.PostgresConfig{URL: d.URL, MaxConns: conns, AcquireTimeout: time.Minute})
}

// Close closes all connections.
func Close(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// NewService is the library over a database that is filled with w. Everybody
// may do everything.
func NewService(db *gorm.DB, w *World) (*notifications.Service, error) {
	return notifications.New(notifications.Config{DB: db, Catalog: w, Policy: notifications.AllowAll{}})
}

// Drop removes a database that Find made for us, even if ctx is over.
func (d *Database) Drop(ctx context.Context) error {
	if d.drop == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	config, err := pgx.ParseConfig(d.URL)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, d.drop)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{config.Database}.Sanitize()+" WITH (FORCE)")
	return errors.Join(err, conn.Close(ctx))
}

// Settings are those that a reader of figures must know, after the name of the
// database: "postgres: server_version=15.1, …".
func Settings(ctx context.Context, db *gorm.DB) (string, error) {
	ask, names := "SHOW ", []string{
		"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "jit",
		"autovacuum", "autovacuum_naptime", "autovacuum_vacuum_scale_factor",
	}
	if isSQLite(db) {
		ask, names = "PRAGMA ", []string{"journal_mode", "synchronous", "cache_size", "page_size"}
	}
	pool, err := db.DB()
	if err != nil {
		return "", err
	}
	var settings []string
	unsafe := ""
	for _, name := range names {
		var value string
		if err := pool.QueryRowContext(ctx, ask+name).Scan(&value); err != nil {
			return "", fmt.Errorf("%s%s: %w", ask, name, err)
		}
		if value == "off" && (name == "fsync" || name == "synchronous_commit") {
			unsafe = ". Commits do not wait for the disk: posts and marks are faster than on a server that keeps them"
		}
		settings = append(settings, name+"="+value)
	}
	return db.Name() + ": " + strings.Join(settings, ", ") + unsafe, nil
}

func isSQLite(db *gorm.DB) bool { return db.Name() == "sqlite" }
