package notifications

import (
	"context"
	"errors"
	"strings"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// StateChange says how to mark notifications. Nil leaves a mark as it is; at
// least one must be set.
type StateChange struct {
	Read, Saved, Archived *bool
}

// MarkRead marks one notification as read or unread for the caller, who must be
// a user. Repeating it changes nothing. It needs [PermissionUpdateRead]. If the
// caller cannot see the notification, or it does not exist, the error is
// [ErrNotFound].
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

// SetState marks several notifications for the caller, who must be a user. It
// returns how many it changed. It is one statement for any number of them, and
// marks only those that are visible when the statement begins. It needs
// [PermissionUpdateRead].
func (s *Service) SetState(ctx context.Context, who Identity, sel Selection, change StateChange) (int64, error) {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionUpdateRead})
	if err != nil {
		return 0, err
	}
	var bad faults
	chosen := sel.prepared(&bad)
	if change == (StateChange{}) {
		bad.add("change", "says nothing to mark")
	}
	if err := bad.err(); err != nil {
		return 0, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return 0, err
	}
	ctx, done, err := s.beginSearch(ctx, in, chosen.Filter)
	if err != nil {
		return 0, err
	}
	defer done()
	return s.store.mark(ctx, in, chosen, change)
}

// mark writes the reader's states of the selected and visible messages, and
// returns how many it changed. It is one statement, so nothing can change
// between the check and the write. A repeated mark keeps its first time.
func (s *store) mark(ctx context.Context, in inbox, sel selection, to StateChange) (changed int64, err error) {
	mark, takes := s.dialect.mark(func(sql *sqltext.Text) { s.markQuery(sql, in, sel, to) }, marked(in, sel)), short
	if sel.ids == nil {
		takes = long
	}
	write := s.write
	if sel.seen != nil {
		write = s.writeTx // the server that knows the position must do the mark
	}
	err = write(ctx, in.audience, takes, func(db *gorm.DB) (err error) {
		if sel.seen != nil {
			if err := errors.Join(s.lockIn(db), s.checkSeen(db, *sel.seen, in.now)); err != nil {
				return err
			}
		}
		changed, err = mark(db)
		return err
	})
	if err == nil {
		// Even if nothing changed: another instance may just have made the same
		// mark.
		s.noteMark(ctx, in.user)
	}
	return changed, err
}

// marked returns the change that a mark logs.
func marked(in inbox, sel selection) change {
	c := change{kind: changelog.Marked, user: in.audience}
	if len(sel.ids) == 1 {
		c.messageID = sel.ids[0]
	}
	return c
}

// markQuery inserts or updates the states that change. del is the selection, st
// the state before, held the state at the time of the write. Rows are written
// in the order of ids, so that two marks at once cannot deadlock.
func (s *store) markQuery(sql *sqltext.Text, in inbox, sel selection, to StateChange) {
	now, wasRead := in.now.UnixMilli(), isRead(in)
	columns := []struct {
		name string
		to   *bool
		was  condition // over st
	}{
		{"read_at", to.Read, wasRead},
		{"saved_at", to.Saved, condition{"st.saved_at IS NOT NULL", nil}},
		{"archived_at", to.Archived, condition{"st.archived_at IS NOT NULL", nil}},
	}
	sql.Add("INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)"+
		" SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE"+
		" FROM (SELECT CAST(? AS text) AS user_ref, del.message_id", in.audience)
	changes := new(sqltext.Text)
	var update, differs []string
	for _, c := range columns {
		switch {
		case c.to == nil:
			// A message that counts as read without a state keeps that mark in
			// its first state.
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
	s.selectMarkable(sql, in, sel, to)
	sql.Add(") del LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = del.message_id WHERE ", in.audience)
	sql.AddPart(changes)
	sql.Add(" ORDER BY del.message_id) page WHERE TRUE ON CONFLICT (user_ref, message_id) DO UPDATE SET " + strings.Join(update, ", ") +
		" WHERE " + strings.Join(differs, " OR "))
}

// addAlternative adds a condition, joined by OR.
func addAlternative(sql *sqltext.Text, c condition) {
	if sql.Len() > 0 {
		sql.Add(" OR ")
	}
	sql.Add(c.sql, c.args...)
}

// selectMarkable selects the visible messages. It locks messages that are to be
// saved, so that a purge cannot remove them at the same time.
func (s *store) selectMarkable(sql *sqltext.Text, in inbox, sel selection, to StateChange) {
	if to.Saved == nil || !*to.Saved {
		s.selectVisible(sql, in, sel)
		return
	}
	sql.Add("SELECT msg.id AS message_id, msg.is_system AS system FROM notification_messages msg" +
		" WHERE msg.withdrawn_at IS NULL AND msg.id IN (SELECT del.message_id FROM (")
	s.selectVisible(sql, in, sel)
	sql.Add(") del) ORDER BY msg.id" + s.dialect.lock(lockRemoval))
}
