package notifications

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// MaxMarkIDs is how many ids one [Selection] can name.
const MaxMarkIDs = 1000

// Selection says which notifications [Service.SetState] marks: either IDs or
// Filter.
type Selection struct {
	// IDs names them, 1,000 at most; archived ones too. Those the caller
	// cannot see are passed over.
	IDs []string
	// Filter selects them as a list does.
	Filter *Filter
	// UpTo, with Filter, is the newest id the caller had seen. What came later
	// is left alone. It need not exist. Empty is no bound: whatever is visible
	// when the statement begins.
	UpTo string
}

// StateChange says what is to be marked. Nil leaves it as it is.
type StateChange struct {
	Read, Saved, Archived *bool
}

// MarkRead marks one notification as read, or as unread, for who alone. Doing
// it again changes nothing. It needs [PermissionUpdateRead], and answers
// [ErrNotFound] for an id who cannot see, whether or not it exists.
func (s *Service) MarkRead(ctx context.Context, who Identity, id string, read bool) error {
	if err := s.Authorize(ctx, who, PermissionUpdateRead); err != nil {
		return err
	}
	id, err := parseID("messageId", id)
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
	if err := s.Authorize(ctx, who, PermissionUpdateRead); err != nil {
		return 0, err
	}
	chosen, err := sel.prepared(change)
	if err != nil {
		return 0, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return 0, err
	}
	return s.store.mark(ctx, in, chosen, change)
}

// prepared checks the selection and what is to be done with it.
func (sel Selection) prepared(change StateChange) (selection, error) {
	var f faults
	chosen := only("")
	switch {
	case (sel.IDs == nil) == (sel.Filter == nil):
		f.add("ids", "give either ids or filter")
	case sel.Filter != nil:
		sel.Filter.check(&f)
		chosen = selection{Filter: *sel.Filter}
	case len(sel.IDs) == 0 || len(sel.IDs) > MaxMarkIDs:
		f.add("ids", "has %d entries, it must have 1 to %d", len(sel.IDs), MaxMarkIDs)
	default:
		chosen.ids = make([]string, len(sel.IDs))
		for i, id := range sel.IDs {
			canonical, ok := canonicalID(id)
			if !ok {
				f.add("ids["+strconv.Itoa(i)+"]", "is not a UUID")
			}
			chosen.ids[i] = canonical
		}
		slices.Sort(chosen.ids)
		chosen.ids = slices.Compact(chosen.ids)
	}
	if sel.UpTo != "" {
		id, ok := canonicalID(sel.UpTo)
		if !ok {
			f.add("upTo", "is not a UUID")
		}
		if sel.Filter == nil {
			f.add("upTo", "goes with filter, not with ids")
		}
		chosen.upTo = id
	}
	if change == (StateChange{}) {
		f.add("read", "is missing, and so are saved and archived: there is nothing to mark")
	}
	return chosen, f.err()
}

// mark writes the reader's states of what is selected and visible, and returns
// how many it changed: one statement, so that nothing comes between the look
// and the write. Marking again keeps the time of the first.
func (s *store) mark(ctx context.Context, in inbox, sel selection, change StateChange) (changed int64, err error) {
	sql := s.markQuery(in, sel, change)
	err = s.write(ctx, func(db *gorm.DB) error {
		done := execute(db, sql.String(), sql.args)
		changed = done.RowsAffected
		return done.Error
	})
	if err == nil {
		// Also where nothing changed: another instance may just have done it.
		s.noteMark(ctx, in.user)
	}
	return changed, err
}

// markQuery inserts the states that change, d being what is selected and s the
// state before, over what is there by then. Rows come in the order of their
// ids, so that two marks at once never wait for each other.
func (s *store) markQuery(in inbox, sel selection, change StateChange) *sqlText {
	now, wasRead := in.now.UnixMilli(), isRead(in)
	columns := []struct {
		name string
		to   *bool
		was  condition // over s
	}{
		{"read_at", change.Read, wasRead},
		{"saved_at", change.Saved, condition{"s.saved_at IS NOT NULL", nil}},
		{"archived_at", change.Archived, condition{"s.archived_at IS NOT NULL", nil}},
	}
	sql, changes := s.dialect.statement(), new(sqlText)
	var update, differs []string
	sql.add("INSERT INTO notification_states AS t (user_ref, message_id, read_at, saved_at, archived_at)" +
		" SELECT n.user_ref, n.message_id, n.read_at, n.saved_at, n.archived_at FROM (SELECT ")
	sql.add(s.dialect.text+" AS user_ref, d.message_id", in.user)
	for _, c := range columns {
		switch {
		case c.to == nil:
			// What counts as read without a state stays so when it gets one.
			sql.add(", CASE WHEN "+c.was.sql+" THEN coalesce(s."+c.name+", CAST(? AS bigint)) END AS "+c.name, append(c.was.args, now)...)
			continue
		case *c.to:
			sql.add(", coalesce(s."+c.name+", CAST(? AS bigint)) AS "+c.name, now)
			update = append(update, c.name+" = coalesce(t."+c.name+", excluded."+c.name+")")
			differs = append(differs, "t."+c.name+" IS NULL")
			changes.or("NOT "+c.was.sql, c.was.args...)
		default:
			sql.add(", CAST(NULL AS bigint) AS " + c.name)
			update = append(update, c.name+" = NULL")
			differs = append(differs, "t."+c.name+" IS NOT NULL")
			changes.or(c.was.sql, c.was.args...)
		}
	}
	sql.add(" FROM (")
	s.selectMarkable(sql, in, sel, change)
	sql.add(") d LEFT JOIN notification_states s ON s.user_ref = ? AND s.message_id = d.message_id WHERE ", in.user)
	sql.add(changes.String(), changes.args...)
	sql.add(" ORDER BY d.message_id) n WHERE TRUE ON CONFLICT (user_ref, message_id) DO UPDATE SET " + strings.Join(update, ", ") +
		" WHERE " + strings.Join(differs, " OR "))
	return sql
}

// selectMarkable selects what is visible. What is to be saved is kept from
// being purged in the same moment.
func (s *store) selectMarkable(sql *sqlText, in inbox, sel selection, change StateChange) {
	if change.Saved == nil || !*change.Saved {
		s.selectVisible(sql, in, sel)
		return
	}
	sql.add("SELECT m.id AS message_id, m.is_system AS system FROM notification_messages m" +
		" WHERE m.withdrawn_at IS NULL AND m.id IN (SELECT w.message_id FROM (")
	s.selectVisible(sql, in, sel)
	sql.add(") w) ORDER BY m.id" + s.dialect.keepRows)
}

// see returns ErrNotFound unless the reader can see the message.
func (s *store) see(ctx context.Context, in inbox, id string) error {
	sql := s.dialect.statement()
	s.selectVisible(sql, in, only(id))
	var seen []deliveryRow
	if err := sql.on(s.door(ctx, s.db)).Find(&seen).Error; err != nil {
		return failed(err)
	}
	if len(seen) == 0 {
		return ErrNotFound
	}
	return nil
}
