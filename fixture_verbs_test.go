package notifications_test

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
)

// Drafts that tests post, and checks of a fixture.

const day = 24 * time.Hour

var (
	toJane     = notifications.Users("default/jane")
	toJohn     = notifications.Users("default/john")
	toOps      = notifications.Groups("default/ops")
	toEmpty    = notifications.Groups("default/empty")
	toEveryone = notifications.Everyone()
)

// withArchived selects everything a reader can see, archived or not.
var withArchived = notifications.Filter{Archived: notifications.ArchivedOrNot}

// scopedDraft has the scope "build 7".
func scopedDraft(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, Scope: "build 7", To: to}
}

// keepPlaceDraft is scopedDraft with KeepPlace.
func keepPlaceDraft(title string, to notifications.Audience) notifications.Draft {
	d := scopedDraft(title, to)
	d.KeepPlace = true
	return d
}

// scheduledDraft appears at a later time.
func scheduledDraft(when time.Time, title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, NotBefore: when, To: to}
}

// expiringDraft expires.
func expiringDraft(when time.Time, title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, Expires: when, To: to}
}

// keyedDraft has an idempotency key.
func keyedDraft(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, IdempotencyKey: "key 1", To: to}
}

func (f *fixture) now() time.Time { return f.clock.now() }

// advance moves the clock, and returns its time.
func (f *fixture) advance(d time.Duration) time.Time {
	f.clock.advance(d)
	return f.clock.now()
}

// wantVisible checks everything the reader can see, newest first, archived or
// not.
func (f *fixture) wantVisible(who notifications.Identity, titles ...string) {
	f.t.Helper()
	f.wantList(who, notifications.ListQuery{Filter: withArchived}, titles...)
}

func (f *fixture) get(who notifications.Identity, id string) notifications.Notification {
	f.t.Helper()
	n, err := f.Get(f.t.Context(), who, id)
	if err != nil {
		f.t.Errorf("Get(%s, %s): %v", who, id, err)
	}
	return n
}

// wantHidden checks that the reader cannot get the notification.
func (f *fixture) wantHidden(who notifications.Identity, id string) {
	f.t.Helper()
	if n, err := f.Get(f.t.Context(), who, id); !errors.Is(err, notifications.ErrNotFound) {
		f.t.Errorf("Get(%s, %s) = %+v, %v; want ErrNotFound", who, id, n, err)
	}
}

