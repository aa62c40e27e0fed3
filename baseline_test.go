package notifications_test

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// migrations returns the migrations of the database's dialect.
func migrations(t *testing.T, db *gorm.DB) []notifications.Migration {
	t.Helper()
	all, err := notifications.Migrations(db.Name())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// execute runs statements as another migration tool would.
func execute(t *testing.T, db *gorm.DB, statements string) {
	t.Helper()
	if err := db.Exec(statements).Error; err != nil {
		t.Fatal(err)
	}
}

// wantMessage checks that the text of an error contains the parts.
func wantMessage(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error %v lacks %q", err, part)
		}
	}
}

func TestMigrationsAreNumberedAndPlain(t *testing.T) {
	t.Parallel()
	names := map[string][]string{}
	for _, dialect := range []string{"postgres", "sqlite"} {
		all, err := notifications.Migrations(dialect)
		if err != nil || len(all) == 0 {
			t.Fatalf("%s: %v, %v", dialect, all, err)
		}
		ofTools := regexp.MustCompile(`(?im)\+goose|\?|^\s*(BEGIN|COMMIT|ROLLBACK)\b`)
		for i, m := range all {
			names[dialect] = append(names[dialect], m.Name)
			if m.Version != int64(i+1) || !strings.HasPrefix(m.Name, fmt.Sprintf("%05d_", m.Version)) {
				t.Errorf("%s: %s is number %d, and has version %d", dialect, m.Name, i+1, m.Version)
			}
			for _, statements := range []string{m.SQL, m.Down} {
				if !strings.HasSuffix(statements, ";\n") {
					t.Errorf("%s: %s does not end with a statement", dialect, m.Name)
				}
				if found := ofTools.FindString(statements); found != "" {
					t.Errorf("%s: %s holds %q", dialect, m.Name, found)
				}
			}
		}
	}
	if !slices.Equal(names["postgres"], names["sqlite"]) {
		t.Errorf("the dialects differ in %q", names)
	}
	if all, err := notifications.Migrations("mysql"); err == nil {
		t.Errorf("there are migrations for mysql: %v", all)
	}
}

// columnsOf returns all columns of all tables, as "table.column".
func columnsOf(t *testing.T, db *gorm.DB) []string {
	t.Helper()
	tables, err := db.Migrator().GetTables()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, table := range tables {
		columns, err := db.Migrator().ColumnTypes(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range columns {
			all = append(all, table+"."+c.Name())
		}
	}
	return all
}

// Ready and Baseline look for every column that a migration adds, and for no
// others.
func TestEveryMigrationIsChecked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var before []string
		unchecked := func(column string) bool {
			return slices.Contains([]string{
				"notification_messages.audiences",                       // renamed by a later one
				"notification_changes.seq", "notification_changes.xact", // one of them, by the dialect
				"sqlite_sequence.name", "sqlite_sequence.seq", // SQLite's own
			}, column)
		}
		for _, m := range migrations(t, db) {
			checked := notifications.Additions(m.Name)
			if len(checked) == 0 {
				t.Errorf("%s has no check", m.Name)
			}
			execute(t, db, m.SQL)
			after := columnsOf(t, db)
			added := slices.DeleteFunc(slices.Clone(after), func(c string) bool { return slices.Contains(before, c) || unchecked(c) })
			slices.Sort(added)
			slices.Sort(checked)
			if !slices.Equal(added, checked) {
				t.Errorf("%s adds %q\nand is checked by %q", m.Name, added, checked)
			}
			before = after
		}
	})
}

// TestReadyNamesTheMissingFile applies and undoes the migrations as another
// migration tool would.
func TestReadyNamesTheMissingFile(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc, all := newService(t, db), migrations(t, db)
		missing := func(m notifications.Migration) {
			t.Helper()
			err := svc.Ready(t.Context())
			wantMessage(t, err, "migration "+m.Name+" has not been applied")
			if !errors.Is(err, notifications.ErrUnavailable) {
				t.Errorf("%v is not ErrUnavailable", err)
			}
		}
		for _, m := range all {
			missing(m)
			execute(t, db, m.SQL)
		}
		if err := svc.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		for _, m := range slices.Backward(all) {
			execute(t, db, m.Down)
			missing(m)
		}
		left := slices.DeleteFunc(columnsOf(t, db), func(c string) bool { return strings.HasPrefix(c, "sqlite_sequence.") })
		if len(left) > 0 {
			t.Errorf("all the way down, there are %q", left)
		}
	})
}

