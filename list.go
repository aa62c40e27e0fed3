package notifications

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
		items, keys, err = readListed(sql.on(db), in, limit)
		return err
	})
	return items, keys, err
}

// readListed scans rows by hand, which takes half the allocations of GORM's
// Find.
func readListed(query *gorm.DB, in inbox, limit int) (items []Notification, keys []*string, err error) {
	rows, err := query.Rows()
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
		items, keys = append(items, n), append(keys, row.key())
	}
	return items, keys, rows.Err()
}

// maxMerged is how many audiences a list merges, each being a part of the
// statement, which takes time to plan.
const maxMerged = 16

// listByCreated reads the audiences of the reader in the order of the primary
// key, and no more of each than a page takes, so that its cost does not depend
// on what lies behind.
func (s *store) listByCreated(in inbox, q ListQuery, sel selection, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	sources, merge := in.sources(sel.Scope), s.dialect.merged
	where := s.whereDelivered
	if merge == nil || len(sources) > maxMerged {
		where, merge = s.whereVisible, nil
	}
	chosen := where(in, sel)
	if after != nil {
		chosen.add(" AND d.message_id "+beyond+" ?", after.ID)
	}
	order := " ORDER BY d.message_id " + direction
	page := order + fmt.Sprintf(" LIMIT %d OFFSET %d", q.Limit+1, q.Offset) // one more tells whether a next page exists

	sql := s.dialect.statement()
	sql.add(selectByCreated)
	if merge != nil {
		merge(sql, sources, chosen, direction)
		sql.add(" d"+s.dialect.ofState+" WHERE ", in.user)
		stateAnswers(sql, in, sel.Filter)
		s.filterMessage(sql, sel.Filter)
		sql.add(page)
	} else {
		sql.add("(SELECT DISTINCT d.message_id FROM ")
		s.dialect.deliveries(sql, sources, chosen, order+fmt.Sprintf(" LIMIT %d", q.Offset+q.Limit+1))
		sql.add(" d"+page+") d"+s.dialect.ofState, in.user)
	}
	sql.add(") s JOIN notification_messages m ON m.id = s.message_id ORDER BY m.id " + direction)
	return sql
}

// listByText sorts everything the reader can see, for no index has it in
// order. Only keys and ids are sorted, and only a page is joined.
func (s *store) listByText(in inbox, q ListQuery, sel selection, after *cursor) *sqlText {
	direction, beyond := "DESC", "<"
	if q.Ascending {
		direction, beyond = "ASC", ">"
	}
	order := fmt.Sprintf(" ORDER BY p.sort_key %s NULLS LAST, p.message_id %s", direction, direction)

	sql := s.dialect.statement()
	sql.add("SELECT " + listedColumns + ", p.sort_key FROM (SELECT p.message_id, p.sort_key FROM (" +
		"SELECT DISTINCT d.message_id, (SELECT " + sortKeys[q.OrderBy] +
		" FROM notification_messages k WHERE k.id = d.message_id) AS sort_key FROM ")
	s.dialect.deliveries(sql, in.sources(sel.Scope), s.whereVisible(in, sel), "")
	sql.add(" d) p")
	switch {
	case after == nil:
	case after.Key == nil:
		sql.add(" WHERE p.sort_key IS NULL AND p.message_id "+beyond+" ?", after.ID)
	default:
		sql.add(" WHERE p.sort_key "+beyond+" ? OR p.sort_key IS NULL OR (p.sort_key = ? AND p.message_id "+beyond+" ?)",
			*after.Key, *after.Key, after.ID)
	}
	sql.add(order + fmt.Sprintf(" LIMIT %d OFFSET %d) p", q.Limit+1, q.Offset))
	sql.add(" JOIN notification_messages m ON m.id = p.message_id"+
		" LEFT JOIN notification_states s ON s.user_ref = ? AND s.message_id = p.message_id", in.user)
	sql.add(order)
	return sql
}

