package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"
)

// sqliteFloor runs the recorded statements through database/sql, prepared once
// a connection. Those that write take turns: left to themselves, SQLite's
// writers poll for its lock, and are slower.
type sqliteFloor struct {
	pool    *sql.DB
	scripts scripts
	writing sync.Mutex
}

func newSQLiteFloor(db *gorm.DB, conns int, s scripts) (*sqliteFloor, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return &sqliteFloor{pool: pool, scripts: s}, nil
}

func (f *sqliteFloor) name() string { return floorName }

func (f *sqliteFloor) offers(context.Context, *operation) (bool, error) { return true, nil }

func (f *sqliteFloor) close() error { return f.pool.Close() }

func (f *sqliteFloor) worker(ctx context.Context, op *operation) (func(int) error, func(), error) {
	conn, err := f.pool.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &sqliteReplay{conn: conn, ids: uuid.NewGen(), prepared: map[string]*preparedStatement{}}
	recorded := f.scripts[op]
	do := func(i int) error {
		s := &recorded[i%len(recorded)]
		if s.writes {
			f.writing.Lock()
			defer f.writing.Unlock()
		}
		return r.run(ctx, s)
	}
	return do, r.close, nil
}

// sqliteReplay runs scripts on one connection.
type sqliteReplay struct {
	conn     *sql.Conn
	ids      *uuid.Gen
	tx       *sql.Tx // nil outside of a transaction
	prepared map[string]*preparedStatement
	values   [1]value
}

type preparedStatement struct {
	*sql.Stmt
	into []any // what rows are read into
}

func (r *sqliteReplay) close() {
	for _, p := range r.prepared {
		_ = p.Close() // goes with its connection
	}
	_ = r.conn.Close() // back to the pool
}

func (r *sqliteReplay) run(ctx context.Context, s *script) error {
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
				err = errors.Join(err, r.tx.Rollback())
				r.tx = nil
			}
			return err
		}
	}
	return nil
}

func (r *sqliteReplay) step(ctx context.Context, s *scriptStep) (err error) {
	switch s.kind {
	case stepBegin:
		r.tx, err = r.conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.IsolationLevel(s.tx.Isolation), ReadOnly: s.tx.ReadOnly})
		return err
	case stepCommit:
		err, r.tx = r.tx.Commit(), nil
		return err
	case stepRollback:
		err, r.tx = r.tx.Rollback(), nil
		return err
	}
	p := r.prepared[s.sql]
	if p == nil {
		stmt, err := r.conn.PrepareContext(ctx, s.sql)
		if err != nil {
			return err
		}
		p = &preparedStatement{Stmt: stmt}
		r.prepared[s.sql] = p
	}
	args := s.arguments(r.values[:])
	if s.kind == stepExec {
		_, err = p.ExecContext(ctx, args...)
		return err
	}
	return p.query(ctx, args)
}

// query reads every column of every row.
func (p *preparedStatement) query(ctx context.Context, args []any) error {
	rows, err := p.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if p.into == nil {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		p.into = pointers(make([]any, len(columns)))
	}
	for rows.Next() {
		if err := rows.Scan(p.into...); err != nil {
			return err
		}
	}
	return rows.Err()
}
