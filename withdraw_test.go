package notifications_test

import (
	"context"
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

const unknownID = "01890000-0000-7000-8000-000000000000"

// TestWithdraw: who may withdraw, and which error others get. AllowAll allows
// everything except PermissionDeleteAny.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db).with(withoutDeleteAny)
		refused := func(who notifications.Identity, id string, want error) {
			t.Helper()
			if err := f.Withdraw(t.Context(), who, id); !errors.Is(err, want) {
				t.Errorf("Withdraw by %s: %v, want %v", who, err, want)
			}
		}
		id := f.post("to ops", toOps)
		f.mark(jane, id, true)
		refused(jane, id, notifications.ErrForbidden) // sees it
		refused(guest, id, notifications.ErrNotFound) // does not see it
		refused(notifications.User("default/stranger"), id, notifications.ErrNotFound)
		refused(notifications.ServiceAccount("cd"), id, notifications.ErrNotFound)
		refused(notifications.User("service:ci"), id, notifications.ErrNotFound)
		refused(ci, unknownID, notifications.ErrNotFound)
		for _, bad := range []string{"", "x", "{" + id + "}"} {
			wantFields(t, f.Withdraw(t.Context(), ci, bad), "id")
		}
		f.wantVisible(jane, "to ops")
		if err := f.Withdraw(t.Context(), ci, strings.ToUpper(id)); err != nil {
			t.Error(err)
		}
		f.wantVisible(jane)
		f.wantVisible(john)
		f.wantHidden(jane, id)
		refused(ci, id, notifications.ErrNotFound)
		refused(jane, id, notifications.ErrNotFound)

		// A user may withdraw their own post, by any form of their name,
		// without seeing it.
		for _, spelling := range []string{"default/john", "user:Default/JOHN"} {
			id := f.postAs(john, notifications.Draft{Origin: "o", Title: "of john", To: toJane})
			refused(jane, id, notifications.ErrForbidden)
			if err := f.Withdraw(t.Context(), notifications.User(spelling), id); err != nil {
				t.Errorf("%s: %v", spelling, err)
			}
		}
		scheduled := f.postDraft(scheduledDraft(time.Now().Add(day), "not yet", toJane))
		refused(jane, scheduled, notifications.ErrNotFound)
	})
}

func TestWithdrawAny(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		rules, err := notifications.NewRules(f.directory,
			notifications.Rule{Allow: []notifications.Permission{notifications.PermissionDelete}, Users: []string{"*"}, Services: []string{"*"}},
			notifications.Rule{Allow: []notifications.Permission{notifications.PermissionDeleteAny}, Groups: []string{"default/dev"}, Services: []string{"janitor"}},
			notifications.Rule{Allow: []notifications.Permission{notifications.PermissionReach, notifications.PermissionList}, Users: []string{"*"}, Services: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		h := f.with(func(cfg *notifications.Config) { cfg.Policy = rules })
		for who, want := range map[notifications.Identity]error{
			jane: nil, notifications.ServiceAccount("janitor"): nil,
			john: notifications.ErrForbidden, guest: notifications.ErrNotFound, notifications.ServiceAccount("cd"): notifications.ErrNotFound,
		} {
			id := f.post("to ops", toOps)
			if err := h.Withdraw(t.Context(), who, id); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", who, err, want)
			}
			if err := h.Withdraw(t.Context(), who, unknownID); !errors.Is(err, notifications.ErrNotFound) {
				t.Errorf("%s, of nothing: %v", who, err)
			}
			f.wantWithdrawn(id, want == nil)
		}
		hidden := f.post("to guest", notifications.Users("default/guest"))
		if err := h.Withdraw(t.Context(), jane, hidden); err != nil { // although jane does not see it
			t.Error(err)
		}
		if err := h.Withdraw(t.Context(), jane, hidden); !errors.Is(err, notifications.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
		// The permission allows withdrawing only.
		id := f.post("to ops", toOps)
		if _, err := h.Reach(t.Context(), jane, id); !errors.Is(err, notifications.ErrForbidden) {
			t.Errorf("Reach: %v, want ErrForbidden", err)
		}
	})
}

// wantWithdrawn checks whether a notification to ops is withdrawn, and
// withdraws it.
func (f *fixture) wantWithdrawn(id string, want bool) {
	f.t.Helper()
	_, err := f.Get(f.t.Context(), john, id)
	if gone := errors.Is(err, notifications.ErrNotFound); gone != want {
		f.t.Errorf("Get: %v, gone is to be %t", err, want)
	}
	if err == nil {
		f.withdraw(id)
	}
}

