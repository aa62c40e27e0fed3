package catalog_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

// load returns a catalog of one file.
func load(t *testing.T, text string) (*catalog.Files, error) {
	t.Helper()
	return catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(text)}}, "org.yaml")
}

// mustLoad is load for a file without faults.
func mustLoad(t *testing.T, text string) *catalog.Files {
	t.Helper()
	files, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// groupsOf returns the refs of the user's groups.
func groupsOf(t *testing.T, files *catalog.Files, user string) []string {
	t.Helper()
	in, err := files.Groups(t.Context(), ref(user).Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range in {
		if !m.Since.IsZero() {
			t.Errorf("%s is in %s since %v; the files do not say", user, m.Group, m.Since)
		}
	}
	return names(in)
}

// defined returns the refs that the files define.
func defined(t *testing.T, files *catalog.Files, refs ...string) []string {
	t.Helper()
	missing, err := files.Missing(t.Context(), refsOf(refs))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(refs, func(text string) bool { return slices.Contains(missing, ref(text)) })
}

// ref parses "user:default/jane".
func ref(text string) notifications.Ref {
	kind, name, _ := strings.Cut(text, ":")
	return notifications.Ref{Kind: notifications.Kind(kind), Name: name}
}

func refsOf(texts []string) []notifications.Ref {
	refs := make([]notifications.Ref, len(texts))
	for i, text := range texts {
		refs[i] = ref(text)
	}
	return refs
}

func TestGuest(t *testing.T) {
	t.Parallel()
	files := mustLoad(t, "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata:\n  name: guest\nspec:\n  memberOf: []\n")
	if got := defined(t, files, "user:default/guest"); len(got) != 1 {
		t.Error("guest is missing")
	}
	if got := groupsOf(t, files, "user:default/guest"); got != nil {
		t.Errorf("guest is in %q", got)
	}
}

func TestMembership(t *testing.T) {
	t.Parallel()
	files := mustLoad(t, `
kind: User
metadata: {name: Jane}
spec: {memberOf: [ops, other/dev, "group:DEFAULT/all", group:both, unknown, other/unknown]}
---
kind: User
metadata: {name: jane, namespace: Other}
spec: {memberOf: [dev, ops]}
---
kind: User
metadata: {name: guest}
---
kind: User
metadata: {name: idle}
spec: {memberOf: , members: [guest]}
---
kind: Group
metadata: {name: ops}
spec: {children: [child], memberOf: [all]}
---
kind: Group
metadata: {name: child}
spec: {parent: ops, members: [guest, nobody]}
---
kind: Group
metadata: {name: dev, namespace: other}
spec: {members: [user:default/guest]}
---
kind: Group
metadata: {name: qa, namespace: OTHER}
spec: {members: [Jane, jane]}
---
kind: Group
metadata: {name: All}
---
kind: Group
metadata: {name: both}
spec: {members: [JANE, user:guest]}
`)
	for user, want := range map[string][]string{
		"user:default/jane":   {"default/all", "default/both", "default/ops", "other/dev"},
		"user:other/jane":     {"other/dev", "other/qa"},
		"user:default/guest":  {"default/both", "default/child", "other/dev"},
		"user:default/idle":   nil,
		"user:default/nobody": nil,
		"user:Default/Jane":   nil, // not canonical
		"group:default/ops":   nil,
		"":                    nil,
	} {
		if got := groupsOf(t, files, user); !slices.Equal(got, want) {
			t.Errorf("%s is in %q, want %q", user, got, want)
		}
	}
	if users, groups := files.Len(); users != 4 || groups != 6 {
		t.Errorf("Len() = %d, %d, want 4, 6", users, groups)
	}
	for group, want := range map[string]int{
		"":             4, // all users
		"default/ops":  1, // the user names it
		"other/qa":     1, // it names the user, twice
		"default/both": 2, // two users, one of them by both ends
		"other/dev":    3,
	} {
		if got := sizeOf(t, files, group); got != want {
			t.Errorf("%q has %d users, want %d", group, got, want)
		}
	}
}

// sizeOf returns the number of members of a group; negative if it is unknown.
func sizeOf(t *testing.T, files *catalog.Files, group string) int {
	t.Helper()
	n, known, err := files.Size(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		return -1
	}
	return n
}

func TestSizeOfWhatIsNoGroup(t *testing.T) {
	t.Parallel()
	files := mustLoad(t, "kind: User\nmetadata: {name: a}\nspec: {memberOf: [gone]}\n---\nkind: Group\nmetadata: {name: empty}\n")
	for group, want := range map[string]int{
		"default/empty":       0,
		"default/gone":        -1,
		"group:default/empty": -1, // not canonical
		"user:default/a":      -1,
	} {
		if got := sizeOf(t, files, group); got != want {
			t.Errorf("the size of %q is %d, want %d", group, got, want)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	files := mustLoad(t, "kind: User\nmetadata: {name: a}\n---\nkind: Group\nmetadata: {name: b}\n")
	refs := []string{"user:default/z", "user:default/a", "group:default/a", "user:default/b", "group:default/b", "default/a", "User:default/a", "", "user:default/z"}
	want := []string{"user:default/z", "group:default/a", "user:default/b", "default/a", "User:default/a", "", "user:default/z"}
	got, err := files.Missing(t.Context(), refsOf(refs))
	if err != nil || !slices.Equal(got, refsOf(want)) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	files, err := catalog.LoadFS(fstest.MapFS{
		"users.yaml":  {Data: []byte("kind: User\nmetadata: {name: a}\nspec: {memberOf: [g]}")},
		"groups.yaml": {Data: []byte("kind: Group\nmetadata: {name: g}")},
		"empty.yaml":  {},
	}, "users.yaml", "empty.yaml", "groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := groupsOf(t, files, "user:default/a"); !slices.Equal(got, []string{"default/g"}) {
		t.Errorf("got %q", got)
	}
}

func TestLoadWithoutFiles(t *testing.T) {
	t.Parallel()
	if _, err := catalog.Load(); err == nil {
		t.Error("no error")
	}
}

// The caller may change the result of Groups.
func TestGroupsAreCopied(t *testing.T) {
	t.Parallel()
	files := mustLoad(t, "kind: User\nmetadata: {name: a}\nspec: {memberOf: [g]}\n---\nkind: Group\nmetadata: {name: g}\n")
	in, err := files.Groups(t.Context(), "default/a")
	if err != nil {
		t.Fatal(err)
	}
	in[0].Group = "default/stolen"
	if got := groupsOf(t, files, "user:default/a"); !slices.Equal(got, []string{"default/g"}) {
		t.Errorf("got %q", got)
	}
}

const (
	janeInOps = "kind: User\nmetadata: {name: jane}\nspec: {memberOf: [ops]}\n---\nkind: Group\nmetadata: {name: ops}\n---\nkind: Group\nmetadata: {name: dev}\n"
	janeInDev = "kind: User\nmetadata: {name: jane}\nspec: {memberOf: [dev]}\n---\nkind: Group\nmetadata: {name: dev}\n"
)

func TestReload(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good.yaml")
	other := filepath.Join(t.TempDir(), "other.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good, janeInOps)
	write(other, "")
	files, err := catalog.Load(good, other)
	if err != nil {
		t.Fatal(err)
	}
	inOps := func(t *testing.T) {
		t.Helper()
		if got := groupsOf(t, files, "user:default/jane"); !slices.Equal(got, []string{"default/ops"}) {
			t.Errorf("jane is in %q", got)
		}
		if got := defined(t, files, "user:default/bob", "group:default/ops"); !slices.Equal(got, []string{"group:default/ops"}) {
			t.Errorf("defined: %q", got)
		}
	}
	inOps(t)

	write(good, janeInDev+"---\nkind: User\nmetadata: {name: bob}\n")
	write(other, "kind: User\nmetadata: {}\n")
	if err := files.Reload(); err == nil || !strings.HasPrefix(err.Error(), other+":1: ") {
		t.Errorf("a bad file: %v", err)
	}
	inOps(t)

	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := files.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a vanished file: %v", err)
	}
	inOps(t)

	write(good, "")
	write(other, "# nothing\n")
	if err := files.Reload(); err == nil || err.Error() != good+": defines no user and no group any more" {
		t.Errorf("an emptied file: %v", err)
	}
	inOps(t)
	write(good, "kind: Location\nmetadata: {name: elsewhere}\n")
	if err := files.Reload(); err == nil || !strings.HasPrefix(err.Error(), good+": defines no user") {
		t.Errorf("a file without users: %v", err)
	}
	inOps(t)

	write(good, janeInDev+"---\nkind: User\nmetadata: {name: bob}\n")
	if err := files.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := groupsOf(t, files, "user:default/jane"); !slices.Equal(got, []string{"default/dev"}) {
		t.Errorf("after the reload jane is in %q", got)
	}
	if got := defined(t, files, "user:default/bob", "group:default/ops"); !slices.Equal(got, []string{"user:default/bob"}) {
		t.Errorf("after the reload: %q", got)
	}
	if dev, ops, all := sizeOf(t, files, "default/dev"), sizeOf(t, files, "default/ops"), sizeOf(t, files, ""); dev != 1 || ops != -1 || all != 2 {
		t.Errorf("after the reload dev has %d users, ops %d, all are %d", dev, ops, all)
	}
}

// During a reload, readers see either the old or the new content of all files.
func TestReloadWhileReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "org.yaml")
	replace := func(text string) {
		next := filepath.Join(dir, "next.yaml")
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, path)); err != nil {
			t.Error(err)
		}
	}
	replace(janeInOps)
	files, err := catalog.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := groupsOf(t, files, "user:default/jane")
				if !slices.Equal(got, []string{"default/ops"}) && !slices.Equal(got, []string{"default/dev"}) {
					t.Errorf("jane is in %q", got)
				}
				if got := defined(t, files, "user:default/jane", "group:default/dev"); len(got) != 2 {
					t.Errorf("only %q defined", got)
				}
				if users, _ := files.Len(); users != 1 {
					t.Errorf("%d users", users)
				}
			}
		})
	}
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for range 100 {
				if err := files.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 100 {
		replace([]string{janeInOps, janeInDev}[i%2])
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if err := files.Reload(); err != nil {
		t.Error(err)
	}
	if got := groupsOf(t, files, "user:default/jane"); !slices.Equal(got, []string{"default/dev"}) {
		t.Errorf("at last jane is in %q", got)
	}
}

// An error names every fault of every file.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := catalog.LoadFS(fstest.MapFS{
		"a.yaml": {Data: []byte("kind: User\nmetadata: {name: 7}\nspec:\n  memberOf: [user:x, ok, a/b/c]\n---\nkind: [\n---\nkind: User\nmetadata: {name: jane}\n")},
		"b.yaml": {Data: []byte("kind: Group\nmetadata: {name: g, namespace: ''}\n---\nkind: User\nmetadata: {name: JANE}\n")},
	}, "a.yaml", "gone.yaml", "b.yaml")
	want := []string{
		`a.yaml:2: User: metadata.name: must be a string, not of type int`,
		`a.yaml:4: User: spec.memberOf[0]: "user:x" names a user, a group is expected`,
		`a.yaml:4: User: spec.memberOf[2]: "a/b/c" must be of the form namespace/name`,
		`a.yaml:6: sequence end token ']' not found`,
		`open gone.yaml: file does not exist`,
		`b.yaml:2: Group: metadata.namespace: must not be empty`,
		`b.yaml:4: user:default/jane: is already defined at a.yaml:8`,
	}
	if got := fmt.Sprint(err); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
