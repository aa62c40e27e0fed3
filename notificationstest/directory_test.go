package notificationstest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

// groups returns the groups of a user, with the dates that are known.
func groups(t *testing.T, dir *notificationstest.Directory, user string) (in []string) {
	t.Helper()
	memberships, err := dir.Groups(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range memberships {
		text := m.Group
		if !m.Since.IsZero() {
			text += m.Since.Format(" 15:04")
		}
		in = append(in, text)
	}
	return in
}

// unknown returns which of jane, kim and the group ops do not exist.
func unknown(t *testing.T, dir *notificationstest.Directory) (missing []string) {
	t.Helper()
	refs, err := dir.Missing(t.Context(), []notifications.Ref{
		notifications.UserRef("jane"), notifications.UserRef("kim"), notifications.GroupRef("ops"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		missing = append(missing, ref.String())
	}
	return missing
}

func want[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestDirectoryChanges(t *testing.T) {
	t.Parallel()
	ten := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	dir := new(notificationstest.Directory)
	want(t, "who an empty one does not know", unknown(t, dir), "user:jane", "user:kim", "group:ops")
	want(t, "groups of a stranger", groups(t, dir, "jane"))

	dir.SetUser("User:JANE", "ops", "Group:Dev", "ops")
	want(t, "groups", groups(t, dir, "jane"), "dev", "ops")
	want(t, "unknown", unknown(t, dir), "user:kim")

	dir.Join("jane", "admins", ten)
	dir.Join("jane", "ops", ten)
	want(t, "groups after joining", groups(t, dir, "jane"), "admins 10:00", "dev", "ops 10:00")
	dir.Join("kim", "ops", time.Time{})
	want(t, "groups of who joined before existing", groups(t, dir, "kim"), "ops")
	dir.Leave("jane", "dev")
	dir.Leave("eve", "dev")
	want(t, "groups after leaving", groups(t, dir, "jane"), "admins 10:00", "ops 10:00")
	dir.SetUser("jane", "ops")
	want(t, "groups once set", groups(t, dir, "jane"), "ops")

	dir.RemoveGroup("ops")
	want(t, "groups without ops", groups(t, dir, "jane"))
	want(t, "unknown", unknown(t, dir), "group:ops")
	dir.AddGroup("ops")
	dir.RemoveUser("jane")
	dir.RemoveUser("eve")
	want(t, "unknown", unknown(t, dir), "user:jane")
}

func TestDirectoryDatesAndSizes(t *testing.T) {
	t.Parallel()
	ten := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	dir := new(notificationstest.Directory)
	size := func(group string) string {
		t.Helper()
		n, known, err := dir.Size(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(n, known)
	}
	dir.SetUser("jane", "ops", "dev")
	dir.SetUser("john", "ops")
	dir.SetAccount("kim", ten)
	dir.AddGroup("empty")
	dir.AddGroup("ops")
	dir.Join("john", "ops", ten) // again
	want(t, "sizes", []string{size(""), size("ops"), size("dev"), size("empty"), size("nowhere")},
		"3 true", "2 true", "1 true", "0 true", "0 false")
	dir.Leave("john", "ops")
	dir.SetUser("jane", "ops", "empty")
	dir.RemoveUser("kim")
	want(t, "sizes later", []string{size(""), size("ops"), size("dev"), size("empty")}, "2 true", "1 true", "0 true", "1 true")
	dir.RemoveUser("jane")
	want(t, "sizes without jane", []string{size("ops"), size("empty")}, "0 true", "0 true")

	dir.SetAccount("john", ten)
	dir.SetUser("john", "ops")
	for user, since := range map[string]time.Time{"john": ten, "kim": {}} {
		if got, err := dir.AccountSince(t.Context(), user); err != nil || !got.Equal(since) {
			t.Errorf("%s has an account since %v, %v, want %v", user, got, err, since)
		}
	}
}

func TestDirectoryCanonical(t *testing.T) {
	t.Parallel()
	dir := new(notificationstest.Directory)
	for name, canonical := range map[string]string{
		"jane": "jane", "42": "42", "USER:Default/Jane": "default/jane", "System": "system", "KİM": "kİm",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
		"":                       "", "user:": "", "/": "", "a/": "", "/a": "", "a/b/c": "", "group:jane": "", "user:user:jane": "",
		"a b": "", "a\x00": "", "\xff": "", strings.Repeat("x", 256): "",
	} {
		got, err := dir.Canonical(notifications.KindUser, name)
		if got != canonical || (err == nil) != (canonical != "") {
			t.Errorf("the canonical form of %q is %q, %v, want %q", name, got, err, canonical)
		}
	}
	if _, err := dir.Canonical(notifications.KindService, "ci"); err == nil {
		t.Error("there is a canonical form of a service")
	}
	defer func() {
		if r := recover(); r != `notificationstest: the group "a:b" must be of the form name or namespace/name` {
			t.Errorf("a malformed name: %v", r)
		}
	}()
	dir.SetUser("jane", "a:b")
}

func TestDirectoryFails(t *testing.T) {
	t.Parallel()
	dir, away := new(notificationstest.Directory), errors.New("away")
	dir.SetUser("jane")
	ask := func() []error {
		_, groups := dir.Groups(t.Context(), "jane")
		_, missing := dir.Missing(t.Context(), []notifications.Ref{notifications.UserRef("jane")})
		_, account := dir.AccountSince(t.Context(), "jane")
		_, _, size := dir.Size(t.Context(), "")
		return []error{groups, missing, account, size}
	}
	want(t, "errors", ask(), nil, nil, nil, nil)
	dir.Fail(away)
	want(t, "errors while away", ask(), away, away, away, away)
	dir.Fail(nil)
	want(t, "errors later", ask(), nil, nil, nil, nil)
}

// TestDirectoryAtOnce is for the race detector.
func TestDirectoryAtOnce(t *testing.T) {
	t.Parallel()
	dir := new(notificationstest.Directory)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			user := fmt.Sprint("u", i)
			for range 50 {
				dir.SetUser(user, "ops")
				in, err := dir.Groups(t.Context(), user)
				if err != nil || len(in) != 1 {
					t.Errorf("%s is in %v, %v", user, in, err)
					return
				}
				in[0].Group = "mine to change"
				dir.Join(user, "dev", time.Time{})
				dir.RemoveUser(user)
			}
		})
	}
	wg.Wait()
	if n, known, err := dir.Size(t.Context(), "ops"); n != 0 || !known || err != nil {
		t.Errorf("in the end ops has %d members, %t, %v", n, known, err)
	}
}