func TestWithdrawScope(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		by := func(who notifications.Identity, origin, scope string) int64 {
			t.Helper()
			n, err := f.WithdrawScope(t.Context(), who, notifications.ScopeKey{Origin: origin, Scope: scope})
			if err != nil {
				t.Error(err)
			}
			return n
		}
		f.postDraft(scopedDraft("ci", toJane.And(toOps)))
		f.postDraft(scopedDraft("ci again", toJane))
		f.postAs(john, scopedDraft("john", toJane))
		other := scopedDraft("other scope", toJane)
		other.Scope = "build 70"
		f.postDraft(other)
		f.post("no scope", toJane)
		for _, tt := range []struct {
			who           notifications.Identity
			origin, scope string
			want          int64
		}{
			{jane, "test", "build 7", 0}, {notifications.ServiceAccount("cd"), "test", "build 7", 0}, {ci, "Test", "build 7", 0}, {ci, "test", "Build 7", 0},
			{notifications.User("USER:default/john"), "test", "build 7", 1}, {ci, "test", "build 7", 2}, {ci, "test", "build 7", 0},
		} {
			if n := by(tt.who, tt.origin, tt.scope); n != tt.want {
				t.Errorf("by %s, %q %q: %d, want %d", tt.who, tt.origin, tt.scope, n, tt.want)
			}
		}
		f.wantVisible(jane, "no scope", "other scope")
		_, err := f.WithdrawScope(t.Context(), ci, notifications.ScopeKey{Origin: "", Scope: ""})
		wantFields(t, err, "Origin", "Scope")
		long := strings.Repeat("x", notifications.MaxTitleChars+1)
		_, err = f.WithdrawScope(t.Context(), ci, notifications.ScopeKey{Origin: long, Scope: "\x00"})
		wantFields(t, err, "Origin", "Scope")
	})
}

// sizedDirectory is a directory with given sizes.
type sizedDirectory struct {
	*notificationstest.Directory
	sizes map[string]int
	err   error
}

func (s sizedDirectory) Size(_ context.Context, group string) (int, bool, error) {
	n, known := s.sizes[group]
	return n, known, s.err
}

func TestReach(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("a", toEveryone.And(toOps).And(notifications.Groups("default/dev")).And(toJane))
		f.setState(jane, ids(id), allMarks, 1)
		f.setState(john, ids(id), read, 1)
		f.setState(guest, ids(id), read, 1)
		f.setState(guest, ids(id), unread, 1)
		catalog := sizedDirectory{f.directory, map[string]int{"": 1000, "default/ops": 0}, nil}
		withSizes := f.with(func(cfg *notifications.Config) { cfg.Catalog = catalog })
		for name, tt := range map[string]struct {
			svc   *fixture
			sizes map[string]int
		}{
			"sizer":    {withSizes, map[string]int{"system": 1000, "group:default/ops": 0, "group:default/dev": -1, "user:default/jane": 1}},
			"no sizer": {f, map[string]int{"system": -1, "group:default/ops": -1, "group:default/dev": -1, "user:default/jane": 1}},
		} {
			r, err := tt.svc.Reach(t.Context(), ci, strings.ToUpper(id))
			if err != nil || r.Delivered != 4 || r.Read != 2 || r.Saved != 1 || r.Archived != 1 || len(r.Audiences) != 4 ||
				!slices.IsSortedFunc(r.Audiences, func(a, b notifications.AudienceReach) int { return strings.Compare(a.Audience, b.Audience) }) {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			for _, a := range r.Audiences {
				if size, known := tt.sizes[a.Audience]; !known || a.Size != size {
					t.Errorf("%s: %+v, want size %d", name, a, size)
				}
			}
		}
		catalog.err = errors.New("away")
		_, err := f.with(func(cfg *notifications.Config) { cfg.Catalog = catalog }).Reach(t.Context(), ci, id)
		if !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("with a catalog that fails: %v, want ErrUnavailable", err)
		}
		f.directory.SetUser("default/john") // john left the group, but has read it
		f.wantReach(id, 2, "group:default/dev", "group:default/ops", "system", "user:default/jane")

		ofJohn := f.postAs(john, notifications.Draft{Origin: "o", Title: "t", To: toJane})
		for who, want := range map[notifications.Identity]error{
			notifications.User("user:Default/John"): nil, jane: notifications.ErrForbidden, guest: notifications.ErrNotFound, ci: notifications.ErrNotFound,
		} {
			if _, err := f.Reach(t.Context(), who, ofJohn); !errors.Is(err, want) {
				t.Errorf("Reach by %s: %v, want %v", who, err, want)
			}
		}
		_, err = f.Reach(t.Context(), ci, "x")
		wantFields(t, err, "id")
		if _, err := f.Reach(t.Context(), ci, unknownID); !errors.Is(err, notifications.ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	})
}

func TestGet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.postDraft(notifications.Draft{
			Origin: "o", Title: "t", Message: "m", Topic: "x", Actions: []notifications.ActionDraft{{Title: "a", URL: "/a"}}, To: toJane.And(toEveryone),
		})
		f.setState(jane, ids(id), allMarks, 1)
		n := f.get(jane, strings.ToUpper(id))
		if n.ID != id || n.Message != "m" || n.Topic != "x" || len(n.Actions) != 1 || !n.System || !n.Read || !n.Saved || !n.Archived {
			t.Errorf("got %+v", n)
		}
		if n := f.get(john, id); n.Read || n.Saved || n.Archived {
			t.Errorf("john got %+v", n)
		}
		johns := f.post("to john", toJohn)
		_, errHidden := f.Get(t.Context(), jane, johns)
		_, errUnknown := f.Get(t.Context(), jane, unknownID)
		if !errors.Is(errHidden, notifications.ErrNotFound) || errHidden.Error() != errUnknown.Error() {
			t.Errorf("hidden: %v, unknown: %v; want the same ErrNotFound", errHidden, errUnknown)
		}
		for _, bad := range []string{"", "7", "{" + id + "}", strings.ReplaceAll(id, "-", ""), id + "\x00"} {
			_, err := f.Get(t.Context(), jane, bad)
			wantFields(t, err, "id")
		}
	})
}
