package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"
	"github.com/notifications-go/notifications/internal/fold"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// systemAudience is the audience of what is addressed to everybody. Refs of
// users and groups have a colon, so it is none of them.
const systemAudience = "system"

// messageRow is what was said: one row a post, never changed by readers.
type messageRow struct {
	ID       string  `gorm:"column:id;primaryKey"` // UUIDv7, so ordered by creation
	Origin   string  `gorm:"column:origin"`
	Title    string  `gorm:"column:title"`
	Message  *string `gorm:"column:message"`
	Topic    *string `gorm:"column:topic"`
	Actions  string  `gorm:"column:actions"` // JSON array of storedAction
	IsSystem bool    `gorm:"column:is_system"`

	// The texts again, folded, to be searched and ordered alike everywhere.
	OriginKey  string  `gorm:"column:origin_key"`
	TitleKey   string  `gorm:"column:title_key"`
	MessageKey *string `gorm:"column:message_key"`
	TopicKey   *string `gorm:"column:topic_key"`
}

// storedAction is an [Action] in the column actions.
type storedAction struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// deliveryRow is whom a message is for: one row a target, never one a member
// of a group. It alone, with the reader's groups, decides visibility.
type deliveryRow struct {
	Audience  string `gorm:"column:audience;primaryKey"` // "user:…", "group:…" or "system"
	MessageID string `gorm:"column:message_id;primaryKey"`
}

// stateRow is what a user did with a message. Absent until then.
type stateRow struct {
	UserRef   string `gorm:"column:user_ref;primaryKey"`
	MessageID string `gorm:"column:message_id;primaryKey"`
	ReadAt    *int64 `gorm:"column:read_at"` // Unix milliseconds; null is unread
}

// TableName names the table for GORM.
func (messageRow) TableName() string { return "notification_messages" }

// TableName names the table for GORM.
func (deliveryRow) TableName() string { return "notification_deliveries" }

// TableName names the table for GORM.
func (stateRow) TableName() string { return "notification_states" }

// sortKeys are the columns a list can be ordered by, as SQL over k, a message.
// Being the only SQL that depends on a request, it is chosen, never composed.
var sortKeys = map[Order]string{
	OrderCreated: "k.id",
	OrderTitle:   "k.title_key",
	OrderMessage: fmt.Sprintf("substr(k.message_key, 1, %d)", maxSortKeyChars),
	OrderTopic:   "k.topic_key",
	OrderOrigin:  "k.origin_key",
}

func newMessageRow(id string, d Draft, actions string) *messageRow {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return &messageRow{
		ID: id, Origin: d.Origin, Title: d.Title, Actions: actions, IsSystem: d.To.everyone,
		Message: optional(d.Message), Topic: optional(d.Topic),
		OriginKey: fold.Text(d.Origin), TitleKey: fold.Text(d.Title),
		MessageKey: optional(fold.Text(d.Message)), TopicKey: optional(fold.Text(d.Topic)),
	}
}

// store is the queries. It asks nobody for permission.
type store struct {
	db      *gorm.DB
	log     *slog.Logger
	dialect dialect
	writing chan struct{} // held while writing, where only one can; else nil
}

func newStore(db *gorm.DB, log *slog.Logger) (*store, error) {
	d, known := dialects[db.Name()]
	if !known {
		return nil, fmt.Errorf("notifications: Config.DB is %q, only postgres and sqlite are supported", db.Name())
	}
	if _, is := db.Statement.ConnPool.(gorm.TxCommitter); is {
		return nil, errors.New("notifications: Config.DB is a transaction; a service outlives it, see PostTx")
	}
	s := &store{db: db, log: log, dialect: d}
	if d.oneWriter {
		s.writing = make(chan struct{}, 1)
	}
	return s, nil
}

// write runs a statement or transaction that writes and is not the host's.
// Where the database takes one writer at a time, those of this service queue
// here in order: SQLite itself lets them poll, and some starve.
func (s *store) write(ctx context.Context, do func(db *gorm.DB) error) error {
	if s.writing != nil {
		select {
		case s.writing <- struct{}{}:
			defer func() { <-s.writing }()
		case <-ctx.Done():
			return unavailable("database", ctx.Err())
		}
	}
	if err := do(s.door(ctx, s.db)); err != nil {
		return unavailable("database", err)
	}
	return nil
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
		Logger: logger.NewSlogLogger(s.log, logger.Config{
			SlowThreshold: time.Second, LogLevel: logger.Warn, ParameterizedQueries: true,
		}),
	})
}

