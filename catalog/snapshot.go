package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/notifications-go/notifications"
)

// snapshot is the content of the files at one time. It never changes.
type snapshot struct {
	users  map[string][]notifications.Membership // by name; every user has an entry
	groups map[string]int                        // the number of members, by name
}

// has reports whether the user or group is defined.
func (s *snapshot) has(ref notifications.Ref) (defined bool) {
	switch ref.Kind {
	case notifications.KindUser:
		_, defined = s.users[ref.Name]
	case notifications.KindGroup:
		_, defined = s.groups[ref.Name]
	}
	return defined
}

// build makes a snapshot of the entities, and reports those that are defined
// twice.
func build(entities []entity) (*snapshot, []error) {
	s := &snapshot{users: make(map[string][]notifications.Membership), groups: make(map[string]int)}
	var faults []error
	places := make(map[notifications.Ref]string, len(entities))
	for _, e := range entities {
		if first, ok := places[e.ref]; ok {
			faults = append(faults, fmt.Errorf("%s: %s: is already defined at %s", e.place, e.ref, first))
			continue
		}
		places[e.ref] = e.place
		if e.ref.Kind == notifications.KindUser {
			s.users[e.ref.Name] = nil
		} else {
			s.groups[e.ref.Name] = 0
		}
	}
	for _, e := range entities {
		for _, other := range e.links {
			if e.ref.Kind == notifications.KindUser {
				s.join(e.ref.Name, other)
			} else {
				s.join(other, e.ref.Name)
			}
		}
	}
	for user, in := range s.users {
		slices.SortFunc(in, func(a, b notifications.Membership) int { return cmp.Compare(a.Group, b.Group) })
		in = slices.Compact(in) // the user and the group may both name the membership
		s.users[user] = in
		for _, m := range in {
			s.groups[m.Group]++
		}
	}
	return s, faults
}

// join makes the user a member of the group, if both exist.
func (s *snapshot) join(user, group string) {
	if s.has(notifications.UserRef(user)) && s.has(notifications.GroupRef(group)) {
		s.users[user] = append(s.users[user], notifications.Membership{Group: group})
	}
}
