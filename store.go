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

// messageRow is a row of notification_messages: what was said, one row a post,
// never changed by readers. The columns that hold the content are in
// [messageColumns]. Times are in Unix milliseconds.
type messageRow struct {
	ID     string `gorm:"column:id;primaryKey"` // UUIDv7, so ordered by creation
	Poster string `gorm:"column:poster"`        // "service:ci", "user:default/jane"; empty if unknown
	Origin string `gorm:"column:origin"`
	Scope  string `gorm:"column:scope"` // null is scanned as empty
	// Audiences is the JSON array of the audiences whose deliveries are left,
	// so that they are found by the message.
	Audiences   string  `gorm:"column:audiences"`
	IsSystem    bool    `gorm:"column:is_system"`
	ExpiresAt   *int64  `gorm:"column:expires_at"`
	Scheduled   bool    `gorm:"column:scheduled"`    // hidden until the instant in ID
	WithdrawnAt *int64  `gorm:"column:withdrawn_at"` // no delivery is left; to be purged
	ReplacedBy  *string `gorm:"column:replaced_by"`  // the post that took over an audience last
}

// selectMessage selects a [messageRow] msg.
const selectMessage = `SELECT msg.id, msg.poster, msg.origin, coalesce(msg.scope, '') AS scope, msg.audiences, msg.is_system,
	msg.expires_at, msg.scheduled, msg.withdrawn_at, msg.replaced_by FROM notification_messages msg`

// audiences are those whose deliveries are left.
func (m messageRow) audiences() []string {
	var list []string
	_ = json.Unmarshal([]byte(m.Audiences), &list) // stored by this package
	return list
}

// A row of notification_deliveries says whom a message is for: one row a
// target, never one a member of a group. It alone, with the reader's groups and
// the time, decides visibility. The audience is "user:…", "group:…" or
// "system". What follows the key (audience, message_id) is a copy from the
// message.

// systemAudience is the audience of what is addressed to everybody. Those of
// users and groups have a colon, so it is none of them.
const systemAudience = "system"

// never is the expires_at of a delivery that does not expire.
const never = math.MaxInt64

// stateRow is a row of notification_states: a user's marks of a message, absent
// until the first. The times are in Unix milliseconds; null is unread, not
// saved, not archived.
type stateRow struct {
	UserRef    string `gorm:"column:user_ref;primaryKey"`
	MessageID  string `gorm:"column:message_id;primaryKey"`
	ReadAt     *int64 `gorm:"column:read_at"`
	SavedAt    *int64 `gorm:"column:saved_at"`
	ArchivedAt *int64 `gorm:"column:archived_at"`
}

// store is the queries. It asks nobody for permission.
type store struct {
	root    *gorm.DB // Config.DB
	db      *gorm.DB // root, or a transaction of the host
	bound   bool     // db is such a transaction
	log     *slog.Logger
	gormLog logger.Interface
	dialect dialect
	queue   *writequeue.Queue // where the database takes one writer at a time; else nil
	replica *replica          // where reads go that may be a little late; nil if there is none
}

func newStore(db *gorm.DB, log *slog.Logger) (*store, error) {
	d, known := dialects[db.Name()]
	if !known {
		return nil, fmt.Errorf("notifications: Config.DB is %q, only postgres and sqlite are supported", db.Name())
	}
	if isTransaction(db) {
		return nil, errors.New("notifications: Config.DB is a transaction; a Service outlives it, see WithTx")
	}
	s := &store{root: db, db: db, log: log, dialect: d, gormLog: newGormLogger(log)}
	if d.oneWriter() {
		s.queue = new(writequeue.Queue)
	}
	return s, nil
}

// in is the store in a transaction of the host: nothing queues or is tried
// again, and nothing else is read.
func (s *store) in(tx *gorm.DB) *store {
	return &store{root: s.root, db: tx, bound: true, log: s.log, gormLog: s.gormLog, dialect: s.dialect}
}

