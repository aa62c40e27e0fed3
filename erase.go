package notifications

import (
	"context"

	"gorm.io/gorm"
)

// EraseUser removes what is the user's own, user being any form the catalog
// accepts, whether or not it still knows him: what he read, saved and
// archived, what is addressed to him alone, and his idempotency keys. What he
// shares with others stays: notifications to his groups and to everybody, those
// addressed to him and others, which are then addressed to the others, and
// those he has posted, which nobody can tell any more are his and so nobody can
// withdraw but by [PermissionDeleteAny].
//
// It needs [PermissionErase]. It is one transaction; doing it again changes
// nothing. What the user does while it runs, or afterwards, is not erased.
func (s *Service) EraseUser(ctx context.Context, who Identity, user string) error {
	if err := s.Authorize(ctx, who, PermissionErase); err != nil {
		return err
	}
	ref, err := s.canonical(KindUser, user)
	if err != nil {
		return Invalid("user", err.Error())
	}
	return s.store.writeTx(ctx, func(tx *gorm.DB) error { return s.store.erase(tx, ref) })
}

// erase goes from the messages to the deliveries, as withdraw does.
func (s *store) erase(tx *gorm.DB, user string) error {
	// What is withdrawn has no deliveries, and names him all the same until it
	// is purged.
	his := "id IN (SELECT d.message_id FROM notification_deliveries d WHERE d.audience = ?" +
		" UNION ALL SELECT id FROM notification_messages WHERE withdrawn_at IS NOT NULL" +
		" AND EXISTS (SELECT 1 FROM " + s.dialect.audiencesOf + " WHERE a.value = ?))"
	shared := "UPDATE notification_messages SET audiences = (SELECT " + s.dialect.textArray + " FROM " + s.dialect.audiencesOf +
		" WHERE a.value <> ?) WHERE " + his + " AND (SELECT count(*) FROM " + s.dialect.audiencesOf + ") > 1"
	alone := "SELECT id FROM notification_messages WHERE " + his + " AND (SELECT count(*) FROM " + s.dialect.audiencesOf +
		" WHERE a.value <> ?) = 0"

	// The first statement writes, see writeTx.
	if err := tx.Exec("DELETE FROM notification_states WHERE user_ref = ?", user).Error; err != nil {
		return err
	}
	if err := tx.Exec(shared, user, user, user).Error; err != nil {
		return err
	}
	var ids []string
	if err := tx.Raw(alone, user, user, user).Find(&ids).Error; err != nil {
		return err
	}
	gone := jsonArray(append([]string{}, ids...))
	for _, statement := range []struct {
		sql string
		arg string
	}{
		{"DELETE FROM notification_messages WHERE id IN (" + s.dialect.ids + ")", gone},
		{"DELETE FROM notification_states WHERE message_id IN (" + s.dialect.ids + ")", gone},
		{"DELETE FROM notification_deliveries WHERE audience = ?", user},
		{"UPDATE notification_messages SET poster = '', scope = NULL WHERE poster = ?", user},
		{"DELETE FROM notification_scopes WHERE poster = ?", user},
		{"DELETE FROM notification_idempotency_keys WHERE poster = ?", user},
	} {
		if err := tx.Exec(statement.sql, statement.arg).Error; err != nil {
			return err
		}
	}
	return nil
}
