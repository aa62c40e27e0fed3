package notifications_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/notifications-go/notifications"
)

// What the model answers, drawn from the rules in model_test.go.

func (m *model) List(who notifications.Identity, q notifications.ListQuery) ([]notifications.Notification, error) {
	user, err := m.reader(who, q.Filter)
	if err != nil {
		return nil, err
	}
	var selected []*modelPost
	for _, p := range m.posts {
		if m.selects(user, q.Filter, p) {
			selected = append(selected, p)
		}
	}
	slices.SortFunc(selected, func(a, b *modelPost) int { return compareBy(q, a, b) })
	var list []notifications.Notification
	for _, p := range selected {
		list = append(list, m.notification(user, p))
	}
	return list, nil
}

// compareBy is the order of a list; absent keys are last in both directions.
func compareBy(q notifications.ListQuery, a, b *modelPost) int {
	key := func(p *modelPost) string {
		return strings.ToLower(map[notifications.Order]string{
			notifications.OrderTitle: p.Title, notifications.OrderMessage: p.Message,
			notifications.OrderTopic: p.Topic, notifications.OrderOrigin: p.Origin,
		}[q.OrderBy])
	}
	switch {
	case key(a) == "" && key(b) != "":
		return 1
	case key(a) != "" && key(b) == "":
		return -1
	case q.Ascending:
		return cmp.Or(cmp.Compare(key(a), key(b)), a.created.Compare(b.created))
	default:
		return cmp.Or(cmp.Compare(key(b), key(a)), b.created.Compare(a.created))
	}
}

func (m *model) notification(user string, p *modelPost) notifications.Notification {
	s := m.state(user, p)
	return notifications.Notification{
		ID: p.id, Created: p.created, Updated: p.updated, Expires: p.Expires,
		Read: s.read, Saved: s.saved, Archived: s.archived, System: p.system(),
		Origin: p.Origin, Title: p.Title, Message: p.Message, Topic: p.Topic, Scope: p.Scope,
		Severity: p.Severity, Metadata: p.Metadata,
	}
}

func (m *model) Get(who notifications.Identity, id string) (notifications.Notification, error) {
	user, err := m.reader(who, all)
	if err != nil {
		return notifications.Notification{}, err
	}
	if p := m.find(id); p != nil && m.sees(user, p, notifications.SystemOrNot) {
		return m.notification(user, p), nil
	}
	return notifications.Notification{}, notifications.ErrNotFound
}

func (m *model) MarkRead(who notifications.Identity, id string, read bool) error {
	_, err := m.Get(who, id)
	if err == nil {
		_, err = m.SetState(who, notifications.Selection{IDs: []string{id}}, notifications.StateChange{Read: &read})
	}
	return err
}

func (m *model) Count(who notifications.Identity, f notifications.Filter) (int64, error) {
	list, err := m.List(who, notifications.ListQuery{Filter: f})
	return int64(len(list)), err
}

func (m *model) Status(who notifications.Identity, scope notifications.SystemFilter) (s notifications.Status, err error) {
	s.Unread, _ = m.Count(who, notifications.Filter{Scope: scope, Read: notifications.Unread})
	s.Read, _ = m.Count(who, notifications.Filter{Scope: scope, Read: notifications.Read})
	s.Saved, _ = m.Count(who, notifications.Filter{Scope: scope, Saved: notifications.Saved})
	s.Archived, err = m.Count(who, notifications.Filter{Scope: scope, Archived: notifications.Archived})
	return s, err
}

func (m *model) Topics(who notifications.Identity, scope notifications.SystemFilter) (t notifications.Topics, err error) {
	list, err := m.List(who, notifications.ListQuery{Filter: notifications.Filter{Scope: scope}})
	for _, n := range list {
		t.Origins = counted(t.Origins, n.Origin, n.Read)
		if n.Topic != "" {
			t.Topics = counted(t.Topics, n.Topic, n.Read)
		}
	}
	return t, err
}

// counted counts one more of a name, and keeps the names in order.
func counted(list []notifications.TopicCount, name string, read bool) []notifications.TopicCount {
	i := slices.IndexFunc(list, func(c notifications.TopicCount) bool { return c.Name >= name })
	if i < 0 {
		i = len(list)
	}
	if i == len(list) || list[i].Name != name {
		list = slices.Insert(list, i, notifications.TopicCount{Name: name})
	}
	list[i].Total++
	list[i].Unread += one(!read)
	return list
}

func (m *model) Reach(who notifications.Identity, id string) (r notifications.Reach, err error) {
	p := m.find(id)
	if p == nil || m.gone(p) || p.poster != who.String() {
		return r, m.notOurs(who, p)
	}
	for _, audience := range p.to {
		size := -1 // the village does not know
		if strings.HasPrefix(audience, "user:") {
			size = 1
		}
		r.Audiences = append(r.Audiences, notifications.AudienceReach{Audience: audience, Size: size})
		r.Delivered++
	}
	for of, s := range m.states {
		if of[1] == id {
			r.Read += one(s.read)
			r.Saved += one(s.saved)
			r.Archived += one(s.archived)
		}
	}
	return r, nil
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (m *model) Explain(id, user string) (e notifications.Explanation, err error) {
	p := m.find(id)
	if p == nil {
		e.Reasons = []notifications.Reason{{Code: notifications.ReasonUnknown}}
		return e, nil
	}
	s := m.state(user, p)
	reasons := map[notifications.ReasonCode]bool{
		notifications.ReasonWithdrawn:    p.withdrawn,
		notifications.ReasonReplaced:     p.replaced,
		notifications.ReasonExpired:      m.expired(p),
		notifications.ReasonScheduled:    p.created.After(m.now()),
		notifications.ReasonNoSuchUser:   !m.village.knows(user),
		notifications.ReasonNotAddressed: !m.gone(p),
		notifications.ReasonRead:         s.read, notifications.ReasonSaved: s.saved, notifications.ReasonArchived: s.archived,
	}
	for _, audience := range p.to {
		since, his := m.belongs(user, audience)
		if !his || m.gone(p) {
			continue
		}
		reasons[notifications.ReasonNotAddressed] = false
		switch kind, _, _ := strings.Cut(audience, ":"); {
		case p.created.Before(since):
			reasons[notifications.ReasonBeforeJoined] = true
		case kind == "user":
			reasons[notifications.ReasonDirect] = true
		default:
			reasons[notifications.ReasonCode(kind)] = true // group or system
		}
	}
	for _, code := range slices.Sorted(maps.Keys(reasons)) {
		if reasons[code] {
			e.Reasons = append(e.Reasons, notifications.Reason{Code: code})
		}
	}
	e.Visible = m.village.knows(user) && m.sees(user, p, notifications.SystemOrNot)
	e.Listed = e.Visible && !s.archived
	return e, nil
}
