package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/notifications-go/notifications/internal/sqltext"
	"github.com/notifications-go/notifications/internal/writequeue"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// messageRow is a row of notification_messages, one a post. Readers never
// change it. Its content is in [messageColumns]. Times are in Unix
// milliseconds.
type messageRow struct {
	ID     string `gorm:"column:id;primaryKey"` // UUIDv7: the order of ids is that of creation
	Poster string `gorm:"column:poster"`        // "service:ci", "user:default/jane"; empty if unknown
	// Audiences is a JSON array of the audiences of its deliveries, so that
	// these can be found by key.
	Audiences   string  `gorm:"column:audience_list"`
	IsSystem    bool    `gorm:"column:is_system"`
	ExpiresAt   *int64  `gorm:"column:expires_at"`
	Scheduled   bool    `gorm:"column:scheduled"`    // hidden until the time in ID
	WithdrawnAt *int64  `gorm:"column:withdrawn_at"` // no delivery is left; a purge will delete it
	ReplacedBy  *string `gorm:"column:replaced_by"`  // the last post that took over an audience
}

// selectMessage selects a [messageRow] from the alias msg.
const selectMessage = `SELECT msg.id, msg.poster, msg.audience_list, msg.is_system,
	msg.expires_at, msg.scheduled, msg.withdrawn_at, msg.replaced_by FROM notification_messages msg`

// audiences returns the audiences of the remaining deliveries.
func (m messageRow) audiences() []string {
	var list []string
	_ = json.Unmarshal([]byte(m.Audiences), &list) // stored by this package
	return list
}

// A row of notification_deliveries says whom a message is for: one row a
// target, not one a member of a group. These rows, the reader's groups and the
// time decide visibility, and nothing else does. The audience is "user:…",
// "group:…" or "system". The columns after the key (audience, message_id) are
// copies from the message.

// systemAudience is the audience of everybody. Those of users and groups
// contain a colon, so none of them equals it.
const systemAudience = "system"

// never is the expires_at of a delivery that does not expire.
const never = math.MaxInt64

// stateRow is a row of notification_states: a user's marks of a message,
// written with the first mark. Times are in Unix milliseconds; null means
// unread, not saved, not archived.
type stateRow struct {
	UserRef    string `gorm:"column:user_ref;primaryKey"`
	MessageID  string `gorm:"column:message_id;primaryKey"`
	ReadAt     *int64 `gorm:"column:read_at"`
	SavedAt    *int64 `gorm:"column:saved_at"`
	ArchivedAt *int64 `gorm:"column:archived_at"`
}

// store runs the queries. It does not check permissions.
type store struct {
	root    *gorm.DB // Config.DB
	db      *gorm.DB // root, or a transaction of the host
	bound   bool     // db is such a transaction
	log     *slog.Logger
	gormLog logger.Interface
	dialect dialect
	queue   *writequeue.Queue     // for SQLite, which takes one writer at a time; else nil
	replica *replica              // answers reads that may be a little late; nil if there is none
	probe   *gorm.DB              // Config.Probe
	file    *databaseFile         // of SQLite
	changed func(context.Context) // is called after a write
	epochs  *epochs               // what is known of the log of changes
	reads   chan struct{}         // holds a value for each read that is running; nil if their number has no limit
}

func newStore(db *gorm.DB, log *slog.Logger) (*store, error) {
	d, known := dialects[db.Name()]
	if !known {
		return nil, fmt.Errorf("notifications: Config.DB is %q, only postgres and sqlite are supported", db.Name())
	}
	if isTransaction(db) {
		return nil, errors.New("notifications: Config.DB is a transaction; a Service outlives it, see WithTx")
	}
	s := &store{root: db, db: db, log: log, dialect: d, gormLog: newGormLogger(log), file: new(databaseFile), epochs: new(epochs)}
	if d.oneWriter() {
		s.queue = &writequeue.Queue{Lock: takeLock} // in a host's database, BEGIN may not take it
	}
	return s, nil
}

// in returns the store in a transaction of the host. It does not queue, try
// again or read from the replica.
func (s *store) in(tx *gorm.DB) *store {
	return &store{root: s.root, db: tx, bound: true, log: s.log, gormLog: s.gormLog, dialect: s.dialect, epochs: s.epochs}
}

