package notifications

import (
	"encoding/json"
	"slices"

	"gorm.io/gorm"
)

// earlierPost is a post of the same identity, origin and scope of which some
// delivery is left.
type earlierPost struct {
	ID        string `gorm:"column:id"`
	Audiences string `gorm:"column:audiences"` // JSON array, as stored
	ExpiresAt *int64 `gorm:"column:expires_at"`
}

// audiences are those whose deliveries are left.
func (e earlierPost) audiences() []string {
	var list []string
	_ = json.Unmarshal([]byte(e.Audiences), &list) // stored by this package
	return list
}

// lockScope lets nobody else post to the scope until the transaction ends, and
// returns the earlier posts. The lock is a row rather than an advisory lock:
// whoever waited for it under REPEATABLE READ, and so could not see what it
// waited for, gets an error and not a second notification.
func (s *store) lockScope(db *gorm.DB, p *posting) ([]earlierPost, error) {
	row := p.row
	err := db.Exec("INSERT INTO notification_scopes (poster, origin, scope, used_at) VALUES (?, ?, ?, ?)"+
		" ON CONFLICT (poster, origin, scope) DO UPDATE SET used_at = excluded.used_at",
		row.Poster, row.Origin, *row.Scope, p.now.UnixMilli()).Error
	if err != nil {
		return nil, err
	}
	return s.postsOfScope(db, row.Poster, row.Origin, *row.Scope)
}

// postsOfScope returns the posts that still have a delivery, and keeps those
// who withdraw, purge or erase from changing them until the transaction ends.
func (s *store) postsOfScope(db *gorm.DB, poster, origin, scope string) ([]earlierPost, error) {
	var earlier []earlierPost
	err := db.Raw("SELECT id, audiences, expires_at FROM notification_messages"+
		" WHERE poster = ? AND origin = ? AND scope = ? AND withdrawn_at IS NULL ORDER BY id"+s.dialect.changeRows,
		poster, origin, scope).Find(&earlier).Error
	return earlier, err
}

// keptAmong returns which of the earlier posts the posting keeps the place of;
// -1 for none.
func (p *posting) keptAmong(earlier []earlierPost) (int, error) {
	if !p.draft.KeepPlace {
		return -1, nil
	}
	alive := false
	for i, e := range earlier {
		if e.ExpiresAt != nil && *e.ExpiresAt <= p.now.UnixMilli() {
			continue // nobody sees it any more
		}
		alive = true
		left := e.audiences()
		slices.Sort(left)
		if slices.Equal(left, slices.Sorted(slices.Values(p.audiences))) {
			return i, nil
		}
	}
	if alive {
		return -1, ErrTargetsDiffer
	}
	return -1, nil
}

// takeOver removes the deliveries of earlier posts to the audiences of this
// one. An earlier post that has none left is withdrawn.
func (s *store) takeOver(db *gorm.DB, p *posting, earlier []earlierPost) error {
	for _, e := range earlier {
		left, taken := []string{}, []string{}
		for _, a := range e.audiences() {
			if slices.Contains(p.audiences, a) {
				taken = append(taken, a)
			} else {
				left = append(left, a)
			}
		}
		if len(taken) == 0 {
			continue
		}
		var withdrawn *int64
		if len(left) == 0 {
			withdrawn = new(p.now.UnixMilli())
		}
		err := db.Exec("UPDATE notification_messages SET audiences = ?, replaced_by = ?, withdrawn_at = coalesce(withdrawn_at, ?) WHERE id = ?",
			jsonArray(left), p.row.ID, withdrawn, e.ID).Error
		if err != nil {
			return err
		}
		if err := s.deleteDeliveries(db, e.ID, taken); err != nil {
			return err
		}
		if slices.Contains(taken, systemAudience) && len(left) > 0 {
			if err := s.noLongerSystem(db, e.ID, left); err != nil {
				return err
			}
		}
	}
	return nil
}

// noLongerSystem notes that a post is left to some audiences alone.
func (s *store) noLongerSystem(db *gorm.DB, id string, left []string) error {
	if err := db.Exec("UPDATE notification_messages SET is_system = FALSE WHERE id = ?", id).Error; err != nil {
		return err
	}
	return db.Exec("UPDATE notification_deliveries SET system = FALSE WHERE message_id = ?"+
		" AND audience IN (SELECT a.value FROM "+s.dialect.texts+")", id, jsonArray(left)).Error
}

// rewrite replaces the content of an earlier post and leaves its place.
func (s *store) rewrite(db *gorm.DB, p *posting, e earlierPost) error {
	m := p.row
	err := db.Exec("UPDATE notification_messages SET title = ?, message = ?, topic = ?, severity = ?, link = ?, icon = ?, metadata = ?,"+
		" actions = ?, expires_at = ?, updated_at = ?, title_key = ?, message_key = ?, topic_key = ? WHERE id = ?",
		m.Title, m.Message, m.Topic, m.Severity, m.Link, m.Icon, m.Metadata,
		m.Actions, m.ExpiresAt, p.now.UnixMilli(), m.TitleKey, m.MessageKey, m.TopicKey, e.ID).Error
	if err != nil {
		return err
	}
	return db.Exec("UPDATE notification_deliveries SET severity = ?, expires_at = ? WHERE message_id = ?"+
		" AND audience IN (SELECT a.value FROM "+s.dialect.texts+")",
		m.Severity, m.deliveryExpiry(), e.ID, jsonArray(p.audiences)).Error
}

// deleteDeliveries removes deliveries of one message.
func (s *store) deleteDeliveries(db *gorm.DB, id string, audiences []string) error {
	pairs := make([][2]string, len(audiences))
	for i, a := range audiences {
		pairs[i] = [2]string{a, id}
	}
	return s.deletePairs(db, pairs)
}

// deletePairs removes deliveries, each given as audience and id. The pairs are
// a parameter rather than a join, so that the planner, which knows nothing of
// their number, always takes the key.
func (s *store) deletePairs(db *gorm.DB, pairs [][2]string) error {
	if len(pairs) == 0 {
		return nil
	}
	list, err := json.Marshal(pairs)
	if err != nil {
		return err
	}
	return db.Exec(s.dialect.deletePairs, string(list)).Error
}
