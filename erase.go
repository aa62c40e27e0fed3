package notifications

import (
	"context"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// EraseUser removes what is the user's own: their marks, what is addressed to
// them alone, and their idempotency keys. The name is in any form the catalog
// accepts, whether or not it still knows the user.
//
// What they share with others stays: notifications to their groups and to
// everybody; those addressed to them and others, which are then addressed to
// the others; and those they posted, now without a poster, so that nobody can
// withdraw them but by [PermissionDeleteAny].
//
// It needs [PermissionErase]. It is one transaction; doing it again changes
// nothing. What the user does meanwhile or afterwards is not erased.
func (s *Service) EraseUser(ctx context.Context, who Identity, user string) error {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionErase})
	if err != nil {
		return err
	}
	ref, err := s.canonical(KindUser, user)
	if err != nil {
		return Invalid("user", err.Error())
	}
	return s.store.writeTx(ctx, func(tx *gorm.DB) error { return s.store.erase(tx, ref.String()) })
}

// erase goes from the messages to the deliveries, as withdraw does. Its first
// statement writes, see writeTx.
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

// addressedTo is the condition that a message names the user. What is withdrawn
// has no deliveries, and names them all the same until it is purged.
func (s *store) addressedTo(user string) *sqltext.Text {
	return sqltext.Part("id IN (SELECT del.message_id FROM notification_deliveries del WHERE del.audience = ?"+
		" UNION ALL SELECT id FROM notification_messages WHERE withdrawn_at IS NOT NULL"+
		" AND EXISTS (SELECT 1 FROM "+s.dialect.messageAudiences()+" WHERE aud.value = ?))", user, user)
}

// audienceCount counts the audiences of a message for which the condition holds.
func (s *store) audienceCount(where string) string {
	return "(SELECT count(*) FROM " + s.dialect.messageAudiences() + " WHERE " + where + ")"
}

// amongIDs ends a statement with IN and a list of ids.
func (s *store) amongIDs(text string, ids []string) *sqltext.Text {
	sql := s.sql(text + " IN (")
	s.dialect.list(sql, typeID, ids)
	return sql.Add(")")
}

// execAll runs statements one after another.
func (s *store) execAll(tx *gorm.DB, statements ...*sqltext.Text) error {
	for _, sql := range statements {
		if _, err := exec(tx, sql); err != nil {
			return err
		}
	}
	return nil
}
