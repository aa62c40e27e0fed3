//go:build !cgo

package database

import (
	"errors"

	"modernc.org/sqlite"
)

// sqliteDriver is modernc.org/sqlite, SQLite translated to Go. It works with
// the same GORM driver.
var sqliteDriver = &sqlite.Driver{}

// sqliteCode returns the primary result code of SQLite's errors, and zero for
// other errors.
func sqliteCode(err error) int {
	const primary = 0xff // the higher bits hold details
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & primary
	}
	return 0
}
