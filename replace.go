package notifications

import (
	"cmp"
	"slices"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// ScopeKey identifies posts of one identity that replace each other; see
// Draft.Scope. Both fields are required.
type ScopeKey struct {
	Origin, Scope string
}

// Check returns the [*InvalidError] that WithdrawScope would return for the key,
// and nil for a valid one.
func (k ScopeKey) Check() error {
	var bad faults
	bad.text("Origin", k.Origin, true, MaxTitleChars)
	bad.text("Scope", k.Scope, true, MaxTitleChars)
	return bad.err()
}

// lockScopes keeps others from posting to the same scopes until the transaction
// ends, and returns the earlier posts of each. It takes the locks in the order
// of origin and scope. The locks are rows, not advisory locks: a transaction at
// REPEATABLE READ that waited for a row gets an error, because it cannot see
// the new post. With an advisory lock it would store a second notification.
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
	// Without WHERE TRUE, SQLite would read ON as the ON of a join.
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

// postsOfScope returns the posts that still have a delivery. It locks them
// against withdrawals, purges and erasures until the transaction ends.
func (s *store) postsOfScope(db *gorm.DB, poster string, key ScopeKey) (earlier []messageRow, err error) {
	err = find(db, s.sql("SELECT msg.id, msg.audience_list, msg.expires_at FROM notification_messages msg"+
		" WHERE msg.poster = ? AND msg.origin = ? AND msg.scope = ? AND msg.withdrawn_at IS NULL ORDER BY msg.id"+
		s.dialect.lock(lockChange), poster, key.Origin, key.Scope), &earlier)
	return earlier, err
}

// keptAmong returns the index of the earlier post whose place the posting
// keeps, and -1 if it is a new one.
func (p *posting) keptAmong(earlier []messageRow) (int, error) {
	if !p.draft.KeepPlace {
		return -1, nil
	}
	alive := false
	for i, e := range earlier {
		if e.ExpiresAt != nil && *e.ExpiresAt <= p.now.UnixMilli() {
			continue // expired: nobody sees it
		}
		alive = true
		if slices.Equal(slices.Sorted(slices.Values(e.audiences())), p.audiences) {
			return i, nil
		}
	}
	if alive {
		return -1, p.refused(ErrTargetsDiffer)
	}
	return -1, nil
}

// takeOver deletes the deliveries of earlier posts to the audiences of this
// one. It withdraws an earlier post that has no delivery left. It returns the
// changes to log.
func (s *store) takeOver(db *gorm.DB, p *posting, earlier []messageRow) (changes []change, err error) {
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
			" SET audience_list = ?, replaced_by = ?, withdrawn_at = coalesce(withdrawn_at, ?) WHERE id = ?",
			jsonArray(left), p.id, withdrawn, e.ID)); err != nil {
			return nil, err
		}
		if err := s.removeDeliveries(db, deliveriesOf(e.ID, taken)); err != nil {
			return nil, err
		}
		changes = append(changes, change{kind: changeRemoved, messageID: e.ID, audiences: taken})
		if slices.Contains(taken, systemAudience) && len(left) > 0 {
			if err := s.noLongerSystem(db, e.ID, left); err != nil {
				return nil, err
			}
		}
	}
	return changes, nil
}

// noLongerSystem records that a message is no longer addressed to everybody.
func (s *store) noLongerSystem(db *gorm.DB, id string, left []string) error {
	if _, err := exec(db, s.sql("UPDATE notification_messages SET is_system = FALSE WHERE id = ?", id)); err != nil {
		return err
	}
	_, err := exec(db, s.amongAudiences(s.sql("UPDATE notification_deliveries SET system = FALSE WHERE message_id = ?", id), left))
	return err
}

// rewrite replaces the content of the earlier post whose id the posting has.
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

// amongAudiences restricts a statement to some audiences, so that it uses the
// primary key.
func (s *store) amongAudiences(sql *sqltext.Text, audiences []string) *sqltext.Text {
	sql.Add(" AND audience IN (")
	s.dialect.list(sql, typeText, audiences)
	return sql.Add(")")
}

// delivery is the key of a row of notification_deliveries.
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

// removeDeliveries deletes deliveries by key. IN with a subquery makes the
// planner use the primary key; with a join it would guess the number of keys.
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
