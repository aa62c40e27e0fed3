package notifications

import (
	"context"
	"strings"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// StateChange says what is to be marked. Nil leaves it as it is.
type StateChange struct {
	Read, Saved, Archived *bool
}

// MarkRead marks one notification as read, or as unread, for who alone. Doing
// it again changes nothing. It needs [PermissionUpdateRead], and answers
// [ErrNotFound] for an id who cannot see, whether or not it exists.
func (s *Service) MarkRead(ctx context.Context, who Identity, id string, read bool) error {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionUpdateRead, ID: id})
	if err != nil {
		return err
	}
	id, err = parseID("id", id)
	if err != nil {
		return err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return err
	}
	changed, err := s.store.mark(ctx, in, only(id), StateChange{Read: &read})
	if err == nil && changed == 0 {
		return s.store.see(ctx, in, id)
	}
	return err
}

// SetState marks many notifications for who alone, and returns how many it
// changed. However many they are, it is one statement, and marks what is
// visible when that begins. It needs [PermissionUpdateRead].
func (s *Service) SetState(ctx context.Context, who Identity, sel Selection, change StateChange) (int64, error) {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionUpdateRead})
	if err != nil {
		return 0, err
	}
	var bad faults
	chosen := sel.prepared(&bad)
	if change == (StateChange{}) {
		bad.add("change", "has none of Read, Saved and Archived: there is nothing to mark")
	}
	if err := bad.err(); err != nil {
		return 0, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return 0, err
	}
	return s.store.mark(ctx, in, chosen, change)
}

// mark writes the reader's states of what is selected and visible, and returns
// how many it changed: one statement, so that nothing comes between the look
// and the write. Marking again keeps the time of the first.
func (s *store) mark(ctx context.Context, in inbox, sel selection, change StateChange) (changed int64, err error) {
	sql := s.markQuery(in, sel, change)
	err = s.write(ctx, func(db *gorm.DB) (err error) {
		changed, err = exec(db, sql)
		return err
	})
	if err == nil {
		// Also where nothing changed: another instance may just have done it.
		s.noteMark(ctx, in.user)
	}
	return changed, err
}

// markQuery inserts the states that change, del being what is selected and st
// the state before, over what is there by then. Rows come in the order of their
// ids, so that two marks at once never wait for each other.
func (s *store) markQuery(in inbox, sel selection, change StateChange) *sqltext.Text {
	now, wasRead := in.now.UnixMilli(), isRead(in)
	columns := []struct {
		name string
		to   *bool
		was  condition // over st
	}{
		{"read_at", change.Read, wasRead},
		{"saved_at", change.Saved, condition{"st.saved_at IS NOT NULL", nil}},
		{"archived_at", change.Archived, condition{"st.archived_at IS NOT NULL", nil}},
	}
	sql, changes := s.sql("INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at)"+
		" SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at"+
		" FROM (SELECT CAST(? AS text) AS user_ref, del.message_id", in.audience), new(sqltext.Text)
	var update, differs []string
	for _, c := range columns {
		switch {
		case c.to == nil:
			// What counts as read without a state stays so when it gets one.
			sql.Add(", CASE WHEN "+c.was.sql+" THEN", c.was.args...)
			sql.Add(" coalesce(st."+c.name+", CAST(? AS bigint)) END AS "+c.name, now)
		case *c.to:
			sql.Add(", coalesce(st."+c.name+", CAST(? AS bigint)) AS "+c.name, now)
			update = append(update, c.name+" = coalesce(held."+c.name+", excluded."+c.name+")")
			differs = append(differs, "held."+c.name+" IS NULL")
			addAlternative(changes, condition{"NOT " + c.was.sql, c.was.args})
		default:
			sql.Add(", CAST(NULL AS bigint) AS " + c.name)
			update = append(update, c.name+" = NULL")
			differs = append(differs, "held."+c.name+" IS NOT NULL")
			addAlternative(changes, c.was)
		}
	}
	sql.Add(" FROM (")
	s.selectMarkable(sql, in, sel, change)
	sql.Add(") del LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = del.message_id WHERE ", in.audience)
	sql.AddPart(changes)
	return sql.Add(" ORDER BY del.message_id) page WHERE TRUE ON CONFLICT (user_ref, message_id) DO UPDATE SET " + strings.Join(update, ", ") +
		" WHERE " + strings.Join(differs, " OR "))
}

// addAlternative adds one more alternative of a condition.
func addAlternative(sql *sqltext.Text, c condition) {
	if sql.Len() > 0 {
		sql.Add(" OR ")
	}
	sql.Add(c.sql, c.args...)
}

// selectMarkable selects what is visible. What is to be saved is kept from
// being purged in the same moment.
func (s *store) selectMarkable(sql *sqltext.Text, in inbox, sel selection, change StateChange) {
	if change.Saved == nil || !*change.Saved {
		s.selectVisible(sql, in, sel)
		return
	}
	sql.Add("SELECT msg.id AS message_id, msg.is_system AS system FROM notification_messages msg" +
		" WHERE msg.withdrawn_at IS NULL AND msg.id IN (SELECT del.message_id FROM (")
	s.selectVisible(sql, in, sel)
	sql.Add(") del) ORDER BY msg.id" + s.dialect.lock(lockRemoval))
}