// A migration that was applied in part is a missing one.
func TestReadyNamesTheMissingColumn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		if err := svc.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		execute(t, db, "ALTER TABLE notification_messages DROP COLUMN link")
		wantMessage(t, svc.Ready(t.Context()), "00002_", "the table notification_messages has no column link")
		execute(t, db, "ALTER TABLE notification_messages DROP COLUMN topic_key")
		wantMessage(t, svc.Ready(t.Context()), "00001_", "the table notification_messages has no column topic_key")
		closePool(t, db)
		err := svc.Ready(t.Context())
		if !errors.Is(err, notifications.ErrUnavailable) || strings.Contains(err.Error(), "has not been applied") {
			t.Errorf("without a database, Ready says %v", err)
		}
		if pending, err := svc.PendingMigrations(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("without a database, pending are %v, %v", pending, err)
		}
	})
}

// A Service that must not read the tables is not ready, but no migration is
// missing.
func TestReadyReads(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	svc := newService(t, db)
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	execute(t, db, "SET ROLE pg_monitor") // a role that may read statistics only
	err = svc.Ready(t.Context())
	wantMessage(t, err, "permission denied")
	if err != nil && strings.Contains(err.Error(), "has not been applied") {
		t.Error(err)
	}
}

// If no migration is missing, Migrate needs only the right to read.
func TestMigrateOnlyReadsWhereNothingIsMissing(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	svc := newService(t, db)
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	execute(t, db, "SET ROLE pg_read_all_data")
	if err := db.Exec("CREATE TABLE mine (a integer)").Error; err == nil {
		t.Fatal("the role may create tables")
	}
	if err := errors.Join(svc.Migrate(t.Context()), svc.Ready(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc, all := newService(t, db), migrations(t, db)
		newest := all[len(all)-1]
		for _, version := range []int64{-1, 0, newest.Version + 1} {
			wantMessage(t, svc.Baseline(t.Context(), version), fmt.Sprintf("there is no migration %d", version))
		}
		wantMessage(t, svc.Baseline(t.Context(), 1), all[0].Name+" has not been applied", "there is no table notification_messages")

		execute(t, db, all[0].SQL)
		wantMessage(t, svc.Baseline(t.Context(), 2), all[1].Name+" has not been applied", "the table notification_messages has no column poster")
		if tables, err := db.Migrator().GetTables(); err != nil || slices.Contains(tables, "notification_schema_version") {
			t.Errorf("what was refused left the tables %q, %v", tables, err)
		}
		for range 2 {
			if err := svc.Baseline(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if pending, err := svc.PendingMigrations(t.Context()); err != nil || len(pending) != len(all)-1 || pending[0].Name != all[1].Name {
				t.Errorf("pending after the baseline: %v, %v", pending, err)
			}
		}
		for range 2 {
			if err := svc.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := svc.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		wantMessage(t, svc.Baseline(t.Context(), 1), fmt.Sprintf("version %d is recorded", newest.Version))
		if err := svc.Baseline(t.Context(), newest.Version); err != nil {
			t.Error(err)
		}
	})
}

// Migrate leaves alone the tables of another tool until Baseline has recorded
// them.
func TestMigrateRefusesWhatIsNotRecorded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		all := migrations(t, db)
		newest := all[len(all)-1]
		refused := func(m notifications.Migration) {
			t.Helper()
			told := []string{m.Name + " has been applied and is not recorded", fmt.Sprintf("record version %d as the baseline", m.Version)}
			wantMessage(t, svc.Migrate(t.Context()), told...)
			_, err := svc.PendingMigrations(t.Context())
			wantMessage(t, err, told...)
		}
		execute(t, db, all[0].SQL)
		refused(all[0])
		if err := svc.Baseline(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for _, m := range all[1:] {
			execute(t, db, m.SQL)
		}
		refused(newest)
		wantMessage(t, svc.Baseline(t.Context(), 1), newest.Name+" has been applied too")
		if err := svc.Baseline(t.Context(), newest.Version); err != nil {
			t.Fatal(err)
		}
		if pending, err := svc.PendingMigrations(t.Context()); err != nil || len(pending) != 0 {
			t.Errorf("pending after the baseline: %v, %v", pending, err)
		}
		if err := svc.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Tables that a later migration made unusable for this version are refused
// everywhere, also if another tool applied it and nothing is recorded.
func TestIncompatibleTables(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		all := migrations(t, db)
		for _, m := range all {
			execute(t, db, m.SQL)
		}
		svc, known := newService(t, db), int64(len(all))
		declare := func(version int64) {
			t.Helper()
			execute(t, db, fmt.Sprintf("INSERT INTO notification_schema_requirements (needs_version) VALUES (%d)", version))
		}
		if err := errors.Join(svc.Baseline(t.Context(), known), svc.Migrate(t.Context()), svc.Ready(t.Context())); err != nil {
			t.Fatalf("declared by migrations that this version knows: %v", err)
		}

		declare(known + 2)
		want := fmt.Sprintf("migration %d changed the tables so that this version, which knows the migrations up to %d, cannot use them", known+2, known)
		before := columnsOf(t, db)
		wantMessage(t, svc.Migrate(t.Context()), want)
		wantMessage(t, svc.Baseline(t.Context(), known), want)
		_, err := svc.PendingMigrations(t.Context())
		wantMessage(t, err, want)
		ready := svc.Ready(t.Context())
		wantMessage(t, ready, want)
		if !errors.Is(ready, notifications.ErrUnavailable) {
			t.Errorf("Ready: %v, want ErrUnavailable", ready)
		}
		execute(t, db, "DROP TABLE notification_deliveries") // the reason is told, not its consequence
		wantMessage(t, svc.Ready(t.Context()), want)
		wantMessage(t, svc.Migrate(t.Context()), want)
		if after := columnsOf(t, db); len(after) >= len(before) {
			t.Errorf("the columns %q became %q", before, after)
		}
	})
}

// Migrate leaves the tables of a later version as they are and says so, and
// Ready accepts them.
func TestLaterTables(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		log := new(lockedBuffer)
		svc := newService(t, db, func(cfg *notifications.Config) { cfg.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		if err := svc.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		known := int64(len(migrations(t, db)))
		execute(t, db, "ALTER TABLE notification_messages ADD COLUMN later integer")
		execute(t, db, fmt.Sprintf("INSERT INTO notification_schema_version (version_id, is_applied) VALUES (%d, true)", known+1))
		if text := log.take(); strings.Contains(text, "WARN") {
			t.Errorf("with its own tables: %s", text)
		}
		before := columnsOf(t, db)
		if pending, err := svc.PendingMigrations(t.Context()); err != nil || len(pending) > 0 {
			t.Errorf("pending are %v, %v", pending, err)
		}
		if err := errors.Join(svc.Migrate(t.Context()), svc.Ready(t.Context())); err != nil {
			t.Error(err)
		}
		if text, want := log.take(), fmt.Sprintf("level=WARN msg=\"the tables are those of a later version of this program, and are used as they are\" tables=%d program=%d\n", known+1, known); !strings.HasSuffix(text, want) {
			t.Errorf("the log has %q, want %q", text, want)
		}
		wantMessage(t, svc.Baseline(t.Context(), known), fmt.Sprintf("version %d is recorded", known+1))
		if after := columnsOf(t, db); !slices.Equal(after, before) {
			t.Errorf("the columns %q became %q", before, after)
		}
	})
}

func TestBaselineAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		all := migrations(t, db)
		for _, m := range all {
			execute(t, db, m.SQL)
		}
		svc := newService(t, db)
		concurrently(t, 4, func(int) error { return svc.Baseline(t.Context(), int64(len(all))) })
		recordedOnce(t, db)
	})
}

