package notifications

import (
	"context"
	"errors"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// Withdraw takes a notification back: it disappears for everybody at once. It
// needs [PermissionDelete], and for the posts of others also
// [PermissionDeleteAny]. Without that the error is [ErrForbidden] if the caller
// can see the notification, and otherwise [ErrNotFound].
func (s *Service) Withdraw(ctx context.Context, who Identity, id string) error {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionDelete, ID: id})
	if err != nil {
		return err
	}
	id, err = parseID("id", id)
	if err != nil {
		return err
	}
	if _, err := s.ownPost(ctx, who, id, PermissionDeleteAny); err != nil {
		return err
	}
	n, err := s.store.withdraw(ctx, s.now().UnixMilli(), func(*gorm.DB) ([]string, error) { return []string{id}, nil })
	if err == nil && n == 0 {
		return ErrNotFound // another call withdrew it meanwhile
	}
	return err
}

// WithdrawScope takes back the caller's posts with this origin and scope, and
// returns how many notifications it withdrew. It needs [PermissionDelete].
func (s *Service) WithdrawScope(ctx context.Context, who Identity, key ScopeKey) (int64, error) {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionDelete, Scope: key})
	if err != nil {
		return 0, err
	}
	if err := key.Check(); err != nil {
		return 0, err
	}
	poster, now := s.nameOf(who), s.now().UnixMilli()
	return s.store.withdraw(ctx, now, func(tx *gorm.DB) ([]string, error) {
		// This waits for a post to the scope in another transaction; see
		// lockScopes.
		if _, err := exec(tx, s.store.sql("UPDATE notification_scopes SET used_at = ? WHERE poster = ? AND origin = ? AND scope = ?",
			now, poster, key.Origin, key.Scope)); err != nil {
			return nil, err
		}
		var ids []string
		posts, err := s.store.postsOfScope(tx, poster, key)
		for _, p := range posts {
			ids = append(ids, p.ID)
		}
		return ids, err
	})
}

// ownPost returns a message that the caller posted. If others is not empty, a
// caller with that permission gets the messages of others too. Withdrawn
// messages are not found. For a message that the caller may not have and for
// one that does not exist it asks the policy and the catalog the same
// questions: an error of theirs must not tell the two apart.
func (s *Service) ownPost(ctx context.Context, who Identity, id string, others Permission) (messageRow, error) {
	m, err := s.store.message(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return m, err
	}
	there := err == nil && m.WithdrawnAt == nil
	if there && m.Poster == s.nameOf(who) {
		return m, nil
	}
	if others != "" {
		err := s.authorize(ctx, Request{Who: who, Permission: others, ID: id})
		if there && err == nil {
			return m, nil
		}
		if err != nil && !errors.Is(err, ErrForbidden) {
			return m, err
		}
	}
	return m, s.forbiddenOrNotFound(ctx, who, id)
}

// forbiddenOrNotFound returns the error for a message of somebody else: only a
// caller who sees the message learns that it exists.
func (s *Service) forbiddenOrNotFound(ctx context.Context, who Identity, id string) error {
	in, err := s.inbox(ctx, who)
	if errors.Is(err, ErrForbidden) {
		return ErrNotFound // the caller has no inbox
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
func (s *store) message(ctx context.Context, id string) (m messageRow, err error) {
	err = s.read(ctx, func(db *gorm.DB) error {
		var rows []messageRow
		if err := find(db, s.sql(selectMessage+" WHERE msg.id = ?", id), &rows); err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		m = rows[0]
		return nil
	})
	return m, err
}

// withdraw deletes all deliveries of the messages that which returns, in one
// transaction. It returns how many messages it withdrew.
func (s *store) withdraw(ctx context.Context, now int64, which func(tx *gorm.DB) ([]string, error)) (n int64, err error) {
	var last int64 // of an attempt whose commit got no answer
	err = s.writeTx(ctx, long, func(tx *gorm.DB) error {
		n = 0
		ids, err := which(tx)
		if err == nil && len(ids) > 0 {
			n, err = s.withdrawTx(tx, now, ids, new(sqltext.Text), removals)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			n = last
		}
		last = n
		return nil
	})
	return n, err
}

// withdrawTx is withdraw for the messages that meet the condition and, which is
// SQL over notification_messages. It logs the changes that changes returns.
func (s *store) withdrawTx(tx *gorm.DB, now int64, ids []string, and *sqltext.Text, changes func(gone []messageRow) []change) (int64, error) {
	sql := s.sql("UPDATE notification_messages SET withdrawn_at = ? WHERE withdrawn_at IS NULL AND id IN (", now)
	s.dialect.list(sql, typeID, ids)
	sql.Add(")").AddPart(and).Add(" RETURNING id, audience_list, expires_at")
	var gone []messageRow
	if err := find(tx, sql, &gone); err != nil {
		return 0, err
	}
	var deliveries []delivery
	for _, m := range gone {
		deliveries = append(deliveries, deliveriesOf(m.ID, m.audiences())...)
	}
	if err := s.removeDeliveries(tx, deliveries); err != nil {
		return 0, err
	}
	return int64(len(gone)), s.logChanges(tx, changes(gone))
}
