package notifications

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
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

// Migration is one numbered step of the schema.
type Migration struct {
	// Version counts from 1, without gaps.
	Version int64
	// Name is the name of its file, such as 00001_create_tables.sql. It is the
	// same for both dialects.
	Name string
	// SQL applies it: statements and comments, which psql, the sqlite3 shell
	// and any migration tool can run. It neither begins nor commits a
	// transaction; run it in one, so that it is applied whole or not at all.
	SQL string
	// Down takes it back, in the same form. What only its columns and tables
	// can store is lost.
	Down string
}

// Migrations returns all steps that make the tables, in order, for the dialect
// "postgres" or "sqlite". They are for a host that applies them with a tool of
// its own, which then needs no [Service.Migrate]; see [Service.Baseline].
func Migrations(dialect string) ([]Migration, error) {
	if _, known := dialects[dialect]; !known {
		return nil, fmt.Errorf("notifications: no migrations for %q, only for postgres and sqlite", dialect)
	}
	dir := path.Join("migrations", dialect)
	files, err := fs.Glob(migrations, path.Join(dir, "*.sql")) // sorted
	if err != nil {
		return nil, fmt.Errorf("notifications: list migrations: %w", err)
	}
	all := make([]Migration, len(files))
	for i, file := range files {
		name := path.Base(file)
		version, numberErr := goose.NumericComponent(name)
		up, upErr := migrations.ReadFile(file)
		down, downErr := migrations.ReadFile(path.Join(dir, "down", name))
		if err := errors.Join(numberErr, upErr, downErr); err != nil {
			return nil, fmt.Errorf("notifications: migration %s: %w", name, err)
		}
		all[i] = Migration{Version: version, Name: name, SQL: string(up), Down: string(down)}
	}
	return all, nil
}

// Migrate creates the tables, or brings them up to date. It is safe to call
// on every start, and from several instances at once: one does the work and
// the others wait for it. It refuses a database whose encoding is not UTF-8,
// and tables that another tool has made or changed, until [Service.Baseline]
// has recorded that. Tables of a later version of this library are no error,
// and stay as they are.
//
// Where nothing is missing it only reads. Otherwise it takes a connection of its
// own from the pool of Config.DB, and so must not be called while the host holds
// the only one. In a transaction of the host it is [ErrBound].
func (s *Service) Migrate(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
	return s.store.retried(ctx, func() error { return s.store.migrate(ctx) })
}

func (s *store) migrate(ctx context.Context) error {
	if err := s.checkEncoding(ctx); err != nil {
		return err
	}
	pending, err := s.pending(ctx)
	if err != nil || len(pending) == 0 {
		return err
	}
	all, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	steps := make([]*goose.Migration, len(all))
	for i, m := range all {
		steps[i] = m.step(m.SQL)
	}
	return s.record(ctx, steps)
}

// step is the migration as goose takes it, with the statements to execute, if
// any. Without arguments a driver takes any number of statements at once.
func (m Migration) step(statements string) *goose.Migration {
	up := func(ctx context.Context, tx *sql.Tx) error {
		// On SQLite goose has taken no lock. This takes the lock of writers, and
		// finds the record of another instance that was faster.
		claim := fmt.Sprintf("UPDATE %s SET is_applied = is_applied WHERE version_id = %d", versionTable, m.Version)
		result, err := tx.ExecContext(ctx, claim)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return errors.Join(err, fmt.Errorf("%s: recorded by another instance", m.Name))
		}
		if statements == "" {
			return nil
		}
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		return nil
	}
	return goose.NewGoMigration(m.Version, &goose.GoFunc{RunTx: up}, nil)
}

// retried runs what migrates. SQLite has no advisory locks: of several
// instances that start at once, all but one may fail, and find the work done
// when they try again.
func (s *store) retried(ctx context.Context, migrate func() error) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		err := migrate()
		if !errors.Is(err, ErrUnavailable) || s.dialect.migrations() != goose.DialectSQLite3 || attempt == attempts {
			return err
		}
		select {
		case <-time.After(time.Duration(attempt) * 20 * time.Millisecond):
		case <-ctx.Done():
			return unavailable("migrate", errors.Join(ctx.Err(), err))
		}
	}
}

// PendingMigrations returns what [Service.Migrate] would apply, in order. It
// changes nothing. Where Migrate would refuse tables that another tool has
// made, it returns the same error.
func (s *Service) PendingMigrations(ctx context.Context) ([]Migration, error) {
	return s.store.pending(ctx)
}

func (s *store) pending(ctx context.Context) ([]Migration, error) {
	all, err := Migrations(s.db.Name())
	if err != nil {
		return nil, err
	}
	// In this order: another instance may be migrating, and each migration is
	// committed together with its record.
	applied, _, err := s.applied(ctx, all)
	if err != nil {
		return nil, err
	}
	recorded, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	if applied > recorded {
		return nil, fmt.Errorf("notifications: migration %s has been applied and is not recorded; record version %d as the baseline",
			all[applied-1].Name, applied)
	}
	return slices.DeleteFunc(all, func(m Migration) bool { return m.Version <= recorded }), nil
}

// Baseline records that the host has applied the migrations up to a version,
// and none beyond it, with a tool of its own. [Service.Migrate] then goes on
// from there, and [Service.PendingMigrations] leaves them out. A host that
// never calls these two needs no Baseline, as [Service.Ready] looks at the
// tables alone; nor does one whose tool is goose with the version table
// notification_schema_version, which is the record itself.
//
// It compares the tables and their columns with the migrations, and records
// nothing and names the difference if something is missing, or if a later
// migration has been applied too. A version below the recorded one is an error.
// Repeating a call changes nothing, and several instances may call it at once.
// In a transaction of the host it is [ErrBound].
func (s *Service) Baseline(ctx context.Context, version int64) error {
	if s.InTransaction() {
		return ErrBound
	}
	return s.store.retried(ctx, func() error { return s.store.baseline(ctx, version) })
}

