package notifications

import (
	"context"
	"strings"

	"gorm.io/gorm"
)

// Reach says whom a notification reached.
type Reach struct {
	// Audiences are the audiences that it is delivered to now, sorted by ref.
	// They lack those that a later post of the same scope took over.
	Audiences []AudienceReach
	// Delivered is the number of Audiences.
	Delivered int64
	// Read, Saved and Archived are the numbers of users who marked it so. Some
	// of them may not see it any more.
	Read, Saved, Archived int64
}

// AudienceReach is one of the audiences of a notification.
type AudienceReach struct {
	// Audience is the canonical ref of a user or group, or "system" for
	// everybody.
	Audience string
	// Size is the number of users in the audience now. It is 1 for a user. For
	// others the catalog tells it if it is a [Sizer]. Negative means unknown.
	Size int
}

// Reach tells the poster of a notification whom it reached. It needs
// [PermissionReach]. For the posts of others it returns [ErrForbidden] if the
// caller can see them, and otherwise [ErrNotFound].
func (s *Service) Reach(ctx context.Context, who Identity, id string) (Reach, error) {
	ctx, err := s.begin(ctx, reads, Request{Who: who, Permission: PermissionReach, ID: id})
	if err != nil {
		return Reach{}, err
	}
	id, err = parseID("id", id)
	if err != nil {
		return Reach{}, err
	}
	m, err := s.ownPost(ctx, who, id, "")
	if err != nil {
		return Reach{}, err
	}
	reach, err := s.store.reach(ctx, m)
	if err != nil {
		return Reach{}, err
	}
	for i := range reach.Audiences {
		if err := s.size(ctx, &reach.Audiences[i]); err != nil {
			return Reach{}, err
		}
	}
	return reach, nil
}

// size sets the size of an audience.
func (s *Service) size(ctx context.Context, a *AudienceReach) error {
	if strings.HasPrefix(a.Audience, UserRef("").String()) {
		a.Size = 1
		return nil
	}
	sizer, sizes := s.catalog.(Sizer)
	if !sizes {
		a.Size = -1
		return nil
	}
	group := ""
	if a.Audience != systemAudience {
		group = strings.TrimPrefix(a.Audience, GroupRef("").String())
	}
	n, known, err := sizer.Size(ctx, group)
	if err != nil {
		return s.away("catalog", err)
	}
	if !known {
		n = -1
	}
	a.Size = n
	return nil
}

func (s *store) reach(ctx context.Context, m messageRow) (r Reach, err error) {
	var marks struct{ Read, Saved, Archived int64 }
	err = s.read(ctx, func(db *gorm.DB) error {
		r = Reach{}
		audiences, err := s.deliveredTo(db, m.ID, m.audiences())
		if err != nil {
			return err
		}
		for _, a := range audiences {
			r.Audiences = append(r.Audiences, AudienceReach{Audience: a})
		}
		return find(db, s.sql("SELECT count(read_at) AS read, count(saved_at) AS saved, count(archived_at) AS archived"+
			" FROM notification_states WHERE message_id = ?", m.ID), &marks)
	})
	r.Delivered = int64(len(r.Audiences))
	r.Read, r.Saved, r.Archived = marks.Read, marks.Saved, marks.Archived
	return r, err
}

// deliveredTo returns those of the audiences that the message is delivered to.
func (s *store) deliveredTo(db *gorm.DB, id string, audiences []string) (found []string, err error) {
	sql := s.amongAudiences(s.sql("SELECT audience FROM notification_deliveries WHERE message_id = ?", id), audiences)
	err = find(db, sql.Add(" ORDER BY audience"), &found)
	return found, err
}
