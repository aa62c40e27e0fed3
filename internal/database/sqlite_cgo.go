//go:build cgo

package database

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// sqliteDriver is mattn/go-sqlite3, which contains SQLite's own C code.
var sqliteDriver = &sqlite3.SQLiteDriver{}

// sqliteCode returns the primary result code of SQLite's errors, and zero for
// other errors.
func sqliteCode(err error) int {
	var e sqlite3.Error
	if errors.As(err, &e) {
		return int(e.Code)
	}
	return 0
}