// session returns a handle in db's transaction, if any, without the host's
// conditions, hooks or logger. Queries are logged without their parameters.
func (s *store) session(ctx context.Context, db *gorm.DB) *gorm.DB {
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

// read runs queries.
func (s *store) read(ctx context.Context, do func(db *gorm.DB) error) error {
	return s.ended(do(s.session(ctx, s.db)))
}

// readFor runs queries of a reader, which may go to the replica.
func (s *store) readFor(ctx context.Context, in inbox, do func(db *gorm.DB) error) error {
	if s.replica != nil && s.onReplica(ctx, in, do) {
		return nil
	}
	return s.read(ctx, do)
}

// write runs a statement or transaction that writes. Where the database takes
// one writer at a time, those of this service queue in order: SQLite itself
// lets them poll, and some starve. What met another transaction is tried again.
// In a transaction of the host it does neither.
func (s *store) write(ctx context.Context, do func(db *gorm.DB) error) error {
	run, attempts := func() error { return do(s.session(ctx, s.db)) }, 5
	switch {
	case s.bound:
		attempts = 1
	case s.queue != nil: // and the driver has been waiting for the lock
		attempts = 1
		begin := func(ctx context.Context) *gorm.DB { return s.session(ctx, s.db) }
		run = func() error { return s.queue.Run(ctx, begin, do) }
	}
	for attempt := 1; ; attempt++ {
		err := s.ended(run())
		if cause := ctx.Err(); cause != nil && errors.Is(err, ErrUnavailable) && !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", err, cause) // database/sql says of a transaction only that it is over
		}
		if !errors.Is(err, ErrRetry) || attempt == attempts {
			return err
		}
	}
}

// writeTx is write in a transaction of its own, or a savepoint of the host's.
// On SQLite its first statement must write, so that it waits for the lock
// instead of failing to upgrade.
func (s *store) writeTx(ctx context.Context, do func(tx *gorm.DB) error) error {
	return s.write(ctx, func(db *gorm.DB) error { return db.Transaction(do) })
}

// find runs a statement and scans what it returns into dest, as GORM's Find
// does. Not Scan: on its way GORM would log the parameters, regardless of the
// logger. Not Row: it is nil if a plugin of the host's refuses.
func find(db *gorm.DB, sql *sqltext.Text, dest any) error { return raw(db, sql).Find(dest).Error }

// exec runs a statement that returns nothing, and tells how many rows it
// changed.
func exec(db *gorm.DB, sql *sqltext.Text) (int64, error) {
	return execText(db, sql.String(), sql.Args())
}

// execText is exec of a statement whose text is written once.
func execText(db *gorm.DB, text string, args []any) (int64, error) {
	db = rawText(db, text, args)
	done := db.Callback().Raw().Execute(db)
	return done.RowsAffected, done.Error
}

// raw is GORM's Raw for a statement that is as the database wants it. GORM
// would look for parameters byte by byte, which takes longer than SQLite takes
// to store a row.
func raw(db *gorm.DB, sql *sqltext.Text) *gorm.DB { return rawText(db, sql.String(), sql.Args()) }

func rawText(db *gorm.DB, text string, args []any) *gorm.DB {
	db = db.Clauses() // none, but a statement of its own
	db.Statement.SQL.WriteString(text)
	db.Statement.Vars = args
	return db
}

// sql begins a statement.
func (s *store) sql(text string, args ...any) *sqltext.Text {
	return s.dialect.statement().Add(text, args...)
}

// slowQuery is how long a query may take without being logged.
const slowQuery = time.Second

func newGormLogger(log *slog.Logger) logger.Interface {
	return quiet{logger.NewSlogLogger(slog.New(cancelAsDebug{log.Handler()}), logger.Config{
		SlowThreshold: slowQuery, LogLevel: logger.Warn,
	})}
}

// quiet logs slow and failing queries only. GORM writes every query out, by a
// regular expression on PostgreSQL, before it looks which they are.
type quiet struct{ logger.Interface }

// Trace implements [logger.Interface].
func (q quiet) Trace(ctx context.Context, begin time.Time, query func() (sql string, rows int64), err error) {
	if err != nil || time.Since(begin) > slowQuery {
		q.Interface.Trace(ctx, begin, query, err)
	}
}

// ParamsFilter implements [gorm.ParamsFilter]: parameters are not logged.
func (quiet) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) { return sql, nil }

// cancelAsDebug logs a query that the caller cancelled at level Debug: it is
// no fault.
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

// value is a text that may be null, null being empty.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// optional is a text to be stored, null if it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant is a stored time, null being zero.
func instant(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// millis is a time as it is stored; nil for the zero time.
func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// jsonArray passes a list of any length as one parameter.
func jsonArray(list []string) string {
	if list == nil {
		return "[]"
	}
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
