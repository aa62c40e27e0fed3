package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// store is the queries. It asks nobody for permission.
type store struct {
	db      *gorm.DB
	log     *slog.Logger
	gormLog logger.Interface
	dialect dialect
	queue   *writeQueue // where the database takes one writer at a time; else nil
	replica *replica    // where reads go that may be a little late; nil if there is none
}

func newStore(db *gorm.DB, log *slog.Logger) (*store, error) {
	d, known := dialects[db.Name()]
	if !known {
		return nil, fmt.Errorf("notifications: Config.DB is %q, only postgres and sqlite are supported", db.Name())
	}
	if isTransaction(db) {
		return nil, errors.New("notifications: Config.DB is a transaction; a service outlives it, see PostTx")
	}
	s := &store{db: db, log: log, dialect: d, gormLog: quiet{logger.NewSlogLogger(slog.New(forgiving{log.Handler()}), logger.Config{
		SlowThreshold: slowQuery, LogLevel: logger.Warn,
	})}}
	if d.oneWriter {
		s.queue = new(writeQueue)
	}
	return s, nil
}

func isTransaction(db *gorm.DB) bool {
	_, is := db.Statement.ConnPool.(gorm.TxCommitter)
	return is
}

// write runs a statement or transaction that writes and is not the host's.
// Where the database takes one writer at a time, those of this service queue
// in order: SQLite itself lets them poll, and some starve. What met another
// transaction is tried again.
func (s *store) write(ctx context.Context, do func(db *gorm.DB) error) error {
	run, attempts := func() error { return do(s.door(ctx, s.db)) }, 5
	if s.queue != nil { // and the driver has been waiting for the lock
		attempts = 1
		begin := func(ctx context.Context) *gorm.DB { return s.door(ctx, s.db) }
		run = func() error { return s.queue.run(ctx, begin, do) }
	}
	for attempt := 1; ; attempt++ {
		err := failed(run())
		if cause := ctx.Err(); cause != nil && errors.Is(err, ErrUnavailable) && !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", err, cause) // database/sql says of a transaction only that it is over
		}
		if !errors.Is(err, ErrRetry) || attempt == attempts {
			return err
		}
	}
}

// writeTx is write in a transaction of its own. On SQLite its first statement
// must write, so that it waits for the lock instead of failing to upgrade.
func (s *store) writeTx(ctx context.Context, do func(tx *gorm.DB) error) error {
	return s.write(ctx, func(db *gorm.DB) error { return db.Transaction(do) })
}

// door is the one way to a database handle of the host: it stays in the
// transaction the handle is in, and leaves behind what else the host hung on
// it. Queries of this package are logged without their parameters.
func (s *store) door(ctx context.Context, db *gorm.DB) *gorm.DB {
	ours := db.Session(&gorm.Session{
		NewDB:                  true,
		Context:                ctx, // WithContext afterwards would bring the conditions back
		SkipDefaultTransaction: true,
		SkipHooks:              true,
		Logger:                 s.gormLog,
	})
	ours.DisableNestedTransaction = false // on a copy: in the host's transaction, what fails is taken back alone
	return ours
}

// slowQuery is how long a query may take without being logged.
const slowQuery = time.Second

// quiet looks whether there is anything to tell of a query. GORM writes every
// query out, by a regular expression on PostgreSQL, before it looks.
type quiet struct{ logger.Interface }

// Trace implements [logger.Interface].
func (q quiet) Trace(ctx context.Context, begin time.Time, query func() (sql string, rows int64), err error) {
	if err != nil || time.Since(begin) > slowQuery {
		q.Interface.Trace(ctx, begin, query, err)
	}
}

// ParamsFilter implements [gorm.ParamsFilter]: parameters are not told.
func (quiet) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) { return sql, nil }

// forgiving tells at debug level what is told of a query that was broken off:
// that whoever asked has gone is no fault.
type forgiving struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h forgiving) Handle(ctx context.Context, r slog.Record) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		r.Level = slog.LevelDebug
		if !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// countQuery counts what a list without a limit would have. A message in
// several audiences comes several times, and counts once.
func (s *store) countQuery(in inbox, f Filter) *sqlText {
	sql := s.dialect.statement()
	sql.add("SELECT count(DISTINCT d.message_id) FILTER (WHERE ")
	asked := stateAnswers(sql, in, f)
	sql.add(") FROM ")
	s.selectAll(sql, in, f)
	if asked {
		s.joinStates(sql, in)
	}
	return sql
}

// selectAll adds everything d that the reader sees, whatever the filter asks of
// its state.
func (s *store) selectAll(sql *sqlText, in inbox, f Filter) {
	where := s.whereDelivered(in, selection{Filter: f})
	s.filterMessage(where, f)
	s.dialect.deliveries(sql, in.sources(f.Scope), where, "")
	sql.add(" d")
}

// joinStates joins each state s of the reader to selectAll. Unlike a page, a
// count looks at everything, and on PostgreSQL, which cannot do a FULL JOIN
// otherwise, reads the states from end to end rather than look up one after
// another. Some rows have no d.
func (s *store) joinStates(sql *sqlText, in inbox) {
	sql.add(s.dialect.full+" JOIN (SELECT * FROM notification_states WHERE user_ref = ?) s ON s.message_id = d.message_id", in.user)
}

func (s *store) count(ctx context.Context, in inbox, f Filter) (int64, error) {
	sql := s.countQuery(in, f)
	var n int64
	err := s.forReader(ctx, in, func(db *gorm.DB) error {
		// Not Scan: on its way GORM would log the parameters, whatever the logger
		// says. Not Row: it is nil where a plugin of the host's refuses.
		return sql.on(db).Find(&n).Error
	})
	return n, err
}

// value is a text that may be null, null being empty.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// instant is a stored time, null being zero.
func instant(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// sqlText is a statement being written, or a part of one, with its arguments
// in step. Each parameter is a "?" in what is added.
type sqlText struct {
	strings.Builder
	args []any
	// numbered has the parameters written as $1, $2 and so on.
	numbered bool
}

// statement begins a whole statement, with room for most.
func (d *dialect) statement() *sqlText {
	sql := &sqlText{numbered: d.numbered, args: make([]any, 0, 32)}
	sql.Grow(2560)
	return sql
}

func (s *sqlText) add(text string, args ...any) {
	if s.numbered {
		text = s.number(text)
	}
	s.WriteString(text)
	s.args = append(s.args, args...)
}

// number writes all up to the last parameter, and returns what is left.
func (s *sqlText) number(text string) string {
	for n := len(s.args) + 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		if !found {
			return text
		}
		s.WriteString(before)
		s.WriteByte('$')
		s.WriteString(strconv.Itoa(n))
		text = after
	}
}

// append adds a part.
func (s *sqlText) append(part *sqlText) { s.add(part.String(), part.args...) }

// on puts the statement on a handle, to be read by what GORM has after Raw.
func (s *sqlText) on(db *gorm.DB) *gorm.DB { return raw(db, s.String(), s.args) }

// or adds one more alternative of a condition.
func (s *sqlText) or(text string, args ...any) {
	if s.Len() > 0 {
		text = " OR " + text
	}
	s.add(text, args...)
}

// jsonArray passes a list of any length as one parameter.
func jsonArray(list []string) string {
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
