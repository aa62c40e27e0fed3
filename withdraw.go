package notifications

import (
	"context"
	"errors"

	"gorm.io/gorm"
)

// Withdraw takes a notification back: it is gone for everybody at once. It
// needs [PermissionDelete], and of whoever did not post it also
// [PermissionDeleteAny]. Without that it is [ErrForbidden] for an id who can
// see, and [ErrNotFound] for any other.
func (s *Service) Withdraw(ctx context.Context, who Identity, id string) error {
	if err := s.Authorize(ctx, who, PermissionDelete); err != nil {
		return err
	}
	id, err := parseID("id", id)
	if err != nil {
		return err
	}
	if _, err := s.ownPost(ctx, who, id, PermissionDeleteAny); err != nil {
		return err
	}
	n, err := s.store.withdraw(ctx, s.now().UnixMilli(), func(*gorm.DB) ([]string, error) { return []string{id}, nil })
	if err == nil && n == 0 {
		return ErrNotFound // somebody else was faster
	}
	return err
}

// WithdrawScope takes back whatever is left of the posts of who with this
// origin and scope, and returns how many notifications that were. It needs
// [PermissionDelete].
func (s *Service) WithdrawScope(ctx context.Context, who Identity, origin, scope string) (int64, error) {
	if err := s.Authorize(ctx, who, PermissionDelete); err != nil {
		return 0, err
	}
	var bad faults
	bad.text("origin", origin, true, MaxTitleChars)
	bad.text("scope", scope, true, MaxTitleChars)
	if err := bad.err(); err != nil {
		return 0, err
	}
	poster, now := s.nameOf(who), s.now().UnixMilli()
	return s.store.withdraw(ctx, now, func(tx *gorm.DB) ([]string, error) {
		// Waits for whoever is just posting to the scope, see lockScope.
		err := tx.Exec("UPDATE notification_scopes SET used_at = ? WHERE poster = ? AND origin = ? AND scope = ?",
			now, poster, origin, scope).Error
		if err != nil {
			return nil, err
		}
		var ids []string
		posts, err := s.store.postsOfScope(tx, poster, origin, scope)
		for _, p := range posts {
			ids = append(ids, p.ID)
		}
		return ids, err
	})
}

// ownPost returns a message that who posted, or, with the permission any if
// that is not empty, that somebody posted. What is withdrawn is not found. Of
// other messages, whether or not they exist, everything is asked alike, so that
// a policy or catalog that is away does not tell them apart.
func (s *Service) ownPost(ctx context.Context, who Identity, id string, any Permission) (messageRow, error) {
	m, err := s.store.message(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return m, err
	}
	there := err == nil && m.WithdrawnAt == nil
	if there && m.Poster == s.nameOf(who) {
		return m, nil
	}
	if any != "" {
		err := s.Authorize(ctx, who, any)
		if there && err == nil {
			return m, nil
		}
		if err != nil && !errors.Is(err, ErrForbidden) {
			return m, err
		}
	}
	return m, s.forbiddenOrNotFound(ctx, who, id)
}

// forbiddenOrNotFound is why who may not do something to a message of somebody
// else: whether it exists is told only to those who see it.
func (s *Service) forbiddenOrNotFound(ctx context.Context, who Identity, id string) error {
	in, err := s.inbox(ctx, who)
	if errors.Is(err, ErrForbidden) {
		return ErrNotFound // it has no inbox
	}
	if err != nil {
		return err
	}
	if err := s.store.see(ctx, in, id); err != nil {
		return err
	}
	return ErrForbidden
}

// message returns a message by its id, withdrawn or not.
func (s *store) message(ctx context.Context, id string) (messageRow, error) {
	var rows []messageRow
	if err := s.door(ctx, s.db).Where("id = ?", id).Limit(1).Find(&rows).Error; err != nil {
		return messageRow{}, failed(err)
	}
	if len(rows) == 0 {
		return messageRow{}, ErrNotFound
	}
	return rows[0], nil
}

// withdraw removes all deliveries of the messages that which names, in one
// transaction, and returns how many messages that were.
func (s *store) withdraw(ctx context.Context, now int64, which func(tx *gorm.DB) ([]string, error)) (n int64, err error) {
	err = s.writeTx(ctx, func(tx *gorm.DB) error {
		n = 0
		ids, err := which(tx)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err = s.withdrawTx(tx, now, ids, "")
		return err
	})
	return n, err
}

// withdrawTx is withdraw of those of the messages that and, more SQL over
// notification_messages, lets through.
func (s *store) withdrawTx(tx *gorm.DB, now int64, ids []string, and string) (int64, error) {
	var gone []earlierPost
	err := tx.Raw("UPDATE notification_messages SET withdrawn_at = ? WHERE withdrawn_at IS NULL AND id IN ("+s.dialect.ids+")"+and+
		" RETURNING id, audiences", now, jsonArray(ids)).Find(&gone).Error
	if err != nil {
		return 0, err
	}
	var pairs [][2]string
	for _, m := range gone {
		for _, audience := range m.audiences() {
			pairs = append(pairs, [2]string{audience, m.ID})
		}
	}
	return int64(len(gone)), s.deletePairs(tx, pairs)
}
