// Package record notes what the library asks of a database, and asks it again
// without the library.
package record

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/uuid/v5"
)

// step is one statement; the beginning and the end of a transaction are
// statements too.
type step struct {
	query bool // else there are no rows to read
	sql   string
	args  []any
}

// Recorder notes what passes through the connections of a pool. It sits below
// database/sql, so it sees all that runs above that.
type Recorder struct {
	// Begin is the statement that the driver begins a transaction with.
	Begin string

	mu    sync.Mutex
	on    bool
	steps []step
}

// Record has do do numbers 0 to period-1 of an operation over a pool of
// [Recorder.Open], and returns what each asked. Do returns the id of the message
// that it posted, or nothing.
func (r *Recorder) Record(period int, do func(i int) (id string, err error)) ([]Script, error) {
	// What is done once in a connection's life is done before. The last time of
	// a period leaves a mark as it found it.
	if _, err := do(period - 1); err != nil {
		return nil, err
	}
	var scripts []Script
	for i := range period {
		r.start()
		id, err := do(i)
		steps := r.stop()
		if err != nil {
			return nil, err
		}
		script, err := newScript(steps, id)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, script)
	}
	return scripts, nil
}

func (r *Recorder) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.steps = true, nil
}

// stop returns what was noted since start.
func (r *Recorder) stop() []step {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.steps
}

func (r *Recorder) note(query bool, sql string, args []driver.NamedValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	s := step{query: query, sql: sql}
	for _, a := range args {
		s.args = append(s.args, plain(a.Value))
	}
	r.steps = append(r.steps, s)
}

// plain is what a value points to or wraps, or a copy of bytes.
func plain(value any) any {
	switch v := value.(type) {
	case []byte:
		return bytes.Clone(v)
	case uuid.UUID:
		return [16]byte(v)
	case *string:
		if v == nil {
			return nil
		}
		return *v
	case driver.Valuer:
		if inner, err := v.Value(); err == nil {
			return inner
		}
	}
	return value
}

// Open returns a pool whose connections are those of another, and noted. It is
// to be closed before the other.
func (r *Recorder) Open(pool *sql.DB) *sql.DB { return sql.OpenDB(connector{pool, r}) }

type connector struct {
	pool *sql.DB
	rec  *Recorder
}

func (c connector) Driver() driver.Driver { return c.pool.Driver() }

// Connect takes a connection with its settings out of the pool, until it is
// closed.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	held, err := c.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	recorded := &conn{held: held, rec: c.rec}
	err = held.Raw(func(raw any) error {
		var ok bool
		if recorded.contextConn, ok = raw.(contextConn); !ok {
			return fmt.Errorf("connections of type %T cannot be recorded", raw)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return recorded, nil
}

// contextConn is what the connections of all our drivers can do.
type contextConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type conn struct {
	contextConn
	held *sql.Conn
	rec  *Recorder
}

// Close gives the connection back.
func (c *conn) Close() error { return c.held.Close() }

// CheckNamedValue leaves arguments to the driver, if it wants them.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.contextConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.rec.note(true, query, args)
	return c.contextConn.QueryContext(ctx, query, args)
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.rec.note(false, query, args)
	return c.contextConn.ExecContext(ctx, query, args)
}

// Prepare fails: the library prepares nothing, so it is not recorded.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return nil, fmt.Errorf("a prepared statement cannot be recorded: %s", query)
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	begin := c.rec.Begin
	if level := sql.IsolationLevel(o.Isolation); level != sql.LevelDefault {
		begin += " isolation level " + strings.ToLower(level.String())
	}
	if o.ReadOnly {
		begin += " read only"
	}
	c.rec.note(false, begin, nil)
	begun, err := c.contextConn.BeginTx(ctx, o)
	return tx{begun, c.rec}, err
}

type tx struct {
	driver.Tx
	rec *Recorder
}

func (t tx) Commit() error {
	t.rec.note(false, "commit", nil)
	return t.Tx.Commit()
}

func (t tx) Rollback() error {
	t.rec.note(false, "rollback", nil)
	return t.Tx.Rollback()
}

// Script is a recorded operation that can be done again, by any number of
// goroutines.
type Script struct {
	steps  []scriptStep
	writes bool
	posted *name // the message, if one was posted: each time it must be another
}

type scriptStep struct {
	step
	varies []int // arguments with the id of the message
}

// name is an id as text and as bytes.
type name struct {
	text string
	id   uuid.UUID
}

// newScript makes a script of what was recorded. The id, unless empty, is that
// of the message that was posted.
func newScript(steps []step, id string) (Script, error) {
	if len(steps) == 0 {
		return Script{}, errors.New("no statement was recorded")
	}
	var s Script
	varies := id == ""
	if id != "" {
		s.posted = &name{id, uuid.FromStringOrNil(id)}
	}
	for _, recorded := range steps {
		made := scriptStep{step: recorded}
		for i, arg := range recorded.args {
			if id != "" && !reflect.DeepEqual(arg, replaced(arg, *s.posted, name{})) {
				made.varies, varies = append(made.varies, i), true
			}
		}
		s.writes = s.writes || !recorded.query
		s.steps = append(s.steps, made)
	}
	if !varies {
		return Script{}, errors.New("the id of the message is in no argument")
	}
	return s, nil
}

// replaced is a value with one name in the place of another, which may be within
// a text.
func replaced(value any, old, other name) any {
	switch v := value.(type) {
	case string:
		if v == old.text {
			return other.text
		}
		return strings.ReplaceAll(v, old.text, other.text)
	case []byte:
		return bytes.ReplaceAll(v, []byte(old.text), []byte(other.text))
	case [16]byte:
		if v == old.id {
			return [16]byte(other.id)
		}
	}
	return value
}

// run does the script once more. A transaction that an error leaves open goes
// with its connection.
func (s *Script) run(ctx context.Context, c session, ids *uuid.Gen) error {
	var other name
	if s.posted != nil {
		id, err := ids.NewV7()
		if err != nil {
			return err
		}
		other = name{id.String(), id}
	}
	for i := range s.steps {
		step, do := &s.steps[i], c.exec
		if step.query {
			do = c.query
		}
		args := step.args
		if step.varies != nil {
			args = slices.Clone(args)
			for _, k := range step.varies {
				args[k] = replaced(args[k], *s.posted, other)
			}
		}
		if err := do(ctx, step.sql, args); err != nil {
			return err
		}
	}
	return nil
}

// insertPosted and insertChange match the statements, or parts, that write to
// the log: the one with its values, the other without a SELECT.
var (
	insertPosted = regexp.MustCompile(`INSERT INTO notification_changes \(kind, message_id, due_at\)\s+VALUES \((\$\d+), (\$\d+), (\$\d+)\)`)
	insertChange = regexp.MustCompile(`INSERT INTO notification_changes \([a-z_, ]+\)`)
)

// WithoutLog returns the script without what it writes to the log of changes. On
// PostgreSQL that is part of a statement, which then selects the values.
func (s Script) WithoutLog() Script {
	steps := s.steps
	s.steps = nil
	for _, step := range steps {
		if strings.HasPrefix(step.sql, "INSERT INTO notification_changes") {
			continue
		}
		step.sql = insertPosted.ReplaceAllString(step.sql, "SELECT ${1}::smallint, ${2}::uuid, ${3}::bigint")
		step.sql = insertChange.ReplaceAllString(step.sql, "")
		s.steps = append(s.steps, step)
	}
	return s
}
