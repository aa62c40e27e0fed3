package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// DefaultAcquireTimeout is how long an operation waits for a connection to
// PostgreSQL.
const DefaultAcquireTimeout = 10 * time.Second

// ErrAcquireTimeout is the error of an operation that got no connection within
// [PostgresConfig.AcquireTimeout]: all connections are in use, or the server
// does not answer. Nothing was sent to the server.
var ErrAcquireTimeout = errors.New("database: no connection in time")

// PostgresConfig holds the address of a PostgreSQL database and the settings of
// its pool. A zero setting of the pool means the parameter pool_… of the URL
// or, without one, the default of pgxpool.
type PostgresConfig struct {
	// URL is of the form postgres://user:password@host:port/database?…, as in
	// libpq. The environment (PGHOST, PGUSER, PGPASSWORD, PGPASSFILE, PGSSLMODE
	// and so on) completes it.
	URL string
	// Password replaces the password of the URL and of the environment. Empty
	// keeps that.
	Password string
	// MinConns is the number of connections that are kept open even if unused.
	MinConns int
	// MaxConns limits the open connections, from 1. Zero means 4, or the number
	// of processors if that is larger.
	MaxConns int
	// MaxIdleTime is how long an unused connection beyond MinConns is kept.
	// Zero means 30 minutes.
	MaxIdleTime time.Duration
	// AcquireTimeout limits the wait for a connection, including the time to
	// connect. Zero means [DefaultAcquireTimeout].
	AcquireTimeout time.Duration
	// StatementTimeout and LockTimeout are how long the server works on one
	// statement, and lets it wait for a lock. They are set when a connection is
	// made, which PgBouncer refuses. Zero sets nothing.
	StatementTimeout, LockTimeout time.Duration
	// Unprepared sends statements without preparing them first, for PgBouncer
	// that shares connections by transaction: it forgets them.
	Unprepared bool
	// Logger receives failed and slow statements, without their parameters. Nil
	// discards them.
	Logger *slog.Logger
}

// Check reports the faults of the settings without connecting. The error
// contains no password.
func (c PostgresConfig) Check() error {
	_, err := c.parse()
	return err
}

// OpenPostgres connects to a PostgreSQL database, which must exist (see
// [EnsureDatabase]) and answer. Closing its [sql.DB] closes all connections,
// after those in use are returned. Errors contain no password.
func OpenPostgres(ctx context.Context, c PostgresConfig) (*gorm.DB, error) {
	config, err := c.parse()
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL database: %w", err)
	}
	db, err := c.connect(ctx, config, (*sql.DB).PingContext)
	if err != nil {
		target := config.ConnConfig
		return nil, fmt.Errorf("open PostgreSQL database %q on %s: %w", target.Database, target.Host, err)
	}
	return db, nil
}

// OpenStandby is [OpenPostgres] for a standby of primary that may be down: it
// does not connect. Later operations connect, or fail. Each connection is closed
// at once if its server is not a standby of that system.
func OpenStandby(ctx context.Context, c PostgresConfig, primary *gorm.DB) (*gorm.DB, error) {
	config, err := c.parse()
	if err == nil {
		config.AfterConnect = (&standbyCheck{primary: primary}).check
		var db *gorm.DB
		if db, err = c.connect(ctx, config, func(*sql.DB, context.Context) error { return nil }); err == nil {
			return db, nil
		}
	}
	return nil, fmt.Errorf("open PostgreSQL standby: %w", err)
}

