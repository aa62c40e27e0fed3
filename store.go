package notifications

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// sortKeys are the columns a list can be ordered by, as SQL over k, a message.
// Being the only SQL that depends on a request, it is chosen, never composed.
var sortKeys = map[Order]string{
	OrderCreated: "k.id",
	OrderTitle:   "k.title_key",
	OrderMessage: fmt.Sprintf("substr(k.message_key, 1, %d)", maxSortKeyChars),
	OrderTopic:   "k.topic_key",
	OrderOrigin:  "k.origin_key",
}

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
	return db.Session(&gorm.Session{
		NewDB:                  true,
		Context:                ctx, // WithContext afterwards would bring the conditions back
		SkipDefaultTransaction: true,
		SkipHooks:              true,
		Logger:                 s.gormLog,
	})
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

func (s *store) list(ctx context.Context, in inbox, q ListQuery, after *cursor) (Page, error) {
	query := s.listByText
	if q.OrderBy == OrderCreated {
		query = s.listByCreated
	}
	items, keys, err := s.read(ctx, in, query(in, q, selection{Filter: q.Filter}, after), q.Limit+1)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: items}
	if len(items) > q.Limit {
		page.Items = items[:q.Limit]
		last := q.Limit - 1
		page.Next = cursor{Query: q.fingerprint(), Key: keys[last], ID: items[last].ID}.String()
	}
	return page, nil
}

// get returns one message the reader can see.
func (s *store) get(ctx context.Context, in inbox, id string) (Notification, error) {
	items, _, err := s.read(ctx, in, s.listByCreated(in, ListQuery{Limit: 1}, only(id), nil), 1)
	if err != nil {
		return Notification{}, err
	}
	if len(items) == 0 {
		return Notification{}, ErrNotFound
	}
	return items[0], nil
}

// read reads at most limit rows of listedColumns, and what they are sorted by.
func (s *store) read(ctx context.Context, in inbox, sql *sqlText, limit int) (items []Notification, keys []*string, err error) {
	err = s.forReader(ctx, in, func(db *gorm.DB) (err error) {
		items, keys, err = readListed(db, in, sql, limit)
		return err
	})
	return items, keys, err
}

// readListed scans rows by hand, which takes half the allocations of GORM's
// Find.
func readListed(db *gorm.DB, in inbox, sql *sqlText, limit int) (items []Notification, keys []*string, err error) {
	rows, err := db.Raw(sql.String(), sql.args...).Rows()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	items, keys = make([]Notification, 0, min(limit, DefaultLimit+1)), make([]*string, 0, min(limit, DefaultLimit+1))
	row := newListedRow()
	for rows.Next() {
		n, err := row.scan(rows, in)
		if err != nil {
			return nil, nil, err
		}
		items, keys = append(items, n), append(keys, row.key)
	}
	return items, keys, rows.Err()
}

// listedColumns are what a [listedRow] takes: a message m, the reader's state s
// of it, and the sort key.
const listedColumns = "m.id, m.origin, m.title, m.message, m.topic, m.severity, m.link, m.icon, m.metadata, m.actions," +
	" m.is_system, m.scope, m.updated_at, m.expires_at, s.user_ref IS NOT NULL, s.read_at, s.saved_at, s.archived_at"

// listByCreated reads no more than a page from each audience, in the order of
// the primary key, so that its cost does not depend on what lies behind.
func (s *store) listByCreated(in inbox, q ListQuery, sel selection, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	need := q.Offset + q.Limit + 1 // one more tells whether a next page exists

	var branch sqlText
	s.selectDeliveries(&branch, in, sel)
	if after != nil {
		branch.add(" AND d.message_id "+beyond+" ?", after.ID)
	}
	branch.add(fmt.Sprintf(" ORDER BY d.message_id %s LIMIT %d", direction, need))

	var sql sqlText
	sql.add("SELECT " + listedColumns + ", NULL FROM (SELECT DISTINCT v.message_id FROM ")
	s.dialect.eachAudience(&sql, in.sources(sel.Scope), &branch)
	sql.add(fmt.Sprintf(" ORDER BY v.message_id %s LIMIT %d OFFSET %d) p", direction, q.Limit+1, q.Offset))
	joinMessages(&sql, in.user)
	sql.add(" ORDER BY m.id " + direction)
	return &sql
}

// listByText sorts everything the reader can see, for no index has it in
// order. Only keys and ids are sorted, and only a page is joined.
func (s *store) listByText(in inbox, q ListQuery, sel selection, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	order := fmt.Sprintf(" ORDER BY p.sort_key %s NULLS LAST, p.message_id %s", direction, direction)

	var branch sqlText
	s.selectDeliveries(&branch, in, sel)

	var sql sqlText
	sql.add("SELECT " + listedColumns + ", p.sort_key FROM (SELECT p.message_id, p.sort_key FROM (" +
		"SELECT DISTINCT v.message_id, (SELECT " + sortKeys[q.OrderBy] +
		" FROM notification_messages k WHERE k.id = v.message_id) AS sort_key FROM ")
	s.dialect.eachAudience(&sql, in.sources(sel.Scope), &branch)
	sql.add(") p")
	switch {
	case after == nil:
	case after.Key == nil:
		sql.add(" WHERE p.sort_key IS NULL AND p.message_id "+beyond+" ?", after.ID)
	default:
		sql.add(" WHERE p.sort_key "+beyond+" ? OR p.sort_key IS NULL OR (p.sort_key = ? AND p.message_id "+beyond+" ?)",
			*after.Key, *after.Key, after.ID)
	}
	sql.add(order + fmt.Sprintf(" LIMIT %d OFFSET %d) p", q.Limit+1, q.Offset))
	joinMessages(&sql, in.user)
	sql.add(order)
	return &sql
}

