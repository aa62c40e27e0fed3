package notifications

import (
	"context"
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

// Reach tells who posted the notification whom it has reached. It needs
// [PermissionReach]; of whoever did not post it, it is [ErrForbidden] for an
// id who can see, and [ErrNotFound] for any other.
func (s *Service) Reach(ctx context.Context, who Identity, id string) (Reach, error) {
	if err := s.Authorize(ctx, who, PermissionReach); err != nil {
		return Reach{}, err
	}
	id, err := parseID("id", id)
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
	sizer, sizes := s.catalog.(Sizer)
	group := a.Audience
	switch {
	case kindOf(a.Audience) == KindUser:
		a.Size = 1
		return nil
	case !sizes:
		a.Size = -1
		return nil
	case a.Audience == systemAudience:
		group = ""
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

func (s *store) reach(ctx context.Context, m messageRow) (Reach, error) {
	var r Reach
	var audiences []string
	if err := s.door(ctx, s.db).Raw("SELECT d.audience FROM notification_deliveries d WHERE d.message_id = ?"+
		" AND d.audience IN (SELECT a.value FROM "+s.dialect.texts+") ORDER BY d.audience", m.ID, m.Audiences).Find(&audiences).Error; err != nil {
		return Reach{}, failed(err)
	}
	var marks struct{ Read, Saved, Archived int64 }
	if err := s.door(ctx, s.db).Raw("SELECT count(read_at) AS read, count(saved_at) AS saved, count(archived_at) AS archived"+
		" FROM notification_states WHERE message_id = ?", m.ID).Find(&marks).Error; err != nil {
		return Reach{}, failed(err)
	}
	r.Read, r.Saved, r.Archived = marks.Read, marks.Saved, marks.Archived
	r.Delivered = int64(len(audiences))
	for _, a := range audiences {
		r.Audiences = append(r.Audiences, AudienceReach{Audience: a})
	}
	return r, nil
}
