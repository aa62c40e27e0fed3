package main

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/gorm"
)

// fillConns are the connections for filling.
const fillConns = 4

// loader is what fills the database of a target.
func (t *target) loader(ctx context.Context, db *gorm.DB) (loader, error) {
	if t.isSQLite() {
		pool, err := db.DB()
		return sqliteLoader{pool}, err
	}
	config, err := pgxpool.ParseConfig(t.url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = fillConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return postgresLoader{pool}, err
}

type postgresLoader struct{ pool *pgxpool.Pool }

func (l postgresLoader) parallel() bool { return true }

func (l postgresLoader) close() error {
	l.pool.Close()
	return nil
}

func (l postgresLoader) exec(ctx context.Context, statement string) (int64, error) {
	done, err := l.pool.Exec(ctx, statement)
	return done.RowsAffected(), err
}

func (l postgresLoader) rows(ctx context.Context, query string) ([][]any, error) {
	rows, err := l.pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
}

func (l postgresLoader) columns(ctx context.Context, table string) ([]string, error) {
	rows, err := l.pool.Query(ctx, "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"+
		" AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum", table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (l postgresLoader) load(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) error {
	next, stop := iter.Pull(rows)
	defer stop()
	source := pgx.CopyFromFunc(func() ([]any, error) {
		row, more := next()
		if !more {
			return nil, nil
		}
		return row, nil
	})
	_, err := l.pool.CopyFrom(ctx, pgx.Identifier{table}, columns, source)
	return err
}

func (l postgresLoader) empty(ctx context.Context, table string) error {
	_, err := l.exec(ctx, "TRUNCATE "+table)
	return err
}

// settle does what autovacuum would do after a while. The checkpoint, which
// only a superuser may ask for, then does not fall into a measurement.
func (l postgresLoader) settle(ctx context.Context) error {
	for _, table := range []string{messagesTable, deliveriesTable, statesTable} {
		if _, err := l.exec(ctx, "VACUUM ANALYZE "+table); err != nil {
			return err
		}
	}
	_, _ = l.exec(ctx, "CHECKPOINT")
	return nil
}
