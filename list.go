package notifications

import (
	"context"
	"crypto/sha256"
	"database/sql"
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

// Order names what a list is ordered by. Texts are ordered by code point after
// folding case; absent ones come last in both directions; the id, and so the
// time of creation, breaks ties in the direction of the list.
type Order string

// The orders. The empty Order is OrderCreated.
const (
	OrderCreated Order = "created"
	OrderTitle   Order = "title"
	// OrderMessage looks at the first 255 characters.
	OrderMessage Order = "message"
	OrderTopic   Order = "topic"
	OrderOrigin  Order = "origin"
)

// ListQuery says what to list. The zero ListQuery is the newest 20
// notifications the zero [Filter] selects.
type ListQuery struct {
	Filter
	// OrderBy: empty is OrderCreated.
	OrderBy Order
	// Ascending turns the order around; the default is newest, or last, first.
	Ascending bool
	// Limit is the size of the page, 1 to 10,000. Zero is 20.
	Limit int
	// Offset skips notifications, up to a thousand million. A page reached by
	// Offset costs what all the pages before it cost; one reached by After
	// does not, and neither repeats nor skips when something arrives.
	Offset int
	// After is the Next of an earlier page of the same filter, order and
	// direction. Empty starts at the beginning. It excludes Offset.
	After string
}

// Page is one page of a list.
type Page struct {
	// Items holds at most Limit notifications; it is empty past the end.
	Items []Notification
	// Next is the After of the next page; empty if there is none.
	Next string
}

// List returns one page of what who can see and the filter selects. It needs
// [PermissionList]. Services have no inbox, and readers the catalog does not
// know are not allowed in: [ErrForbidden].
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
	return s.store.list(ctx, in, q, after)
}

// All iterates over all that who can see and the filter selects, newest first,
// page by page. What arrives meanwhile is not among it. After an error, which
// is one of [Service.List], it ends.
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

// Get returns one notification that who can see, archived or not. It needs
// [PermissionList], and answers [ErrNotFound] for an id who cannot see, whether
// or not it exists.
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

// prepared checks the query, fills in its defaults, and reads its cursor.
func (q ListQuery) prepared() (ListQuery, *cursor, error) {
	var f faults
	q.check("", &f)
	if q.OrderBy == "" {
		q.OrderBy = OrderCreated
	}
	if _, known := sortKeys[q.OrderBy]; !known {
		f.add("OrderBy", "must be title, message, created, topic or origin")
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		f.add("Limit", "must be between 1 and %d", MaxLimit)
	}
	if q.Offset < 0 || q.Offset > MaxOffset {
		f.add("Offset", "must be between 0 and %d", MaxOffset)
	}
	var after *cursor
	if q.After != "" {
		if q.Offset != 0 {
			f.add("After", "cannot be combined with Offset")
		} else if c, ok := parseCursor(q.After); !ok {
			f.add("After", "is not a cursor this service handed out")
		} else if c.Query != q.fingerprint() {
			f.add("After", "belongs to another filter, order or direction")
		} else {
			after = c
		}
	}
	return q, after, f.err()
}

// cursor is the place after one row of a list. It holds what the row was
// sorted by rather than the row's name, so it survives the row.
type cursor struct {
	Query string  `json:"q"`           // fingerprint of filter, order and direction
	Key   *string `json:"k,omitempty"` // folded sort key; absent for a row without one, and by created
	ID    string  `json:"i"`
}

// fingerprint identifies everything of the query that decides which rows come
// in which order.
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

// parseCursor reads a cursor as strictly as any other input: what it holds
// goes to the database.
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
	items, keys, err := s.listed(ctx, in, query(in, q, selection{Filter: q.Filter}, after), q.Limit+1)
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
	items, _, err := s.listed(ctx, in, s.listByCreated(in, ListQuery{Limit: 1}, only(id), nil), 1)
	if err != nil {
		return Notification{}, err
	}
	if len(items) == 0 {
		return Notification{}, ErrNotFound
	}
	return items[0], nil
}

// maxMerged is how many audiences a list merges, each being a part of the
// statement, which takes time to plan.
const maxMerged = 16

// directions are the words of an order.
func directions(ascending bool) (direction, beyond string) {
	if ascending {
		return "ASC", ">"
	}
	return "DESC", "<"
}