func (s *store) baseline(ctx context.Context, version int64) error {
	all, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	if newest := int64(len(all)); version < 1 || version > newest {
		return fmt.Errorf("notifications: there is no migration %d to be the baseline, only 1 to %d", version, newest)
	}
	if err := s.checkEncoding(ctx); err != nil {
		return err
	}
	applied, lack, err := s.applied(ctx, all)
	if err != nil {
		return err
	}
	recorded, err := s.recorded(ctx)
	switch {
	case err != nil:
		return err
	case recorded > version:
		return fmt.Errorf("notifications: the baseline cannot be version %d, as version %d is recorded", version, recorded)
	case applied < version:
		return fmt.Errorf("notifications: the baseline cannot be version %d, as migration %s has not been applied: %s",
			version, all[applied].Name, lack)
	case applied > version:
		return fmt.Errorf("notifications: the baseline cannot be version %d, as migration %s has been applied too", version, all[applied-1].Name)
	case recorded == version:
		return nil
	}
	steps := make([]*goose.Migration, version)
	for i := range steps {
		steps[i] = all[i].step("")
	}
	return s.record(ctx, steps)
}

// record has goose do the steps that are not recorded yet, one instance at a
// time, and record each in its transaction.
func (s *store) record(ctx context.Context, steps []*goose.Migration) error {
	db, err := s.db.DB()
	if err != nil {
		return fmt.Errorf("notifications: Config.DB gives no *sql.DB: %w", err)
	}
	options := []goose.ProviderOption{
		goose.WithGoMigrations(steps...),
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(s.log),
	}
	if s.dialect.migrations() == goose.DialectPostgres {
		const everySecond, tries = 1, 300
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(everySecond, tries))
		if err != nil {
			return unavailable("migrate", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(s.dialect.migrations(), db, nil, options...)
	if err != nil {
		return unavailable("migrate", err)
	}
	if _, err := provider.Up(ctx); err != nil { // provider.Close would close the host's pool
		return unavailable("migrate", err)
	}
	return nil
}

// recorded returns the newest migration that is recorded; 0 when there is none.
func (s *store) recorded(ctx context.Context) (int64, error) {
	columns, err := s.columns(ctx, versionTable)
	if err != nil || len(columns) == 0 {
		return 0, err
	}
	var version int64
	err = s.session(ctx, s.db).Raw("SELECT coalesce(max(version_id), 0) FROM " + versionTable).Scan(&version).Error
	return version, failed(err)
}

// addition is a table, and the columns of it, that a migration adds.
type addition struct {
	table   string
	columns []string
}

// additions are what each migration adds, by the name of its file. They tell
// whether it was applied, by this library or by another tool.
var additions = map[string][]addition{
	"00001_create_tables.sql": {
		{"notification_messages", []string{"id", "origin", "title", "message", "topic", "actions", "is_system",
			"origin_key", "title_key", "message_key", "topic_key"}},
		{"notification_deliveries", []string{"audience", "message_id"}},
		{"notification_states", []string{"user_ref", "message_id", "read_at"}},
	},
	"00002_states_updates_expiry.sql": {
		{"notification_messages", []string{"poster", "audiences", "severity", "link", "icon", "metadata", "scope",
			"updated_at", "expires_at", "scheduled", "withdrawn_at", "replaced_by"}},
		{"notification_deliveries", []string{"severity", "scheduled", "system", "expires_at"}},
		{"notification_states", []string{"saved_at", "archived_at"}},
		{"notification_scopes", []string{"poster", "origin", "scope", "used_at"}},
		{"notification_idempotency_keys", []string{"poster", "key", "content", "message_id", "expires_at"}},
	},
}

// applied returns the newest migration whose additions are there, with those
// of all before it, and what the next one lacks.
func (s *store) applied(ctx context.Context, all []Migration) (version int64, lack string, err error) {
	for _, m := range all {
		for _, a := range additions[m.Name] {
			if lack, err = s.lacks(ctx, a); err != nil || lack != "" {
				return version, lack, err
			}
		}
		version = m.Version
	}
	return version, "", nil
}

// lacks says what is missing of an addition; empty when all of it is there.
func (s *store) lacks(ctx context.Context, a addition) (string, error) {
	columns, err := s.columns(ctx, a.table)
	if err != nil {
		return "", err
	}
	if len(columns) == 0 {
		return "there is no table " + a.table, nil
	}
	for _, column := range a.columns {
		if !slices.Contains(columns, column) {
			return fmt.Sprintf("the table %s has no column %s", a.table, column), nil
		}
	}
	return "", nil
}

// columns returns the columns of a table; none when there is no such table.
func (s *store) columns(ctx context.Context, table string) ([]string, error) {
	var names []string
	err := s.session(ctx, s.db).Raw(s.dialect.columns(), table).Find(&names).Error
	return names, failed(err)
}

// ready fails unless the database answers and every migration was applied. It
// reads from the tables, as only that shows that the service may.
func (s *store) ready(ctx context.Context) error {
	all, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	for _, m := range all {
		for _, a := range additions[m.Name] {
			err := s.session(ctx, s.db).Exec("SELECT " + strings.Join(a.columns, ", ") + " FROM " + a.table + " LIMIT 0").Error
			if err == nil {
				continue
			}
			if lack, askErr := s.lacks(ctx, a); askErr == nil && lack != "" {
				return fmt.Errorf("%w: migration %s has not been applied: %s", ErrUnavailable, m.Name, lack)
			}
			return unavailable("database", err)
		}
	}
	return nil
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