// listedColumns are what a [listedRow] takes: a message m, the reader's state s
// of it, and the sort key. What takes a few bits shares a number, because each
// column of each row costs.
var listedColumns = fmt.Sprintf("m.id, m.origin, m.title, m.message, m.topic, m.link, m.icon, m.metadata, m.actions,"+
	" m.scope, m.updated_at, m.expires_at, m.severity + CASE WHEN m.is_system THEN %d ELSE 0 END"+
	" + CASE WHEN s.user_ref IS NULL THEN 0 ELSE %d END + CASE WHEN s.read_at IS NULL THEN 0 ELSE %d END"+
	" + CASE WHEN s.saved_at IS NULL THEN 0 ELSE %d END + CASE WHEN s.archived_at IS NULL THEN 0 ELSE %d END",
	flagSystem, flagTouched, flagRead, flagSaved, flagArchived)

// selectByCreated begins a list in the order of the primary key.
var selectByCreated = "SELECT " + listedColumns + ", NULL FROM (SELECT d.message_id, s.user_ref, s.read_at, s.saved_at, s.archived_at FROM "

// What is in a listed row beside its severity, which is less than all of them.
const (
	flagSystem  = 1 << (iota + 3)
	flagTouched // the reader has a state
	flagRead
	flagSaved
	flagArchived
	severityMask = flagSystem - 1
)

// The listedColumns, in their order.
const (
	colID = iota
	colOrigin
	colTitle
	colMessage
	colTopic
	colLink
	colIcon
	colMetadata
	colActions
	colScope
	colUpdated
	colExpires
	colFlags
	colKey
	listedCount
)

// listedRow is where rows of listedColumns are scanned to, one after another.
// database/sql is quickest where it does not have to convert what it got.
type listedRow struct {
	values  [listedCount]any
	columns [listedCount]any // their addresses
}

func newListedRow() *listedRow {
	r := new(listedRow)
	for i := range r.values {
		r.columns[i] = &r.values[i]
	}
	return r
}

// text is a column that is a text, null being empty.
func (r *listedRow) text(column int) string {
	switch v := r.values[column].(type) {
	case string:
		return v
	case []byte: // as some drivers have it
		return string(v)
	}
	return ""
}

// number is a column that is a number.
func (r *listedRow) number(column int) (n int64, notNull bool) {
	n, notNull = r.values[column].(int64)
	return n, notNull
}

// time is a column in Unix milliseconds, null being zero.
func (r *listedRow) time(column int) time.Time {
	if ms, ok := r.number(column); ok {
		return instant(&ms)
	}
	return time.Time{}
}

// key is what the row is sorted by, where that is not the id.
func (r *listedRow) key() *string {
	if r.values[colKey] == nil {
		return nil
	}
	return new(r.text(colKey))
}

// scan reads the next row as the reader sees it.
func (r *listedRow) scan(rows *sql.Rows, in inbox) (n Notification, err error) {
	if err := rows.Scan(r.columns[:]...); err != nil {
		return n, err
	}
	id := r.text(colID)
	number, ok := r.number(colFlags)
	if !ok {
		return n, fmt.Errorf("flags of %s are %T", id, r.values[colFlags])
	}
	flags := int(number)
	has := func(flag int) bool { return flags&flag != 0 }
	n = Notification{
		ID: id, Created: idTime(id), Updated: r.time(colUpdated), Expires: r.time(colExpires),
		Read:  has(flagRead) || !has(flagTouched) && in.readUntouched(has(flagSystem), id),
		Saved: has(flagSaved), Archived: has(flagArchived), System: has(flagSystem),
		Origin: r.text(colOrigin), Title: r.text(colTitle), Message: r.text(colMessage), Topic: r.text(colTopic),
		Link: r.text(colLink), Icon: r.text(colIcon), Scope: r.text(colScope), Severity: severities[flags&severityMask],
	}
	if metadata := r.text(colMetadata); metadata != "" {
		n.Metadata = json.RawMessage(metadata)
	}
	if n.Actions, err = actionsOf(r.text(colActions)); err != nil {
		return n, fmt.Errorf("stored actions of %s: %w", n.ID, err)
	}
	return n, nil
}