// listByCreated reads the audiences of the reader in the order of the primary
// key, and no more of each than a page takes, so that its cost does not depend
// on what lies behind.
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
	page := order + fmt.Sprintf(" LIMIT %d OFFSET %d", q.Limit+1, q.Offset) // one more tells whether a next page exists

	sql := s.sql(selectByCreated)
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
	return sql.Add(") page JOIN notification_messages msg ON msg.id = page.message_id ORDER BY msg.id " + direction)
}

// maxSortKeyChars is how much of a text takes part in its order. It equals
// the longest title, so only the order by message is cut by it.
const maxSortKeyChars = MaxTitleChars

// sortKeys are the columns a list can be ordered by, as SQL over msg. Being the
// only SQL that depends on a request, it is chosen, never composed.
var sortKeys = map[Order]string{
	OrderCreated: "msg.id",
	OrderTitle:   "msg.title_key",
	OrderMessage: fmt.Sprintf("substr(msg.message_key, 1, %d)", maxSortKeyChars),
	OrderTopic:   "msg.topic_key",
	OrderOrigin:  "msg.origin_key",
}

// listByText sorts everything the reader can see, for no index has it in
// order. Only keys and ids are sorted, and only a page is joined.
func (s *store) listByText(in inbox, q ListQuery, sel selection, after *cursor) *sqltext.Text {
	direction, beyond := directions(q.Ascending)
	order := fmt.Sprintf(" ORDER BY page.sort_key %s NULLS LAST, page.message_id %s", direction, direction)

	sql := s.sql("SELECT " + listedColumns("st") + ", page.sort_key FROM (SELECT page.message_id, page.sort_key FROM (" +
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
	sql.Add(order + fmt.Sprintf(" LIMIT %d OFFSET %d) page", q.Limit+1, q.Offset))
	return sql.Add(" JOIN notification_messages msg ON msg.id = page.message_id"+
		" LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = page.message_id"+order, in.audience)
}

// listedColumns are what a [listedRow] takes: the [shownColumns] of msg, flags
// of msg and of the reader's state, and, added by each list, the sort key. What
// takes a few bits shares a number, because each column of each row costs.
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

// selectByCreated begins a list in the order of the primary key.
var selectByCreated = "SELECT " + listedColumns("page") +
	", NULL FROM (SELECT del.message_id, st.user_ref, st.read_at, st.saved_at, st.archived_at FROM "

// What is in the flags beside the severity, which is less than all of them.
const (
	flagSystem  = 1 << (iota + 3)
	flagTouched // the reader has a state
	flagRead
	flagSaved
	flagArchived
	severityMask = flagSystem - 1
)

// listed reads at most limit rows, and what they are sorted by.
func (s *store) listed(ctx context.Context, in inbox, sql *sqltext.Text, limit int) (items []Notification, keys []*string, err error) {
	err = s.readFor(ctx, in, func(db *gorm.DB) (err error) {
		items, keys, err = readListed(raw(db, sql), in, limit)
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
		items = append(items, Notification{})
		if err := row.scan(rows, in, &items[len(items)-1]); err != nil {
			return nil, nil, err
		}
		keys = append(keys, row.key())
	}
	return items, keys, rows.Err()
}

// listedRow is where rows of listedColumns and a sort key are scanned to, one
// after another. database/sql is quickest if it does not have to convert what
// it got.
type listedRow struct {
	values  []any
	columns []any // their addresses
}

func newListedRow() *listedRow {
	n := len(shownColumns) + 2 // flags and sort key
	room := make([]any, 2*n)
	r := &listedRow{values: room[:n], columns: room[n:]}
	for i := range r.values {
		r.columns[i] = &r.values[i]
	}
	return r
}

// key is what the row is sorted by; nil if that is the id, or absent.
func (r *listedRow) key() *string {
	v := r.values[len(r.values)-1]
	if v == nil {
		return nil
	}
	return new(asText(v))
}

// scan reads the next row as the reader sees it.
func (r *listedRow) scan(rows *sql.Rows, in inbox, n *Notification) error {
	if err := rows.Scan(r.columns...); err != nil {
		return err
	}
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
