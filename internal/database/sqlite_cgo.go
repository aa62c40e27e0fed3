//go:build cgo

package database

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// sqliteDriver is mattn/go-sqlite3, SQLite as its authors write it.
var sqliteDriver = &sqlite3.SQLiteDriver{}

// sqliteCode returns the primary result code of an error of SQLite, zero for
// any other error.
func sqliteCode(err error) int {
	var e sqlite3.Error
	if errors.As(err, &e) {
		return int(e.Code)
	}
	return 0
}