// wantMarks checks the reader's marks: "read saved archived" or some of these
// words.
func (f *fixture) wantMarks(who notifications.Identity, id string, want string) {
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

// wantStatus checks the status of everything the reader can see.
func (f *fixture) wantStatus(who notifications.Identity, want notifications.Status) {
	f.t.Helper()
	got, err := f.Status(f.t.Context(), who, notifications.SystemOrNot)
	got.Position = ""
	if err != nil || got != want {
		f.t.Errorf("Status(%s) = %+v, %v; want %+v", who, got, err, want)
	}
}

// wantSameID posts a draft again and checks that it returns the id want.
func (f *fixture) wantSameID(d notifications.Draft, want string) {
	f.t.Helper()
	if id := f.postDraft(d); id != want {
		f.t.Errorf("posting %q again = %s, want %s", d.Title, id, want)
	}
}

// wantNewID posts a draft and checks that it returns none of the ids not.
func (f *fixture) wantNewID(d notifications.Draft, not ...string) string {
	f.t.Helper()
	id := f.postDraft(d)
	if slices.Contains(not, id) {
		f.t.Errorf("posting %q = %s, want a new id", d.Title, id)
	}
	return id
}

// wantRefused checks that posting the draft fails with the error want.
func (f *fixture) wantRefused(d notifications.Draft, want error) {
	f.t.Helper()
	if id, err := f.Post(f.t.Context(), ci, d); !errors.Is(err, want) {
		f.t.Errorf("posting %q = %+v, %v; want %v", d.Title, id, err, want)
	}
}

func (f *fixture) withdraw(id string) {
	f.t.Helper()
	if err := f.Withdraw(f.t.Context(), ci, id); err != nil {
		f.t.Errorf("Withdraw(%s): %v", id, err)
	}
}

func (f *fixture) withdrawScope(want int64) {
	f.t.Helper()
	if n, err := f.WithdrawScope(f.t.Context(), ci, notifications.ScopeKey{Origin: "test", Scope: "build 7"}); err != nil || n != want {
		f.t.Errorf("WithdrawScope = %d, %v; want %d", n, err, want)
	}
}

// purge removes notifications older than age, and checks how many those are.
func (f *fixture) purge(age time.Duration, want int64) {
	f.t.Helper()
	result, err := f.Purge(f.t.Context(), notifications.PurgeOptions{OlderThan: age})
	if err != nil || result != (notifications.PurgeResult{Removed: want}) {
		f.t.Errorf("Purge(%v) = %+v, %v; want %d removed", age, result, err, want)
	}
}

func (f *fixture) erase(user string) notifications.Erased {
	f.t.Helper()
	erased, err := f.EraseUser(f.t.Context(), ci, user)
	if err != nil {
		f.t.Errorf("EraseUser(%s): %v", user, err)
	}
	return erased
}

// wantReach checks whom the notification reaches, and how many users have read
// it.
func (f *fixture) wantReach(id string, reads int64, audiences ...string) {
	f.t.Helper()
	r, err := f.Reach(f.t.Context(), ci, id)
	var got []string
	for _, a := range r.Audiences {
		got = append(got, a.Audience)
	}
	if err != nil || !slices.Equal(got, audiences) || r.Delivered != int64(len(audiences)) || r.Read != reads {
		f.t.Errorf("Reach(%s) = %+v, %v; want %q, %d read", id, r, err, audiences, reads)
	}
}

// wantReasons checks why a user sees a notification or does not.
func (f *fixture) wantReasons(id, user string, codes ...notifications.ReasonCode) {
	f.t.Helper()
	e, err := f.Explain(f.t.Context(), ci, notifications.ExplainQuery{ID: id, User: user})
	var got []notifications.ReasonCode
	for _, r := range e.Reasons {
		got = append(got, r.Code)
	}
	if err != nil || !slices.Equal(got, codes) {
		f.t.Errorf("Explain(%s, %s) = %v, %v; want %q", id, user, e.Reasons, err, codes)
	}
}

// Configurations of a service, for fixture.with.

func groupsSinceJoining(cfg *notifications.Config) {
	cfg.GroupHistory = notifications.HistorySinceJoining
}

func systemSinceJoining(cfg *notifications.Config) {
	cfg.SystemHistory = notifications.HistorySinceJoining
}

func systemRead(cfg *notifications.Config) { cfg.SystemHistory = notifications.HistoryRead }

func withoutDeleteAny(cfg *notifications.Config) { cfg.Policy = notifications.AllowAll{} }

// postAs posts as another caller than ci.
func (f *fixture) postAs(who notifications.Identity, d notifications.Draft) string {
	f.t.Helper()
	posted, err := f.Post(f.t.Context(), who, d)
	if err != nil {
		f.t.Fatalf("Post(%s, %+v): %v", who, d, err)
	}
	return posted.ID
}

// setState marks the selection, and checks how many notifications that changed.
func (f *fixture) setState(who notifications.Identity, sel notifications.Selection, change notifications.StateChange, want int64) {
	f.t.Helper()
	n, err := f.SetState(f.t.Context(), who, sel, change)
	if err != nil || n != want {
		f.t.Errorf("SetState(%s, %+v, %+v) = %d, %v; want %d", who, sel, change, n, err, want)
	}
}

func ids(list ...string) notifications.Selection { return notifications.ByIDs(list...) }

func filter(f notifications.Filter) notifications.Selection {
	return notifications.ByFilter(f)
}

// upTo selects everything up to an id.
func upTo(id string) notifications.Selection {
	return notifications.ByFilterUpTo(all, id)
}

var (
	read     = notifications.StateChange{Read: new(true)}
	unread   = notifications.StateChange{Read: new(false)}
	saved    = notifications.StateChange{Saved: new(true)}
	archived = notifications.StateChange{Archived: new(true)}

	unsaved  = notifications.StateChange{Saved: new(false)}
	allMarks = notifications.StateChange{Read: new(true), Saved: new(true), Archived: new(true)}
)
