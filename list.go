package notifications

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"
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

// listedColumns are what a [listedRow] takes: a message m, the reader's state s
// of it, and the sort key. What takes a few bits shares a number, because each
// column of each row costs.
var listedColumns = fmt.Sprintf("m.id, m.origin, m.title, m.message, m.topic, m.link, m.icon, m.metadata, m.actions,"+
	" m.scope, m.updated_at, m.expires_at, m.severity + CASE WHEN m.is_system THEN %d ELSE 0 END"+
	" + CASE WHEN s.user_ref IS NULL THEN 0 ELSE %d END + CASE WHEN s.read_at IS NULL THEN 0 ELSE %d END"+
	" + CASE WHEN s.saved_at IS NULL THEN 0 ELSE %d END + CASE WHEN s.archived_at IS NULL THEN 0 ELSE %d END",
	flagSystem, flagTouched, flagRead, flagSaved, flagArchived)

// What is in a listed row beside its severity, which is less than all of them.
const (
	flagSystem  = 1 << (iota + 3)
	flagTouched // the reader has a state
	flagRead
	flagSaved
	flagArchived
	severityMask = flagSystem - 1
)

// listedRow is where rows of listedColumns are scanned to, one after another.
type listedRow struct {
	id, origin, title, actions                  string
	message, topic, link, icon, metadata, scope sql.NullString
	key                                         *string
	updated, expires                            *int64
	flags                                       int // and the severity
	columns                                     []any
}

func newListedRow() *listedRow {
	r := new(listedRow)
	r.columns = []any{
		&r.id, &r.origin, &r.title, &r.message, &r.topic, &r.link, &r.icon, &r.metadata, &r.actions,
		&r.scope, &r.updated, &r.expires, &r.flags, &r.key,
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
	has := func(flag int) bool { return r.flags&flag != 0 }
	n := Notification{
		ID: r.id, Created: createdAt(id), Updated: instant(r.updated), Expires: instant(r.expires),
		Read:  has(flagRead) || !has(flagTouched) && in.readUntouched(has(flagSystem), r.id),
		Saved: has(flagSaved), Archived: has(flagArchived), System: has(flagSystem),
		Origin: r.origin, Title: r.title, Message: r.message.String, Topic: r.topic.String,
		Link: r.link.String, Icon: r.icon.String, Scope: r.scope.String, Severity: severities[r.flags&severityMask],
	}
	if r.metadata.Valid {
		n.Metadata = json.RawMessage(r.metadata.String)
	}
	if n.Actions, err = actionsOf(r.actions); err != nil {
		return n, fmt.Errorf("stored actions of %s: %w", n.ID, err)
	}
	return n, nil
}
