package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// kind is what a recorded step does.
type kind int

const (
	stepQuery kind = iota
	stepExec
	stepBegin
	stepCommit
	stepRollback
)

// step is one thing that was asked of the database.
type step struct {
	kind kind
	sql  string
	args []any
	tx   driver.TxOptions // of stepBegin
}

// recorder notes what passes through the connections of a pool. It sits below
// database/sql, so it sees everything, whatever runs above that.
type recorder struct {
	mu    sync.Mutex
	on    bool
	steps []step
}

// start forgets what was noted.
func (r *recorder) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.steps = true, nil
}

// stop returns what was noted since start.
func (r *recorder) stop() []step {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.steps
}

func (r *recorder) note(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on {
		r.steps = append(r.steps, s)
	}
}

func (r *recorder) statement(k kind, sql string, args []driver.NamedValue) {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = plain(a.Value)
	}
	r.note(step{kind: k, sql: sql, args: values})
}

// open returns a pool whose connections are those of another, and noted.
func (r *recorder) open(pool *sql.DB) *sql.DB {
	return sql.OpenDB(recordingConnector{pool, r})
}

type recordingConnector struct {
	pool *sql.DB
	rec  *recorder
}

func (c recordingConnector) Driver() driver.Driver { return c.pool.Driver() }

// Connect takes a connection out of the pool, so that it has the settings of
// the pool, whatever they are. Nobody else uses it until it is closed.
func (c recordingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	held, err := c.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	conn := &recordingConn{held: held, rec: c.rec}
	err = held.Raw(func(raw any) error {
		var ok bool
		if conn.contextConn, ok = raw.(contextConn); !ok {
			return fmt.Errorf("connections of type %T cannot be recorded", raw)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return conn, nil
}

// contextConn is what the connections of all our drivers can do.
type contextConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type recordingConn struct {
	contextConn
	held *sql.Conn
	rec  *recorder
}

// Close gives the connection back.
func (c *recordingConn) Close() error { return c.held.Close() }

// CheckNamedValue leaves arguments to the driver, if it wants them.
func (c *recordingConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.contextConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.rec.statement(stepQuery, query, args)
	return c.contextConn.QueryContext(ctx, query, args)
}

func (c *recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.rec.statement(stepExec, query, args)
	return c.contextConn.ExecContext(ctx, query, args)
}

func (c *recordingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.contextConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	inner, ok := stmt.(contextStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("statements of type %T cannot be recorded", stmt), stmt.Close())
	}
	return &recordingStmt{inner, query, c.rec}, nil
}

func (c *recordingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.rec.note(step{kind: stepBegin, tx: opts})
	tx, err := c.contextConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return recordingTx{tx, c.rec}, nil
}

type contextStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type recordingStmt struct {
	contextStmt
	query string
	rec   *recorder
}

func (s *recordingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.rec.statement(stepQuery, s.query, args)
	return s.contextStmt.QueryContext(ctx, args)
}

func (s *recordingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.rec.statement(stepExec, s.query, args)
	return s.contextStmt.ExecContext(ctx, args)
}

type recordingTx struct {
	driver.Tx
	rec *recorder
}

func (t recordingTx) Commit() error {
	t.rec.note(step{kind: stepCommit})
	return t.Tx.Commit()
}

func (t recordingTx) Rollback() error {
	t.rec.note(step{kind: stepRollback})
	return t.Tx.Rollback()
}

// script is a recorded operation that can be run again.
type script struct {
	steps  []scriptStep
	writes bool
	posts  bool // has an id that must be a new one each time
}

type scriptStep struct {
	step
	args []pattern
	// fixed holds all arguments where none of them is replaced.
	fixed []any
}

// newScript makes a script of what was recorded. The id, unless empty, is that
// of the message that was posted.
func newScript(steps []step, id string) (script, error) {
	if !slices.ContainsFunc(steps, func(s step) bool { return s.sql != "" }) {
		return script{}, errors.New("no statement was recorded")
	}
	var values []value
	if id != "" {
		values = []value{idValue(parseUUID(id))}
	}
	s := script{}
	for _, recorded := range steps {
		made := scriptStep{step: recorded, fixed: recorded.args}
		for _, arg := range recorded.args {
			p := newPattern(arg, values...)
			if p.holes != nil {
				made.fixed, s.posts = nil, true
			}
			made.args = append(made.args, p)
		}
		s.writes = s.writes || recorded.kind != stepQuery
		s.steps = append(s.steps, made)
	}
	if id != "" && !s.posts {
		return script{}, errors.New("the id of the message is in no argument")
	}
	return s, nil
}

// arguments returns those of a step.
func (s *scriptStep) arguments(values []value) []any {
	if s.fixed != nil || len(s.args) == 0 {
		return s.fixed
	}
	args := make([]any, len(s.args))
	for i := range s.args {
		args[i] = s.args[i].with(values)
	}
	return args
}
