package notifications

import (
	"fmt"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// newContent is SQL for the kinds of changes that give a message new content.
// Their message_id is not null.
var newContent = fmt.Sprintf("(%d, %d)", changelog.Posted, changelog.Rewritten)

// change is a row of notification_changes. It is written in the transaction of
// the change itself, on PostgreSQL by the same statement if the change is one
// statement. The audiences of a message that was posted or rewritten are in the
// message.
type change struct {
	kind      changelog.Kind
	messageID string   // empty: null
	user      string   // as in notification_states; empty: null
	audiences []string // that a message left; nil: null
	due       *int64   // Unix milliseconds
}

// insertChange begins a statement that logs a change of a message or of a
// user's marks.
const (
	insertPosted = "INSERT INTO notification_changes (kind, message_id, due_at)"
	insertMarked = "INSERT INTO notification_changes (kind, message_id, user_ref)"
)

// logged returns the values of insertPosted.
func (p *posting) logged() []any { return []any{int(changelog.Posted), p.id, p.due()} }

// due returns when a scheduled notification appears, in Unix milliseconds; nil
// if it is not scheduled.
func (p *posting) due() *int64 {
	if !p.scheduled() {
		return nil
	}
	return new(p.draft.NotBefore.UnixMilli())
}

// postedAll returns the changes that several postings make.
func postedAll(posts []*posting) []change {
	list := make([]change, len(posts))
	for i, p := range posts {
		list[i] = change{kind: changelog.Posted, messageID: p.id, due: p.due()}
	}
	return list
}

// insertChanges writes a statement that logs at least one change.
func insertChanges(d dialect, sql *sqltext.Text, list []change) {
	columns := []typedColumn{{"kind", typeSmall}, {"message_id", typeID}, {"user_ref", typeText}, {"audiences", typeText}, {"due_at", typeInt}}
	rows := make(objectRows, 0, 128*len(list))
	for _, c := range list {
		var left *string
		if c.audiences != nil {
			left = new(jsonArray(c.audiences))
		}
		rows.add(columns, []any{int(c.kind), optional(c.messageID), optional(c.user), left, c.due})
	}
	sql.Add("INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)" +
		" SELECT kind, message_id, user_ref, audiences, due_at FROM ")
	d.objects(sql, rows.array(), columns...)
	sql.Add(" item")
}

// logChanges logs changes in their transaction.
func (s *store) logChanges(tx *gorm.DB, list []change) error {
	if len(list) == 0 {
		return nil
	}
	sql := s.dialect.statement()
	insertChanges(s.dialect, sql, list)
	_, err := exec(tx, sql)
	return err
}

// removals returns the changes of messages that left all their audiences, also of
// those that a purge removes because they expired: a reader who comes back may
// know them still, however long ago that was.
func removals(gone []messageRow) []change {
	list := make([]change, len(gone))
	for i, m := range gone {
		list[i] = change{kind: changelog.Removed, messageID: m.ID, audiences: m.audiences()}
	}
	return list
}

// purged returns the one change of a batch of old messages.
func purged(now int64) func(gone []messageRow) []change {
	return func(gone []messageRow) []change {
		for _, m := range gone {
			if m.ExpiresAt == nil || *m.ExpiresAt > now {
				return []change{{kind: changelog.Purged}}
			}
		}
		return nil
	}
}

// resumable is how far back readers can go on from a position.
const resumable = 15 * time.Minute
