package notifications_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

var errAway = errors.New("away")

// verb is a method of Service that has a caller.
type verb struct {
	name string
	do   func(f *fixture, who notifications.Identity) error
	// asks are the permissions it needs, in order.
	asks []notifications.Permission
	// catalog reports whether it needs the catalog, reads whether it is for
	// readers only.
	catalog, reads bool
}

// verbs are all verbs. Those that need a notification of jane's first post one
// as jane.
var verbs = []verb{
	{"Post", func(f *fixture, who notifications.Identity) error {
		_, err := f.Post(f.t.Context(), who, validDraft(func(*notifications.Draft) {}))
		return err
	}, []notifications.Permission{"notifications.create"}, true, false},
	{"Post to everybody", func(f *fixture, who notifications.Identity) error {
		_, err := f.Post(f.t.Context(), who, notifications.Draft{Origin: "o", Title: "t", To: toEveryone})
		return err
	}, []notifications.Permission{"notifications.create", "notifications.create.system"}, true, false},
	{"PostTx", func(f *fixture, who notifications.Identity) error {
		return f.db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(f.t.Context(), who, validDraft(func(*notifications.Draft) {}))
			return err
		})
	}, []notifications.Permission{"notifications.create"}, true, false},
	{"List", func(f *fixture, who notifications.Identity) error {
		_, err := f.List(f.t.Context(), who, notifications.ListQuery{})
		return err
	}, []notifications.Permission{"notifications.list"}, true, true},
	{"Count", func(f *fixture, who notifications.Identity) error {
		_, err := f.Count(f.t.Context(), who, notifications.Filter{})
		return err
	}, []notifications.Permission{"notifications.list"}, true, true},
	{"Get", func(f *fixture, who notifications.Identity) error {
		_, err := f.Get(f.t.Context(), who, f.postedByJane())
		return err
	}, []notifications.Permission{"notifications.list"}, true, true},
	{"Status", func(f *fixture, who notifications.Identity) error {
		_, err := f.Status(f.t.Context(), who, notifications.SystemOrNot)
		return err
	}, []notifications.Permission{"notifications.list"}, true, true},
	{"Topics", func(f *fixture, who notifications.Identity) error {
		_, err := f.Topics(f.t.Context(), who, notifications.SystemOrNot)
		return err
	}, []notifications.Permission{"notifications.list"}, true, true},
	{"MarkRead", func(f *fixture, who notifications.Identity) error {
		return f.MarkRead(f.t.Context(), who, f.postedByJane(), true)
	}, []notifications.Permission{"notifications.update.read"}, true, true},
	{"SetState", func(f *fixture, who notifications.Identity) error {
		_, err := f.SetState(f.t.Context(), who, filter(all), allMarks)
		return err
	}, []notifications.Permission{"notifications.update.read"}, true, true},
	{"Withdraw", func(f *fixture, who notifications.Identity) error {
		return f.Withdraw(f.t.Context(), who, f.postedByJane())
	}, []notifications.Permission{"notifications.delete"}, false, false},
	{"Withdraw of another's", func(f *fixture, who notifications.Identity) error {
		return f.Withdraw(f.t.Context(), who, f.postedByCI())
	}, []notifications.Permission{"notifications.delete", "notifications.delete.any"}, false, false},
	{"WithdrawScope", func(f *fixture, who notifications.Identity) error {
		_, err := f.WithdrawScope(f.t.Context(), who, notifications.ScopeKey{Origin: "o", Scope: "s"})
		return err
	}, []notifications.Permission{"notifications.delete"}, false, false},
	{"Reach", func(f *fixture, who notifications.Identity) error {
		_, err := f.Reach(f.t.Context(), who, f.postedByJane())
		return err
	}, []notifications.Permission{"notifications.reach"}, false, false},
	{"Explain", func(f *fixture, who notifications.Identity) error {
		_, err := f.Explain(f.t.Context(), who, notifications.ExplainQuery{ID: unknownID, User: "default/jane"})
		return err
	}, []notifications.Permission{"notifications.explain"}, true, false},
	{"EraseUser", func(f *fixture, who notifications.Identity) error {
		_, err := f.EraseUser(f.t.Context(), who, "default/guest")
		return err
	}, []notifications.Permission{"notifications.erase"}, false, false},
}

// postedByJane returns the id of a new notification by jane to jane. It does
// not use f's catalog and policy, which may fail.
func (f *fixture) postedByJane() string {
	return f.healthy().postAs(jane, validDraft(func(*notifications.Draft) {}))
}

// postedByCI returns the id of a new notification by ci to jane.
func (f *fixture) postedByCI() string { return f.healthy().post("of ci", toJane) }

