//go:build cgo

package database_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // the driver of a build without cgo
)

// A build with cgo and one without read each other's files.
func TestSQLiteOtherBuild(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")

	db := openSQLite(t, path)
	exec(t, db, "CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID")
	exec(t, db, "INSERT INTO t VALUES ('cgo', ?)", int64(1)<<62)
	if err := pool(t, db).Close(); err != nil {
		t.Fatal(err)
	}

	pure, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pure.Close()
	var n int64
	if err := pure.QueryRowContext(t.Context(), "SELECT b FROM t WHERE a = 'cgo'").Scan(&n); err != nil || n != 1<<62 {
		t.Errorf("without cgo the row reads %d, %v", n, err)
	}
	if _, err := pure.ExecContext(t.Context(), "INSERT INTO t VALUES ('pure', 2)"); err != nil {
		t.Fatal(err)
	}
	if err := pure.Close(); err != nil {
		t.Fatal(err)
	}

	db = openSQLite(t, path)
	if got := query[int](t, db, "SELECT b FROM t WHERE a = 'pure'"); got != 2 {
		t.Errorf("with cgo the row reads %d", got)
	}
	if got := query[string](t, db, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity_check: %s", got)
	}
}
