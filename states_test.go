package notifications_test

import (
	"errors"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// states sets states by ids and checks how many changed.
func (f *fixture) set(who notifications.Identity, sel notifications.Selection, change notifications.StateChange, want int64) {
	f.t.Helper()
	n, err := f.SetState(f.t.Context(), who, sel, change)
	if err != nil || n != want {
		f.t.Errorf("SetState(%s, %+v, %+v) = %d, %v; want %d", who, sel, change, n, err, want)
	}
}

func ids(list ...string) notifications.Selection { return notifications.Selection{IDs: list} }

var (
	read     = notifications.StateChange{Read: new(true)}
	unread   = notifications.StateChange{Read: new(false)}
	saved    = notifications.StateChange{Saved: new(true)}
	archived = notifications.StateChange{Archived: new(true)}

	unsaved    = notifications.StateChange{Saved: new(false)}
	unarchived = notifications.StateChange{Archived: new(false)}
	allMarks   = notifications.StateChange{Read: new(true), Saved: new(true), Archived: new(true)}
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		a := f.post("a", notifications.Users("default/jane"))
		b := f.post("b", notifications.Groups("default/ops"))
		c := f.post("c", notifications.Everyone())
		f.set(jane, ids(a, b, c, a), read, 3)
		f.set(jane, ids(a, b, c), read, 0)
		f.set(jane, ids(a, b), saved, 2)
		f.set(jane, ids(a), archived, 1)
		f.set(jane, ids(a), unread, 1)
		st, err := f.Status(t.Context(), jane, notifications.ScopeAll)
		if want := (notifications.Status{Read: 2, Saved: 1, Archived: 1}); err != nil || st != want {
			t.Errorf("%+v %v", st, err)
		}
		tp, err := f.Topics(t.Context(), jane, notifications.ScopeAll)
		t.Logf("%+v %v", tp, err)
		f.expect(jane, notifications.ListQuery{}, "b")
		n, err := f.Get(t.Context(), jane, a)
		if err != nil || !n.Archived || n.Read || !n.Saved {
			t.Errorf("%+v %v", n, err)
		}
		r, err := f.Reach(t.Context(), ci, b)
		t.Logf("%+v %v", r, err)
		e, err := f.Explain(t.Context(), ci, a, "default/jane")
		t.Logf("%+v %v", e, err)
		if err := f.Withdraw(t.Context(), ci, c); err != nil {
			t.Error(err)
		}
		f.expect(john, notifications.ListQuery{Filter: all}, "b")
		d := notifications.Draft{Origin: "o", Title: "s1", Scope: "s", To: notifications.Groups("default/ops").And(notifications.Users("default/guest")), IdempotencyKey: "k"}
		s1 := f.postDraft(d)
		if again := f.postDraft(d); again != s1 {
			t.Error("again", again)
		}
		d.Title = "s2"
		if _, err := f.Post(t.Context(), ci, d); !errors.Is(err, notifications.ErrKeyReused) {
			t.Error(err)
		}
		d.IdempotencyKey = ""
		d.To = notifications.Groups("default/ops")
		f.postDraft(d)
		f.expect(john, notifications.ListQuery{Filter: all}, "s2", "b")
		f.expect(guest, notifications.ListQuery{Filter: all}, "s1")
		d.KeepPlace = true
		d.Title = "s3"
		f.postDraft(d)
		f.expect(john, notifications.ListQuery{Filter: all}, "s3", "b")
		d.To = notifications.Everyone()
		if _, err := f.Post(t.Context(), ci, d); !errors.Is(err, notifications.ErrTargetsDiffer) {
			t.Error(err)
		}
		if n, err := f.WithdrawScope(t.Context(), ci, "o", "s"); n != 2 || err != nil {
			t.Error(n, err)
		}
		if err := f.EraseUser(t.Context(), ci, "default/jane"); err != nil {
			t.Error(err)
		}
		f.expect(jane, notifications.ListQuery{Filter: all}, "b")
		p, err := f.Purge(t.Context(), notifications.PurgeOptions{})
		t.Logf("%+v %v", p, err)
		n3, err := f.SetState(t.Context(), john, notifications.Selection{Filter: &notifications.Filter{}}, notifications.StateChange{Read: new(true), Saved: new(true)})
		if n3 != 1 || err != nil {
			t.Error(n3, err)
		}
		p, err = f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: time.Nanosecond})
		t.Logf("%+v %v", p, err)
		f.expect(john, notifications.ListQuery{Filter: all}, "b")
	})
}
