package notifications

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/fold"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// Limits of a list.
const (
	DefaultLimit = 20            // notifications on a page
	MaxLimit     = 10_000        // notifications on a page
	MaxOffset    = 1_000_000_000 // notifications skipped
)

// Order is the sort key of a list. Texts are ordered by code point after
// folding case. Notifications without the text come last in both directions.
// Ties are ordered by id, and so by time of creation, in the direction of the
// list.
type Order string

// The orders. The empty Order is OrderCreated.
const (
	OrderCreated Order = "created"
	OrderTitle   Order = "title"
	// OrderMessage compares the first 255 characters.
	OrderMessage Order = "message"
	OrderTopic   Order = "topic"
	OrderOrigin  Order = "origin"
)

// ListQuery says what to list. The zero ListQuery lists the newest 20
// notifications that the zero [Filter] selects.
type ListQuery struct {
	Filter
	// OrderBy is the sort key. Empty means OrderCreated.
	OrderBy Order
	// Ascending puts the oldest, or first, on top. The default is the opposite.
	Ascending bool
	// Limit is the number of notifications on a page, 1 to 10,000. Zero means
	// 20. A page of more than [MaxPageBytes] has fewer; one of 20 never is so
	// large.
	Limit int
	// Offset is how many notifications to skip, up to 1,000,000,000. The cost
	// of a page grows with its Offset, and a page may repeat or skip a
	// notification when others arrive. After has neither fault.
	Offset int
	// After continues a list: it is the Next of its last page. The filter,
	// order and direction must be the same. Empty starts at the beginning. It
	// cannot be combined with Offset.
	After string
	// Whole makes a page of more than [MaxPageBytes] an [*InvalidError] that
	// names Limit, instead of cutting it. An Offset does so too.
	Whole bool
}

// Page is one page of a list.
type Page struct {
	// Items holds at most Limit notifications, and at most [MaxPageBytes]. It
	// is empty after the last page.
	Items []Notification
	// Next is the value of After for the next page; empty if there is none.
	Next string
	// Position is what the page shows of the log of changes, for
	// [ByFilterSeen]. It is empty if that is not known: with Config.Replica for
	// a moment, or if the log cannot be read.
	Position Position
}

// List returns one page of the notifications that the reader can see and the
// query selects. It needs [PermissionList]. It returns [ErrForbidden] to
// services, which have no inbox, and to users whom the catalog does not know.
func (s *Service) List(ctx context.Context, who Identity, q ListQuery) (Page, error) {
	ctx, err := s.begin(ctx, reads, Request{Who: who, Permission: PermissionList})
	if err != nil {
		return Page{}, err
	}
	q, after, err := q.prepared()
	if err != nil {
		return Page{}, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return Page{}, err
	}
	ctx, done, err := s.beginSearch(ctx, in, q.Filter)
	if err != nil {
		return Page{}, err
	}
	defer done()
	return s.store.list(ctx, in, q, after)
}

// All iterates over the notifications that the reader can see and the filter
// selects, newest first. It reads them page by page, 100 at a time, without
// those that arrive meanwhile. An error is one of [Service.List], and ends the
// iteration.
func (s *Service) All(ctx context.Context, who Identity, f Filter) iter.Seq2[Notification, error] {
	return func(yield func(Notification, error) bool) {
		const pageSize = 100
		for q := (ListQuery{Filter: f, Limit: pageSize}); ; {
			page, err := s.List(ctx, who, q)
			if err != nil {
				yield(Notification{}, err)
				return
			}
			for _, n := range page.Items {
				if !yield(n, nil) {
					return
				}
			}
			if q.After = page.Next; q.After == "" {
				return
			}
		}
	}
}

// Get returns one notification that the reader can see, archived or not. It
// needs [PermissionList]. If the reader cannot see it, or it does not exist,
// the error is [ErrNotFound].
func (s *Service) Get(ctx context.Context, who Identity, id string) (Notification, error) {
	ctx, err := s.begin(ctx, reads, Request{Who: who, Permission: PermissionList, ID: id})
	if err != nil {
		return Notification{}, err
	}
	id, err = parseID("id", id)
	if err != nil {
		return Notification{}, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return Notification{}, err
	}
	return s.store.get(ctx, in, id)
}

// Check returns an [*InvalidError] that names the fields that are invalid
// whatever the others are, and nil if there are none. List also refuses a cursor
// together with an offset, and one of another query.
func (q ListQuery) Check() error {
	_, f := q.checked()
	return f.err()
}