// primary returns the store without its replica.
func (s *store) primary() *store {
	primary := *s
	primary.replica = nil
	return &primary
}

// session returns a handle in db's transaction, if any, without the host's
// conditions, hooks or logger. Queries are logged without their parameters.
func (s *store) session(ctx context.Context, db *gorm.DB) *gorm.DB {
	ours := db.Session(&gorm.Session{
		NewDB:                  true,
		Context:                ctx, // a later WithContext would bring the host's conditions back
		SkipDefaultTransaction: true,
		SkipHooks:              true,
		Logger:                 s.gormLog,
	})
	ours.DisableNestedTransaction = false // on a copy; a verb that fails in the host's transaction is undone by a savepoint
	return ours
}

// read runs queries, again if they conflict with a write or the connection is
// cut. It waits while Config.MaxReads others run.
func (s *store) read(ctx context.Context, do func(db *gorm.DB) error) error {
	if s.reads != nil {
		select {
		case s.reads <- struct{}{}:
			defer func() { <-s.reads }()
		case <-ctx.Done():
			return unavailable("database", fmt.Errorf("all reads that may run at once are running: %w", ctx.Err()))
		}
	}
	for attempt := 1; ; attempt++ {
		err := s.ended(do(s.session(ctx, s.db)))
		if err != nil && isCut(err) {
			s.epochs.forget() // another server may answer from now on
		}
		if s.bound || !again(ctx, err, attempt) {
			return err
		}
	}
}

// maxAttempts is more than the connections that a server which restarts usually
// cuts at once: each attempt may meet another one.
const maxAttempts = 20

// again reports whether to try again what failed: it conflicted with another
// transaction, or the connection was cut.
func again(ctx context.Context, err error, attempt int) bool {
	return err != nil && attempt < maxAttempts && ctx.Err() == nil && (errors.Is(err, ErrRetry) || isCut(err))
}

// readFor runs queries of a reader, on the replica if that is possible. It
// returns where they ran.
func (s *store) readFor(ctx context.Context, in inbox, do func(db *gorm.DB) error) (readFrom, error) {
	if s.replica != nil {
		if from, answered := s.onReplica(ctx, in, do); answered {
			return from, nil
		}
	}
	return readFrom{}, s.read(ctx, do)
}

// duration says how long a write may take.
type duration int

const (
	short duration = iota // it changes a bounded number of rows
	long
)

// write runs a statement or transaction that writes. On SQLite the writes of
// this Service wait in a queue: SQLite makes waiting writers poll, and some
// never get the lock. Short ones may share a transaction there, see package
// writequeue. In the host's transaction nothing waits in the queue or is tried
// again.
//
// A write that conflicts with another one, or whose connection is cut, is tried
// again. The latter may have been committed, if only the answer was lost. So do
// must expect to find its own work.
func (s *store) write(ctx context.Context, takes duration, do func(db *gorm.DB) error) error {
	run, once := func() error { return do(s.session(ctx, s.db)) }, s.bound
	switch {
	case s.bound:
		if s.dialect.oneWriter() { // an interrupted statement would roll back the host's whole transaction
			if err := ctx.Err(); err != nil {
				return failed(err)
			}
			ctx = context.WithoutCancel(ctx)
		}
	case s.queue != nil: // no second attempt: the driver has already waited for the lock
		once = true
		begin := func(ctx context.Context) *gorm.DB { return s.session(ctx, s.db) }
		inQueue := s.queue.Run
		if takes == long {
			inQueue = s.queue.RunAlone
		}
		run = func() error { return inQueue(ctx, begin, do) }
	}
	for attempt := 1; ; attempt++ {
		err := s.ended(run())
		if cause := ctx.Err(); cause != nil && errors.Is(err, ErrUnavailable) && !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", err, cause) // database/sql only says that the transaction has ended, not why
		}
		if err == nil && s.changed != nil {
			s.changed(ctx)
		}
		if once || !again(ctx, err, attempt) {
			return err
		}
	}
}

// writeTx is write in a transaction, or in a savepoint of the host's one. Its
// first statement must write: then SQLite waits for the write lock, while a
// read first would fail if another writer came in between.
func (s *store) writeTx(ctx context.Context, takes duration, do func(tx *gorm.DB) error) error {
	return s.write(ctx, takes, func(db *gorm.DB) error {
		if s.bound {
			return inSavepoint(db, do)
		}
		return db.Transaction(func(tx *gorm.DB) error {
			if err := s.limit(ctx, tx); err != nil {
				return err
			}
			return do(tx)
		}, s.dialect.transaction())
	})
}