// joinMessages adds to p, a selection of ids, what a list shows of them.
func joinMessages(sql *sqlText, user string) {
	sql.add(" JOIN notification_messages m ON m.id = p.message_id"+
		" LEFT JOIN notification_states s ON s.user_ref = ? AND s.message_id = p.message_id", user)
}

// countQuery counts what a list without a limit would have. Unlike a page it
// looks at everything, so it reads the reader's states from end to end instead
// of asking for the state of one message after another, where what the filter
// asks of them allows that.
func (s *store) countQuery(in inbox, f Filter) *sqlText {
	q := questionsOf(in, f)
	of := s.selectDeliveries
	if len(q.state) > 0 && (q.unless || q.only) {
		of = s.selectInAnyState
	} else {
		q = stateQuestions{}
	}
	var branch, sql sqlText
	of(&branch, in, selection{Filter: f})
	// A message in several audiences comes several times, and counts once: that
	// is what sets are for, and a count(DISTINCT …) would sort them all.
	sql.add("SELECT count(*) FROM (SELECT ")
	if len(q.state) == 0 {
		sql.add("DISTINCT ")
	}
	sql.add("v.message_id FROM ")
	s.dialect.eachAudience(&sql, in.sources(f.Scope), &branch)
	const states = "SELECT r.message_id FROM notification_states r WHERE r.user_ref = ? AND "
	switch asked := strings.Join(q.state, " AND "); {
	case len(q.state) == 0:
	case q.only:
		sql.add(" INTERSECT "+states+asked, in.user)
	default:
		sql.add(" EXCEPT "+states+"NOT ("+asked+")", in.user)
	}
	sql.add(") c")
	return &sql
}

func (s *store) count(ctx context.Context, in inbox, f Filter) (int64, error) {
	sql := s.countQuery(in, f)
	var n int64
	err := s.forReader(ctx, in, func(db *gorm.DB) error {
		// Not Scan: on its way GORM would log the parameters, whatever the logger
		// says. Not Row: it is nil where a plugin of the host's refuses.
		return db.Raw(sql.String(), sql.args...).Find(&n).Error
	})
	return n, err
}

// newest is what the latest migration added.
var newest = []string{
	"SELECT replaced_by FROM notification_messages LIMIT 0",
	"SELECT expires_at FROM notification_deliveries LIMIT 0",
	"SELECT archived_at FROM notification_states LIMIT 0",
	"SELECT used_at FROM notification_scopes LIMIT 0",
	"SELECT expires_at FROM notification_idempotency_keys LIMIT 0",
}

// ready fails unless the database answers and has been migrated.
func (s *store) ready(ctx context.Context) error {
	for _, sql := range newest {
		if err := s.door(ctx, s.db).Exec(sql).Error; err != nil {
			return unavailable("database", err)
		}
	}
	return nil
}

// listedRow is where rows of listedColumns are scanned to, one after another.
type listedRow struct {
	id, origin, title, actions                  string
	message, topic, link, icon, metadata, scope sql.NullString
	key                                         *string
	severity                                    int
	system, touched                             bool
	updated, expires                            *int64
	readAt, savedAt, archivedAt                 sql.NullInt64
	columns                                     []any
}

func newListedRow() *listedRow {
	r := new(listedRow)
	r.columns = []any{
		&r.id, &r.origin, &r.title, &r.message, &r.topic, &r.severity, &r.link, &r.icon, &r.metadata, &r.actions,
		&r.system, &r.scope, &r.updated, &r.expires, &r.touched, &r.readAt, &r.savedAt, &r.archivedAt, &r.key,
	}
	return r
}

// scan reads the next row as the reader sees it.
func (r *listedRow) scan(rows *sql.Rows, in inbox) (Notification, error) {
	if err := rows.Scan(r.columns...); err != nil {
		return Notification{}, err
	}
	id, err := uuid.FromString(r.id)
	if err != nil {
		return Notification{}, fmt.Errorf("stored id: %w", err)
	}
	n := Notification{
		ID: r.id, Created: createdAt(id), Updated: instant(r.updated), Expires: instant(r.expires),
		Read:  r.readAt.Valid || !r.touched && in.readUntouched(r.system, r.id),
		Saved: r.savedAt.Valid, Archived: r.archivedAt.Valid, System: r.system,
		Origin: r.origin, Title: r.title, Message: r.message.String, Topic: r.topic.String,
		Link: r.link.String, Icon: r.icon.String, Scope: r.scope.String, Severity: severities[r.severity],
	}
	if r.metadata.Valid {
		n.Metadata = json.RawMessage(r.metadata.String)
	}
	if r.actions == noActions {
		return n, nil
	}
	var stored []storedAction
	if err := json.Unmarshal([]byte(r.actions), &stored); err != nil {
		return n, fmt.Errorf("stored actions of %s: %w", n.ID, err)
	}
	for _, a := range stored {
		n.Actions = append(n.Actions, Action(a))
	}
	return n, nil
}

// noActions is the column actions of a message that has none.
const noActions = "[]"

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

// sqlText is a statement being written, with its arguments in step.
type sqlText struct {
	strings.Builder
	args []any
}

func (s *sqlText) add(text string, args ...any) {
	if s.Len() == 0 { // room for most statements
		s.Grow(1 << 10)
		s.args = make([]any, 0, 16)
	}
	s.WriteString(text)
	s.args = append(s.args, args...)
}

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
