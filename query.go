package notifications

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofrs/uuid/v5"
	"github.com/notifications-go/notifications/internal/fold"
)

// Limits of a list.
const (
	DefaultLimit = 20            // notifications on a page
	MaxLimit     = 10_000        // notifications on a page
	MaxOffset    = 1_000_000_000 // notifications skipped
)

// maxSortKeyChars is how much of a text takes part in its order. It equals
// the longest title, so only the order by message is cut by it.
const maxSortKeyChars = MaxTitleChars

// Scope selects notifications by whom they are addressed to.
type Scope int

// The scopes. The zero Scope is ScopeUser.
const (
	// ScopeUser: addressed to the caller or to one of the caller's groups.
	ScopeUser Scope = iota
	// ScopeSystem: addressed to everybody.
	ScopeSystem
	// ScopeAll: both.
	ScopeAll
)

// ReadFilter selects notifications by what the caller did with them.
type ReadFilter int

// The read filters. The zero ReadFilter selects both.
const (
	ReadOrUnread ReadFilter = iota
	Unread
	Read
)

// SavedFilter selects notifications by whether the caller saved them.
type SavedFilter int

// The saved filters. The zero SavedFilter selects both.
const (
	SavedOrNot SavedFilter = iota
	Saved
	NotSaved
)

// ArchivedFilter selects notifications by whether the caller archived them.
type ArchivedFilter int

// The archived filters. The zero ArchivedFilter leaves out what is archived.
const (
	NotArchived ArchivedFilter = iota
	Archived
	ArchivedOrNot
)

// Filter selects among the notifications the caller can see. Its zero value
// selects all that are addressed to the caller or the caller's groups, and are
// not archived.
type Filter struct {
	// Text must occur in title or message, whatever its case. It is literal:
	// no character has a special meaning. Empty selects all.
	Text string
	// CreatedAfter selects what was created strictly later, to the
	// millisecond. Zero selects all.
	CreatedAfter time.Time
	// Scope: see there. Zero is ScopeUser.
	Scope Scope
	// Read: see there. Zero is both.
	Read ReadFilter
	// Saved: see there. Zero is both.
	Saved SavedFilter
	// Archived: see there. Zero is what is not.
	Archived ArchivedFilter
	// MinSeverity selects what is at least as severe. Empty selects all.
	MinSeverity Severity
	// Topic and Origin select what has exactly these. Empty selects all.
	Topic, Origin string
}

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

// ListQuery says what to list. Its zero value is the newest 20 notifications
// addressed to the caller or the caller's groups.
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
	// Next is the After of the next page; empty when there is none.
	Next string
}

// Notification is a notification as one user sees it.
type Notification struct {
	// ID is a UUIDv7 (RFC 9562) in its canonical form.
	ID string
	// Created is when it was posted, or became visible where that was later;
	// in UTC, to the millisecond.
	Created time.Time
	// Updated is when its content was last replaced in place, in UTC; zero
	// where that never happened.
	Updated time.Time
	// Expires is when it disappears, in UTC; zero where it does not.
	Expires time.Time
	// Read, Saved and Archived tell what this user did with it.
	Read, Saved, Archived bool
	// System tells whether it is addressed to everybody.
	System bool
	// Origin and Title are never empty.
	Origin, Title string
	// Message, Topic, Link, Icon and Scope are empty where the post had none.
	Message, Topic, Link, Icon, Scope string
	// Severity is never empty.
	Severity Severity
	// Metadata is the JSON object of the post, byte for byte; nil where it
	// had none.
	Metadata json.RawMessage
	// Actions is empty where the post had none.
	Actions []Action
}

// Action is a link offered with a notification.
type Action struct {
	// ID is unique among all actions.
	ID string
	// Title is the text of the link.
	Title string
	// URL is absolute (http or https) or a path.
	URL string
}

func (f Filter) check(into *faults) {
	into.text("containsText", f.Text, false, 0)
	if f.Scope < ScopeUser || f.Scope > ScopeAll {
		into.add("messageScope", "must be user, system or all")
	}
	if f.Read < ReadOrUnread || f.Read > Read {
		into.add("read", "must be true or false, or absent for both")
	}
	if f.Saved < SavedOrNot || f.Saved > NotSaved {
		into.add("saved", "must be true or false, or absent for both")
	}
	if f.Archived < NotArchived || f.Archived > ArchivedOrNot {
		into.add("archived", "must be true, false or all")
	}
	into.severity("minSeverity", f.MinSeverity)
	into.text("topic", f.Topic, false, MaxTitleChars)
	into.text("origin", f.Origin, false, MaxTitleChars)
}

// prepared checks the query, fills in its defaults, and reads its cursor.
func (q ListQuery) prepared() (ListQuery, *cursor, error) {
	var f faults
	q.check(&f)
	if q.OrderBy == "" {
		q.OrderBy = OrderCreated
	}
	if _, known := sortKeys[q.OrderBy]; !known {
		f.add("orderBy", "must be title, message, created, topic or origin")
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		f.add("pageSize", "must be between 1 and %d", MaxLimit)
	}
	if q.Offset < 0 || q.Offset > MaxOffset {
		f.add("pageNumber", "must skip between 0 and %d notifications", MaxOffset)
	}
	var after *cursor
	if q.After != "" {
		if q.Offset != 0 {
			f.add("cursor", "cannot be combined with pageNumber")
		} else if c, ok := parseCursor(q.After); !ok {
			f.add("cursor", "is not a cursor this service handed out")
		} else if c.Query != q.fingerprint() {
			f.add("cursor", "belongs to another filter, order or direction")
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
	for _, n := range []int64{after, int64(q.Scope), int64(q.Read), int64(q.Saved), int64(q.Archived)} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	for _, text := range []string{fold.Text(q.Text), string(q.OrderBy), string(q.MinSeverity), q.Topic, q.Origin} {
		b = strconv.AppendQuote(b, text)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (c cursor) String() string {
	b, _ := json.Marshal(c) // of strings: cannot fail
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

// parseID returns the canonical form of the id in a field.
func parseID(field, s string) (string, error) {
	id, ok := canonicalID(s)
	if !ok {
		return "", Invalid(field, "is not a UUID")
	}
	return id, nil
}

// canonicalLen is the length of an id in canonical form.
const canonicalLen = 36

// canonicalID returns the one form of an id, and whether it is one.
func canonicalID(s string) (string, bool) {
	_, err := uuid.FromString(s) // which also takes braces, urn: and bare digits
	return strings.ToLower(s), err == nil && len(s) == canonicalLen
}

// idTime returns the instant an id in canonical form holds in its first 48 bits
// (RFC 9562, section 5.7), and the zero time for what is no id.
func idTime(id string) time.Time {
	if len(id) != canonicalLen {
		return time.Time{}
	}
	ms, err := strconv.ParseUint(id[:8]+id[9:13], 16, 48)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// firstIDAfter returns the smallest id of a later millisecond than t, and
// false when t is so early that every id is later.
func firstIDAfter(t time.Time) (string, bool) {
	last := time.UnixMilli(1<<48 - 2) // in the year 10889; an id holds 48 bits
	if t.Before(time.UnixMilli(0)) {
		return "", false
	}
	if t.After(last) {
		t = last
	}
	ms := t.UnixMilli() + 1
	var id uuid.UUID
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id.String(), true
}
