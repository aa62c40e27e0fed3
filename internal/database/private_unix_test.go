//go:build unix

package database_test

import (
	"os"
	"path/filepath"
	"testing"
)

// Only the owner may read what users were told, also in files of an earlier
// version.
func TestSQLiteFilesArePrivate(t *testing.T) {
	t.Parallel()
	wantPrivate := func(t *testing.T, path string) {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("%s has the mode %o", filepath.Base(path+suffix), mode)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.db")
	db := openSQLite(t, path)
	exec(t, db, "CREATE TABLE t (a INTEGER)")
	wantPrivate(t, path)

	for _, suffix := range []string{"", "-wal", "-shm"} { // as an earlier version made them
		if err := os.Chmod(path+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if n := query[int](t, openSQLite(t, link), "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows", n)
	}
	wantPrivate(t, path)
}
