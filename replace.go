package notifications

import (
	"cmp"
	"slices"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// ScopeKey names the posts of an identity that replace each other: see
// Draft.Scope. Both are required.
type ScopeKey struct {
	Origin, Scope string
}

// lockScopes lets nobody else post to the scopes of the postings until the
// transaction ends, and returns the earlier posts of each. The locks are rows
// rather than advisory locks: a transaction under REPEATABLE READ that waited
// for one, and so cannot see what it waited for, gets an error and not a second
// notification. They are taken in the order of origin and scope.
func (s *store) lockScopes(db *gorm.DB, list []*posting) (map[*posting][]messageRow, error) {
	type key struct {
		Origin string `json:"origin"`
		Scope  string `json:"scope"`
	}
	var keys []key
	scoped := slices.DeleteFunc(slices.Clone(list), func(p *posting) bool { return p.draft.Scope == "" })
	for _, p := range scoped {
		keys = append(keys, key{p.draft.Origin, p.draft.Scope})
	}
	if len(keys) == 0 {
		return nil, nil
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Scope, b.Scope)) })
	// WHERE TRUE, for SQLite reads ON as that of a join otherwise.
	sql := s.sql("INSERT INTO notification_scopes (poster, origin, scope, used_at)"+
		" SELECT CAST(? AS text), item.origin, item.scope, CAST(? AS bigint) FROM ", scoped[0].poster, scoped[0].now.UnixMilli())
	s.dialect.objects(sql, jsonObjects(keys), typedColumn{"origin", typeText}, typedColumn{"scope", typeText})
	sql.Add(" item WHERE TRUE ON CONFLICT (poster, origin, scope) DO UPDATE SET used_at = excluded.used_at")
	if _, err := exec(db, sql); err != nil {
		return nil, err
	}
	earlier := make(map[*posting][]messageRow, len(scoped))
	for _, p := range scoped {
		var err error
		if earlier[p], err = s.postsOfScope(db, p.poster, ScopeKey{p.draft.Origin, p.draft.Scope}); err != nil {
			return nil, err
		}
	}
	return earlier, nil
}

// postsOfScope returns the posts that still have a delivery, and keeps
// withdrawals, purges and erasures from changing them until the transaction
// ends.
func (s *store) postsOfScope(db *gorm.DB, poster string, key ScopeKey) (earlier []messageRow, err error) {
	err = find(db, s.sql("SELECT msg.id, msg.audiences, msg.expires_at FROM notification_messages msg"+
		" WHERE msg.poster = ? AND msg.origin = ? AND msg.scope = ? AND msg.withdrawn_at IS NULL ORDER BY msg.id"+
		s.dialect.lock(lockChange), poster, key.Origin, key.Scope), &earlier)
	return earlier, err
}

// keptAmong returns which of the earlier posts the posting keeps the place of;
// -1 for none.
func (p *posting) keptAmong(earlier []messageRow) (int, error) {
	if !p.draft.KeepPlace {
		return -1, nil
	}
	alive := false
	for i, e := range earlier {
		if e.ExpiresAt != nil && *e.ExpiresAt <= p.now.UnixMilli() {
			continue // nobody sees it any more
		}
		alive = true
		if slices.Equal(slices.Sorted(slices.Values(e.audiences())), p.audiences) {
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
func (s *store) takeOver(db *gorm.DB, p *posting, earlier []messageRow) error {
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
		p.result.Replaced = true
		var withdrawn *int64
		if len(left) == 0 {
			withdrawn = millis(p.now)
		}
		if _, err := exec(db, s.sql("UPDATE notification_messages"+
			" SET audiences = ?, replaced_by = ?, withdrawn_at = coalesce(withdrawn_at, ?) WHERE id = ?",
			jsonArray(left), p.id, withdrawn, e.ID)); err != nil {
			return err
		}
		if err := s.removeDeliveries(db, deliveriesOf(e.ID, taken)); err != nil {
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
	if _, err := exec(db, s.sql("UPDATE notification_messages SET is_system = FALSE WHERE id = ?", id)); err != nil {
		return err
	}
	_, err := exec(db, s.amongAudiences(s.sql("UPDATE notification_deliveries SET system = FALSE WHERE message_id = ?", id), left))
	return err
}

// rewrite replaces the content of the earlier post whose id the posting has,
// and leaves its place.
func (s *store) rewrite(db *gorm.DB, p *posting) error {
	sql := s.sql("UPDATE notification_messages SET updated_at = ?", p.now.UnixMilli())
	for _, c := range replacedColumns {
		sql.Add(", "+c.name+" = ?", c.stored(p))
	}
	sql.Add(" WHERE id = ?", p.result.ID)
	if _, err := exec(db, sql); err != nil {
		return err
	}
	_, err := exec(db, s.amongAudiences(s.sql("UPDATE notification_deliveries SET severity = ?, expires_at = ? WHERE message_id = ?",
		p.severity(), p.expiry(), p.result.ID), p.audiences))
	return err
}

// amongAudiences narrows a statement on deliveries, so that it takes the key.
func (s *store) amongAudiences(sql *sqltext.Text, audiences []string) *sqltext.Text {
	sql.Add(" AND audience IN (")
	s.dialect.list(sql, typeText, audiences)
	return sql.Add(")")
}

// delivery is the key of a delivery.
type delivery struct {
	Audience  string `json:"audience"`
	MessageID string `json:"message_id"`
}

func deliveriesOf(id string, audiences []string) []delivery {
	list := make([]delivery, len(audiences))
	for i, a := range audiences {
		list[i] = delivery{a, id}
	}
	return list
}

// removeDeliveries removes deliveries by their keys. These are a parameter
// rather than a join, so that the planner, which knows nothing of their number,
// always takes the key.
func (s *store) removeDeliveries(db *gorm.DB, list []delivery) error {
	if len(list) == 0 {
		return nil
	}
	sql := s.sql("DELETE FROM notification_deliveries WHERE (audience, message_id) IN (SELECT audience, message_id FROM ")
	s.dialect.objects(sql, jsonObjects(list), typedColumn{"audience", typeText}, typedColumn{"message_id", typeID})
	sql.Add(" item)")
	_, err := exec(db, sql)
	return err
}
