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
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// versionTable records the applied migrations. It is this library's own table,
// because a host may use goose for its own migrations too.
const versionTable = "notification_schema_version"

// requirements is the table in which a migration declares that programs which do
// not know it cannot use the tables any more: the migration creates the table if
// there is none, and inserts its own number, in plain SQL as every tool applies
// it. Its down migration deletes the row.
//
// It is not a column of the version table, because goose makes that, and other
// tools have none.
const requirements = "notification_schema_requirements"

// requirementsColumn holds the number of the migration.
const requirementsColumn = "needs_version"

// migrationLock is PostgreSQL's advisory lock under which one instance migrates
// at a time: "notifica" in ASCII.
const migrationLock = 0x6e6f746966696361

// Migration is one numbered step of the schema.
type Migration struct {
	// Version counts from 1, without gaps.
	Version int64
	// Name is the name of its file, such as 00001_create_tables.sql. It is the
	// same for both dialects.
	Name string
	// SQL applies the migration. It holds statements and comments that psql,
	// the sqlite3 shell and any migration tool can run. It neither begins nor
	// commits a transaction; run it in one, so that all of it is applied or
	// nothing.
	SQL string
	// Down undoes the migration, in the same form as SQL. The contents of the
	// tables and columns that it drops are lost.
	Down string
}

// Migrations returns all migrations in order, for the dialect "postgres" or
// "sqlite". Use them to create the tables with another migration tool instead
// of [Service.Migrate]; see [Service.Baseline]. Any other dialect is an error.
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

// Migrate creates the tables or updates them. Call it on every start, from any
// number of instances at once: one works and the others wait. It accepts the
// tables of a later version of this library, leaves them as they are and logs a
// warning. It refuses them if a later migration has declared that earlier
// versions of this library cannot use the tables any more; so do
// [Service.PendingMigrations], [Service.Baseline] and [Service.Ready].
//
// It refuses a database whose encoding is not UTF-8. It also refuses tables
// that another tool made or changed, until [Service.Baseline] has recorded the
// version.
//
// If nothing is missing it only reads. Otherwise it takes a second connection
// from the pool of Config.DB; do not call it while the host holds the only one.
// A Service bound to a transaction returns [ErrBound].
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
	pending, recorded, err := s.pending(ctx)
	if err != nil {
		return err
	}
	all, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	if newest := int64(len(all)); recorded > newest {
		s.log.WarnContext(ctx, "the tables are those of a later version of this program, and are used as they are",
			"tables", recorded, "program", newest)
	}
	if len(pending) == 0 {
		return nil
	}
	steps := make([]*goose.Migration, len(all))
	for i, m := range all {
		steps[i] = m.step(m.SQL)
	}
	return s.record(ctx, steps)
}

