package notifications

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// Status is how many notifications a reader has in each state. Each number is
// the count of the filter of that name.
type Status struct {
	// Unread, Read and Saved are without what is archived.
	Unread, Read, Saved int64
	// Archived is all of that.
	Archived int64
}

// TopicCount is how many notifications a reader has of one topic or origin,
// without those archived.
type TopicCount struct {
	// Name is the topic or origin, as it was posted.
	Name string
	// Unread is at most Total.
	Unread, Total int64
}

// Topics is what a reader's notifications are about and where they come from.
type Topics struct {
	// Topics and Origins are sorted by name, by code point. Of more than 1,000
	// those with the most unread, then the most at all, are there. A
	// notification without a topic counts for its origin alone.
	Topics, Origins []TopicCount
}

// MaxTopics is how many topics, and how many origins, [Service.Topics] returns.
const MaxTopics = 1000

// Status counts what who can see in the scope by its state, in one query. It
// needs [PermissionList].
func (s *Service) Status(ctx context.Context, who Identity, scope Scope) (Status, error) {
	in, err := s.inboxToAsk(ctx, who, scope)
	if err != nil {
		return Status{}, err
	}
	return s.store.status(ctx, in, scope)
}

// Topics returns the topics and the origins of what who can see in the scope.
// It needs [PermissionList].
func (s *Service) Topics(ctx context.Context, who Identity, scope Scope) (Topics, error) {
	in, err := s.inboxToAsk(ctx, who, scope)
	if err != nil {
		return Topics{}, err
	}
	return s.store.topics(ctx, in, scope)
}

// inboxToAsk is the inbox of who, if he may ask about it.
func (s *Service) inboxToAsk(ctx context.Context, who Identity, scope Scope) (inbox, error) {
	if err := s.Authorize(ctx, who, PermissionList); err != nil {
		return inbox{}, err
	}
	var bad faults
	Filter{Scope: scope}.check(&bad)
	if err := bad.err(); err != nil {
		return inbox{}, err
	}
	return s.inbox(ctx, who)
}

func (s *store) statusQuery(in inbox, scope Scope) *sqlText {
	read := isRead(in)
	sql := s.dialect.statement()
	for i, state := range []struct {
		name string
		is   condition
	}{
		{"unread", condition{"s.archived_at IS NULL AND NOT " + read.sql, read.args}},
		{"read", condition{"s.archived_at IS NULL AND " + read.sql, read.args}},
		{"saved", condition{"s.archived_at IS NULL AND s.saved_at IS NOT NULL", nil}},
		{"archived", condition{"s.archived_at IS NOT NULL", nil}},
	} {
		if i == 0 {
			sql.add("SELECT")
		} else {
			sql.add(",")
		}
		sql.add(" count(DISTINCT d.message_id) FILTER (WHERE "+state.is.sql+") AS "+state.name, state.is.args...)
	}
	sql.add(" FROM ")
	s.selectAll(sql, in, Filter{Scope: scope})
	s.joinStates(sql, in)
	return sql
}

func (s *store) status(ctx context.Context, in inbox, scope Scope) (Status, error) {
	sql := s.statusQuery(in, scope)
	var status Status
	err := s.forReader(ctx, in, func(db *gorm.DB) error {
		status = Status{}
		return sql.on(db).Find(&status).Error
	})
	return status, err
}

func (s *store) topicsQuery(in inbox, scope Scope) *sqlText {
	read := isRead(in)
	sql := s.dialect.statement()
	sql.add("WITH v AS (SELECT m.topic, m.origin, CASE WHEN "+read.sql+" THEN 0 ELSE 1 END AS unread FROM (", read.args...)
	s.selectVisible(sql, in, selection{Filter: Filter{Scope: scope}})
	sql.add(") d JOIN notification_messages m ON m.id = d.message_id"+
		" LEFT JOIN notification_states s ON s.user_ref = ? AND s.message_id = d.message_id)", in.user)
	for i, column := range []string{"topic", "origin"} {
		if i > 0 {
			sql.add(" UNION ALL")
		}
		sql.add(fmt.Sprintf(" SELECT * FROM (SELECT '%[1]s' AS kind, v.%[1]s AS name, sum(v.unread) AS unread, count(*) AS total FROM v"+
			" WHERE v.%[1]s IS NOT NULL GROUP BY v.%[1]s ORDER BY unread DESC, total DESC, name LIMIT %[2]d) %[1]ss", column, MaxTopics))
	}
	return sql
}

func (s *store) topics(ctx context.Context, in inbox, scope Scope) (Topics, error) {
	sql := s.topicsQuery(in, scope)
	var rows []struct {
		Kind  string     `gorm:"column:kind"`
		Count TopicCount `gorm:"embedded"`
	}
	err := s.forReader(ctx, in, func(db *gorm.DB) error {
		rows = nil
		return sql.on(db).Find(&rows).Error
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
