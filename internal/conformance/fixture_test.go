package conformance_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

// fixture is a subject for one row of the table: nothing is posted, jane is in
// ops and dev, john in ops, guest in no group, and time passes when Advance
// says so. Its methods end or fail the test.
type fixture struct {
	subject
	t *testing.T
	*notificationstest.Directory
	*notificationstest.Clock
	model  *model               // as the subject is configured
	open   func(*model) subject // makes a subject configured so, over the same memory or database
	poster notifications.Identity
	ids    map[string]bool // all there are
}

// eachSubject runs body on the model and on both databases.
func eachSubject(t *testing.T, body func(f *fixture)) {
	t.Run("model", func(t *testing.T) {
		t.Parallel()
		body(newFixture(t, func(m *model) subject { return m }))
	})
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		migrate(t, db)
		var known *names
		body(newFixture(t, func(m *model) subject {
			s, err := newService(db, m)
			if err != nil {
				t.Fatal(err)
			}
			if known == nil {
				known = s.names
			}
			s.names = known
			t.Cleanup(s.stop)
			return s
		}))
	})
}

func newFixture(t *testing.T, open func(*model) subject) *fixture {
	f := &fixture{
		t: t, Directory: new(notificationstest.Directory), Clock: notificationstest.NewClock(start),
		open: open, poster: ci, ids: map[string]bool{},
	}
	f.SetUser("jane", "ops", "dev")
	f.SetUser("john", "ops")
	f.SetUser("guest")
	f.AddGroup("empty")
	f.model = newModel(f.Directory, f.Clock)
	f.subject = open(f.model)
	return f
}

// with is the fixture with a subject that is configured otherwise, over what is
// stored.
func (f *fixture) with(change ...func(*model)) *fixture {
	g, m := *f, *f.model
	for _, c := range change {
		c(&m)
	}
	g.model, g.subject = &m, f.open(&m)
	return &g
}

func groupsSinceJoining(m *model) { m.groupHistory = notifications.HistorySinceJoining }
func systemSinceJoining(m *model) { m.systemHistory = notifications.HistorySinceJoining }
func systemRead(m *model)         { m.systemHistory = notifications.HistoryRead }

var (
	ci    = notifications.ServiceAccount("ci")
	cd    = notifications.ServiceAccount("cd")
	jane  = notifications.User("jane")
	john  = notifications.User("john")
	guest = notifications.User("guest")

	toJane     = notifications.Users("jane")
	toJohn     = notifications.Users("john")
	toOps      = notifications.Groups("ops")
	toEveryone = notifications.Everyone()
)

// Drafts of origin "test".

func plain(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, To: to}
}

// build7 is the scope of scoped drafts.
var build7 = notifications.ScopeKey{Origin: "test", Scope: "build 7"}

func scoped(title string, to notifications.Audience) notifications.Draft {
	d := plain(title, to)
	d.Scope = build7.Scope
	return d
}

// keeping is scoped with resurface=false.
func keeping(title string, to notifications.Audience) notifications.Draft {
	d := scoped(title, to)
	d.KeepPlace = true
	return d
}

func scheduled(at time.Time, d notifications.Draft) notifications.Draft {
	d.NotBefore = at
	return d
}

func expiring(at time.Time, d notifications.Draft) notifications.Draft {
	d.Expires = at
	return d
}

func keyed(d notifications.Draft) notifications.Draft {
	d.IdempotencyKey = "key 1"
	return d
}

// Posting, by ci unless by says otherwise.

func (f *fixture) by(poster notifications.Identity) *fixture {
	g := *f
	g.poster = poster
	return &g
}

// post posts a plain draft and returns its id.
func (f *fixture) post(title string, to notifications.Audience) string {
	f.t.Helper()
	return f.postDraft(plain(title, to))
}

// postDraft checks that a draft becomes an ordinary post, and returns its id.
func (f *fixture) postDraft(d notifications.Draft) string {
	f.t.Helper()
	return f.posted(d, notifications.Posted{})
}

// replace checks that a draft becomes a post that replaces an earlier one, and
// returns its id.
func (f *fixture) replace(d notifications.Draft) string {
	f.t.Helper()
	return f.posted(d, notifications.Posted{Replaced: true})
}

// rewrite checks that a draft replaces the content of the post.
func (f *fixture) rewrite(id string, d notifications.Draft) {
	f.t.Helper()
	f.posted(d, notifications.Posted{ID: id, Replaced: true})
}

// repeat checks that a draft is answered with the post it repeats.
func (f *fixture) repeat(id string, d notifications.Draft) {
	f.t.Helper()
	f.posted(d, notifications.Posted{ID: id, Repeated: true})
}

