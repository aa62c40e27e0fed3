package notifications

import (
	"context"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// EraseUser removes a user's own data: their marks, the notifications addressed
// to them alone, and their idempotency keys. The name may have any form the
// catalog accepts. The catalog need not know the user any more.
//
// Data that the user shares with others stays. Notifications to groups and to
// everybody stay. Notifications to the user and others stay for the others.
// Notifications posted by the user stay without a poster; only
// [PermissionDeleteAny] allows withdrawing them.
//
// It needs [PermissionErase]. It runs in one transaction, and repeating it
// changes nothing. It does not erase what the user does during or after the
// call.
func (s *Service) EraseUser(ctx context.Context, who Identity, user string) error {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionErase})
	if err != nil {
		return err
	}
	ref, err := s.canonical(KindUser, user)
	if err != nil {
		return Invalid("user", err.Error())
	}
	return s.store.writeTx(ctx, long, func(tx *gorm.DB) error { return s.store.erase(tx, ref.String()) })
}

// erase locks messages before deliveries, in the order of withdraw. Its first
// statement writes; see writeTx.
func (s *store) erase(tx *gorm.DB, user string) error {
	if err := s.execAll(tx,
		s.sql("DELETE FROM notification_states WHERE user_ref = ?", user),
		s.sql("UPDATE notification_messages SET audiences = (SELECT "+s.dialect.audienceArray()+" FROM "+s.dialect.messageAudiences()+
			" WHERE aud.value <> ?) WHERE ", user).AddPart(s.addressedTo(user)).Add(" AND "+s.audienceCount("TRUE")+" > 1"),
	); err != nil {
		return err
	}
	var gone []string
	alone := s.sql("SELECT id FROM notification_messages WHERE ").AddPart(s.addressedTo(user)).
		Add(" AND "+s.audienceCount("aud.value <> ?")+" = 0", user)
	if err := find(tx, alone, &gone); err != nil {
		return err
	}
	return s.execAll(tx,
		s.amongIDs("DELETE FROM notification_messages WHERE id", gone),
		s.amongIDs("DELETE FROM notification_states WHERE message_id", gone),
		s.sql("DELETE FROM notification_deliveries WHERE audience = ?", user),
		s.sql("UPDATE notification_messages SET poster = '', scope = NULL WHERE poster = ?", user),
		s.sql("DELETE FROM notification_scopes WHERE poster = ?", user),
		s.sql("DELETE FROM notification_idempotency_keys WHERE poster = ?", user),
	)
}

// addressedTo is the condition that a message names the user. A withdrawn
// message has no deliveries but names its audiences until it is purged.
func (s *store) addressedTo(user string) *sqltext.Text {
	return sqltext.Part("id IN (SELECT del.message_id FROM notification_deliveries del WHERE del.audience = ?"+
		" UNION ALL SELECT id FROM notification_messages WHERE withdrawn_at IS NOT NULL"+
		" AND EXISTS (SELECT 1 FROM "+s.dialect.messageAudiences()+" WHERE aud.value = ?))", user, user)
}

// audienceCount is SQL for the number of a message's audiences for which the
// condition holds.
func (s *store) audienceCount(where string) string {
	return "(SELECT count(*) FROM " + s.dialect.messageAudiences() + " WHERE " + where + ")"
}

// amongIDs ends a statement with IN and a list of ids.
func (s *store) amongIDs(text string, ids []string) *sqltext.Text {
	sql := s.sql(text + " IN (")
	s.dialect.list(sql, typeID, ids)
	return sql.Add(")")
}

// execAll runs statements in order.
func (s *store) execAll(tx *gorm.DB, statements ...*sqltext.Text) error {
	for _, sql := range statements {
		if _, err := exec(tx, sql); err != nil {
			return err
		}
	}
	return nil
}
