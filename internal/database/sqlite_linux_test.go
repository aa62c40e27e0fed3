package database_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestSQLiteRefusesWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	const needed = "must be writable"
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(openDir(t), "x.db")
		if err := pool(t, openSQLite(t, path)).Close(); err != nil {
			t.Fatal(err)
		}
		chmod(t, path, 0o444)
		asNobody(t, func() { refuses(t, path, needed) })
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		chmod(t, dir, 0o555)
		asNobody(t, func() { refuses(t, filepath.Join(dir, "x.db"), needed) })
	})
}

// openDir returns a directory that every user may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	chmod(t, filepath.Dir(dir), 0o755)
	chmod(t, dir, 0o777)
	return dir
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// asNobody runs f on a thread that obeys the permissions of files, even if the
// tests run as root. The thread ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	const nobody = 65534
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so the thread ends
		if os.Geteuid() == 0 {
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Error(err)
				return
			}
		}
		f()
	}()
	<-done
}
