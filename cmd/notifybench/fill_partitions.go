package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// partitionKeys say which column of a table's primary key its rows are
// distributed by: all that is asked of one user is then in few partitions.
var partitionKeys = []struct{ table, column string }{
	{deliveriesTable, "audience"},
	{statesTable, "user_ref"},
}

// partition makes tables anew that are partitioned by hash, with the columns,
// constraints and indexes the library gave them. They are empty then.
func (l postgresLoader) partition(ctx context.Context, partitions int) error {
	for _, key := range partitionKeys {
		err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			statements, err := partitionStatements(ctx, tx, key.table, key.column, partitions)
			for _, statement := range statements {
				if err == nil {
					_, err = tx.Exec(ctx, statement)
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("partition %s: %w", key.table, err)
		}
	}
	return nil
}

// partitionStatements put a partitioned table in the place of another.
func partitionStatements(ctx context.Context, tx pgx.Tx, table, column string, partitions int) ([]string, error) {
	constraints, err := texts(ctx, tx, "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I ', conrelid::regclass, conname)"+
		" || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'", table)
	if err != nil {
		return nil, err
	}
	indexes, err := texts(ctx, tx, "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1::text::regclass AND NOT indisprimary", table)
	if err != nil {
		return nil, err
	}
	old := table + "_whole"
	statements := []string{
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", table, old),
		fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH (%s)", table, old, column),
		"DROP TABLE " + old,
	}
	statements = append(append(statements, constraints...), indexes...)
	for i := range partitions {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s_p%03d PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)",
			table, i, table, partitions, i))
	}
	return statements, nil
}

func texts(ctx context.Context, tx pgx.Tx, query, table string) ([]string, error) {
	rows, err := tx.Query(ctx, query, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (sqliteLoader) partition(context.Context, int) error {
	return errors.New("SQLite has no partitions")
}
