package conformance_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

// model is what docs/semantics.md says, in memory: no database, no speed, no
// two things at once. Its ids are "1", "2", … in the order of posting. It asks
// the same directory and the same clock as the services, and knows names in
// their canonical form alone.
type model struct {
	*memory
	directory                   *notificationstest.Directory
	clock                       func() time.Time
	groupHistory, systemHistory notifications.History
}

// memory is what is stored.
type memory struct {
	posts  []*post              // all there ever were
	states map[[2]string]marks  // by user and id
	keys   map[[2]string]answer // by poster and idempotency key
	erased map[string]int       // how often something of a user was erased
	looks  []look               // what was there when somebody looked
	before *memory              // when the transaction began; nil outside of one
}

// post is a notification.
type post struct {
	notifications.Draft          // what it says at present
	n                   int      // the id as a number
	poster              string   // "user:jane", "service:ci"
	audiences           []string // those left, sorted: "user:jane", "group:ops", "system"
	created, updated    time.Time
	rewritten           int // how often
	// How it ended: withdrawn, replaced for all its audiences, or gone for good.
	withdrawn, replaced, removed bool
	old                          bool // removed for its age alone
}

type marks struct{ read, saved, archived bool }

// look is a time, and how often what was there had been rewritten, by id.
type look struct {
	at        time.Time
	rewritten map[string]int
}

// answer is what is remembered under an idempotency key.
type answer struct {
	content, id string
	forgotten   time.Time
}

// errInvalid stands for every InvalidError.
var errInvalid = notifications.Invalid("field", "reason")

const system = "system" // the audience of everybody

