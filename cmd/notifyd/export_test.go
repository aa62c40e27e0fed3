package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
)

// filesBelow returns the content of each file below a directory.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func allMigrations(t *testing.T) []notifications.Migration {
	t.Helper()
	all, err := notifications.Migrations("sqlite") // they have the same names for PostgreSQL
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each tool gets its files, in the SQL of the database, which need not exist.
// internal/migratetest runs the tools themselves.
func TestExport(t *testing.T) {
	t.Parallel()
	nowhere := "sqlite:" + filepath.Join(t.TempDir(), "none.db")
	for format, want := range map[string][]string{ // the files of each migration
		"goose":          {"00001_create_tables.sql"},
		"golang-migrate": {"00001_create_tables.down.sql", "00001_create_tables.up.sql"},
		"plain":          {"00001_create_tables.sql", "down/00001_create_tables.sql"},
	} {
		for database, typical := range map[string]string{nowhere: "STRICT", "postgres://x@127.0.0.1:1/x": "uuid"} {
			dir := filepath.Join(t.TempDir(), "a", "b")
			told := succeeds(t, "migrate", "export", "--format", format, "--dir", dir, "--database", database)
			files := filesBelow(t, dir)
			if len(files) != len(want)*len(allMigrations(t)) {
				t.Errorf("%s: the files are %q", format, slices.Sorted(maps.Keys(files)))
			}
			for _, name := range want {
				if files[name] == "" || !strings.Contains(told, "wrote "+filepath.Join(dir, name)+"\n") {
					t.Errorf("%s: %s holds %q, and the output is %s", format, name, files[name], told)
				}
			}
			if !strings.Contains(strings.Join(slices.Collect(maps.Values(files)), ""), typical) {
				t.Errorf("%s: the files for %s lack %s", format, database, typical)
			}
		}
	}
	if _, err := os.Stat(strings.TrimPrefix(nowhere, "sqlite:")); !os.IsNotExist(err) {
		t.Errorf("the database was opened: %v", err)
	}
}

// Export keeps existing files, and accepts them if they have the right content.
func TestExportBesideFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	export := []string{"migrate", "export", "--format=plain", "--dir=" + dir}
	succeeds(t, export...)
	whole := filesBelow(t, dir)

	second := filepath.Join(dir, "00002_states_updates_expiry.sql")
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "down", "00001_create_tables.sql"), 0); err != nil {
		t.Fatal(err)
	}
	if told := succeeds(t, export...); strings.Count(told, "wrote ") != 2 || !strings.Contains(told, second) {
		t.Errorf("the output is %s", told)
	}
	if again := filesBelow(t, dir); !maps.Equal(again, whole) {
		t.Errorf("the files are %q, want %q", again, whole)
	}
	if told := succeeds(t, export...); told != "the files are up to date\n" {
		t.Errorf("the third output is %s", told)
	}

	if err := os.WriteFile(second, []byte("-- mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "00001_create_tables.sql")); err != nil {
		t.Fatal(err)
	}
	before := filesBelow(t, dir)
	refused(t, invoke(t, nil, export...), exitFailure, second+" exists and has other content")
	refused(t, invoke(t, nil, append(export, "--database=postgres://")...), exitFailure, second, filepath.Join("down", "00002_"))
	if after := filesBelow(t, dir); !maps.Equal(after, before) {
		t.Errorf("what was refused changed %q to %q", before, after)
	}
}

func TestRefusedExports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--format must be one of golang-migrate, goose, plain": {"--dir", dir, "--format", "flyway"},
		"--format must be one of":                              {"--dir", dir},
		"--dir is required":                                    {"--format=plain"},
		"--database: must be":                                  {"--dir", dir, "--format=plain", "--database=mysql://"},
		`unexpected argument "more"`:                           {"--dir", dir, "--format=plain", "more"},
	} {
		refused(t, invoke(t, nil, append([]string{"migrate", "export"}, args...)...), exitUsage, want)
	}
	refused(t, invoke(t, nil, "migrate", "export", "--format=plain", "--dir="+file(t, "file", "x")), exitFailure, "not a directory")
}

// After the exported files were applied and recorded, the server uses the
// database.
func TestMigrateBaseline(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		all := allMigrations(t)
		newest := all[len(all)-1]
		baseline := []string{"migrate", "baseline", strconv.FormatInt(newest.Version, 10), database}
		refused(t, invoke(t, nil, baseline...), exitFailure)
		dir := t.TempDir()
		succeeds(t, "migrate", "export", "--format=plain", "--dir="+dir, database)
		applyFiles(t, database, dir)
		refused(t, invoke(t, nil, "migrate", "baseline", "1", database), exitFailure, newest.Name+" has been applied too")
		for _, command := range [][]string{{}, {"migrate"}, {"migrate", "--dry-run"}} {
			refused(t, invoke(t, nil, append(command, "--listen=127.0.0.1:0", database)...), exitFailure,
				fmt.Sprintf("is not recorded; record version %d as the baseline", newest.Version))
		}
		for range 2 {
			if told := succeeds(t, baseline...); told != fmt.Sprintf("recorded version %d\n", newest.Version) {
				t.Errorf("the output is %q", told)
			}
		}
		if told := succeeds(t, "migrate", database); told != "the tables are up to date\n" {
			t.Errorf("migrate then tells %q", told)
		}
		serving(t, database).post(t, "default/guest").want(t, http.StatusOK)
	})
}

// applyFiles runs the files of a directory as another tool would.
func applyFiles(t *testing.T, database, dir string) {
	t.Helper()
	c, err := load([]string{database}, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	files := filesBelow(t, dir)
	for _, m := range allMigrations(t) {
		err = errors.Join(err, db.Exec(files[m.Name]).Error)
	}
	if err := errors.Join(err, closeDatabase(db)); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedBaselines(t *testing.T) {
	t.Parallel()
	database := newSQLite(t)
	for _, args := range [][]string{{}, {"first"}, {"1", "2"}, {"1", "--database=mysql://"}} {
		refused(t, invoke(t, nil, append([]string{"migrate", "baseline"}, args...)...), exitUsage)
	}
	refused(t, invoke(t, nil, "migrate", "baseline", "1", database), exitFailure, "does not exist or is empty")
	succeeds(t, "migrate", database)
	refused(t, invoke(t, nil, "migrate", "baseline", "1", database), exitFailure, fmt.Sprintf("version %d is recorded", len(allMigrations(t))))
	refused(t, invoke(t, nil, "migrate", "baseline", "999", database), exitFailure, "there is no migration 999")
}