// recordedOnce checks that every migration is recorded, and none twice.
func recordedOnce(t *testing.T, db *gorm.DB) {
	t.Helper()
	var recorded []int64
	if err := db.Raw("SELECT version_id FROM notification_schema_version ORDER BY version_id").Find(&recorded).Error; err != nil {
		t.Fatal(err)
	}
	want := []int64{0} // goose records version 0 first
	for _, m := range migrations(t, db) {
		want = append(want, m.Version)
	}
	if !slices.Equal(recorded, want) {
		t.Errorf("recorded are %v, want %v", recorded, want)
	}
}

// A failed migration is undone as a whole, and the error names its file.
func TestMigrateFails(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		execute(t, db, "CREATE TABLE notification_scopes (a integer)") // a table of the host
		wantMessage(t, svc.Migrate(t.Context()), "00002_states_updates_expiry.sql", "notification_scopes")
		if columns := columnsOf(t, db); !slices.Contains(columns, "notification_messages.id") || slices.Contains(columns, "notification_messages.poster") {
			t.Errorf("there are the columns %q, want those of the first migration", columns)
		}
		execute(t, db, "DROP TABLE notification_scopes")
		if err := svc.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A Service bound to a transaction migrates nothing.
func TestMigratingRefusesTransactions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc := newService(t, db)
		err := db.Transaction(func(tx *gorm.DB) error {
			bound := svc.WithTx(tx)
			for what, err := range map[string]error{"Migrate": bound.Migrate(t.Context()), "Baseline": bound.Baseline(t.Context(), 1)} {
				if !errors.Is(err, notifications.ErrBound) {
					t.Errorf("%s in a transaction: %v, want ErrBound", what, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
