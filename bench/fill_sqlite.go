package main

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"
)

const (
	// rowsPerInsert keeps the parameters of a statement below 32,766.
	rowsPerInsert = 250
	// insertsPerTx bounds the write-ahead log.
	insertsPerTx = 400
)

type sqliteLoader struct{ pool *sql.DB }

func (l sqliteLoader) parallel() bool { return false }

// close leaves the pool to its owner.
func (l sqliteLoader) close() error { return nil }

func (l sqliteLoader) exec(ctx context.Context, statement string) (int64, error) {
	done, err := l.pool.ExecContext(ctx, statement)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (l sqliteLoader) rows(ctx context.Context, query string) ([][]any, error) {
	rows, err := l.pool.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]any
	for rows.Next() {
		row := make([]any, len(columns))
		if err := rows.Scan(pointers(row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// pointers to what rows are scanned into.
func pointers(row []any) []any {
	to := make([]any, len(row))
	for i := range row {
		to[i] = &row[i]
	}
	return to
}

func (l sqliteLoader) columns(ctx context.Context, table string) ([]string, error) {
	// table_info leaves out what is generated.
	rows, err := l.rows(ctx, "SELECT name FROM pragma_table_info("+quoted(table)+") ORDER BY cid")
	var names []string
	for _, row := range rows {
		names = append(names, row[0].(string))
	}
	return names, err
}

func (l sqliteLoader) load(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) error {
	next, stop := iter.Pull(rows)
	defer stop()
	for more := true; more; {
		tx, err := l.pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if more, err = insertSome(ctx, tx, table, columns, next); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// insertSome inserts as much as belongs in one transaction, and reports
// whether there is more.
func insertSome(ctx context.Context, tx *sql.Tx, table string, columns []string, next func() ([]any, bool)) (bool, error) {
	full, err := tx.PrepareContext(ctx, insertStatement(table, columns, rowsPerInsert))
	if err != nil {
		return false, err
	}
	defer full.Close()
	args := make([]any, 0, rowsPerInsert*len(columns))
	for range insertsPerTx {
		args = args[:0]
		for len(args) < cap(args) {
			row, ok := next()
			if !ok {
				return false, insertRest(ctx, tx, table, columns, args)
			}
			args = append(args, row...)
		}
		if _, err := full.ExecContext(ctx, args...); err != nil {
			return false, err
		}
	}
	return true, nil
}

func insertRest(ctx context.Context, tx *sql.Tx, table string, columns []string, args []any) error {
	if len(args) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, insertStatement(table, columns, len(args)/len(columns)), args...)
	return err
}

func insertStatement(table string, columns []string, rows int) string {
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, rows-1)
}

func (l sqliteLoader) empty(ctx context.Context, table string) error {
	_, err := l.exec(ctx, "DELETE FROM "+table)
	return err
}

// settle writes the log back into the file. Nobody asks SQLite to gather
// statistics in normal use, so this does not either.
func (l sqliteLoader) settle(ctx context.Context) error {
	rows, err := l.rows(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err == nil && (len(rows) != 1 || rows[0][0] != int64(0)) {
		return errors.New("the write-ahead log could not be written back")
	}
	return err
}
