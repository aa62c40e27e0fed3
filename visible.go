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

// selectDeliveries selects, as d, the deliveries to one audience, a, that the
// reader may see now and the selection lets through. Whatever reads or marks
// goes through it, so list, count and marks agree.
func (s *store) selectDeliveries(sql *sqlText, in inbox, sel selection) {
	s.selectInAnyState(sql, in, sel)
	filterState(sql, in, sel.Filter)
}

// selectInAnyState is selectDeliveries but for what the filter asks of the
// reader's state.
func (s *store) selectInAnyState(sql *sqlText, in inbox, sel selection) {
	sql.add("SELECT "+s.dialect.delivery+" FROM notification_deliveries d"+
		" WHERE d.audience = a.value AND d.message_id >= a.since AND d.expires_at > "+s.dialect.hiddenTime, in.now.UnixMilli())
	if due, bounded := firstIDAfter(in.now); bounded {
		// Only what was scheduled is hidden by the clock: clocks of instances
		// differ, and what was posted at once must be visible at once.
		sql.add(" AND (NOT d.scheduled OR d.message_id < ?)", due)
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
	s.filterMessage(sql, sel.Filter)
}

// condition is SQL for true or false, with its arguments.
type condition struct {
	sql  string
	args []any
}

// stateQuestions is what a filter asks of the reader's state r of a message,
// and what it makes of a message d that has none.
type stateQuestions struct {
	state     []string
	untouched []condition
	// unless says that messages without a state pass unless something is done
	// with them, whichever message it is; only, that none does.
	unless, only bool
}

func questionsOf(in inbox, f Filter) stateQuestions {
	q := stateQuestions{unless: true}
	ask := func(of string, otherwise condition) {
		q.state, q.untouched = append(q.state, of), append(q.untouched, otherwise)
		q.unless = q.unless && otherwise.sql == "TRUE"
		q.only = q.only || otherwise.sql == "FALSE"
	}
	untouchedRead := condition{"(d.system AND d.message_id < ?)", []any{in.readBefore}}
	untouchedUnread := condition{"NOT " + untouchedRead.sql, untouchedRead.args}
	if in.readBefore == firstID {
		untouchedRead, untouchedUnread = condition{"FALSE", nil}, condition{"TRUE", nil}
	}
	switch f.Read {
	case Read:
		ask("r.read_at IS NOT NULL", untouchedRead)
	case Unread:
		ask("r.read_at IS NULL", untouchedUnread)
	}
	switch f.Saved {
	case Saved:
		ask("r.saved_at IS NOT NULL", condition{"FALSE", nil})
	case NotSaved:
		ask("r.saved_at IS NULL", condition{"TRUE", nil})
	}
	switch f.Archived {
	case Archived:
		ask("r.archived_at IS NOT NULL", condition{"FALSE", nil})
	case NotArchived:
		ask("r.archived_at IS NULL", condition{"TRUE", nil})
	}
	return q
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
		" FROM notification_states r WHERE r.user_ref = ? AND r.message_id = d.message_id), ", in.user)
	for i, c := range q.untouched {
		if i > 0 {
			sql.add(" AND ")
		}
		sql.add(c.sql, c.args...)
	}
	sql.add(")")
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
	var branch sqlText
	s.selectDeliveries(&branch, in, sel)
	sql.add("SELECT DISTINCT v.message_id, v.system FROM ")
	s.dialect.eachAudience(sql, in.sources(sel.Scope), &branch)
}

// isRead is whether the message v counts as read, s being the reader's state
// of it, outer joined.
func isRead(in inbox) condition {
	if in.readBefore == firstID {
		return condition{"(s.read_at IS NOT NULL)", nil}
	}
	return condition{"(s.read_at IS NOT NULL OR (s.user_ref IS NULL AND v.system AND v.message_id < ?))", []any{in.readBefore}}
}
