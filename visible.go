package notifications

import (
	"strings"

	"github.com/notifications-go/notifications/internal/fold"
)

// selection is which of the deliveries to a reader are meant.
type selection struct {
	Filter
	// ids, unless nil, are the only messages meant.
	ids []string
	// upTo, unless empty, is the largest id meant.
	upTo string
}

// only selects one message, whatever its state.
func only(id string) selection {
	return selection{Filter: Filter{Scope: ScopeAll, Archived: ArchivedOrNot}, ids: []string{id}}
}

// whereVisible is the condition for a delivery d, to an audience a, that the
// reader may see now and the selection lets through. Whatever reads or marks
// goes through it, so list, count and marks agree.
func (s *store) whereVisible(in inbox, sel selection) *sqlText {
	sql := s.whereDelivered(in, sel)
	filterState(sql, in, sel.Filter)
	s.filterMessage(sql, sel.Filter)
	return sql
}

// whereDelivered is the part of whereVisible that is about the delivery alone.
func (s *store) whereDelivered(in inbox, sel selection) *sqlText {
	sql := new(sqlText)
	sql.add("d.audience = a.value AND d.message_id >= a.since AND d.expires_at > "+s.dialect.hiddenTime, in.now.UnixMilli())
	if due, bounded := firstIDAfter(in.now); bounded {
		// Only what was scheduled is hidden by the clock: clocks of instances
		// differ, and what was posted at once must be visible at once.
		sql.add(" AND (NOT d.scheduled OR d.message_id < "+s.dialect.hiddenID+")", due)
	}
	if sel.ids != nil {
		sql.add(" AND d.message_id IN ("+s.dialect.ids+")", jsonArray(sel.ids))
	}
	if sel.upTo != "" {
		sql.add(" AND d.message_id <= ?", sel.upTo)
	}
	if first, bounded := firstIDAfter(sel.CreatedAfter); bounded && !sel.CreatedAfter.IsZero() {
		sql.add(" AND d.message_id >= ?", first)
	}
	if sel.MinSeverity != "" {
		sql.add(" AND d.severity >= ?", severityRank[sel.MinSeverity])
	}
	return sql
}

// condition is SQL for true or false, with its arguments.
type condition struct {
	sql  string
	args []any
}

// stateQuestions is what a filter asks of the reader's state s of a message,
// and, in step, what the answer is for a delivery d of one that has none.
type stateQuestions struct {
	state     []string
	untouched []condition
}

func questionsOf(in inbox, f Filter) (q stateQuestions) {
	ask := func(of string, otherwise condition) {
		q.state, q.untouched = append(q.state, of), append(q.untouched, otherwise)
	}
	untouchedRead := condition{"(d.system AND d.message_id < ?)", []any{in.readBefore}}
	untouchedUnread := condition{"NOT " + untouchedRead.sql, untouchedRead.args}
	if in.readBefore == firstID {
		untouchedRead, untouchedUnread = condition{"FALSE", nil}, condition{"TRUE", nil}
	}
	switch f.Read {
	case Read:
		ask("s.read_at IS NOT NULL", untouchedRead)
	case Unread:
		ask("s.read_at IS NULL", untouchedUnread)
	}
	switch f.Saved {
	case Saved:
		ask("s.saved_at IS NOT NULL", condition{"FALSE", nil})
	case NotSaved:
		ask("s.saved_at IS NULL", condition{"TRUE", nil})
	}
	switch f.Archived {
	case Archived:
		ask("s.archived_at IS NOT NULL", condition{"FALSE", nil})
	case NotArchived:
		ask("s.archived_at IS NULL", condition{"TRUE", nil})
	}
	return q
}

// addUntouched adds what the answers are where there is no state.
func (q stateQuestions) addUntouched(sql *sqlText) {
	for i, c := range q.untouched {
		if i > 0 {
			sql.add(" AND ")
		}
		sql.add(c.sql, c.args...)
	}
}

// filterState adds what the filter asks of the reader's state. It is asked in
// a scalar subquery rather than by EXISTS, which the planner could turn into a
// join that reads and sorts every state of the reader for the sake of a page.
func filterState(sql *sqlText, in inbox, f Filter) {
	q := questionsOf(in, f)
	if len(q.state) == 0 {
		return
	}
	sql.add(" AND coalesce((SELECT "+strings.Join(q.state, " AND ")+
		" FROM notification_states s WHERE s.user_ref = ? AND s.message_id = d.message_id), ", in.user)
	q.addUntouched(sql)
	sql.add(")")
}

// stateAnswers is what the filter asks of the reader's state s of a delivery d,
// outer joined. It reports whether that is anything.
func stateAnswers(sql *sqlText, in inbox, f Filter) bool {
	q := questionsOf(in, f)
	if len(q.state) == 0 {
		sql.add("TRUE")
		return false
	}
	sql.add("CASE WHEN s.message_id IS NULL THEN ")
	q.addUntouched(sql)
	sql.add(" ELSE " + strings.Join(q.state, " AND ") + " END")
	return true
}

// filterMessage adds what the filter asks of the message itself.
func (s *store) filterMessage(sql *sqlText, f Filter) {
	if f.Text == "" && f.Topic == "" && f.Origin == "" {
		return
	}
	sql.add(" AND EXISTS (SELECT 1 FROM notification_messages t WHERE t.id = d.message_id")
	if f.Text != "" {
		text, find := fold.Text(f.Text), s.dialect.find
		sql.add(" AND ("+find+"(t.title_key, ?) > 0 OR "+find+"(t.message_key, ?) > 0)", text, text)
	}
	if f.Topic != "" {
		sql.add(" AND t.topic = ?", f.Topic)
	}
	if f.Origin != "" {
		sql.add(" AND t.origin = ?", f.Origin)
	}
	sql.add(")")
}

// selectVisible selects message_id and system of every message selected, each
// once.
func (s *store) selectVisible(sql *sqlText, in inbox, sel selection) {
	sql.add("SELECT DISTINCT d.message_id, d.system FROM ")
	s.dialect.deliveries(sql, in.sources(sel.Scope), s.whereVisible(in, sel), "")
	sql.add(" d")
}

// isRead is whether the message d counts as read, s being the reader's state
// of it, outer joined.
func isRead(in inbox) condition {
	if in.readBefore == firstID {
		return condition{"(s.read_at IS NOT NULL)", nil}
	}
	return condition{"(s.read_at IS NOT NULL OR (s.user_ref IS NULL AND d.system AND d.message_id < ?))", []any{in.readBefore}}
}
