package notifications

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// versionTable records which migrations were applied. It is this library's
// own, so that a host that uses goose itself keeps its numbering.
const versionTable = "notification_schema_version"

// migrationLock is the advisory lock on PostgreSQL that lets one instance
// migrate at a time: "notifica" in ASCII.
const migrationLock = 0x6e6f746966696361

// Migrations returns the numbered SQL files that make the tables, for the
// dialect "postgres" or "sqlite", in the format of goose. A host that applies
// them with its own tool needs no [Service.Migrate].
func Migrations(dialect string) (fs.FS, error) {
	if _, known := dialects[dialect]; !known {
		return nil, fmt.Errorf("notifications: no migrations for %q, only for postgres and sqlite", dialect)
	}
	return fs.Sub(migrations, path.Join("migrations", dialect))
}

// Migration is one numbered step of the schema.
type Migration struct {
	// Version counts from 1.
	Version int64
	// Name is the name of its file.
	Name string
	// SQL is the content of its file, with the annotations of goose.
	SQL string
}

// Migrate creates the tables, or brings them up to date. It is safe to call
// on every start, and from several instances at once: one does the work and
// the others wait for it. It refuses a database whose encoding is not UTF-8.
//
// It takes a connection of its own from the pool of Config.DB, and so must
// not be called while the host holds the only one.
func (s *Service) Migrate(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
	if err := s.store.checkEncoding(ctx); err != nil {
		return err
	}
	// SQLite has no advisory locks: of several instances that start at once,
	// all but one may fail, and find the work done when they try again.
	const attempts = 10
	for attempt := 1; ; attempt++ {
		err := s.store.migrate(ctx)
		if err == nil {
			return nil
		}
		if s.store.dialect.migrations() != goose.DialectSQLite3 || attempt == attempts {
			return unavailable("migrate", err)
		}
		select {
		case <-time.After(time.Duration(attempt) * 20 * time.Millisecond):
		case <-ctx.Done():
			return unavailable("migrate", errors.Join(ctx.Err(), err))
		}
	}
}

// PendingMigrations returns what [Service.Migrate] would apply, in order. It
// changes nothing.
func (s *Service) PendingMigrations(ctx context.Context) ([]Migration, error) {
	current, err := s.store.schemaVersion(ctx)
	if err != nil {
		return nil, unavailable("database", err)
	}
	files, err := Migrations(s.store.db.Name())
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("notifications: list migrations: %w", err)
	}
	var pending []Migration
	for _, name := range names { // Glob sorts
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("notifications: migration %s: %w", name, err)
		}
		if version <= current {
			continue
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("notifications: migration %s: %w", name, err)
		}
		pending = append(pending, Migration{Version: version, Name: name, SQL: string(text)})
	}
	return pending, nil
}

func (s *store) migrate(ctx context.Context) error {
	db, err := s.db.DB()
	if err != nil {
		return fmt.Errorf("Config.DB gives no *sql.DB: %w", err)
	}
	files, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	provider, err := s.newProvider(db, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx) // provider.Close would close the host's pool
	return err
}

func (s *store) newProvider(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(s.log),
	}
	if s.dialect.migrations() == goose.DialectPostgres {
		const everySecond, tries = 1, 300
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(everySecond, tries))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(s.dialect.migrations(), db, files, options...)
}

// schemaVersion returns the newest migration applied; 0 when there is none.
func (s *store) schemaVersion(ctx context.Context) (int64, error) {
	db := s.session(ctx, s.db)
	if !db.Migrator().HasTable(versionTable) {
		return 0, nil
	}
	var version int64
	err := db.Raw("SELECT coalesce(max(version_id), 0) FROM " + versionTable).Scan(&version).Error
	return version, err
}

// checkEncoding refuses databases in which texts would be cut or ordered
// otherwise than by code point.
func (s *store) checkEncoding(ctx context.Context) error {
	var encoding string
	if err := s.session(ctx, s.db).Raw(s.dialect.encoding()).Scan(&encoding).Error; err != nil {
		return unavailable("database", err)
	}
	if encoding != "UTF8" && encoding != "UTF-8" {
		return fmt.Errorf("notifications: the encoding of the database is %s, it must be UTF-8", encoding)
	}
	return nil
}

// newest is what the latest migration added.
var newest = []string{
	"SELECT replaced_by FROM notification_messages LIMIT 0",
	"SELECT expires_at FROM notification_deliveries LIMIT 0",
	"SELECT archived_at FROM notification_states LIMIT 0",
	"SELECT used_at FROM notification_scopes LIMIT 0",
	"SELECT expires_at FROM notification_idempotency_keys LIMIT 0",
}

// ready fails unless the database answers and has been migrated.
func (s *store) ready(ctx context.Context) error {
	for _, sql := range newest {
		if err := s.session(ctx, s.db).Exec(sql).Error; err != nil {
			return unavailable("database", err)
		}
	}
	return nil
}
