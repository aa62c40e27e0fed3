package database

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// privateMode lets nobody but the owner read or write: the file holds the
// messages of users.
const privateMode = 0o600

// creating is held while a file is created. Closing a file releases the locks
// that SQLite has on it in this process, so the file must be closed before
// SQLite opens it.
var creating sync.Mutex

// createPrivate creates the file of a database if there is none. A fault is
// left to SQLite, which has it again and names it.
func createPrivate(file string) {
	creating.Lock()
	defer creating.Unlock()
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, privateMode); err == nil {
		_ = f.Close() // nothing was written
	}
}

// makePrivate takes the rights of others to the file of a database and to the
// files that SQLite keeps beside it. SQLite makes those with the rights of the
// database. A file of another owner keeps its rights: that owner gave them.
func makePrivate(file string) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	var faults []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		info, err := os.Stat(file + suffix)
		if err == nil && info.Mode().Perm()&^privateMode != 0 {
			err = os.Chmod(file+suffix, info.Mode().Perm()&privateMode)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