// checked reports the faults of Check, and decodes the cursor if there is one.
func (q ListQuery) checked() (after *cursor, f faults) {
	q.check("", &f)
	if _, known := sortKeys[q.OrderBy]; !known && q.OrderBy != "" {
		f.add("OrderBy", "must be title, message, created, topic or origin")
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		f.add("Limit", "must be between 1 and %d", MaxLimit)
	}
	if q.Offset < 0 || q.Offset > MaxOffset {
		f.add("Offset", "must be between 0 and %d", MaxOffset)
	}
	if q.After != "" {
		c, ok := parseCursor(q.After)
		if !ok {
			f.add("After", "is not a cursor this service handed out")
			return nil, f
		}
		after = c
	}
	return after, f
}

// prepared checks the query, sets its defaults, and decodes its cursor.
func (q ListQuery) prepared() (ListQuery, *cursor, error) {
	after, f := q.checked()
	if q.OrderBy == "" {
		q.OrderBy = OrderCreated
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	switch {
	case after == nil:
	case q.Offset != 0:
		f.add("After", "cannot be combined with Offset")
	case after.Query != q.fingerprint():
		f.add("After", "belongs to another filter, order or direction")
	}
	return q, after, f.err()
}

// cursor is the position after one row of a list. It holds the row's sort key,
// so it works after the row has been deleted.
type cursor struct {
	Query string  `json:"q"`           // fingerprint of filter, order and direction
	Key   *string `json:"k,omitempty"` // folded; absent if the row has no text, and in the order of creation
	ID    string  `json:"i"`
}

// fingerprint identifies the fields of the query that decide which rows come in
// which order.
func (q ListQuery) fingerprint() string {
	after := int64(-1)
	if !q.CreatedAfter.IsZero() {
		after = q.CreatedAfter.UnixMilli()
	}
	b := strconv.AppendBool(make([]byte, 0, 128), q.Ascending)
	for _, n := range []int64{after, int64(q.System), int64(q.Read), int64(q.Saved), int64(q.Archived)} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	for _, text := range []string{fold.Text(q.Text), string(q.OrderBy), string(q.MinSeverity), q.Topic, q.Origin} {
		b = strconv.AppendQuote(b, text)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (c cursor) String() string {
	b, _ := json.Marshal(c) // of texts: cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor checks a cursor like any other input: its contents go to the
// database.
func parseCursor(s string) (*cursor, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return nil, false
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, false
	}
	if c.Key != nil && strings.ContainsRune(*c.Key, 0) {
		return nil, false
	}
	id, ok := canonicalID(c.ID)
	c.ID = id
	return &c, ok
}

func (s *store) list(ctx context.Context, in inbox, q ListQuery, after *cursor) (Page, error) {
	query := s.listByText
	if q.OrderBy == OrderCreated {
		query = s.listByCreated
	}
	sql := query(in, q, selection{Filter: q.Filter}, after)
	reading := s.beginReading(ctx)
	found, err := s.listed(ctx, in, sql, q.Limit+1)
	if err != nil {
		return Page{}, err
	}
	items, fit := found.items, found.fit
	if fit < min(q.Limit, len(items)) && q.whole() {
		return Page{}, Invalid("Limit", fmt.Sprintf("is too large here: the page has more than %d bytes", MaxPageBytes))
	}
	page := Page{Items: items, Position: reading.position(s.dialect, in, found.from, found.seen)}
	if fit = min(fit, q.Limit); fit < len(items) {
		page.Items = items[:fit]
		last := fit - 1
		page.Next = cursor{Query: q.fingerprint(), Key: found.keys[last], ID: items[last].ID}.String()
	}
	return page, nil
}

// get returns one message that the reader can see.
func (s *store) get(ctx context.Context, in inbox, id string) (Notification, error) {
	found, err := s.listed(ctx, in, s.listByCreated(in, ListQuery{Limit: 1}, only(id), nil), 1)
	if err != nil {
		return Notification{}, err
	}
	if len(found.items) == 0 {
		return Notification{}, ErrNotFound
	}
	return found.items[0], nil
}

// maxMerged is the largest number of audiences that a list merges. Each is a
// part of the statement, and planning takes longer with each.
const maxMerged = 16

// directions returns the SQL of a direction: of ORDER BY, and of the rows after
// a cursor.
func directions(ascending bool) (direction, beyond string) {
	if ascending {
		return "ASC", ">"
	}
	return "DESC", "<"
}

// listByCreated reads the reader's audiences in the order of the primary key,
// and of each no more rows than a page needs. Its cost does not depend on the
// number of older rows.
func (s *store) listByCreated(in inbox, q ListQuery, sel selection, after *cursor) *sqltext.Text {
	direction, beyond := directions(q.Ascending)
	sources := in.sources(sel.System)
	merge, merges := s.dialect.(merger)
	merges = merges && len(sources) <= maxMerged
	where := s.whereVisible
	if merges {
		where = s.whereDelivered
	}
	chosen := where(in, sel)
	if after != nil {
		chosen.Add(" AND del.message_id "+beyond+" ?", after.ID)
	}
	order := " ORDER BY del.message_id " + direction
	page := order + fmt.Sprintf(" LIMIT %d OFFSET %d", q.Limit+1, q.Offset) // one row more tells whether there is a next page

	sql := s.beginList(columnsByCreated).Add(q.beginPage("ORDER BY page.message_id "+direction) + pageByCreated)
	if merges {
		merge.merged(sql, sources, chosen, direction)
		sql.Add(" del")
		s.dialect.joinState(sql, in.audience)
		sql.Add(" WHERE ")
		stateAnswers(sql, in, sel.Filter)
		s.filterMessage(sql, sel.Filter)
		sql.Add(page)
	} else {
		sql.Add("(SELECT DISTINCT del.message_id FROM ")
		s.dialect.deliveries(sql, sources, chosen, order+fmt.Sprintf(" LIMIT %d", q.Offset+q.Limit+1))
		sql.Add(" del" + page + ") del")
		s.dialect.joinState(sql, in.audience)
	}
	return sql.Add(q.endPage() + " ORDER BY msg.id " + direction)
}

// maxSortKeyChars is the length at which sort keys are cut. No title, topic or
// origin is longer, so only messages are cut.
const maxSortKeyChars = MaxTitleChars

// sortKeys is SQL over msg for each order. No request changes the text: it only
// chooses one of these.
var sortKeys = map[Order]string{
	OrderCreated: "msg.id",
	OrderTitle:   "msg.title_key",
	OrderMessage: fmt.Sprintf("substr(msg.message_key, 1, %d)", maxSortKeyChars),
	OrderTopic:   "msg.topic_key",
	OrderOrigin:  "msg.origin_key",
}

// listByText sorts all messages that the reader can see, because no index has
// them in this order. It sorts keys and ids, and joins the messages of one
// page.
func (s *store) listByText(in inbox, q ListQuery, sel selection, after *cursor) *sqltext.Text {
	direction, beyond := directions(q.Ascending)
	order := fmt.Sprintf(" ORDER BY page.sort_key %s NULLS LAST, page.message_id %s", direction, direction)

	sql := s.beginList(columnsByText).Add(q.beginPage(order) + "SELECT page.message_id, page.sort_key FROM (" +
		"SELECT DISTINCT del.message_id, (SELECT " + sortKeys[q.OrderBy] +
		" FROM notification_messages msg WHERE msg.id = del.message_id) AS sort_key FROM ")
	s.dialect.deliveries(sql, in.sources(sel.System), s.whereVisible(in, sel), "")
	sql.Add(" del) page")
	switch {
	case after == nil:
	case after.Key == nil:
		sql.Add(" WHERE page.sort_key IS NULL AND page.message_id "+beyond+" ?", after.ID)
	default:
		sql.Add(" WHERE page.sort_key "+beyond+" ? OR page.sort_key IS NULL OR (page.sort_key = ? AND page.message_id "+beyond+" ?)",
			*after.Key, *after.Key, after.ID)
	}
	sql.Add(order + fmt.Sprintf(" LIMIT %d OFFSET %d", q.Limit+1, q.Offset))
	return sql.Add(q.endPage()+
		" LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = page.message_id"+order, in.audience)
}

// listedColumns are the columns of a [listedRow], except the sort key that each
// list adds: the [shownColumns] of msg, then the flags of msg and of the
// reader's state. The flags share a number, because each column of each row
// takes time.
func listedColumns(state string) string {
	flags := fmt.Sprintf(", msg.severity + CASE WHEN msg.is_system THEN %d ELSE 0 END", flagSystem)
	for _, c := range []struct {
		name string
		flag int
	}{{"user_ref", flagTouched}, {"read_at", flagRead}, {"saved_at", flagSaved}, {"archived_at", flagArchived}} {
		flags += fmt.Sprintf(" + CASE WHEN %s.%s IS NULL THEN 0 ELSE %d END", state, c.name, c.flag)
	}
	return columnNames("msg.", shownColumns) + flags
}

// The columns of a list in the order of the primary key, and in that of a text.
var (
	columnsByCreated = "SELECT " + listedColumns("page") + ", NULL"
	columnsByText    = "SELECT " + listedColumns("st") + ", page.sort_key"
)

// beginList begins a list. Its first relation tick is one row with what the
// statement sees of the log of changes, so that an empty page has it too. LIMIT
// keeps PostgreSQL from computing it for each row.
func (s *store) beginList(columns string) *sqltext.Text {
	return s.sql(columns).Add(", tick.snapshot FROM (SELECT ").Add(s.dialect.snapshot(s.bound)).Add(" AS snapshot LIMIT 1) tick LEFT JOIN ")
}

const pageByCreated = "SELECT del.message_id, st.user_ref, st.read_at, st.saved_at, st.archived_at FROM "

// The flags, next to the severity in the lowest bits.
const (
	flagSystem  = 1 << (iota + 3)
	flagTouched // the reader has a state
	flagRead
	flagSaved
	flagArchived
	severityMask = flagSystem - 1
)

// listing is what a list found. The first fit of its items have no more than
// MaxPageBytes.
type listing struct {
	items []Notification
	keys  []*string // to sort by
	fit   int
	seen  string // of the log of changes
	from  readFrom
}

// listed runs a list, which finds at most limit items.
func (s *store) listed(ctx context.Context, in inbox, sql *sqltext.Text, limit int) (found listing, err error) {
	from, err := s.readFor(ctx, in, func(db *gorm.DB) (err error) {
		found, err = readListed(raw(db, sql), in, limit)
		return err
	})
	found.from = from
	return found, err
}

// readListed scans rows itself: GORM's Find takes twice the allocations.
func readListed(query *gorm.DB, in inbox, limit int) (found listing, err error) {
	rows, err := query.Rows()
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found.items, found.keys = make([]Notification, 0, min(limit, DefaultLimit+1)), make([]*string, 0, min(limit, DefaultLimit+1))
	row, size := newListedRow(), 0
	for rows.Next() {
		if err := rows.Scan(row.columns...); err != nil {
			return found, err
		}
		if found.seen == "" {
			found.seen = asText(row.values[len(row.values)-1])
		}
		if row.empty() {
			continue
		}
		found.items = append(found.items, Notification{})
		if err := row.read(in, &found.items[len(found.items)-1]); err != nil {
			return found, err
		}
		found.keys = append(found.keys, row.key())
		if mayExceed(limit) {
			size += row.size()
		}
		if size <= MaxPageBytes {
			found.fit = len(found.items)
		}
	}
	return found, rows.Err()
}

// listedRow is the buffer that rows are scanned into, one after another. Its
// values are of type any, because then database/sql need not convert them.
type listedRow struct {
	values  []any
	columns []any // their addresses
}

func newListedRow() *listedRow {
	n := len(shownColumns) + 3 // flags, sort key and what was seen of the log
	room := make([]any, 2*n)
	r := &listedRow{values: room[:n], columns: room[n:]}
	for i := range r.values {
		r.columns[i] = &r.values[i]
	}
	return r
}

// key returns the row's sort key; nil if the text is absent or the order is
// that of creation.
func (r *listedRow) key() *string {
	v := r.values[len(r.values)-2]
	if v == nil {
		return nil
	}
	return new(asText(v))
}

// empty reports whether the row has no notification: the page is empty, or the
// message of a delivery is gone.
func (r *listedRow) empty() bool { return r.values[0] == nil }

// read makes a notification of the row, as the reader sees it.
func (r *listedRow) read(in inbox, n *Notification) error {
	for i, c := range shownColumns {
		if err := c.shown(n, r.values[i]); err != nil {
			return err
		}
	}
	number, ok := r.values[len(shownColumns)].(int64)
	if !ok {
		return fmt.Errorf("flags of %s are %T", n.ID, r.values[len(shownColumns)])
	}
	flags := int(number)
	has := func(flag int) bool { return flags&flag != 0 }
	n.Severity, n.System = severities[flags&severityMask], has(flagSystem)
	n.Read = has(flagRead) || !has(flagTouched) && in.readUntouched(n.System, n.ID)
	n.Saved, n.Archived = has(flagSaved), has(flagArchived)
	return nil
}