// step converts the migration for goose. statements is the SQL to run, or empty
// to record the migration only. A driver runs several statements at once if
// there are no arguments.
func (m Migration) step(statements string) *goose.Migration {
	up := func(ctx context.Context, tx *sql.Tx) error {
		// On SQLite goose takes no lock. This statement takes SQLite's write
		// lock, and finds the record of another instance that came first.
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

// retried runs a function that migrates. SQLite has no advisory locks: if
// several instances start at once, all but one may fail. They try again, and
// find the work done.
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

// PendingMigrations returns the migrations that [Service.Migrate] would apply,
// in order. It changes nothing. It returns the error of Migrate for tables that
// another tool made. A Service bound to a transaction returns [ErrBound].
func (s *Service) PendingMigrations(ctx context.Context) ([]Migration, error) {
	if s.InTransaction() {
		return nil, ErrBound
	}
	pending, _, err := s.store.pending(ctx)
	return pending, err
}

// compatible fails if a later migration has declared that this version of the
// library cannot use the tables.
func (s *store) compatible(ctx context.Context, all []Migration) error {
	columns, err := s.columns(ctx, requirements)
	if err != nil || len(columns) == 0 {
		return err
	}
	var needs int64
	err = find(s.session(ctx, s.db), s.sql("SELECT coalesce(max("+requirementsColumn+"), 0) FROM "+requirements), &needs)
	if err != nil {
		return failed(err)
	}
	if newest := int64(len(all)); needs > newest {
		return fmt.Errorf("notifications: migration %d changed the tables so that this version, which knows the migrations up to %d, cannot use them; start a later version",
			needs, newest)
	}
	return nil
}

// pending returns the missing migrations, and the newest recorded one.
func (s *store) pending(ctx context.Context) (missing []Migration, recorded int64, err error) {
	all, err := Migrations(s.db.Name())
	if err != nil {
		return nil, 0, err
	}
	if err := s.compatible(ctx, all); err != nil {
		return nil, 0, err
	}
	// This order matters: another instance may be migrating, and commits a
	// migration together with its record.
	applied, _, err := s.applied(ctx, all)
	if err != nil {
		return nil, 0, err
	}
	recorded, err = s.recorded(ctx)
	if err != nil {
		return nil, 0, err
	}
	if applied > recorded {
		return nil, 0, fmt.Errorf("notifications: migration %s has been applied and is not recorded; record version %d as the baseline",
			all[applied-1].Name, applied)
	}
	return slices.DeleteFunc(all, func(m Migration) bool { return m.Version <= recorded }), recorded, nil
}

// Baseline records that another tool has applied the migrations up to a
// version, and no later ones. [Service.Migrate] then continues after it, and
// [Service.PendingMigrations] leaves them out.
//
// A host that never calls Migrate or PendingMigrations needs no Baseline,
// because [Service.Ready] looks at the tables only. Nor does a host that uses goose with the version
// table notification_schema_version, because that table is the record.
//
// Baseline compares the tables and columns with the migrations. If something is
// missing, or a later migration has been applied, it records nothing and its
// error names the difference. A version below the recorded one is an error too.
// Repeating a call changes nothing, and several instances may call it at once.
// A Service bound to a transaction returns [ErrBound].
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
	if err := errors.Join(s.checkEncoding(ctx), s.compatible(ctx, all)); err != nil {
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

// record runs, by goose, the steps that are not recorded yet. One instance does
// so at a time. goose records each step in its transaction.
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

// recorded returns the newest recorded migration, and 0 if there is none.
func (s *store) recorded(ctx context.Context) (int64, error) {
	columns, err := s.columns(ctx, versionTable)
	if err != nil || len(columns) == 0 {
		return 0, err
	}
	var version int64
	err = s.session(ctx, s.db).Raw("SELECT coalesce(max(version_id), 0) FROM " + versionTable).Scan(&version).Error
	return version, failed(err)
}

// addition is a table, or some of its columns, that a migration adds.
type addition struct {
	table   string
	columns []string
}

// additions says what each migration adds, by the name of its file. It shows
// whether a migration was applied, by this library or by another tool.
var additions = map[string][]addition{
	"00001_create_tables.sql": {
		{"notification_messages", []string{"id", "origin", "title", "message", "topic", "actions", "is_system",
			"origin_key", "title_key", "message_key", "topic_key"}},
		{"notification_deliveries", []string{"audience", "message_id"}},
		{"notification_states", []string{"user_ref", "message_id", "read_at"}},
	},
	"00002_states_updates_expiry.sql": {
		{"notification_messages", []string{"poster", "severity", "link", "icon", "metadata", "scope",
			"updated_at", "expires_at", "scheduled", "withdrawn_at", "replaced_by"}},
		{"notification_deliveries", []string{"severity", "scheduled", "system", "expires_at"}},
		{"notification_states", []string{"saved_at", "archived_at"}},
		{"notification_scopes", []string{"poster", "origin", "scope", "used_at"}},
		{"notification_idempotency_keys", []string{"poster", "key", "content", "message_id", "expires_at"}},
	},
	"00003_change_log.sql": {
		{"notification_messages", []string{"audience_list"}}, // "audiences" until then
		{"notification_states", []string{"logged"}},
		{"notification_changes", []string{"kind", "message_id", "user_ref", "audiences", "due_at"}}, // and xact or seq
		{"notification_ticks", []string{"snapshot", "at", "nonce"}},
		{"notification_epoch", []string{"identity", "nonce"}},
		{requirements, []string{requirementsColumn}},
	},
}

// applied returns the newest migration whose additions are all there, with
// those of all earlier ones, and what the next one lacks.
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

// lacks names the missing part of an addition; empty if it is complete.
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

// columns returns the columns of a table, and none if there is no such table.
func (s *store) columns(ctx context.Context, table string) ([]string, error) {
	var names []string
	err := s.session(ctx, s.db).Raw(s.dialect.columns(), table).Find(&names).Error
	return names, failed(err)
}

// checkEncoding refuses a database that is not UTF-8: it would cut and order
// texts differently.
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
