package notifications

import (
	"context"

	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// Erased says what [Service.EraseUser] removed. All of it is zero if the
// database had nothing of the user.
type Erased struct {
	// Marks is the number of notifications that the user had read, saved or
	// archived.
	Marks int64
	// Notifications is the number of notifications that were addressed to the
	// user alone, and are gone.
	Notifications int64
	// Shared is the number of notifications that were addressed to the user and
	// to others, and now only to the others.
	Shared int64
	// Posts is the number of the user's own posts that stay, without a poster.
	Posts int64
	// Keys is the number of the user's idempotency keys.
	Keys int64
}

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
// changes nothing and returns the zero Erased. It does not erase what the user does during or after the
// call.
func (s *Service) EraseUser(ctx context.Context, who Identity, user string) (Erased, error) {
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionErase, User: user})
	if err != nil {
		return Erased{}, err
	}
	ref, err := s.canonical(KindUser, user)
	if err != nil {
		return Erased{}, Invalid("user", err.Error())
	}
	var result, last Erased // last is of an attempt whose commit got no answer
	err = s.store.writeTx(ctx, long, func(tx *gorm.DB) (err error) {
		if result, err = s.store.erase(tx, ref.String()); err != nil {
			return err
		}
		if result == (Erased{}) {
			result = last
		}
		last = result
		return nil
	})
	if err != nil {
		return Erased{}, err
	}
	return result, nil
}

// erase locks messages before deliveries, in the order of withdraw. Its first
// statement writes; see writeTx.
func (s *store) erase(tx *gorm.DB, user string) (Erased, error) {
	var done Erased
	if err := s.execAll(tx,
		counted{s.sql("DELETE FROM notification_scopes WHERE poster = ?", user), nil}, // a post locks them before messages, too
		counted{s.sql("DELETE FROM notification_states WHERE user_ref = ?", user), &done.Marks},
		counted{s.sql("UPDATE notification_messages SET audience_list = (SELECT "+s.dialect.audienceArray()+" FROM "+s.dialect.messageAudiences()+
			" WHERE aud.value <> ?) WHERE ", user).AddPart(s.addressedTo(user)).Add(" AND " + s.audienceCount("TRUE") + " > 1"), &done.Shared},
	); err != nil {
		return Erased{}, err
	}
	var gone []string
	alone := s.sql("SELECT id FROM notification_messages WHERE ").AddPart(s.addressedTo(user)).
		Add(" AND "+s.audienceCount("aud.value <> ?")+" = 0", user)
	if err := find(tx, alone, &gone); err != nil {
		return Erased{}, err
	}
	err := s.execAll(tx,
		counted{s.amongIDs("DELETE FROM notification_messages WHERE id", gone), &done.Notifications},
		counted{s.amongIDs("DELETE FROM notification_states WHERE message_id", gone), nil},
		counted{s.sql("DELETE FROM notification_deliveries WHERE audience = ?", user), nil},
		counted{s.sql("UPDATE notification_messages SET poster = '', scope = NULL WHERE poster = ?", user), &done.Posts},
		counted{s.sql("DELETE FROM notification_idempotency_keys WHERE poster = ?", user), &done.Keys},
	)
	if err != nil || done == (Erased{}) {
		return done, err
	}
	return done, s.logChanges(tx, []change{{kind: changeErased, user: user}})
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

// counted is a statement, and where the number of its rows goes; nil if nobody
// asks for it.
type counted struct {
	sql  *sqltext.Text
	rows *int64
}

// execAll runs statements in order.
func (s *store) execAll(tx *gorm.DB, statements ...counted) error {
	for _, st := range statements {
		n, err := exec(tx, st.sql)
		if err != nil {
			return err
		}
		if st.rows != nil {
			*st.rows = n
		}
	}
	return nil
}