// posted posts a draft and checks what became of it; want has no id if that is
// to be a new one.
func (f *fixture) posted(d notifications.Draft, want notifications.Posted) string {
	f.t.Helper()
	got, err := f.Post(f.poster, d)
	if err != nil {
		f.t.Fatalf("%s posts %q: %v", f.poster, d.Title, err)
	}
	if want.ID == "" && !f.ids[got.ID] {
		want.ID = got.ID
	}
	if got != want {
		f.t.Errorf("%s posts %q: %+v, want %+v, the earlier ids being %v", f.poster, d.Title, got, want, f.ids)
	}
	f.ids[got.ID] = true
	return got.ID
}

// refuse checks that a draft is answered with an error.
func (f *fixture) refuse(d notifications.Draft, want error) {
	f.t.Helper()
	if posted, err := f.Post(f.poster, d); !errors.Is(err, want) {
		f.t.Errorf("posting %q: %+v, %v; want %v", d.Title, posted, err, want)
	}
}

// invalid checks that a draft is answered with an InvalidError about one field,
// which the model does not tell.
func (f *fixture) invalid(d notifications.Draft, field string) {
	f.t.Helper()
	_, err := f.Post(f.poster, d)
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) || f.subject != f.model && (len(invalid.Fields) != 1 || invalid.Fields[0].Field != field) {
		f.t.Errorf("posting %q: %v, want an InvalidError about %s", d.Title, err, field)
	}
}

func (f *fixture) withdraw(who notifications.Identity, id string) {
	f.t.Helper()
	if err := f.Withdraw(who, id); err != nil {
		f.t.Errorf("%s withdraws %s: %v", who, id, err)
	}
}

// cannotWithdraw checks that who is refused to withdraw the notification.
func (f *fixture) cannotWithdraw(who notifications.Identity, id string, want error) {
	f.t.Helper()
	if err := f.Withdraw(who, id); !errors.Is(err, want) {
		f.t.Errorf("%s withdraws %s: %v, want %v", who, id, err, want)
	}
}

func (f *fixture) withdrawScope(want int64) {
	f.t.Helper()
	if n, err := f.WithdrawScope(ci, build7); err != nil || n != want {
		f.t.Errorf("WithdrawScope: %d, %v; want %d", n, err, want)
	}
}

// purge removes what is older than age, and checks how many that are.
func (f *fixture) purge(age time.Duration, want int64) {
	f.t.Helper()
	if n, err := f.Purge(age); err != nil || n != want {
		f.t.Errorf("purging what is older than %v: %d, %v; want %d", age, n, err, want)
	}
}

func (f *fixture) erase(user string) {
	f.t.Helper()
	if err := f.EraseUser(user); err != nil {
		f.t.Errorf("erasing %s: %v", user, err)
	}
}

// Marking.

var (
	read       = notifications.StateChange{Read: new(true)}
	unread     = notifications.StateChange{Read: new(false)}
	saved      = notifications.StateChange{Saved: new(true)}
	unsaved    = notifications.StateChange{Saved: new(false)}
	archived   = notifications.StateChange{Archived: new(true)}
	unarchived = notifications.StateChange{Archived: new(false)}
	allMarks   = notifications.StateChange{Read: new(true), Saved: new(true), Archived: new(true)}
)

func ids(list ...string) selection { return selection{IDs: list} }

func filter(f notifications.Filter) selection { return selection{Filter: &f} }

// upTo selects everything up to an id, but what is archived.
func upTo(id string) selection { return selection{Filter: &notifications.Filter{}, UpTo: id} }

// seen selects what a look saw, but what is archived.
func seen(look int) selection { return selection{Filter: &notifications.Filter{}, Seen: look} }

// look has who look at their list, for seen.
func (f *fixture) look(who notifications.Identity) int {
	f.t.Helper()
	look, err := f.Look(who)
	if err != nil {
		f.t.Errorf("%s looks: %v", who, err)
	}
	return look
}

// mark marks what is selected and checks how many that changed.
func (f *fixture) mark(who notifications.Identity, sel selection, change notifications.StateChange, want int64) {
	f.t.Helper()
	if n, err := f.SetState(who, sel, change); err != nil || n != want {
		f.t.Errorf("%s marks %s %s: %d, %v; want %d", who, text(sel), text(change), n, err, want)
	}
}

// unmarkable checks that who can mark the notification neither by its id nor
// by a filter.
func (f *fixture) unmarkable(who notifications.Identity, id string) {
	f.t.Helper()
	for _, to := range []bool{true, false} {
		if err := f.MarkRead(who, id, to); !errors.Is(err, notifications.ErrNotFound) {
			f.t.Errorf("%s marks %s read %t: %v, want ErrNotFound", who, id, to, err)
		}
		change := notifications.StateChange{Read: &to, Saved: &to, Archived: &to}
		f.mark(who, ids(id), change, 0)
		f.mark(who, filter(everything), change, 0)
	}
}

