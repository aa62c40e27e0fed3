// Package migratetest applies the exported migrations with the tools they are
// for: goose, golang-migrate, psql and sqlite3. It is a module of its own, so
// that importers of the library do not inherit the tools.
package migratetest