// ms is a time as precise as the services know it.
func ms(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

func (m *model) now() time.Time { return ms(m.clock()) }

func (p *post) id() string { return strconv.Itoa(p.n) }

// compare is the order of ids: of what was created at once, the post that was
// made first is first.
func (p *post) compare(q *post) int {
	return cmp.Or(p.created.Compare(q.created), cmp.Compare(p.n, q.n))
}

// allows is the policy: services post to everybody, and admin withdraws the
// posts of others.
func allows(who notifications.Identity, p notifications.Permission) bool {
	switch p {
	case notifications.PermissionCreateSystem:
		return who.Kind == notifications.KindService
	case notifications.PermissionDeleteAny:
		return who == admin
	default:
		return true
	}
}

// Who sees what.

// knows reports whether the directory has the user or group.
func (m *model) knows(ref notifications.Ref) bool {
	missing, _ := m.directory.Missing(context.Background(), []notifications.Ref{ref})
	return len(missing) == 0
}

func (m *model) accountSince(user string) time.Time {
	since, _ := m.directory.AccountSince(context.Background(), user)
	return ms(since)
}

// belongs reports whether the audience is one of the user's, and since when the
// user sees what it is sent.
func (m *model) belongs(user, audience string) (since time.Time, member bool) {
	switch {
	case audience == system && m.systemHistory == notifications.HistorySinceJoining:
		return m.accountSince(user), true
	case audience == system || audience == "user:"+user:
		return time.Time{}, true
	}
	groups, _ := m.directory.Groups(context.Background(), user)
	for _, in := range groups {
		switch {
		case "group:"+in.Group != audience:
		case m.groupHistory == notifications.HistorySinceJoining:
			return ms(in.Since), true
		default:
			return time.Time{}, true
		}
	}
	return time.Time{}, false
}

func (p *post) system() bool { return slices.Contains(p.audiences, system) }

func (p *post) gone() bool { return p.withdrawn || p.replaced || p.removed }

func (m *model) expired(p *post) bool { return !p.Expires.IsZero() && !p.Expires.After(m.now()) }

func (m *model) scheduled(p *post) bool { return p.created.After(m.now()) }

func (m *model) sees(user string, p *post, f notifications.SystemFilter) bool {
	return !p.gone() && !m.expired(p) && m.addressed(user, p, f)
}

// addressed reports whether the post has appeared to the user, or would have if
// it were not gone.
func (m *model) addressed(user string, p *post, f notifications.SystemFilter) bool {
	return !m.scheduled(p) && slices.ContainsFunc(p.audiences, func(audience string) bool {
		since, member := m.belongs(user, audience)
		asked := f == notifications.SystemOrNot || (f == notifications.System) == (audience == system)
		return asked && member && !p.created.Before(since)
	})
}

// marksOf are the user's marks. Without one, what is older than the account
// counts as read if the history says so.
func (m *model) marksOf(user string, p *post) marks {
	s, touched := m.states[[2]string{user, p.id()}]
	if !touched && m.systemHistory == notifications.HistoryRead && p.system() {
		s.read = p.created.Before(m.accountSince(user))
	}
	return s
}

func rank(s notifications.Severity) int {
	return slices.Index([]notifications.Severity{"low", "normal", "high", "critical"}, s)
}

func (m *model) selects(user string, f notifications.Filter, p *post) bool {
	s, text := m.marksOf(user, p), strings.ToLower(f.Text)
	return m.sees(user, p, f.System) &&
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
func (m *model) find(id string) *post {
	for _, p := range m.posts {
		if p.id() == id && !p.removed {
			return p
		}
	}
	return nil
}

// reader is the user who asks, if they have an inbox and ask sensibly.
func (m *model) reader(who notifications.Identity, f notifications.Filter) (string, error) {
	if f.System > notifications.System {
		return "", errInvalid
	}
	if who.Kind != notifications.KindUser || !m.knows(notifications.UserRef(who.Name)) {
		return "", notifications.ErrForbidden
	}
	return who.Name, nil
}

// Reading.

func (m *model) List(who notifications.Identity, q notifications.ListQuery) ([]notifications.Notification, error) {
	user, err := m.reader(who, q.Filter)
	if err != nil {
		return nil, err
	}
	var selected []*post
	for _, p := range m.posts {
		if m.selects(user, q.Filter, p) {
			selected = append(selected, p)
		}
	}
	slices.SortFunc(selected, func(p, o *post) int { return compareBy(q, p, o) })
	var list []notifications.Notification
	for _, p := range selected {
		list = append(list, m.notification(user, p))
	}
	return list, nil
}

// compareBy is the order of a list. Texts that are absent come last in both
// directions.
func compareBy(q notifications.ListQuery, p, o *post) int {
	key := func(p *post) string {
		return strings.ToLower(map[notifications.Order]string{
			notifications.OrderTitle: p.Title, notifications.OrderMessage: p.Message,
			notifications.OrderTopic: p.Topic, notifications.OrderOrigin: p.Origin,
		}[q.OrderBy])
	}
	switch {
	case key(p) == "" && key(o) != "":
		return 1
	case key(p) != "" && key(o) == "":
		return -1
	case q.Ascending:
		return cmp.Or(cmp.Compare(key(p), key(o)), p.compare(o))
	default:
		return cmp.Or(cmp.Compare(key(o), key(p)), o.compare(p))
	}
}

func (m *model) notification(user string, p *post) notifications.Notification {
	s := m.marksOf(user, p)
	n := notifications.Notification{
		ID: p.id(), Created: p.created, Updated: p.updated, Expires: p.Expires,
		Read: s.read, Saved: s.saved, Archived: s.archived, System: p.system(),
		Origin: p.Origin, Title: p.Title, Message: p.Message, Topic: p.Topic, Scope: p.Scope,
		Severity: p.Severity, Link: p.Link, Icon: p.Icon, Metadata: p.Metadata, PostedBy: p.poster,
	}
	for _, a := range p.Actions {
		n.Actions = append(n.Actions, notifications.Action{Title: a.Title, URL: a.URL})
	}
	return n
}

func (m *model) All(who notifications.Identity, f notifications.Filter) ([]notifications.Notification, error) {
	return m.List(who, notifications.ListQuery{Filter: f})
}

func (m *model) Get(who notifications.Identity, id string) (notifications.Notification, error) {
	user, err := m.reader(who, notifications.Filter{})
	if err != nil {
		return notifications.Notification{}, err
	}
	if p := m.find(id); p != nil && m.sees(user, p, notifications.SystemOrNot) {
		return m.notification(user, p), nil
	}
	return notifications.Notification{}, notifications.ErrNotFound
}

func (m *model) Count(who notifications.Identity, f notifications.Filter) (int64, error) {
	list, err := m.All(who, f)
	return int64(len(list)), err
}

func (m *model) Status(who notifications.Identity, f notifications.SystemFilter) (s notifications.Status, err error) {
	s.Unread, _ = m.Count(who, notifications.Filter{System: f, Read: notifications.Unread})
	s.Read, _ = m.Count(who, notifications.Filter{System: f, Read: notifications.Read})
	s.Saved, _ = m.Count(who, notifications.Filter{System: f, Saved: notifications.Saved})
	s.Archived, err = m.Count(who, notifications.Filter{System: f, Archived: notifications.Archived})
	return s, err
}

func (m *model) Topics(who notifications.Identity, f notifications.SystemFilter) (t notifications.Topics, err error) {
	list, err := m.All(who, notifications.Filter{System: f})
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
	i, found := slices.BinarySearchFunc(list, name, func(c notifications.TopicCount, name string) int { return cmp.Compare(c.Name, name) })
	if !found {
		list = slices.Insert(list, i, notifications.TopicCount{Name: name})
	}
	list[i].Total++
	list[i].Unread += one(!read)
	return list
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Marking.

func (m *model) SetState(who notifications.Identity, sel selection, c notifications.StateChange) (changed int64, err error) {
	f := notifications.Filter{Archived: notifications.ArchivedOrNot}
	if sel.Filter != nil {
		f = *sel.Filter
	}
	if len(sel.IDs) == 0 && sel.Filter == nil || c == (notifications.StateChange{}) {
		return 0, errInvalid
	}
	user, err := m.reader(who, f)
	if err != nil {
		return 0, err
	}
	for _, p := range m.posts {
		chosen := sel.Filter != nil || slices.Contains(sel.IDs, p.id())
		if !chosen || sel.UpTo != "" && !m.upTo(p, sel.UpTo) || sel.Seen > 0 && !m.looks[sel.Seen-1].saw(p) || !m.selects(user, f, p) {
			continue
		}
		before := m.marksOf(user, p)
		after := marks{or(c.Read, before.read), or(c.Saved, before.saved), or(c.Archived, before.archived)}
		if after != before {
			m.states[[2]string{user, p.id()}] = after
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

// upTo reports whether the post is not after the one of the id, which need not
// exist any more. The id of none is before all others.
func (m *model) upTo(p *post, id string) bool {
	return slices.ContainsFunc(m.posts, func(last *post) bool { return last.id() == id && p.compare(last) <= 0 })
}

func (m *model) Look(who notifications.Identity) (int, error) {
	_, err := m.reader(who, notifications.Filter{})
	l := look{m.now(), map[string]int{}}
	for _, p := range m.posts {
		l.rewritten[p.id()] = p.rewritten
	}
	m.looks = append(m.looks, l)
	return len(m.looks), err
}

// saw reports whether the post was there, as it is now, and due.
func (l look) saw(p *post) bool {
	times, there := l.rewritten[p.id()]
	return there && times == p.rewritten && !p.created.After(l.at)
}

func (m *model) MarkRead(who notifications.Identity, id string, read bool) error {
	_, err := m.Get(who, id)
	if err == nil {
		_, err = m.SetState(who, selection{IDs: []string{id}}, notifications.StateChange{Read: &read})
	}
	return err
}

// Posting.

func (m *model) Post(who notifications.Identity, d notifications.Draft) (notifications.Posted, error) {
	posted, err := m.PostMany(who, []notifications.Draft{d})
	if err != nil {
		return notifications.Posted{}, err
	}
	return posted[0], nil
}

// PostMany refuses all of them, or stores all of them. A post that repeats an
// earlier one is not refused for what has changed since.
func (m *model) PostMany(who notifications.Identity, drafts []notifications.Draft) ([]notifications.Posted, error) {
	posts, posted := make([]*post, len(drafts)), make([]notifications.Posted, len(drafts))
	for i, d := range drafts {
		posts[i] = newPost(who, d)
	}
	switch {
	case slices.ContainsFunc(posts, (*post).system) && !allows(who, notifications.PermissionCreateSystem):
		return nil, notifications.ErrForbidden
	case len(posts) > 0 && who.Kind == notifications.KindUser && !m.knows(notifications.UserRef(who.Name)):
		return nil, notifications.ErrForbidden
	case len(posts) == 0 || slices.ContainsFunc(posts, (*post).invalid) || alike(posts):
		return nil, errInvalid
	}
	var fresh []*post
	for i, p := range posts {
		earlier, remembered := m.remembered(p.poster, p.IdempotencyKey)
		switch {
		case !remembered:
			fresh = append(fresh, p)
		case earlier.content != p.content():
			return nil, notifications.ErrKeyReused
		default:
			posted[i] = notifications.Posted{ID: earlier.id, Repeated: true}
		}
	}
	if slices.ContainsFunc(fresh, m.invalidNow) {
		return nil, errInvalid
	}
	if slices.ContainsFunc(fresh, func(p *post) bool { _, refused := m.kept(p); return refused }) {
		return nil, notifications.ErrTargetsDiffer
	}
	for i, p := range posts {
		if !posted[i].Repeated {
			posted[i] = m.store(p)
		}
	}
	return posted, nil
}

// newPost is a post to be. Its targets are a set.
func newPost(who notifications.Identity, d notifications.Draft) *post {
	p := &post{Draft: d, poster: who.String()}
	p.Expires, p.NotBefore, p.Severity = ms(d.Expires), ms(d.NotBefore), cmp.Or(d.Severity, notifications.SeverityNormal)
	for _, ref := range d.To.Refs() {
		p.audiences = append(p.audiences, ref.String())
	}
	if d.To.IsEveryone() {
		p.audiences = append(p.audiences, system)
	}
	slices.Sort(p.audiences)
	p.audiences = slices.Compact(p.audiences)
	return p
}

// content is what must be the same for a post to repeat an earlier one.
func (p *post) content() string {
	d := p.Draft
	d.To = notifications.Audience{}
	return fmt.Sprintf("%+v %q", d, p.audiences)
}

// invalid reports what is wrong with a post whatever is stored, and whenever.
func (p *post) invalid() bool {
	return p.Origin == "" || p.Title == "" || len(p.audiences) == 0 || p.KeepPlace && (p.Scope == "" || !p.NotBefore.IsZero())
}

// alike reports whether two of the posts would repeat or replace each other.
func alike(posts []*post) bool {
	for i, p := range posts {
		for _, q := range posts[:i] {
			if p.IdempotencyKey != "" && p.IdempotencyKey == q.IdempotencyKey || p.Scope != "" && p.Scope == q.Scope && p.Origin == q.Origin {
				return true
			}
		}
	}
	return false
}

func (m *model) remembered(poster, key string) (answer, bool) {
	a := m.keys[[2]string{poster, key}]
	return a, a.forgotten.After(m.now())
}

// invalidNow reports what is wrong with a post at this moment.
func (m *model) invalidNow(p *post) bool {
	appears := m.now()
	if p.NotBefore.After(appears) {
		appears = p.NotBefore
	}
	return !p.Expires.IsZero() && !p.Expires.After(appears) ||
		p.NotBefore.After(m.now().AddDate(1, 0, 0)) ||
		slices.ContainsFunc(p.To.Refs(), func(ref notifications.Ref) bool { return !m.knows(ref) })
}

// store stores a post, or rewrites an earlier one.
func (m *model) store(p *post) notifications.Posted {
	var posted notifications.Posted
	if kept, _ := m.kept(p); kept != nil {
		kept.Draft, kept.updated = p.Draft, m.now()
		kept.rewritten++
		posted = notifications.Posted{ID: kept.id(), Replaced: true}
	} else {
		p.n, p.created = len(m.posts)+1, m.now()
		if p.NotBefore.After(p.created) {
			p.created = p.NotBefore
		}
		posted = notifications.Posted{ID: p.id(), Replaced: m.takeOver(p)}
		m.posts = append(m.posts, p)
	}
	if p.IdempotencyKey != "" {
		m.keys[[2]string{p.poster, p.IdempotencyKey}] = answer{p.content(), posted.ID, m.now().Add(notifications.DefaultIdempotencyWindow)}
	}
	return posted
}

// ofScope returns what is left of the poster's posts of a scope.
func (m *model) ofScope(poster string, key notifications.ScopeKey) (list []*post) {
	for _, p := range m.posts {
		if key.Scope != "" && p.poster == poster && p.Origin == key.Origin && p.Scope == key.Scope && !p.gone() {
			list = append(list, p)
		}
	}
	return list
}

// kept returns the post whose content the later one takes the place of, if it
// is to keep the place of an earlier one and has the same targets; refused, if
// there are earlier ones with other targets alone.
func (m *model) kept(later *post) (kept *post, refused bool) {
	for _, p := range m.ofScope(later.poster, notifications.ScopeKey{Origin: later.Origin, Scope: later.Scope}) {
		if !later.KeepPlace || m.expired(p) {
			continue
		}
		if slices.Equal(p.audiences, later.audiences) {
			return p, false
		}
		refused = true
	}
	return nil, refused
}

// takeOver leaves to earlier posts of the scope the audiences that the later
// one does not have, and reports whether any were taken.
func (m *model) takeOver(later *post) (some bool) {
	for _, p := range m.ofScope(later.poster, notifications.ScopeKey{Origin: later.Origin, Scope: later.Scope}) {
		left := slices.DeleteFunc(slices.Clone(p.audiences), func(a string) bool { return slices.Contains(later.audiences, a) })
		some = some || len(left) < len(p.audiences)
		if p.replaced = len(left) == 0; !p.replaced {
			p.audiences = left
		}
	}
	return some
}

// Withdrawing and cleaning up.

func (m *model) Withdraw(who notifications.Identity, id string) error {
	p := m.find(id)
	allowed := p != nil && (p.poster == who.String() || allows(who, notifications.PermissionDeleteAny))
	if !allowed || p.gone() {
		return m.notTheirs(who, p)
	}
	p.withdrawn = true
	return nil
}

// notTheirs is the answer about a post of somebody else, or one that is gone.
func (m *model) notTheirs(who notifications.Identity, p *post) error {
	user, err := m.reader(who, notifications.Filter{})
	if p != nil && err == nil && m.sees(user, p, notifications.SystemOrNot) {
		return notifications.ErrForbidden
	}
	return notifications.ErrNotFound
}

func (m *model) WithdrawScope(who notifications.Identity, key notifications.ScopeKey) (int64, error) {
	list := m.ofScope(who.String(), key)
	for _, p := range list {
		p.withdrawn = true
	}
	return int64(len(list)), nil
}

func (m *model) Purge(olderThan time.Duration) (removed int64, err error) {
	if m.before != nil {
		return 0, notifications.ErrBound
	}
	for _, p := range m.posts {
		saved := false
		for of, s := range m.states {
			saved = saved || of[1] == p.id() && s.saved
		}
		old := olderThan > 0 && p.created.Before(m.now().Add(-olderThan))
		if !p.removed && (p.gone() || m.expired(p) || old && !saved) {
			p.removed, p.old = true, !p.gone() && !m.expired(p)
			removed++
		}
	}
	return removed, nil
}

func (m *model) EraseUser(user string) error {
	if m.has(user) {
		m.erased[user]++
	}
	maps.DeleteFunc(m.states, func(of [2]string, _ marks) bool { return of[0] == user })
	maps.DeleteFunc(m.keys, func(of [2]string, _ answer) bool { return of[0] == "user:"+user })
	for _, p := range m.posts {
		if p.poster == "user:"+user {
			p.poster, p.Scope = "", ""
		}
		if i := slices.Index(p.audiences, "user:"+user); i >= 0 && !p.replaced {
			p.removed = p.removed || len(p.audiences) == 1
			p.audiences = slices.Delete(slices.Clone(p.audiences), i, i+1)
		}
	}
	return nil
}

// has reports whether there is something of a user to be erased.
func (m *model) has(user string) bool {
	mine := func(p *post) bool {
		return !p.removed && (p.poster == "user:"+user || !p.replaced && slices.Contains(p.audiences, "user:"+user))
	}
	found := slices.ContainsFunc(m.posts, mine)
	for of := range m.states {
		found = found || of[0] == user
	}
	for of := range m.keys {
		found = found || of[0] == "user:"+user
	}
	return found
}

// What posters and operators ask.

func (m *model) Reach(who notifications.Identity, id string) (r notifications.Reach, err error) {
	p := m.find(id)
	if p == nil || p.gone() || p.poster != who.String() {
		return r, m.notTheirs(who, p)
	}
	for _, audience := range p.audiences {
		r.Audiences = append(r.Audiences, notifications.AudienceReach{Audience: audience, Size: m.size(audience)})
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

// size is how many users are in an audience now, -1 if that is not known.
func (m *model) size(audience string) int {
	kind, group, _ := strings.Cut(audience, ":")
	if kind == "user" {
		return 1
	}
	size, known, _ := m.directory.Size(context.Background(), group)
	if !known {
		return -1
	}
	return size
}

// Explain gives of the reasons the codes, sorted, each once.
func (m *model) Explain(q notifications.ExplainQuery) (e notifications.Explanation, err error) {
	p, user := m.find(q.ID), q.User
	if p == nil {
		e.Reasons = []notifications.Reason{{Code: notifications.ReasonUnknown}}
		return e, nil
	}
	s, known := m.marksOf(user, p), m.knows(notifications.UserRef(user))
	reasons := map[notifications.ReasonCode]bool{
		notifications.ReasonWithdrawn:    p.withdrawn,
		notifications.ReasonReplaced:     p.replaced,
		notifications.ReasonExpired:      m.expired(p),
		notifications.ReasonScheduled:    m.scheduled(p),
		notifications.ReasonNoSuchUser:   !known,
		notifications.ReasonNotAddressed: !p.gone(),
		notifications.ReasonRead:         s.read,
		notifications.ReasonSaved:        s.saved,
		notifications.ReasonArchived:     s.archived,
	}
	for _, audience := range p.audiences {
		since, member := m.belongs(user, audience)
		if !member || p.gone() {
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
	e.Visible = known && m.sees(user, p, notifications.SystemOrNot)
	e.Listed = e.Visible && !s.archived
	return e, nil
}

// Transactions.

func (m *model) Begin(beginner) error {
	m.before = m.copied()
	return nil
}

func (m *memory) copied() *memory {
	c := &memory{states: maps.Clone(m.states), keys: maps.Clone(m.keys), erased: maps.Clone(m.erased), looks: slices.Clone(m.looks)}
	for _, p := range m.posts {
		c.posts = append(c.posts, new(*p))
	}
	return c
}

func (m *model) Commit() error {
	m.before = nil
	return nil
}

// Rollback forgets everything since Begin, except that ids are not used again.
func (m *model) Rollback() error {
	undone := m.posts[len(m.before.posts):]
	*m.memory = *m.before
	for _, p := range undone {
		p.removed = true
		m.posts = append(m.posts, p)
	}
	return nil
}

// Others sees what others than the transaction see.
func (m *model) Others() subject {
	if m.before == nil {
		return m
	}
	others := *m
	others.memory = m.before
	return &others
}