// Looking.

// sees checks what who sees at all, newest first, archived or not.
func (f *fixture) sees(who notifications.Identity, titles ...string) {
	f.t.Helper()
	f.lists(who, everything, titles...)
}

// lists checks that list, in order, and count agree on what who sees and the
// filter selects.
func (f *fixture) lists(who notifications.Identity, filter notifications.Filter, titles ...string) {
	f.t.Helper()
	list, err := f.List(who, notifications.ListQuery{Filter: filter, Limit: 2})
	got := make([]string, len(list))
	for i, n := range list {
		got[i] = n.Title
	}
	if err != nil || !slices.Equal(got, titles) {
		f.t.Errorf("%s lists %s: %q, %v; want %q", who, text(filter), got, err, titles)
	}
	if n, err := f.Count(who, filter); err != nil || n != int64(len(titles)) {
		f.t.Errorf("%s counts %s: %d, %v; want %d", who, text(filter), n, err, len(titles))
	}
}

func (f *fixture) get(who notifications.Identity, id string) notifications.Notification {
	f.t.Helper()
	n, err := f.Get(who, id)
	if err != nil {
		f.t.Errorf("%s gets %s: %v", who, id, err)
	}
	return n
}

// hidden checks that who cannot get the notification.
func (f *fixture) hidden(who notifications.Identity, id string) {
	f.t.Helper()
	if n, err := f.Get(who, id); !errors.Is(err, notifications.ErrNotFound) {
		f.t.Errorf("%s gets %s: %s, %v; want ErrNotFound", who, id, text(n), err)
	}
}

// created checks the time of creation.
func (f *fixture) created(who notifications.Identity, id string, want time.Time) {
	f.t.Helper()
	if n := f.get(who, id); !n.Created.Equal(ms(want)) {
		f.t.Errorf("%s was created at %v, want %v", id, n.Created, want)
	}
}

// marked checks what who did with the notification: words out of "read saved
// archived".
func (f *fixture) marked(who notifications.Identity, id string, want string) {
	f.t.Helper()
	n := f.get(who, id)
	var got []string
	for _, mark := range []struct {
		is   bool
		name string
	}{{n.Read, "read"}, {n.Saved, "saved"}, {n.Archived, "archived"}} {
		if mark.is {
			got = append(got, mark.name)
		}
	}
	if strings.Join(got, " ") != want {
		f.t.Errorf("to %s, %s is %q, want %q", who, n.Title, got, want)
	}
}

// status checks the numbers of all that who sees.
func (f *fixture) status(who notifications.Identity, want notifications.Status) {
	f.t.Helper()
	if got, err := f.Status(who, notifications.SystemOrNot); err != nil || got != want {
		f.t.Errorf("status of %s: %+v, %v; want %+v", who, got, err, want)
	}
}

// reach checks whom a post of ci reaches, and how many have read it.
func (f *fixture) reach(id string, reads int64, audiences ...string) {
	f.t.Helper()
	r, err := f.Reach(ci, id)
	var got []string
	for _, a := range r.Audiences {
		got = append(got, a.Audience)
	}
	if err != nil || !slices.Equal(got, audiences) || r.Delivered != int64(len(audiences)) || r.Read != reads {
		f.t.Errorf("reach of %s: %+v, %v; want %q, %d read", id, r, err, audiences, reads)
	}
}

// reasons checks why a user sees a notification or not, in any order.
func (f *fixture) reasons(id, user string, want ...notifications.ReasonCode) {
	f.t.Helper()
	e, err := f.Explain(notifications.ExplainQuery{ID: id, User: user})
	var got []notifications.ReasonCode
	for _, r := range e.Reasons {
		got = append(got, r.Code)
	}
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		f.t.Errorf("%s is shown to %s or not because of %q, %v; want %q", id, user, got, err, want)
	}
}

// Streams.

// followed is a stream that a test looks at.
type followed struct {
	f   *fixture
	who notifications.Identity
	stream
}

// follow begins to follow what who is told.
func (f *fixture) follow(who notifications.Identity) followed {
	f.t.Helper()
	s, err := f.Follow(who.Name)
	if err != nil {
		f.t.Fatalf("%s follows: %v", who, err)
	}
	return followed{f, who, s}
}

// tells checks all that has been told since the last call, in any order:
// "new" or "removed" with a title, "marks", "resync" with a reason. The last
// count must be the status.
func (w followed) tells(want ...string) {
	w.f.t.Helper()
	got, status, err := w.Next()
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		w.f.t.Errorf("%s is told %q, %v; want %q", w.who, got, err, want)
	}
	w.f.status(w.who, status)
}
