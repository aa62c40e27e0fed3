package migratetest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

const root = "../.." // of the library

// programs are where notifyd, goose and migrate are built to.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "migratetest-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		programs = dir
		for _, args := range [][]string{
			{"build", "-C", root, "-o", filepath.Join(dir, "notifyd"), "./cmd/notifyd"},
			{"build", "-o", filepath.Join(dir, "migrate"), "-tags=pgx5 sqlite3", "github.com/golang-migrate/migrate/v4/cmd/migrate"},
			{"build", "-o", filepath.Join(dir, "goose"),
				"-tags=no_azuresql no_clickhouse no_libsql no_mssql no_mysql no_vertica no_ydb", "github.com/pressly/goose/v3/cmd/goose"},
		} {
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(args, " "), err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// target is an empty database: a SQLite file, or one on PostgreSQL.
type target struct {
	dialect string
	path    string   // of SQLite
	url     *url.URL // of PostgreSQL
}

// setting is what notifyd calls the database.
func (d target) setting() string {
	if d.dialect == "sqlite" {
		return "sqlite:" + d.path
	}
	return d.url.String()
}

// migrateTable is where golang-migrate keeps its version, which it cannot keep
// in the table of goose.
const migrateTable = "notification_schema_migrations"

// migrateURL is what golang-migrate calls the database.
func (d target) migrateURL() string {
	if d.dialect == "sqlite" {
		return "sqlite3://" + d.path + "?x-migrations-table=" + migrateTable
	}
	u := *d.url
	q := u.Query()
	q.Set("x-migrations-table", migrateTable)
	u.Scheme, u.RawQuery = "pgx5", q.Encode()
	return u.String()
}

func (d target) open(t *testing.T) *gorm.DB {
	t.Helper()
	var db *gorm.DB
	var err error
	if d.dialect == "sqlite" {
		db, err = database.OpenSQLite(d.path)
	} else {
		db, err = database.OpenPostgres(t.Context(), database.PostgresConfig{URL: d.url.String(), MaxConns: 2})
	}
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// tool applies all files in a directory, and takes all of them back.
type tool struct {
	format   string
	records  bool              // in the table of the library
	needs    map[string]string // the program that must be there, by the dialect
	up, down func(d target, dir string) [][]string
}

var tools = map[string]tool{
	"goose": {
		format: "goose", records: true,
		up:   func(d target, dir string) [][]string { return [][]string{goose(d, dir, "up")} },
		down: func(d target, dir string) [][]string { return [][]string{goose(d, dir, "reset")} },
	},
	"golang-migrate": {
		format: "golang-migrate",
		up:     func(d target, dir string) [][]string { return [][]string{migrate(d, dir, "up")} },
		down:   func(d target, dir string) [][]string { return [][]string{migrate(d, dir, "down", "-all")} },
	},
	"shell": {
		format: "plain", needs: map[string]string{"sqlite": "sqlite3", "postgres": "psql"},
		up: func(d target, dir string) [][]string { return shell(d, sqlFiles(dir)) },
		down: func(d target, dir string) [][]string {
			files := sqlFiles(filepath.Join(dir, "down"))
			slices.Reverse(files)
			return shell(d, files)
		},
	},
}

func goose(d target, dir string, command string) []string {
	args := []string{filepath.Join(programs, "goose"), "-dir", dir, "-table", "notification_schema_version"}
	if d.dialect == "sqlite" {
		return append(args, "sqlite3", d.path, command)
	}
	return append(args, "postgres", d.url.String(), command)
}

func migrate(d target, dir string, command ...string) []string {
	return append([]string{filepath.Join(programs, "migrate"), "-path", dir, "-database", d.migrateURL()}, command...)
}

func shell(d target, files []string) (commands [][]string) {
	for _, file := range files {
		if d.dialect == "sqlite" {
			commands = append(commands, []string{"sqlite3", "-bail", d.path, "BEGIN", ".read " + file, "COMMIT"})
		} else {
			commands = append(commands, []string{"psql", "-X", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", file, d.url.String()})
		}
	}
	return commands
}

func sqlFiles(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.sql")) // the pattern is right
	return files
}

// run runs commands, which must succeed.
func run(t *testing.T, commands ...[]string) {
	t.Helper()
	if len(commands) == 0 {
		t.Fatal("there is nothing to run")
	}
	for _, args := range commands {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// needs ends a test of a program that is not installed.
func needs(t *testing.T, program string) {
	t.Helper()
	if program == "" {
		return
	}
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case program == "psql" && os.Getenv("NOTIFICATIONS_TEST_REQUIRE") == "1":
		t.Fatal("needs psql: ", err)
	default:
		t.Skip("needs a shell of the database: ", err) // somebody's machine; TestReadyNamesTheMissingFile runs the same files by the drivers
	}
}

// Each tool makes the tables that Migrate makes, from what notifyd exports, and
// takes them back.
func TestTools(t *testing.T) {
	t.Parallel()
	for name, tool := range tools {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("sqlite", func(t *testing.T) {
				t.Parallel()
				needs(t, tool.needs["sqlite"])
				tool.try(t, sqlite(t), sqlite(t))
			})
			t.Run("postgres", func(t *testing.T) {
				t.Parallel()
				needs(t, tool.needs["postgres"])
				tool.try(t, postgres(t), postgres(t))
			})
		})
	}
}

func sqlite(t *testing.T) target {
	t.Helper()
	return target{dialect: "sqlite", path: filepath.Join(t.TempDir(), "test.db")}
}

func postgres(t *testing.T) target {
	t.Helper()
	u, err := url.Parse(dbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	return target{dialect: "postgres", url: u}
}

// try applies the files to one database, and compares it with another one that
// the library migrates.
func (tool tool) try(t *testing.T, ours, reference target) {
	t.Helper()
	dir := t.TempDir()
	run(t, []string{filepath.Join(programs, "notifyd"), "migrate", "export", "--format", tool.format, "--dir", dir, "--database", ours.setting()})
	run(t, tool.up(ours, dir)...)
	svc, db := service(t, ours)
	if err := svc.Ready(t.Context()); err != nil {
		t.Errorf("after all files: %v", err)
	}
	migrated, referenceDB := service(t, reference)
	if err := migrated.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := schemaOf(t, db), schemaOf(t, referenceDB); !slices.Equal(got, want) {
		t.Errorf("the tool makes\n%s\nand Migrate\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	} else if len(want) < 20 {
		t.Errorf("the schema is %q; is it still read rightly?", want)
	}

	run(t, tool.down(ours, dir)...)
	if left := schemaOf(t, db); len(left) > 0 {
		t.Errorf("taken back, there are\n%s", strings.Join(left, "\n"))
	}
	run(t, tool.up(ours, dir)...)
	tool.recorded(t, svc, ours.dialect)
}

// recorded checks that the library knows what the tool has done, at least once
// it is told.
func (tool tool) recorded(t *testing.T, svc *notifications.Service, dialect string) {
	t.Helper()
	all, err := notifications.Migrations(dialect)
	if err != nil {
		t.Fatal(err)
	}
	if !tool.records {
		if err := svc.Migrate(t.Context()); err == nil {
			t.Error("Migrate takes tables that are not recorded")
		}
		if err := svc.Baseline(t.Context(), int64(len(all))); err != nil {
			t.Fatal(err)
		}
	}
	pending, err := svc.PendingMigrations(t.Context())
	if err != nil || len(pending) > 0 {
		t.Errorf("pending are %v, %v", pending, err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

func service(t *testing.T, d target) (*notifications.Service, *gorm.DB) {
	t.Helper()
	db := d.open(t)
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	return svc, db
}

// schemaQueries describe the tables, apart from those of versions.
var schemaQueries = map[string][]string{
	"sqlite": {`SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master
		WHERE tbl_name NOT LIKE '%schema_%' AND tbl_name NOT LIKE 'sqlite_%' ORDER BY 1`,
		`SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
		FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '%schema_%' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`},
	"postgres": {
		`SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default, collation_name) FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE '%schema\_%' ORDER BY table_name, ordinal_position`,
		`SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '%schema\_%' ORDER BY 1`,
		`SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '%schema\_%' ORDER BY 1`,
	},
}

func schemaOf(t *testing.T, db *gorm.DB) []string {
	t.Helper()
	var all []string
	for _, query := range schemaQueries[db.Name()] {
		var rows []string
		if err := db.Raw(query).Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}