// post stores a message and its deliveries, all or nothing.
func (s *store) post(ctx context.Context, row *messageRow, audiences []string) error {
	return s.write(ctx, func(db *gorm.DB) error { return s.dialect.insert(db, row, jsonArray(audiences)) })
}

// postTx is post in the host's transaction.
func (s *store) postTx(ctx context.Context, tx *gorm.DB, row *messageRow, audiences []string) error {
	if err := s.dialect.insert(s.door(ctx, tx), row, jsonArray(audiences)); err != nil {
		return unavailable("database", err)
	}
	return nil
}

// listedRow is a message and what the reader did with it.
type listedRow struct {
	Message messageRow `gorm:"embedded"`
	ReadAt  *int64     `gorm:"column:read_at"`
	SortKey *string    `gorm:"column:sort_key"`
}

func (s *store) list(ctx context.Context, in inbox, q ListQuery, after *cursor) (Page, error) {
	query := s.listByText
	if q.OrderBy == OrderCreated {
		query = s.listByCreated
	}
	var rows []listedRow
	sql := query(in, q, after)
	// Not Scan: on its way GORM would log the parameters, whatever the logger says.
	if err := s.door(ctx, s.db).Raw(sql.String(), sql.args...).Find(&rows).Error; err != nil {
		return Page{}, unavailable("database", err)
	}
	var page Page
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		last := rows[q.Limit-1]
		page.Next = cursor{Query: q.fingerprint(), Key: last.SortKey, ID: last.Message.ID}.String()
	}
	page.Items = make([]Notification, len(rows))
	for i, r := range rows {
		n, err := r.notification()
		if err != nil {
			return Page{}, err
		}
		page.Items[i] = n
	}
	return page, nil
}

const listedColumns = "m.id, m.origin, m.title, m.message, m.topic, m.actions, m.is_system, s.read_at"

// listByCreated reads no more than a page from each audience, in the order of
// the primary key, so that its cost does not depend on what lies behind.
func (s *store) listByCreated(in inbox, q ListQuery, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	need := q.Offset + q.Limit + 1 // one more tells whether a next page exists

	var branch sqlText
	s.selectDeliveries(&branch, in.user, q.Filter)
	if after != nil {
		branch.add(" AND d.message_id "+beyond+" ?", after.ID)
	}
	branch.add(fmt.Sprintf(" ORDER BY d.message_id %s LIMIT %d", direction, need))

	var sql sqlText
	sql.add("SELECT " + listedColumns + " FROM (SELECT DISTINCT v.message_id FROM ")
	s.dialect.eachAudience(&sql, in.audiences(q.Scope), &branch)
	sql.add(fmt.Sprintf(" ORDER BY v.message_id %s LIMIT %d OFFSET %d) p", direction, q.Limit+1, q.Offset))
	joinMessages(&sql, in.user)
	sql.add(" ORDER BY m.id " + direction)
	return &sql
}

