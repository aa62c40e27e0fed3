package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gofrs/uuid/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresFloor runs the recorded statements through pgx: what the database
// costs, and the driver, and nothing else. Statements are prepared once a
// connection, and each goroutine keeps its connection.
type postgresFloor struct {
	pool    *pgxpool.Pool
	scripts scripts
}

func newPostgresFloor(ctx context.Context, url string, conns int, s scripts) (*postgresFloor, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &postgresFloor{pool, s}, err
}

func (f *postgresFloor) name() string { return floorName }

func (f *postgresFloor) offers(context.Context, *operation) (bool, error) { return true, nil }

func (f *postgresFloor) close() error {
	f.pool.Close()
	return nil
}

func (f *postgresFloor) worker(ctx context.Context, op *operation) (func(int) error, func(), error) {
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &pgxReplay{conn: conn.Conn(), ids: uuid.NewGen(), targets: map[string][]any{}}
	recorded := f.scripts[op]
	return func(i int) error { return r.run(ctx, &recorded[i%len(recorded)]) }, conn.Release, nil
}

// pgxReplay runs scripts on one connection.
type pgxReplay struct {
	conn    *pgx.Conn
	ids     *uuid.Gen
	tx      pgx.Tx           // nil outside of a transaction
	targets map[string][]any // by statement: what its rows are read into
	values  [1]value
}

func (r *pgxReplay) run(ctx context.Context, s *script) error {
	if s.posts {
		id, err := r.ids.NewV7()
		if err != nil {
			return err
		}
		r.values[0] = idValue(id)
	}
	for i := range s.steps {
		if err := r.step(ctx, &s.steps[i]); err != nil {
			if r.tx != nil {
				err = errors.Join(err, r.tx.Rollback(context.WithoutCancel(ctx)))
				r.tx = nil
			}
			return err
		}
	}
	return nil
}

func (r *pgxReplay) step(ctx context.Context, s *scriptStep) (err error) {
	switch s.kind {
	case stepBegin:
		r.tx, err = r.conn.BeginTx(ctx, pgxOptions(s.tx.Isolation, s.tx.ReadOnly))
	case stepCommit:
		err, r.tx = r.tx.Commit(ctx), nil
	case stepRollback:
		err, r.tx = r.tx.Rollback(ctx), nil
	case stepExec:
		_, err = r.conn.Exec(ctx, s.sql, s.arguments(r.values[:])...)
	default:
		err = r.query(ctx, s)
	}
	return err
}

// query reads every column of every row.
func (r *pgxReplay) query(ctx context.Context, s *scriptStep) error {
	rows, err := r.conn.Query(ctx, s.sql, s.arguments(r.values[:])...)
	if err != nil {
		return err
	}
	defer rows.Close()
	into := r.targets[s.sql]
	for rows.Next() {
		if into == nil {
			into = scanTargets(rows)
			r.targets[s.sql] = into
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanTargets are variables of the types of the columns.
func scanTargets(rows pgx.Rows) []any {
	var into []any
	for _, column := range rows.FieldDescriptions() {
		switch column.DataTypeOID {
		case pgtype.TextOID, pgtype.VarcharOID:
			into = append(into, new(pgtype.Text))
		case pgtype.Int8OID:
			into = append(into, new(pgtype.Int8))
		case pgtype.Int4OID:
			into = append(into, new(pgtype.Int4))
		case pgtype.Int2OID:
			into = append(into, new(pgtype.Int2))
		case pgtype.BoolOID:
			into = append(into, new(pgtype.Bool))
		case pgtype.UUIDOID:
			into = append(into, new(pgtype.UUID))
		default:
			into = append(into, new(any))
		}
	}
	return into
}

// pgxOptions are those of database/sql, whose levels are numbered.
func pgxOptions[T ~int](level T, readOnly bool) pgx.TxOptions {
	var o pgx.TxOptions
	switch sql.IsolationLevel(level) {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted:
		o.IsoLevel = pgx.ReadUncommitted
	case sql.LevelReadCommitted:
		o.IsoLevel = pgx.ReadCommitted
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		o.IsoLevel = pgx.RepeatableRead
	case sql.LevelSerializable:
		o.IsoLevel = pgx.Serializable
	default:
		panic(fmt.Sprintf("notifybench: isolation level %d", level))
	}
	if readOnly {
		o.AccessMode = pgx.ReadOnly
	}
	return o
}