// limit lets the database itself end the statements of a transaction of ours
// when ctx ends. The driver asks for that too, over another connection, but the
// request may get lost.
func (s *store) limit(ctx context.Context, tx *gorm.DB) error {
	end, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	return s.dialect.limit(tx, time.Until(end))
}

// inSavepoint runs do in a savepoint of the host's transaction, and takes it back
// if do fails, also because its context has ended: GORM's own savepoint would
// stay half done then. It is released, for each open savepoint makes both
// databases slower, and GORM releases none.
func inSavepoint(db *gorm.DB, do func(tx *gorm.DB) error) error {
	if err := db.Exec("SAVEPOINT notification_write").Error; err != nil {
		return err
	}
	always := db.Session(&gorm.Session{Context: context.WithoutCancel(db.Statement.Context)})
	err := do(db.Session(&gorm.Session{DisableNestedTransaction: true}))
	if err != nil {
		if undo := always.Exec("ROLLBACK TO SAVEPOINT notification_write").Error; undo != nil {
			return errors.Join(err, undo)
		}
	}
	return errors.Join(err, always.Exec("RELEASE SAVEPOINT notification_write").Error)
}

// find runs a query and scans the result into dest, as GORM's Find does. GORM's
// Scan would log the parameters, regardless of the logger. Row is nil if a
// plugin of the host refuses the query.
func find(db *gorm.DB, sql *sqltext.Text, dest any) error { return raw(db, sql).Find(dest).Error }

// exec runs a statement that returns no rows, and returns how many rows it
// changed.
func exec(db *gorm.DB, sql *sqltext.Text) (int64, error) {
	return execText(db, sql.String(), sql.Args())
}

// execText is exec for a statement whose text is built only once.
func execText(db *gorm.DB, text string, args []any) (int64, error) {
	db = rawText(db, text, args)
	done := db.Callback().Raw().Execute(db)
	return done.RowsAffected, done.Error
}

// raw is GORM's Raw for a finished statement. GORM would search the text for
// parameters byte by byte, which takes longer than SQLite takes to store a row.
func raw(db *gorm.DB, sql *sqltext.Text) *gorm.DB { return rawText(db, sql.String(), sql.Args()) }

func rawText(db *gorm.DB, text string, args []any) *gorm.DB {
	db = db.Clauses() // no clauses, but a new statement
	db.Statement.SQL.WriteString(text)
	db.Statement.Vars = args
	return db
}

// sql begins a statement of the dialect.
func (s *store) sql(text string, args ...any) *sqltext.Text {
	return s.dialect.statement().Add(text, args...)
}

// slowQuery is the duration after which a query is logged as slow.
const slowQuery = time.Second

func newGormLogger(log *slog.Logger) logger.Interface {
	return quiet{logger.NewSlogLogger(slog.New(cancelAsDebug{log.Handler()}), logger.Config{
		SlowThreshold: slowQuery, LogLevel: logger.Warn,
	})}
}

// quiet drops the queries that are neither slow nor failed before GORM formats
// them: GORM formats every query first, on PostgreSQL with a regular
// expression.
type quiet struct{ logger.Interface }

// Trace implements [logger.Interface].
func (q quiet) Trace(ctx context.Context, begin time.Time, query func() (sql string, rows int64), err error) {
	if err != nil || time.Since(begin) > slowQuery {
		q.Interface.Trace(ctx, begin, query, err)
	}
}

// ParamsFilter implements [gorm.ParamsFilter]. It removes the parameters from
// logs.
func (quiet) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) { return sql, nil }

// cancelAsDebug logs a query that the caller cancelled at level Debug, because
// it is not a fault.
type cancelAsDebug struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h cancelAsDebug) Handle(ctx context.Context, r slog.Record) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		r.Level = slog.LevelDebug
		if !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// value returns a text that may be null; null becomes empty.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// optional returns a text to store; empty becomes null.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant returns a stored time; null becomes the zero time.
func instant(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// millis returns a time to store; the zero time becomes null.
func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// jsonArray encodes a list of any length as one parameter.
func jsonArray(list []string) string {
	if list == nil {
		return "[]"
	}
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