// listByText sorts everything the reader can see, for no index has it in
// order. Only keys and ids are sorted, and only a page is joined.
func (s *store) listByText(in inbox, q ListQuery, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	order := fmt.Sprintf(" ORDER BY p.sort_key %s NULLS LAST, p.message_id %s", direction, direction)

	var branch sqlText
	s.selectDeliveries(&branch, in.user, q.Filter)

	var sql sqlText
	sql.add("SELECT " + listedColumns + ", p.sort_key FROM (SELECT p.message_id, p.sort_key FROM (" +
		"SELECT DISTINCT v.message_id, (SELECT " + sortKeys[q.OrderBy] +
		" FROM notification_messages k WHERE k.id = v.message_id) AS sort_key FROM ")
	s.dialect.eachAudience(&sql, in.audiences(q.Scope), &branch)
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

func (s *store) countQuery(in inbox, f Filter) *sqlText {
	var branch sqlText
	s.selectDeliveries(&branch, in.user, f)
	var sql sqlText
	sql.add("SELECT count(DISTINCT v.message_id) FROM ")
	s.dialect.eachAudience(&sql, in.audiences(f.Scope), &branch)
	return &sql
}

func (s *store) count(ctx context.Context, in inbox, f Filter) (int64, error) {
	sql := s.countQuery(in, f)
	var n int64
	if err := s.door(ctx, s.db).Raw(sql.String(), sql.args...).Find(&n).Error; err != nil { // not Scan, see list
		return 0, unavailable("database", err)
	}
	return n, nil
}

// selectDeliveries selects, as d, the deliveries to one audience, a.value,
// that the filter lets through. List and count share it, so they agree.
func (s *store) selectDeliveries(sql *sqlText, user string, f Filter) {
	sql.add("SELECT d.message_id FROM notification_deliveries d WHERE d.audience = a.value")
	if first, bounded := firstIDAfter(f.CreatedAfter); bounded && !f.CreatedAfter.IsZero() {
		sql.add(" AND d.message_id >= ?", first)
	}
	if f.Read != ReadOrUnread {
		// A subquery rather than EXISTS: it cannot become a join that reads
		// and sorts every state of the reader for the sake of one page.
		sql.add(" AND (SELECT r.read_at FROM notification_states r WHERE r.user_ref = ?"+
			" AND r.message_id = d.message_id) IS ", user)
		if f.Read == Read {
			sql.add("NOT ")
		}
		sql.add("NULL")
	}
	if f.Text != "" {
		text := fold.Text(f.Text)
		find := s.dialect.find
		sql.add(" AND EXISTS (SELECT 1 FROM notification_messages t WHERE t.id = d.message_id"+
			" AND ("+find+"(t.title_key, ?) > 0 OR "+find+"(t.message_key, ?) > 0))", text, text)
	}
}

// markRead writes the reader's state if the message is visible: one
// statement, so that nothing comes between the look and the write. Marking as
// read again keeps the time of the first.
func (s *store) markRead(ctx context.Context, in inbox, id string, read bool) error {
	var readAt *int64
	if read {
		now := time.Now().UnixMilli()
		readAt = &now
	}
	var sql sqlText
	sql.add("INSERT INTO notification_states AS s (user_ref, message_id, read_at)"+
		" SELECT "+s.dialect.state+" WHERE EXISTS (SELECT 1 FROM ", in.user, id, readAt)
	sql.add(s.dialect.audiences, jsonArray(in.audiences(ScopeAll)))
	sql.add(" JOIN notification_deliveries d ON d.audience = a.value AND d.message_id = ?)"+
		" ON CONFLICT (user_ref, message_id) DO UPDATE SET read_at ="+
		" CASE WHEN excluded.read_at IS NULL THEN NULL ELSE coalesce(s.read_at, excluded.read_at) END", id)
	var marked int64
	err := s.write(ctx, func(db *gorm.DB) error {
		done := db.Exec(sql.String(), sql.args...)
		marked = done.RowsAffected
		return done.Error
	})
	if err == nil && marked == 0 {
		return ErrNotFound
	}
	return err
}

// ready fails unless the database answers and has been migrated.
func (s *store) ready(ctx context.Context) error {
	for _, table := range []interface{ TableName() string }{messageRow{}, deliveryRow{}, stateRow{}} {
		if err := s.door(ctx, s.db).Exec("SELECT 1 FROM " + table.TableName() + " LIMIT 0").Error; err != nil {
			return unavailable("database", err)
		}
	}
	return nil
}

func (r listedRow) notification() (Notification, error) {
	m := r.Message
	id, err := uuid.FromString(m.ID)
	if err != nil {
		return Notification{}, unavailable("database", fmt.Errorf("stored id: %w", err))
	}
	n := Notification{
		ID: m.ID, Created: createdAt(id), Read: r.ReadAt != nil, System: m.IsSystem,
		Origin: m.Origin, Title: m.Title,
	}
	if m.Message != nil {
		n.Message = *m.Message
	}
	if m.Topic != nil {
		n.Topic = *m.Topic
	}
	var actions []storedAction
	if err := json.Unmarshal([]byte(m.Actions), &actions); err != nil {
		return Notification{}, unavailable("database", fmt.Errorf("stored actions of %s: %w", m.ID, err))
	}
	for _, a := range actions {
		n.Actions = append(n.Actions, Action(a))
	}
	return n, nil
}

// sqlText is a statement being written, with its arguments in step.
type sqlText struct {
	strings.Builder
	args []any
}

func (s *sqlText) add(text string, args ...any) {
	s.WriteString(text)
	s.args = append(s.args, args...)
}

// jsonArray passes a list of any length as one parameter.
func jsonArray(list []string) string {
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
