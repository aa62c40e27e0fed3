package notifications

import (
	"context"
	"strings"

	"gorm.io/gorm"
)

// Reach is whom a notification has reached.
type Reach struct {
	// Audiences are the users and groups it is delivered to at present, and
	// everybody, in the order of their refs. Those that a later post of the
	// same scope took over are not among them.
	Audiences []AudienceReach
	// Delivered is the number of Audiences.
	Delivered int64
	// Read, Saved and Archived are how many users have marked it so, whether
	// or not they still see it.
	Read, Saved, Archived int64
}

// AudienceReach is one of the audiences of a notification.
type AudienceReach struct {
	// Audience is the canonical ref of a user or group, or "system" for
	// everybody.
	Audience string
	// Size is how many users that are now: 1 for a user, and for others what
	// the catalog says if it is a [Sizer]. Negative where it is not known.
	Size int
}

// Reach tells its poster whom a notification has reached. It needs
// [PermissionReach]. Of the posts of others it is [ErrForbidden] for an id who
// can see, and [ErrNotFound] for any other.
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

// size fills in the size of an audience.
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
		return unavailable("catalog", err)
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

// deliveredTo returns those of the audiences that a message is delivered to.
func (s *store) deliveredTo(db *gorm.DB, id string, audiences []string) (found []string, err error) {
	sql := s.amongAudiences(s.sql("SELECT audience FROM notification_deliveries WHERE message_id = ?", id), audiences)
	err = find(db, sql.Add(" ORDER BY audience"), &found)
	return found, err
}
