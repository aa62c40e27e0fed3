package notifications_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
)

// model is what docs/semantics.md says, in memory: no database, no speed, no
// two things at once. Its ids are "1", "2", … in the order of posting; no two
// posts are of the same millisecond. It reads the village that is the catalog
// of the services too, and follows modelPolicy.
type model struct {
	village                     *village
	clock                       func() time.Time
	groupHistory, systemHistory notifications.History

	posts  []*modelPost              // all there ever were
	states map[[2]string]modelState  // by user and id
	keys   map[[2]string]modelAnswer // by poster and key
}

type modelPost struct {
	notifications.Draft // what it says at present; To is in to
	id, poster          string
	to                  []string // the audiences left, sorted
	created, updated    time.Time
	// How it ended: taken back, taken over altogether, or gone without a trace.
	withdrawn, replaced, removed bool
}

type modelState struct{ read, saved, archived bool }

type modelAnswer struct {
	content, id string
	forgotten   time.Time
}

var errInvalid = notifications.Invalid("field", "reason")

// ms is a time as precise as the services know it.
func ms(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

func (m *model) now() time.Time { return ms(m.clock()) }

func rank(s notifications.Severity) int {
	return slices.Index([]notifications.Severity{"low", "normal", "high", "critical"}, s)
}

// Who sees what.

// belongs tells whether the audience is one of the user's, and since when he
// sees what it is sent.
func (m *model) belongs(user, audience string) (since time.Time, his bool) {
	joined, member := m.village.joined(user, audience)
	switch {
	case audience == "system" && m.systemHistory == notifications.HistorySinceJoining:
		return ms(m.village.accounts[user]), true
	case audience == "system" || audience == user:
		return time.Time{}, true
	case m.groupHistory == notifications.HistorySinceJoining:
		return ms(joined), member
	default:
		return time.Time{}, member
	}
}

func (p *modelPost) system() bool { return slices.Contains(p.to, "system") }

func (m *model) gone(p *modelPost) bool { return p.withdrawn || p.replaced || p.removed }

func (m *model) expired(p *modelPost) bool {
	return !p.Expires.IsZero() && !p.Expires.After(m.now())
}

func (m *model) sees(user string, p *modelPost, scope notifications.SystemFilter) bool {
	if m.gone(p) || m.expired(p) || p.created.After(m.now()) {
		return false
	}
	for _, audience := range p.to {
		inScope := scope == notifications.SystemOrNot || (scope == notifications.System) == (audience == "system")
		since, his := m.belongs(user, audience)
		if inScope && his && !p.created.Before(since) {
			return true
		}
	}
	return false
}

func (m *model) state(user string, p *modelPost) modelState {
	state, touched := m.states[[2]string{user, p.id}]
	if !touched && m.systemHistory == notifications.HistoryRead && p.system() {
		state.read = p.created.Before(ms(m.village.accounts[user]))
	}
	return state
}

func (m *model) selects(user string, f notifications.Filter, p *modelPost) bool {
	s, text := m.state(user, p), strings.ToLower(f.Text)
	return m.sees(user, p, f.Scope) &&
		(f.Read == notifications.ReadOrUnread || s.read == (f.Read == notifications.Read)) &&
		(f.Saved == notifications.SavedOrNot || s.saved == (f.Saved == notifications.Saved)) &&
		(f.Archived == notifications.ArchivedOrNot || s.archived == (f.Archived == notifications.Archived)) &&
		(f.Topic == "" || p.Topic == f.Topic) &&
		(f.Origin == "" || p.Origin == f.Origin) &&
		(f.CreatedAfter.IsZero() || p.created.After(ms(f.CreatedAfter))) &&
		rank(p.Severity) >= rank(f.MinSeverity) &&
		(strings.Contains(strings.ToLower(p.Title), text) || strings.Contains(strings.ToLower(p.Message), text))
}

// find returns nil for what never was or is no more.
func (m *model) find(id string) *modelPost {
	for _, p := range m.posts {
		if p.id == id && !p.removed {
			return p
		}
	}
	return nil
}

// reader is the user who asks, if he may and asks sensibly.
func (m *model) reader(who notifications.Identity, f notifications.Filter) (string, error) {
	if f.Scope > notifications.SystemOrNot {
		return "", errInvalid
	}
	if who.Kind != notifications.KindUser || !m.village.knows(who.String()) {
		return "", notifications.ErrForbidden
	}
	return who.String(), nil
}

// Marking.

func (m *model) SetState(who notifications.Identity, sel notifications.Selection, c notifications.StateChange) (changed int64, err error) {
	f := notifications.Filter{Archived: notifications.ArchivedOrNot}
	if sel.Filter != nil {
		f = *sel.Filter
	}
	nothing := c.Read == nil && c.Saved == nil && c.Archived == nil
	if (sel.IDs == nil) == (sel.Filter == nil) || sel.Filter == nil && sel.UpTo != "" || nothing {
		return 0, errInvalid
	}
	user, err := m.reader(who, f)
	if err != nil {
		return 0, err
	}
	for _, p := range m.posts {
		chosen := sel.Filter != nil || slices.Contains(sel.IDs, p.id)
		if !chosen || sel.UpTo != "" && p.created.After(m.createdOf(sel.UpTo)) || !m.selects(user, f, p) {
			continue
		}
		before := m.state(user, p)
		after := modelState{or(c.Read, before.read), or(c.Saved, before.saved), or(c.Archived, before.archived)}
		if after != before {
			m.states[[2]string{user, p.id}] = after
			changed++
		}
	}
	return changed, nil
}

func or(set *bool, before bool) bool {
	if set == nil {
		return before
	}
	return *set
}

// createdOf is the instant an id holds; it need not be in use any more, and is
// before all others if it never was.
func (m *model) createdOf(id string) time.Time {
	for _, p := range m.posts {
		if p.id == id {
			return p.created
		}
	}
	return time.Time{}
}

// Posting.

func (m *model) Post(who notifications.Identity, d notifications.Draft, to []string) (string, error) {
	d.Expires, d.NotBefore, d.Severity = ms(d.Expires), ms(d.NotBefore), cmp.Or(d.Severity, notifications.SeverityNormal)
	to = slices.Compact(slices.Sorted(slices.Values(to)))
	key, content := [2]string{who.String(), d.IdempotencyKey}, fmt.Sprintf("%+v %q", d, to)
	remembered := m.remembers(who.String(), d.IdempotencyKey)
	scheduled := d.NotBefore.After(m.now())
	switch {
	case slices.Contains(to, "system") && !modelPolicy(who, notifications.PermissionCreateSystem):
		return "", notifications.ErrForbidden
	case d.Title == "" || len(to) == 0 || d.KeepPlace && (d.Scope == "" || !d.NotBefore.IsZero()):
		return "", errInvalid
	case remembered && m.keys[key].content == content:
		return m.keys[key].id, nil
	case remembered:
		return "", notifications.ErrKeyReused
	case !d.Expires.IsZero() && !d.Expires.After(m.now()),
		!d.Expires.IsZero() && scheduled && !d.Expires.After(d.NotBefore),
		d.NotBefore.After(m.now().AddDate(1, 0, 0)),
		slices.ContainsFunc(to, func(a string) bool { return a != "system" && !m.village.knows(a) }):
		return "", errInvalid
	}
	kept, err := m.kept(who, d, to)
	if err != nil {
		return "", err
	}
	if kept != nil {
		kept.Draft, kept.updated = d, m.now()
	} else {
		kept = &modelPost{
			Draft: d, id: fmt.Sprint(len(m.posts) + 1), poster: who.String(), to: to,
			created: m.now(),
		}
		if scheduled {
			kept.created = d.NotBefore
		}
		m.takeOver(kept)
		m.posts = append(m.posts, kept)
	}
	if d.IdempotencyKey != "" {
		m.keys[key] = modelAnswer{content, kept.id, m.now().Add(notifications.DefaultIdempotencyWindow)}
	}
	return kept.id, nil
}

func (m *model) remembers(poster, key string) bool {
	return key != "" && m.keys[[2]string{poster, key}].forgotten.After(m.now())
}

// ofScope returns what is left of the poster's posts of one origin and scope.
func (m *model) ofScope(poster, origin, scope string) (list []*modelPost) {
	for _, p := range m.posts {
		if scope != "" && p.poster == poster && p.Origin == origin && p.Scope == scope && !m.gone(p) {
			list = append(list, p)
		}
	}
	return list
}

// kept returns the post whose content the draft replaces, if any.
func (m *model) kept(who notifications.Identity, d notifications.Draft, to []string) (*modelPost, error) {
	var err error
	for _, p := range m.ofScope(who.String(), d.Origin, d.Scope) {
		if !d.KeepPlace || m.expired(p) {
			continue
		}
		if slices.Equal(p.to, to) {
			return p, nil
		}
		err = notifications.ErrTargetsDiffer
	}
	return nil, err
}

func (m *model) takeOver(later *modelPost) {
	for _, p := range m.ofScope(later.poster, later.Origin, later.Scope) {
		left := slices.DeleteFunc(slices.Clone(p.to), func(a string) bool { return slices.Contains(later.to, a) })
		if p.replaced = len(left) == 0; !p.replaced {
			p.to = left
		}
	}
}

// Taking back and cleaning up.

func (m *model) Withdraw(who notifications.Identity, id string) error {
	p := m.find(id)
	allowed := p != nil && (p.poster == who.String() || modelPolicy(who, notifications.PermissionDeleteAny))
	if !allowed || m.gone(p) {
		return m.notOurs(who, p)
	}
	p.withdrawn = true
	return nil
}

// notOurs is what becomes of an attempt on a post that somebody else posted or
// that is gone.
func (m *model) notOurs(who notifications.Identity, p *modelPost) error {
	if user, err := m.reader(who, all); p != nil && err == nil && m.sees(user, p, notifications.SystemOrNot) {
		return notifications.ErrForbidden
	}
	return notifications.ErrNotFound
}

func (m *model) WithdrawScope(who notifications.Identity, origin, scope string) (int64, error) {
	list := m.ofScope(who.String(), origin, scope)
	for _, p := range list {
		p.withdrawn = true
	}
	return int64(len(list)), nil
}

func (m *model) Purge(olderThan time.Duration) error {
	for _, p := range m.posts {
		saved := false
		for of, s := range m.states {
			saved = saved || of[1] == p.id && s.saved
		}
		old := olderThan > 0 && p.created.Before(m.now().Add(-olderThan))
		p.removed = m.gone(p) || m.expired(p) || old && !saved
	}
	return nil
}

func (m *model) EraseUser(user string) error {
	maps.DeleteFunc(m.states, func(of [2]string, _ modelState) bool { return of[0] == user })
	maps.DeleteFunc(m.keys, func(of [2]string, _ modelAnswer) bool { return of[0] == user })
	for _, p := range m.posts {
		if p.poster == user {
			p.poster, p.Scope = "", ""
		}
		if i := slices.Index(p.to, user); i >= 0 && !p.replaced {
			p.removed = p.removed || len(p.to) == 1
			p.to = slices.Delete(slices.Clone(p.to), i, i+1)
		}
	}
	return nil
}
