package notifications

import (
	"context"
	"strings"

	"github.com/notifications-go/notifications/internal/fold"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// whereVisible is the condition for a delivery del, to an audience aud, that
// the reader can see now and the selection includes. Lists, counts and marks
// all use it, so they agree.
func (s *store) whereVisible(in inbox, sel selection) *sqltext.Text {
	sql := s.whereDelivered(in, sel)
	filterState(sql, in, sel.Filter)
	s.filterMessage(sql, sel.Filter)
	return sql
}

// whereDelivered is the part of whereVisible that looks only at the delivery.
func (s *store) whereDelivered(in inbox, sel selection) *sqltext.Text {
	sql := sqltext.Part("del.audience = aud.value AND del.message_id >= aud.since AND del.expires_at > ")
	s.dialect.hidden(sql, typeInt, in.now.UnixMilli())
	due, bounded := firstIDAfter(in.now)
	if sel.seen != nil && sel.seen.At.Before(in.now) {
		due, bounded = firstIDAfter(sel.seen.At)
	}
	if bounded {
		// Only scheduled notifications are compared with the clock. The clocks
		// of instances differ, and an ordinary post must be visible at once.
		sql.Add(" AND (NOT del.scheduled OR del.message_id < ")
		s.dialect.hidden(sql, typeID, due)
		sql.Add(")")
	}
	if sel.ids != nil {
		sql.Add(" AND del.message_id IN (")
		s.dialect.list(sql, typeID, sel.ids)
		sql.Add(")")
	}
	if sel.upTo != "" {
		sql.Add(" AND del.message_id <= ?", sel.upTo)
	}
	if first, bounded := firstIDAfter(sel.CreatedAfter); bounded && !sel.CreatedAfter.IsZero() {
		sql.Add(" AND del.message_id >= ?", first)
	}
	if sel.MinSeverity != "" {
		sql.Add(" AND del.severity >= ?", severityRank[sel.MinSeverity])
	}
	return sql
}

// condition is a condition in SQL, with its arguments.
type condition struct {
	sql  string
	args []any
}

// stateQuestions are a filter's conditions on the reader's state st of a
// message. untouched holds, for each, the condition on the delivery del if
// there is no state.
type stateQuestions struct {
	state     []string
	untouched []condition
}

func questionsOf(in inbox, f Filter) (q stateQuestions) {
	ask := func(of string, otherwise condition) {
		q.state, q.untouched = append(q.state, of), append(q.untouched, otherwise)
	}
	untouchedRead := condition{"(del.system AND del.message_id < ?)", []any{in.readBefore}}
	untouchedUnread := condition{"NOT " + untouchedRead.sql, untouchedRead.args}
	if in.readBefore == firstID {
		untouchedRead, untouchedUnread = condition{"FALSE", nil}, condition{"TRUE", nil}
	}
	switch f.Read {
	case Read:
		ask("st.read_at IS NOT NULL", untouchedRead)
	case Unread:
		ask("st.read_at IS NULL", untouchedUnread)
	}
	switch f.Saved {
	case Saved:
		ask("st.saved_at IS NOT NULL", condition{"FALSE", nil})
	case NotSaved:
		ask("st.saved_at IS NULL", condition{"TRUE", nil})
	}
	switch f.Archived {
	case Archived:
		ask("st.archived_at IS NOT NULL", condition{"FALSE", nil})
	case NotArchived:
		ask("st.archived_at IS NULL", condition{"TRUE", nil})
	}
	return q
}

// addUntouched adds the conditions for a delivery without a state.
func (q stateQuestions) addUntouched(sql *sqltext.Text) {
	and := ""
	for _, c := range q.untouched {
		if c.sql != "TRUE" {
			sql.Add(and+c.sql, c.args...)
			and = " AND "
		}
	}
	if and == "" {
		sql.Add("TRUE")
	}
}

// filterState adds the filter's conditions on the reader's state. It uses a
// scalar subquery: the planner could turn EXISTS into a join that reads and
// sorts all states of the reader for one page.
func filterState(sql *sqltext.Text, in inbox, f Filter) {
	q := questionsOf(in, f)
	if len(q.state) == 0 {
		return
	}
	sql.Add(" AND coalesce((SELECT "+strings.Join(q.state, " AND ")+
		" FROM notification_states st WHERE st.user_ref = ? AND st.message_id = del.message_id), ", in.audience)
	q.addUntouched(sql)
	sql.Add(")")
}

// stateAnswers adds the filter's conditions on the reader's state st, outer
// joined to a delivery del. It reports whether there are any.
func stateAnswers(sql *sqltext.Text, in inbox, f Filter) bool {
	q := questionsOf(in, f)
	if len(q.state) == 0 {
		sql.Add("TRUE")
		return false
	}
	sql.Add("CASE WHEN st.message_id IS NULL THEN ")
	q.addUntouched(sql)
	sql.Add(" ELSE " + strings.Join(q.state, " AND ") + " END")
	return true
}

// filterMessage adds the filter's conditions on the message.
func (s *store) filterMessage(sql *sqltext.Text, f Filter) {
	if f.Text == "" && f.Topic == "" && f.Origin == "" {
		return
	}
	sql.Add(" AND EXISTS (SELECT 1 FROM notification_messages msg WHERE msg.id = del.message_id")
	if f.Text != "" {
		text := fold.Text(f.Text)
		sql.Add(" AND (")
		s.dialect.contains(sql, "msg.title_key", text)
		sql.Add(" OR ")
		s.dialect.contains(sql, "msg.message_key", text)
		sql.Add(")")
	}
	if f.Topic != "" {
		sql.Add(" AND msg.topic = ?", f.Topic)
	}
	if f.Origin != "" {
		sql.Add(" AND msg.origin = ?", f.Origin)
	}
	sql.Add(")")
}

// selectVisible adds a query for message_id and system of every visible message
// that the selection includes, each once.
func (s *store) selectVisible(sql *sqltext.Text, in inbox, sel selection) {
	sql.Add("SELECT DISTINCT del.message_id, del.system FROM ")
	s.dialect.deliveries(sql, in.sources(sel.System), s.whereVisible(in, sel), "")
	sql.Add(" del")
	if sel.seen != nil {
		sql.Add(" WHERE ")
		s.dialect.seen(sql, sel.seen.Seen)
	}
}

// isRead is the condition that the message del counts as read, st being the
// reader's state of it, outer joined.
func isRead(in inbox) condition {
	if in.readBefore == firstID {
		return condition{"(st.read_at IS NOT NULL)", nil}
	}
	return condition{"(st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))", []any{in.readBefore}}
}

// see returns ErrNotFound unless the reader can see the message.
func (s *store) see(ctx context.Context, in inbox, id string) error {
	return s.read(ctx, func(db *gorm.DB) error {
		sql := s.sql("SELECT del.message_id FROM (")
		s.selectVisible(sql, in, only(id))
		sql.Add(") del")
		var seen []string
		if err := find(db, sql, &seen); err != nil {
			return err
		}
		if len(seen) == 0 {
			return ErrNotFound
		}
		return nil
	})
}
