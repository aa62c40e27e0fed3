package notifications

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// changeRow is a row of notification_changes with what is needed of its
// message.
type changeRow struct {
	Snapshot    string  `gorm:"column:snapshot"`
	Number      *int64  `gorm:"column:number"`
	Kind        int16   `gorm:"column:kind"`
	MessageID   *string `gorm:"column:message_id"`
	UserRef     *string `gorm:"column:user_ref"`
	Audiences   *string `gorm:"column:audiences"`
	Remaining   *string `gorm:"column:audience_list"`
	Severity    *int    `gorm:"column:severity"`
	Topic       *string `gorm:"column:topic"`
	Origin      *string `gorm:"column:origin"`
	Scheduled   *bool   `gorm:"column:scheduled"`
	ExpiresAt   *int64  `gorm:"column:expires_at"`
	WithdrawnAt *int64  `gorm:"column:withdrawn_at"`
}

func (r *changeRow) change() changelog.Change {
	c := changelog.Change{Kind: changelog.Kind(r.Kind), MessageID: value(r.MessageID), User: value(r.UserRef), Message: r.message()}
	if r.Number != nil {
		c.Number = uint64(*r.Number)
	}
	switch c.Kind {
	case changelog.Posted, changelog.Rewritten:
		c.Audiences = audienceList(r.Remaining)
	case changelog.Removed:
		c.Audiences = audienceList(r.Audiences)
		if r.WithdrawnAt == nil {
			c.Left = audienceList(r.Remaining)
		}
		if slices.Contains(c.Audiences, systemAudience) { // for the others, System has changed
			c.Audiences = append(c.Audiences, c.Left...)
		}
	}
	return c
}

// expiry returns the change at the time the message expires.
func (r *changeRow) expiry() changelog.Change {
	return changelog.Change{
		Kind: changelog.Expired, At: *r.ExpiresAt, MessageID: value(r.MessageID), Audiences: audienceList(r.Remaining), Message: r.message(),
	}
}

// appearance returns the change at the time a scheduled message appears.
func (r *changeRow) appearance() changelog.Change {
	m := r.message()
	return changelog.Change{Kind: changelog.Posted, At: m.Due, MessageID: value(r.MessageID), Audiences: audienceList(r.Remaining), Message: m}
}

func (r *changeRow) message() *changelog.Message {
	if r.Origin == nil {
		return nil
	}
	m := &changelog.Message{Topic: value(r.Topic), Origin: *r.Origin}
	if r.Severity != nil {
		m.Severity = *r.Severity
	}
	if r.Scheduled != nil && *r.Scheduled {
		m.Due = idTime(value(r.MessageID)).UnixMilli()
	}
	if r.ExpiresAt != nil {
		m.Expires = *r.ExpiresAt
	}
	return m
}

// audienceList decodes a JSON array that this package stored. It is not nil: a
// change without audiences concerns everybody.
func audienceList(array *string) []string {
	list := []string{}
	_ = json.Unmarshal([]byte(value(array)), &list)
	return list
}

// messageOf are the columns of a [changeRow] that come from the message.
const messageOf = "msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at, msg.withdrawn_at"

// changesSince returns the changes that the snapshot does not see, and the
// snapshot that sees them, read in one statement.
func (s *store) changesSince(ctx context.Context, since changelog.Snapshot, limit int) (rows []changeRow, seen changelog.Snapshot, err error) {
	err = s.read(ctx, func(db *gorm.DB) (err error) {
		rows = nil
		sql := s.sql("SELECT tick.snapshot, ch.number, coalesce(ch.kind, 0) AS kind, ch.message_id, ch.user_ref, ch.audiences, " + messageOf +
			" FROM (SELECT " + s.dialect.snapshot(false) + " AS snapshot) tick LEFT JOIN (SELECT " + s.dialect.changeNumber() +
			" AS number, ch.kind, ch.message_id, ch.user_ref, ch.audiences FROM notification_changes ch WHERE ")
		s.dialect.unseen(sql, since)
		sql.Add(fmt.Sprintf(" LIMIT %d) ch ON TRUE LEFT JOIN notification_messages msg ON msg.id = ch.message_id ORDER BY ch.number, ch.kind", limit))
		if err = find(db, sql, &rows); err != nil {
			return err
		}
		seen, err = s.dialect.parseSnapshot(rows[0].Snapshot)
		return err
	})
	if len(rows) > 0 && rows[0].Number == nil {
		rows = nil // only the snapshot
	}
	return rows, seen, err
}

// tickRow is a row of notification_ticks.
type tickRow struct {
	Snapshot string `gorm:"column:snapshot"`
	At       int64  `gorm:"column:at"`
	Nonce    string `gorm:"column:nonce"`
}

// ticks returns all ticks, the oldest first.
func (s *store) ticks(ctx context.Context) (ticks []tickRow, err error) {
	err = s.read(ctx, func(db *gorm.DB) error {
		ticks = nil
		return find(db, s.sql("SELECT CAST(tick.snapshot AS text) AS snapshot, tick.at, tick.nonce FROM notification_ticks tick ORDER BY tick.at"), &ticks)
	})
	return ticks, err
}

// nonces are the latest ones. The zero nonces has none.
type nonces struct {
	mu   sync.Mutex
	list []string
}

// maxNonces is more than a log has ticks.
const maxNonces = 128

func (n *nonces) add(nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.list, nonce) {
		return
	}
	if n.list = append(n.list, nonce); len(n.list) > maxNonces {
		n.list = slices.Delete(n.list, 0, 1)
	}
}

func (n *nonces) has(nonce string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.list, nonce)
}

// expiring returns the messages that expire in a period, from inclusive, to
// exclusive, the earliest first; no more than maxTail+1.
func (s *store) expiring(ctx context.Context, from, to int64) ([]changeRow, error) {
	return s.timedMessages(ctx, s.sql("SELECT msg.id AS message_id, "+messageOf+" FROM notification_messages msg"+
		" WHERE msg.expires_at >= ? AND msg.expires_at < ? AND msg.withdrawn_at IS NULL ORDER BY msg.expires_at", from, to))
}

// appearing is expiring for messages that appear. Their ids hold the time.
func (s *store) appearing(ctx context.Context, from, to int64) ([]changeRow, error) {
	return s.timedMessages(ctx, s.sql("SELECT msg.id AS message_id, "+messageOf+" FROM notification_messages msg"+
		" WHERE msg.id >= ? AND msg.id < ? AND msg.scheduled AND msg.withdrawn_at IS NULL ORDER BY msg.id",
		firstIDAt(time.UnixMilli(from)), firstIDAt(time.UnixMilli(to))))
}

func (s *store) timedMessages(ctx context.Context, sql *sqltext.Text) (rows []changeRow, err error) {
	sql.Add(fmt.Sprintf(" LIMIT %d", maxTail+1))
	err = s.read(ctx, func(db *gorm.DB) error {
		rows = nil
		return find(db, sql, &rows)
	})
	return rows, err
}

// unexpired returns those of the messages that expire later, or never.
func (s *store) unexpired(ctx context.Context, ids []string, now int64) (later []string, err error) {
	sql := s.sql("SELECT msg.id FROM notification_messages msg WHERE (msg.expires_at > ? OR msg.expires_at IS NULL) AND msg.id IN (", now)
	s.dialect.list(sql, typeID, ids)
	sql.Add(")")
	err = s.read(ctx, func(db *gorm.DB) error {
		later = nil
		return find(db, sql, &later)
	})
	return later, err
}
