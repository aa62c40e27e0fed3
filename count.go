package notifications

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// Count returns how many notifications the reader can see and the filter
// selects: the length of the list without its limit. It needs [PermissionList].
func (s *Service) Count(ctx context.Context, who Identity, f Filter) (int64, error) {
	n, _, err := s.CountAt(ctx, who, f)
	return n, err
}

// CountAt is [Service.Count] that also returns the position of the count in the
// log of changes; see [Page].
func (s *Service) CountAt(ctx context.Context, who Identity, f Filter) (int64, Position, error) {
	in, err := s.inboxFor(ctx, who, f)
	if err != nil {
		return 0, "", err
	}
	ctx, done, err := s.beginSearch(ctx, in, f)
	if err != nil {
		return 0, "", err
	}
	defer done()
	return s.store.count(ctx, in, f)
}

// inboxFor starts a verb that counts: it asks the policy, checks the filter and
// returns the reader's inbox.
func (s *Service) inboxFor(ctx context.Context, who Identity, query interface{ Check() error }) (inbox, error) {
	ctx, err := s.begin(ctx, reads, Request{Who: who, Permission: PermissionList})
	if err != nil {
		return inbox{}, err
	}
	if err := query.Check(); err != nil {
		return inbox{}, err
	}
	return s.inbox(ctx, who)
}

// countQuery counts the rows of a list without a limit. It counts a message
// once, even if it is delivered to several audiences of the reader.
func (s *store) countQuery(in inbox, f Filter) *sqltext.Text {
	sql := s.sql("SELECT count(DISTINCT del.message_id) FILTER (WHERE ")
	asked := stateAnswers(sql, in, f)
	sql.Add("), ").Add(s.dialect.snapshot(s.bound)).Add(" AS seen FROM ")
	s.selectAll(sql, in, f)
	if asked {
		s.dialect.joinStates(sql, in.audience)
	}
	return sql
}

// selectAll adds every delivery del that the reader sees and the filter
// selects, except for the filter's questions about states.
func (s *store) selectAll(sql *sqltext.Text, in inbox, f Filter) {
	where := s.whereDelivered(in, selection{Filter: f})
	s.filterMessage(where, f)
	s.dialect.deliveries(sql, in.sources(f.System), where, "")
	sql.Add(" del")
}

func (s *store) count(ctx context.Context, in inbox, f Filter) (n int64, at Position, err error) {
	at, err = s.readAt(ctx, in, s.countQuery(in, f), &n)
	return n, at, err
}

// readAt runs a query of a reader for one row, whose last column is what the
// query saw of the log of changes, and returns the position of that.
func (s *store) readAt(ctx context.Context, in inbox, sql *sqltext.Text, columns ...any) (Position, error) {
	var seen string
	reading, columns := s.beginReading(ctx), append(columns, &seen)
	from, err := s.readFor(ctx, in, func(db *gorm.DB) error { return scanRow(raw(db, sql), columns) })
	if err != nil {
		return "", err
	}
	return reading.position(s.dialect, in, from, seen), nil
}

// scanRow scans the one row of a query.
func scanRow(query *gorm.DB, columns []any) (err error) {
	rows, err := query.Rows()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Status holds the number of a reader's notifications in each state. Each
// number equals the [Service.Count] of the filter with that name.
type Status struct {
	// Unread, Read and Saved leave out archived notifications.
	Unread, Read, Saved int64
	// Archived counts all archived notifications.
	Archived int64
	// Position is that of the numbers in the log of changes; see [Page].
	Position Position
}

// Status counts by state, in one query, the notifications that the reader can
// see and the filter selects. It needs [PermissionList].
func (s *Service) Status(ctx context.Context, who Identity, f SystemFilter) (Status, error) {
	in, err := s.inboxFor(ctx, who, Filter{System: f})
	if err != nil {
		return Status{}, err
	}
	return s.store.status(ctx, in, f)
}

func (s *store) statusQuery(in inbox, f SystemFilter) *sqltext.Text {
	read := isRead(in)
	sql := s.sql("SELECT count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND NOT "+read.sql+") AS unread", read.args...)
	sql.Add(", count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND "+read.sql+") AS read", read.args...)
	sql.Add(", count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND st.saved_at IS NOT NULL) AS saved" +
		", count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NOT NULL) AS archived, ").Add(s.dialect.snapshot(s.bound)).Add(" AS seen FROM ")
	s.selectAll(sql, in, Filter{System: f})
	s.dialect.joinStates(sql, in.audience)
	return sql
}

func (s *store) status(ctx context.Context, in inbox, f SystemFilter) (status Status, err error) {
	status.Position, err = s.readAt(ctx, in, s.statusQuery(in, f), &status.Unread, &status.Read, &status.Saved, &status.Archived)
	return status, err
}

// TopicCount holds how many notifications of one topic or origin a reader has,
// without archived ones.
type TopicCount struct {
	// Name is the topic or origin as it was posted.
	Name string
	// Total includes Unread.
	Unread, Total int64
}

// Topics holds the topics and the origins of a reader's notifications.
type Topics struct {
	// Topics and Origins are sorted by name, by code point. Each holds at most
	// 1,000 entries: those with the most unread, then the most in total. A
	// notification without a topic counts only for its origin.
	Topics, Origins []TopicCount
}

// MaxTopics limits how many topics, and how many origins, [Service.Topics]
// returns.
const MaxTopics = 1000

// Topics returns the topics and the origins of the notifications that the
// reader can see and the filter selects. It needs [PermissionList].
func (s *Service) Topics(ctx context.Context, who Identity, f SystemFilter) (Topics, error) {
	in, err := s.inboxFor(ctx, who, Filter{System: f})
	if err != nil {
		return Topics{}, err
	}
	return s.store.topics(ctx, in, f)
}

func (s *store) topicsQuery(in inbox, f SystemFilter) *sqltext.Text {
	read := isRead(in)
	sql := s.sql("WITH page AS (SELECT msg.topic, msg.origin, CASE WHEN "+read.sql+" THEN 0 ELSE 1 END AS unread FROM (", read.args...)
	s.selectVisible(sql, in, selection{Filter: Filter{System: f}})
	sql.Add(") del JOIN notification_messages msg ON msg.id = del.message_id"+
		" LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = del.message_id)", in.audience)
	for i, column := range []string{"topic", "origin"} {
		if i > 0 {
			sql.Add(" UNION ALL")
		}
		sql.Add(fmt.Sprintf(" SELECT * FROM (SELECT '%[1]s' AS kind, page.%[1]s AS name, sum(page.unread) AS unread, count(*) AS total FROM page"+
			" WHERE page.%[1]s IS NOT NULL GROUP BY page.%[1]s ORDER BY unread DESC, total DESC, name LIMIT %[2]d) %[1]ss", column, MaxTopics))
	}
	return sql
}

func (s *store) topics(ctx context.Context, in inbox, f SystemFilter) (Topics, error) {
	sql := s.topicsQuery(in, f)
	var rows []struct {
		Kind  string     `gorm:"column:kind"`
		Count TopicCount `gorm:"embedded"`
	}
	_, err := s.readFor(ctx, in, func(db *gorm.DB) error {
		rows = nil
		return find(db, sql, &rows)
	})
	if err != nil {
		return Topics{}, err
	}
	var t Topics
	for _, row := range rows {
		if row.Kind == "topic" {
			t.Topics = append(t.Topics, row.Count)
		} else {
			t.Origins = append(t.Origins, row.Count)
		}
	}
	byName := func(a, b TopicCount) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(t.Topics, byName)
	slices.SortFunc(t.Origins, byName)
	return t, nil
}
