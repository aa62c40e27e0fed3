//go:build !cgo

package database

import (
	"errors"

	"modernc.org/sqlite"
)

// sqliteDriver is modernc.org/sqlite, SQLite translated to Go, which runs
// through the same GORM driver.
var sqliteDriver = &sqlite.Driver{}

// sqliteCode returns the primary result code of an error of SQLite, zero for
// any other error.
func sqliteCode(err error) int {
	const primary = 0xff // the bits above it say more
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & primary
	}
	return 0
}
