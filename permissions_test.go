package notifications_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

// countingDirectory counts the calls of Groups.
type countingDirectory struct {
	*notificationstest.Directory
	asked int
}

func (r *countingDirectory) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	r.asked++
	return r.Directory.Groups(ctx, user)
}

func decide(t *testing.T, p notifications.Policy, who notifications.Identity, permission notifications.Permission) notifications.Decision {
	t.Helper()
	d, err := p.Decide(t.Context(), notifications.Request{Who: who, Permission: permission})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var unproved = notifications.Identity{Kind: notifications.KindUser, Name: "default/guest", Guest: true}

func TestReadyPolicies(t *testing.T) {
	t.Parallel()
	for _, permission := range notifications.Permissions() {
		for _, who := range []notifications.Identity{jane, unproved, notifications.ServiceAccount("ci")} {
			given := permission != notifications.PermissionDeleteAny // only a rule gives this one
			if got := decide(t, notifications.AllowAll{}, who, permission) == notifications.Allow; got != given {
				t.Errorf("AllowAll allows %s %s: %v", who, permission, got)
			}
			if got := decide(t, notifications.Authenticated{}, who, permission) == notifications.Allow; got != (given && !who.Guest) {
				t.Errorf("Authenticated allows %s %s: %v", who, permission, got)
			}
		}
	}
}

func TestPermissionsAreAllThere(t *testing.T) {
	t.Parallel()
	want := []notifications.Permission{
		"notifications.create", "notifications.list", "notifications.update.read", "notifications.create.system",
		"notifications.delete", "notifications.delete.any", "notifications.reach", "notifications.explain", "notifications.erase",
	}
	if got := notifications.Permissions(); !slices.Equal(got, want) {
		t.Errorf("Permissions = %q, want %q", got, want)
	}
	notifications.Permissions()[0] = "changed"
	if notifications.Permissions()[0] != want[0] {
		t.Error("a caller can change the list")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	const (
		create = notifications.PermissionCreate
		list   = notifications.PermissionList
		read   = notifications.PermissionUpdateRead
		system = notifications.PermissionCreateSystem
	)
	catalog := &countingDirectory{Directory: new(notificationstest.Directory)}
	catalog.SetUser("default/jane", "default/ops", "default/dev")
	catalog.SetUser("default/john", "default/dev")
	p, err := notifications.NewRules(catalog,
		notifications.Rule{Allow: []notifications.Permission{list, read}, Users: []string{"*"}},
		notifications.Rule{Allow: []notifications.Permission{create}, Groups: []string{"Group:Default/Ops"}, Services: []string{"*"}},
		notifications.Rule{Allow: []notifications.Permission{create, system}, Users: []string{"user:Default/Root"}, Services: []string{"ci", "external"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	user, service := notifications.User, notifications.ServiceAccount
	for _, tc := range []struct {
		who   notifications.Identity
		has   []notifications.Permission
		asked int // calls of Groups for all permissions together
	}{
		{user("Default/Jane"), []notifications.Permission{create, list, read}, 1},
		{user("default/john"), []notifications.Permission{list, read}, 1},
		{user("user:default/root"), []notifications.Permission{create, list, read, system}, 0},
		{user("no ref"), []notifications.Permission{list, read}, 0},
		{unproved, []notifications.Permission{list, read}, 1},
		{user("*"), []notifications.Permission{list, read}, 0},
		{service("ci"), []notifications.Permission{create, system}, 0},
		{service("CI"), []notifications.Permission{create}, 0},
		{service("*"), []notifications.Permission{create}, 0},
		{service("default/root"), []notifications.Permission{create}, 0},
		{notifications.Identity{Kind: notifications.KindGroup, Name: "default/ops"}, nil, 0},
		{notifications.Identity{}, nil, 0},
	} {
		catalog.asked = 0
		for _, permission := range notifications.Permissions() {
			want := slices.Contains(tc.has, permission)
			if got := decide(t, p, tc.who, permission) == notifications.Allow; got != want {
				t.Errorf("%s %s: allowed %v, want %v", tc.who, permission, got, want)
			}
		}
		if catalog.asked != tc.asked {
			t.Errorf("%s: the catalog was asked %d times, want %d", tc.who, catalog.asked, tc.asked)
		}
		if decide(t, p, tc.who, "notifications.unheard") != notifications.Deny {
			t.Errorf("%s: an unknown permission is allowed", tc.who)
		}
	}

	// A rule for a group follows its current members.
	catalog.SetUser("default/john", "default/ops")
	catalog.SetUser("default/jane")
	if decide(t, p, user("default/john"), create) != notifications.Allow {
		t.Error("a new member is denied")
	}
	if decide(t, p, user("default/jane"), create) != notifications.Deny {
		t.Error("a former member is allowed")
	}
}

func TestRulesWithoutCatalogAnswer(t *testing.T) {
	t.Parallel()
	away := errors.New("catalog is away")
	catalog := newDirectory()
	catalog.Fail(away)
	p, err := notifications.NewRules(catalog, notifications.Rule{
		Allow: notifications.Permissions(), Users: []string{"default/root"}, Groups: []string{"default/ops"}, Services: []string{"ci"},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Decide(t.Context(), notifications.Request{Who: jane, Permission: notifications.PermissionCreate})
	if d != notifications.Deny || !errors.Is(err, away) {
		t.Errorf("Decide = %v, %v; want the error of the catalog", d, err)
	}
	for _, who := range []notifications.Identity{notifications.User("default/root"), notifications.ServiceAccount("ci")} {
		if decide(t, p, who, notifications.PermissionCreate) != notifications.Allow {
			t.Errorf("%s is denied, although no group matters", who)
		}
	}
}

func TestRuleFaults(t *testing.T) {
	t.Parallel()
	list := []notifications.Permission{notifications.PermissionList}
	_, err := notifications.NewRules(newDirectory(),
		notifications.Rule{Allow: list, Users: []string{"default/jane"}},
		notifications.Rule{},
		notifications.Rule{Allow: []notifications.Permission{list[0], "notifications.lst", "*"}, Users: []string{"default/jane", "ja ne"}},
		notifications.Rule{Allow: list, Groups: []string{"*", "user:default/jane"}, Services: []string{"ci", ""}},
	)
	if err == nil {
		t.Fatal("NewRules accepts them")
	}
	want := []string{
		"rules[1].allow: ", "rules[1]: names no user",
		"rules[2].users[1]: ", `rules[2].allow[1]: there is no permission "notifications.lst"`, "rules[2].allow[2]: ",
		"rules[3].groups[0]: ", "rules[3].groups[1]: ", "rules[3].services[1]: ",
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if got := strings.Count(err.Error(), "rules["); got != len(want) {
		t.Errorf("%d faults, want %d: %v", got, len(want), err)
	}
	if _, err := notifications.NewRules(newDirectory()); err == nil {
		t.Error("NewRules accepts no rules")
	}
	if _, err := notifications.NewRules(nil, notifications.Rule{Allow: list, Users: []string{"*"}}); err == nil {
		t.Error("NewRules accepts no catalog")
	}
}

// Changing the rules after NewRules does not change the policy.
func TestRulesAreCopied(t *testing.T) {
	t.Parallel()
	services := []string{"ci"}
	p, err := notifications.NewRules(newDirectory(), notifications.Rule{Allow: notifications.Permissions(), Services: services})
	if err != nil {
		t.Fatal(err)
	}
	services[0] = "*"
	if decide(t, p, notifications.ServiceAccount("other"), notifications.PermissionCreate) != notifications.Deny {
		t.Error("the policy follows the caller's slice")
	}
}