// connect opens the pool and runs the check on it.
func (c PostgresConfig) connect(ctx context.Context, config *pgxpool.Config, check func(*sql.DB, context.Context) error) (*gorm.DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(&poolConnector{
		Connector: stdlib.GetPoolConnector(pool),
		pool:      pool,
		timeout:   c.acquireTimeout(),
	})
	db.SetMaxIdleConns(0) // idle connections belong to the pgx pool
	if err := check(db, ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	g, err := open(postgres.New(postgres.Config{Conn: db}), c.Logger)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return g, nil
}

// standbyCheck checks new connections to a standby.
type standbyCheck struct {
	primary *gorm.DB
	system  atomic.Pointer[string] // the primary's identifier; nil until it has answered
}

const systemIdentifier = "(SELECT system_identifier::text FROM pg_control_system())"

func (s *standbyCheck) check(ctx context.Context, conn *pgx.Conn) error {
	want := s.system.Load()
	if want == nil {
		want = new(string)
		if err := s.primary.WithContext(ctx).Raw("SELECT " + systemIdentifier).Row().Scan(want); err != nil {
			return fmt.Errorf("ask the database for its identity: %w", err)
		}
		s.system.Store(want)
	}
	var standby bool
	var system string
	if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery(), "+systemIdentifier).Scan(&standby, &system); err != nil {
		return err
	}
	switch {
	case system != *want:
		return errors.New("it is another PostgreSQL, not a standby of the database")
	case !standby:
		return errors.New("it is not a standby (pg_is_in_recovery() is false)")
	}
	return nil
}

func (c PostgresConfig) acquireTimeout() time.Duration {
	if c.AcquireTimeout == 0 {
		return DefaultAcquireTimeout
	}
	return c.AcquireTimeout
}

// parse checks the settings and converts them to those of pgx.
func (c PostgresConfig) parse() (*pgxpool.Config, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New(err.Error()) // the text has no password, but err has
	}
	if c.Password != "" {
		config.ConnConfig.Password = c.Password
	}
	if c.MaxConns > 0 {
		config.MaxConns = int32(c.MaxConns)
	}
	if c.MinConns > 0 {
		config.MinConns = int32(c.MinConns)
	}
	for name, limit := range map[string]time.Duration{"statement_timeout": c.StatementTimeout, "lock_timeout": c.LockTimeout} {
		if limit > 0 {
			config.ConnConfig.RuntimeParams[name] = strconv.FormatInt(max(limit.Milliseconds(), 1), 10)
		}
	}
	if c.Unprepared {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	if config.MinConns > config.MaxConns {
		return nil, fmt.Errorf("at least %d connections and at most %d cannot both be", config.MinConns, config.MaxConns)
	}
	if c.MaxIdleTime > 0 {
		config.MaxConnIdleTime = c.MaxIdleTime
		config.HealthCheckPeriod = min(config.HealthCheckPeriod, c.MaxIdleTime) // idle connections are closed at health checks
	}
	return config, nil
}

// maxPoolSize prevents overflows. PostgreSQL itself allows 262,143 connections.
const maxPoolSize = 1 << 18

func (c PostgresConfig) check() error {
	if c.MinConns < 0 || c.MaxConns < 0 || c.MinConns > maxPoolSize || c.MaxConns > maxPoolSize {
		return fmt.Errorf("a number of connections is not between 0 and %d", maxPoolSize)
	}
	if c.MaxIdleTime < 0 || c.AcquireTimeout < 0 || c.StatementTimeout < 0 || c.LockTimeout < 0 {
		return errors.New("a duration is negative")
	}
	return checkURL(c.URL)
}

// checkURL refuses URLs that are split differently than intended. Part of a
// password with "@" or "/" would become the name of a host or a database, which
// errors do show.
func checkURL(url string) error {
	rest, ok := strings.CutPrefix(url, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(url, "postgresql://")
	}
	if !ok {
		return errors.New("the URL does not begin with postgres://")
	}
	beforePath, path, _ := strings.Cut(rest, "/")
	if strings.Count(beforePath, "@") > 1 || strings.Contains(path, "@") {
		return errors.New(`the URL has an "@" too many: in a user, password or name write "@" as %40 and "/" as %2F`)
	}
	return nil
}

// poolConnector connects database/sql, which has no limit for the wait and
// keeps no connection here, to the pool of pgx.
type poolConnector struct {
	driver.Connector
	pool    *pgxpool.Pool
	timeout time.Duration
}

// Connect takes a connection from the pool.
func (c *poolConnector) Connect(ctx context.Context) (driver.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.Connector.Connect(limited)
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return conn, err
	}
	stat := c.pool.Stat()
	return nil, fmt.Errorf("%w: waited %v, %d of at most %d are in use",
		ErrAcquireTimeout, c.timeout, stat.AcquiredConns(), stat.MaxConns())
}

// Close is called by [sql.DB.Close].
func (c *poolConnector) Close() error {
	c.pool.Close()
	return nil
}