// healthy returns a service over the same database whose catalog and policy
// work.
func (f *fixture) healthy() *fixture {
	f.t.Helper()
	g := &fixture{t: f.t, db: f.db, directory: newDirectory()}
	return g.with(nil)
}

// withPolicy returns the service with another policy.
func (f *fixture) withPolicy(p policyFunc) *fixture {
	f.t.Helper()
	return f.with(func(cfg *notifications.Config) { cfg.Policy = p })
}

// TestPermissions: which permissions each verb asks the policy for, and what it
// returns for each answer.
func TestPermissions(t *testing.T) {
	t.Parallel()
	var asked []notifications.Permission // by any verb
	for _, v := range verbs {
		asked = append(asked, v.asks...)
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, dbtest.SQLite(t))
			var asks []notifications.Permission
			err := v.do(f.withPolicy(func(who notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
				if who != jane {
					t.Errorf("asked about %v", who)
				}
				asks = append(asks, p)
				return notifications.Allow, nil
			}), jane)
			if err != nil || !slices.Equal(asks, v.asks) {
				t.Errorf("allowed: %v, asked %q; want %q", err, asks, v.asks)
			}
			for _, denied := range v.asks {
				err := v.do(f.withPolicy(func(_ notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
					if p == denied {
						return notifications.Deny, nil
					}
					return notifications.Allow, nil
				}), jane)
				if !errors.Is(err, notifications.ErrForbidden) {
					t.Errorf("denied %s: %v, want ErrForbidden", denied, err)
				}
				err = v.do(f.withPolicy(func(_ notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
					if p == denied {
						return notifications.Allow, errAway
					}
					return notifications.Allow, nil
				}), jane)
				if !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, errAway) {
					t.Errorf("the policy cannot tell about %s: %v, want ErrUnavailable", denied, err)
				}
			}
		})
	}
	for _, p := range notifications.Permissions() {
		if !slices.Contains(asked, p) {
			t.Errorf("no verb here asks for %s", p)
		}
	}
}

// TestCatalogAway: verbs that need the catalog return ErrUnavailable, and the
// others work.
func TestCatalogAway(t *testing.T) {
	t.Parallel()
	for _, v := range verbs {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, dbtest.SQLite(t))
			f.directory.Fail(errAway)
			err := v.do(f, jane)
			if v.catalog && (!errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, errAway)) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
			if !v.catalog && err != nil {
				t.Errorf("%v, though it needs no catalog", err)
			}
			f.directory.Fail(nil)
			if err := v.do(f, jane); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	// Whether it is ErrForbidden or ErrNotFound depends on what the caller
	// sees, and so on the catalog.
	f := newFixture(t, dbtest.SQLite(t)).with(withoutDeleteAny)
	id := f.postedByCI()
	f.directory.Fail(errAway)
	_, reachErr := f.Reach(t.Context(), jane, id)
	for name, err := range map[string]error{"Withdraw": f.Withdraw(t.Context(), jane, id), "Reach": reachErr} {
		if !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("%s of another's: %v, want ErrUnavailable", name, err)
		}
	}
}

// TestWhoMay: a caller without a name is not authenticated. A service or an
// unknown user has no inbox.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255-len("default/"))
	for _, v := range verbs {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, dbtest.SQLite(t))
			mute := f.withPolicy(func(who notifications.Identity, _ notifications.Permission) (notifications.Decision, error) {
				t.Errorf("the policy was asked about %q", who)
				return notifications.Allow, nil
			})
			for _, who := range []notifications.Identity{
				{}, {Kind: notifications.KindUser}, {Kind: notifications.KindService}, {Kind: notifications.KindGroup, Name: "default/ops"}, {Name: "default/jane"},
				{Kind: "other", Name: "x"}, {Guest: true}, notifications.User("default/jane\x00"), notifications.User("default/\xff"),
				notifications.User("user:default/" + long + "x"), notifications.ServiceAccount(strings.Repeat("x", 256)), notifications.ServiceAccount("\x00"),
			} {
				if err := v.do(mute, who); !errors.Is(err, notifications.ErrUnauthenticated) {
					t.Errorf("by %q: %v, want ErrUnauthenticated", who, err)
				}
			}
			for _, who := range []notifications.Identity{
				ci, notifications.ServiceAccount(strings.Repeat("x", 255)), notifications.User("default/stranger"), notifications.User("jane"),
				notifications.User("user:default/" + long),
			} {
				var want error
				switch {
				case v.reads, strings.HasPrefix(v.name, "Post") && who.Kind == notifications.KindUser:
					want = notifications.ErrForbidden
				case v.name == "Reach": // of what jane has posted
					want = notifications.ErrNotFound
				}
				if err := v.do(f, who); !errors.Is(err, want) {
					t.Errorf("by %q: %v, want %v", who, err, want)
				}
			}
		})
	}
}
