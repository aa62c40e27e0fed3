package record

import (
	"context"
	"database/sql"
	"sync"

	"github.com/gofrs/uuid/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Floor does recorded operations with nothing between it and the driver: what
// they cost is the cost of the database. Statements are prepared once a
// connection, and each goroutine has a connection. It is safe for concurrent
// use.
type Floor struct {
	connect func(ctx context.Context) (session, error)
	// oneWriter has scripts that write take turns. Left to themselves, SQLite's
	// writers poll for its lock, and are slower.
	oneWriter bool
	writing   sync.Mutex
}

// session is one connection.
type session interface {
	exec(ctx context.Context, sql string, args []any) error
	query(ctx context.Context, sql string, args []any) error // reads every column of every row
	close()
}

// NewPostgresFloor is a floor over pgx. Closing the pool is up to the caller.
func NewPostgresFloor(pool *pgxpool.Pool) *Floor {
	return &Floor{connect: func(ctx context.Context) (session, error) {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		return &pgxSession{pool: conn, conn: conn.Conn(), into: map[string][]any{}}, nil
	}}
}

// NewSQLiteFloor is a floor over database/sql. Closing the pool is up to the
// caller.
func NewSQLiteFloor(pool *sql.DB) *Floor {
	return &Floor{oneWriter: true, connect: func(ctx context.Context) (session, error) {
		conn, err := pool.Conn(ctx)
		return &sqlSession{conn: conn, prepared: map[string]*statement{}}, err
	}}
}

// Worker takes a connection for one goroutine. Do does the script of number i,
// of all over and over; done gives the connection back.
func (f *Floor) Worker(ctx context.Context, scripts []Script) (do func(i int) error, done func(), err error) {
	s, err := f.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids := uuid.NewGen()
	do = func(i int) error {
		script := &scripts[i%len(scripts)]
		if f.oneWriter && script.writes {
			f.writing.Lock()
			defer f.writing.Unlock()
		}
		return script.run(ctx, s, ids)
	}
	return do, s.close, nil
}

type pgxSession struct {
	pool *pgxpool.Conn
	conn *pgx.Conn
	into map[string][]any // by statement: what its rows are read into
}

func (s *pgxSession) close() { s.pool.Release() }

func (s *pgxSession) exec(ctx context.Context, sql string, args []any) error {
	_, err := s.conn.Exec(ctx, sql, args...)
	return err
}

func (s *pgxSession) query(ctx context.Context, sql string, args []any) error {
	rows, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	into := s.into[sql]
	for rows.Next() {
		if into == nil {
			for _, column := range rows.FieldDescriptions() {
				newVariable := variables[column.DataTypeOID]
				if newVariable == nil {
					newVariable = func() any { return new(any) }
				}
				into = append(into, newVariable())
			}
			s.into[sql] = into
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// variables are what columns are read into, by their type.
var variables = map[uint32]func() any{
	pgtype.TextOID: func() any { return new(pgtype.Text) },
	pgtype.Int8OID: func() any { return new(pgtype.Int8) },
	pgtype.Int4OID: func() any { return new(pgtype.Int4) },
	pgtype.Int2OID: func() any { return new(pgtype.Int2) },
	pgtype.BoolOID: func() any { return new(pgtype.Bool) },
	pgtype.UUIDOID: func() any { return new(pgtype.UUID) },
}

type sqlSession struct {
	conn     *sql.Conn
	prepared map[string]*statement
}

type statement struct {
	*sql.Stmt
	into []any // what its rows are read into
}

func (s *sqlSession) close() {
	for _, p := range s.prepared {
		_ = p.Close() // goes with its connection
	}
	_ = s.conn.Close() // back to the pool
}

func (s *sqlSession) prepare(ctx context.Context, sql string) (*statement, error) {
	if s.prepared[sql] == nil {
		stmt, err := s.conn.PrepareContext(ctx, sql)
		if err != nil {
			return nil, err
		}
		s.prepared[sql] = &statement{Stmt: stmt}
	}
	return s.prepared[sql], nil
}

func (s *sqlSession) exec(ctx context.Context, sql string, args []any) error {
	p, err := s.prepare(ctx, sql)
	if err == nil {
		_, err = p.ExecContext(ctx, args...)
	}
	return err
}

func (s *sqlSession) query(ctx context.Context, sql string, args []any) error {
	p, err := s.prepare(ctx, sql)
	if err != nil {
		return err
	}
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
		for range columns {
			p.into = append(p.into, new(any))
		}
	}
	for rows.Next() {
		if err := rows.Scan(p.into...); err != nil {
			return err
		}
	}
	return rows.Err()
}
