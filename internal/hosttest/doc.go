// Package hosttest holds the library in the transactions of hosts, by the ways
// they have them: GORM, database/sql and sqlx, over pgx, lib/pq and SQLite. It is
// a module of its own, so that their modules stay out of the library's.
package hosttest
