package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
)

// sqlitePath returns the path of --database sqlite:PATH.
func (c *config) sqlitePath() (string, bool) {
	return strings.CutPrefix(c.database, "sqlite:")
}

// dialect returns the dialect of --database, by the library's name.
func (c *config) dialect() string {
	if _, ok := c.sqlitePath(); ok {
		return "sqlite"
	}
	return "postgres"
}

// checkDatabase never quotes the URL, because it may contain a password.
func (c *config) checkDatabase() error {
	var faults []error
	path, isSQLite := c.sqlitePath()
	isPostgres := isPostgresURL(c.database)
	if !isPostgres && (!isSQLite || path == "") {
		faults = append(faults, c.fault("database", "must be sqlite:PATH or postgres://USER@HOST/DATABASE"))
	}
	if isPostgres {
		if err := (database.PostgresConfig{URL: c.database}).Check(); err != nil {
			faults = append(faults, c.fault("database", "%w", err))
		}
	}
	if isSQLite && c.databasePasswordFile != "" {
		faults = append(faults, c.fault("database-password-file", "is for PostgreSQL, a SQLite file has no password"))
	}
	if c.databaseReplica != "" {
		faults = append(faults, c.checkReplica(isPostgres))
	}
	if c.minConns > c.maxConns {
		faults = append(faults, c.fault("database-min-conns", "%d is more than --database-max-conns, %d", c.minConns, c.maxConns))
	}
	return errors.Join(faults...)
}

func (c *config) checkReplica(ofPostgres bool) error {
	if !ofPostgres {
		return c.fault("database-replica", "needs --database postgres://…, of which it is a standby")
	}
	if !isPostgresURL(c.databaseReplica) {
		return c.fault("database-replica", "must be postgres://USER@HOST/DATABASE")
	}
	if err := (database.PostgresConfig{URL: c.databaseReplica}).Check(); err != nil {
		return c.fault("database-replica", "%w", err)
	}
	return nil
}

func isPostgresURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// openDatabase opens the database, and creates it if it does not exist. It waits
// for a PostgreSQL that is not up yet. Its errors contain no password.
func openDatabase(ctx context.Context, c *config, log *slog.Logger) (*gorm.DB, error) {
	if path, ok := c.sqlitePath(); ok {
		return database.OpenSQLite(path, database.SQLiteLogger(log))
	}
	cfg, err := postgresConfig(c, log)
	if err != nil {
		return nil, err
	}
	return waitFor(ctx, c, log, func() (*gorm.DB, error) {
		if err := database.EnsureDatabase(ctx, cfg); err != nil {
			return nil, err
		}
		return database.OpenPostgres(ctx, cfg)
	})
}

// waitFor repeats open until PostgreSQL is up, at most for --database-wait.
func waitFor(ctx context.Context, c *config, log *slog.Logger, open func() (*gorm.DB, error)) (*gorm.DB, error) {
	const pause = 250 * time.Millisecond
	ended := time.After(c.databaseWait)
	for said := false; ; {
		db, err := open()
		if err == nil || !database.NotUp(err) {
			return db, err
		}
		if !said {
			log.Warn("PostgreSQL is not up yet, and the start waits for it", "at most", c.databaseWait.String(), "error", err)
			said = true
		}
		select {
		case <-time.After(pause):
		case <-ended:
			return nil, fmt.Errorf("%w (waited %v, see --database-wait)", err, c.databaseWait)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// openReplica opens the standby, which may be down. It returns nil if there is
// none.
func openReplica(ctx context.Context, c *config, db *gorm.DB, log *slog.Logger) (*gorm.DB, error) {
	if c.databaseReplica == "" {
		return nil, nil
	}
	cfg, err := postgresConfig(c, log)
	if err != nil {
		return nil, err
	}
	cfg.URL = c.databaseReplica
	return database.OpenStandby(ctx, cfg, db)
}

// openServing opens the database for requests, with the limits of
// --statement-timeout and --lock-timeout, and a connection of its own for
// readiness, which is nil for SQLite.
func openServing(ctx context.Context, c *config, log *slog.Logger) (db, probe *gorm.DB, err error) {
	if _, isSQLite := c.sqlitePath(); isSQLite {
		db, err = openDatabase(ctx, c, log)
		return db, nil, err
	}
	cfg, err := postgresConfig(c, log)
	if err != nil {
		return nil, nil, err
	}
	if !c.pgbouncer {
		cfg.StatementTimeout, cfg.LockTimeout = c.statementTimeout, c.lockTimeout
	}
	if db, err = database.OpenPostgres(ctx, cfg); err != nil {
		return nil, nil, err
	}
	cfg.MinConns, cfg.MaxConns = 1, 1
	if probe, err = database.OpenPostgres(ctx, cfg); err != nil {
		return nil, nil, errors.Join(err, closeDatabase(db))
	}
	return db, probe, nil
}

// migrate creates the tables over connections without time limits. It also
// creates the database, if it does not exist.
func migrate(ctx context.Context, c *config, cat notifications.Catalog, log *slog.Logger) (err error) {
	db, err := openDatabase(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: cat, Policy: notifications.AllowAll{}, Logger: log})
	if err != nil {
		return err
	}
	return svc.Migrate(ctx)
}

// maxReads leaves two connections of the pool to those who write; zero means no
// limit.
func (c *config) maxReads() int {
	if _, isSQLite := c.sqlitePath(); isSQLite {
		return 0
	}
	return max(c.maxConns-2, 0)
}

func postgresConfig(c *config, log *slog.Logger) (database.PostgresConfig, error) {
	cfg := database.PostgresConfig{
		URL: c.database, Logger: log,
		MinConns: c.minConns, MaxConns: c.maxConns,
		MaxIdleTime: c.connIdleTimeout, AcquireTimeout: c.acquireTimeout, Unprepared: c.pgbouncer,
	}
	if c.databasePasswordFile != "" {
		password, err := readSecret(c.databasePasswordFile)
		if err != nil {
			return cfg, usageError{c.fault("database-password-file", "%w", err)}
		}
		cfg.Password = password
	}
	return cfg, nil
}

// closeDatabase closes all connections. db may be nil.
func closeDatabase(db *gorm.DB) error {
	if db == nil {
		return nil
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// databaseName returns the name of the database, without a password.
func (c *config) databaseName() string {
	if _, ok := c.sqlitePath(); ok {
		return c.database
	}
	return postgresName(c.database)
}

// postgresName returns the URL without a password and parameters, completed by
// the PG* variables.
func postgresName(address string) string {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return "PostgreSQL"
	}
	host := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if strings.HasPrefix(cfg.Host, "/") { // the directory of a Unix socket
		host = url.PathEscape(cfg.Host)
	}
	return fmt.Sprintf("postgres://%s@%s/%s", url.PathEscape(cfg.User), host, url.PathEscape(cfg.Database))
}
