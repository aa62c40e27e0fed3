package notifications

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// rememberedKey is a row of notification_idempotency_keys: what a poster posted
// under a key.
type rememberedKey struct {
	Key       string `gorm:"column:key"`
	Content   string `gorm:"column:content"` // hash
	MessageID string `gorm:"column:message_id"`
}

// keyed returns the postings that have an idempotency key, sorted by key. All
// transactions lock keys in this order.
func keyed(list []*posting) []*posting {
	var keyed []*posting
	for _, p := range list {
		if p.content != "" {
			keyed = append(keyed, p)
		}
	}
	slices.SortFunc(keyed, func(a, b *posting) int { return cmp.Compare(a.draft.IdempotencyKey, b.draft.IdempotencyKey) })
	return keyed
}

// recall marks the postings that repeat an earlier one. It returns ErrKeyReused
// if a key was used for other content. It locks nothing.
func (s *store) recall(ctx context.Context, all []*posting) error {
	list := keyed(all)
	if len(list) == 0 {
		return nil
	}
	return s.read(ctx, func(db *gorm.DB) error { return s.recognise(db, list) })
}

// recognise is recall for postings that all have a key.
func (s *store) recognise(db *gorm.DB, list []*posting) error {
	sql := s.sql("SELECT key, content, message_id FROM notification_idempotency_keys WHERE poster = ? AND expires_at > ? AND key IN (",
		list[0].poster, list[0].now.UnixMilli())
	s.dialect.list(sql, typeText, keysOf(list))
	sql.Add(")")
	var remembered []rememberedKey
	if err := find(db, sql, &remembered); err != nil {
		return err
	}
	for _, r := range remembered {
		i := slices.IndexFunc(list, func(p *posting) bool { return p.draft.IdempotencyKey == r.Key })
		if r.Content != list[i].content {
			return list[i].refused(ErrKeyReused)
		}
		list[i].result = Posted{ID: r.MessageID, Repeated: true}
	}
	return nil
}

// recogniseLocked marks the postings that a post before them in the line for
// their scopes has made repetitions. Their scope may look different since.
func (s *store) recogniseLocked(db *gorm.DB, earlier map[*posting][]messageRow, list []*posting) error {
	waited := slices.DeleteFunc(keyed(list), func(p *posting) bool { return earlier[p] == nil })
	if len(waited) == 0 {
		return nil
	}
	return s.recognise(db, waited)
}

// refused returns an error that says which of several drafts it is about.
func (p *posting) refused(err error) error {
	if p.field == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSuffix(p.field, "."))
}

func keysOf(list []*posting) []string {
	keys := make([]string, len(list))
	for i, p := range list {
		keys[i] = p.draft.IdempotencyKey
	}
	return keys
}

// claimKeys stores the keys of the postings. It waits for another transaction
// that is storing one of them. If a key has been stored meanwhile, it marks the
// posting as repeated or returns ErrKeyReused.
func (s *store) claimKeys(db *gorm.DB, all []*posting) error {
	list := keyed(all)
	if len(list) == 0 {
		return nil
	}
	type claim struct {
		Key       string `json:"key"`
		Content   string `json:"content"`
		MessageID string `json:"message_id"`
	}
	claims := make([]claim, len(list))
	for i, p := range list {
		claims[i] = claim{p.draft.IdempotencyKey, p.content, p.result.ID}
	}
	// Without WHERE TRUE, SQLite would read ON as the ON of a join.
	sql := s.sql("INSERT INTO notification_idempotency_keys AS held (poster, key, content, message_id, expires_at)"+
		" SELECT CAST(? AS text), item.key, item.content, item.message_id, CAST(? AS bigint) FROM ",
		list[0].poster, list[0].forgotten.UnixMilli())
	s.dialect.objects(sql, jsonObjects(claims), typedColumn{"key", typeText}, typedColumn{"content", typeText}, typedColumn{"message_id", typeID})
	sql.Add(` item WHERE TRUE ON CONFLICT (poster, key) DO UPDATE
		SET content = excluded.content, message_id = excluded.message_id, expires_at = excluded.expires_at
		WHERE held.expires_at <= ? RETURNING key`, list[0].now.UnixMilli())
	var claimed []string
	if err := find(db, sql, &claimed); err != nil {
		return err
	}
	taken := slices.DeleteFunc(list, func(p *posting) bool { return slices.Contains(claimed, p.draft.IdempotencyKey) })
	if len(taken) == 0 {
		return nil
	}
	if err := s.recognise(db, taken); err != nil {
		return err
	}
	for _, p := range taken {
		if !p.result.Repeated {
			return fmt.Errorf("the idempotency key %q is neither free nor taken", p.draft.IdempotencyKey)
		}
	}
	return nil
}
