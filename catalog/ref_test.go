package catalog_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

const (
	user    = notifications.KindUser
	group   = notifications.KindGroup
	service = notifications.KindService
)

func TestFilesCanonical(t *testing.T) {
	t.Parallel()
	const form = "must be of the form namespace/name"
	const blank = "contains white space or control characters"
	long := strings.Repeat("n", 255-len("default/"))
	tests := []struct {
		kind      notifications.Kind
		ref, want string
		wrong     string // the error, if there is one
	}{
		{kind: user, ref: "default/guest", want: "default/guest"},
		{kind: user, ref: "user:default/guest", want: "default/guest"},
		{kind: user, ref: "USER:Default/GUEST", want: "default/guest"},
		{kind: group, ref: "Group:default/Ops", want: "default/ops"},
		{kind: group, ref: "default/user", want: "default/user"},
		{kind: user, ref: "user/group", want: "user/group"},
		{kind: user, ref: "default/jane.doe_1-2@example.com", want: "default/jane.doe_1-2@example.com"},
		{kind: user, ref: "default/KIM", want: "default/kim"},
		{kind: user, ref: "default/k\u0131m", want: "default/k\u0131m"}, // dotless i: not kim
		{kind: user, ref: "default/K\u0130M", want: "default/k\u0130m"}, // dotted I: not kim
		{kind: user, ref: "default/\u212aim", want: "default/\u212aim"}, // the Kelvin sign: not kim
		{kind: user, ref: "default/É", want: "default/É"},
		{kind: user, ref: "default/E\u0301", want: "default/e\u0301"},
		{kind: user, ref: "DEFAULT/ΟΔΥΣΣΕΥΣ", want: "default/ΟΔΥΣΣΕΥΣ"},
		{kind: user, ref: "default/οδυσσευς", want: "default/οδυσσευς"},
		{kind: user, ref: "default/straße", want: "default/straße"},
		{kind: user, ref: "default/" + long, want: "default/" + long},
		{kind: user, ref: "USER:default/" + long, want: "default/" + long},

		{kind: user, ref: "", wrong: form},
		{kind: user, ref: "guest", wrong: form},
		{kind: user, ref: "user:guest", wrong: form},
		{kind: user, ref: "/", wrong: form},
		{kind: user, ref: "/guest", wrong: form},
		{kind: user, ref: "default/", wrong: form},
		{kind: user, ref: "user:/guest", wrong: form},
		{kind: user, ref: "user:default/", wrong: form},
		{kind: user, ref: "default/a/b", wrong: form},
		{kind: user, ref: "default/a:b", wrong: form},
		{kind: user, ref: ":default/guest", wrong: form},
		{kind: user, ref: "user:user:default/guest", wrong: form},
		{kind: user, ref: "user:default/guest:x", wrong: form},
		{kind: user, ref: "user:de:fault/guest", wrong: form},
		{kind: user, ref: "group:default/ops", wrong: "names a group, a user is expected"},
		{kind: group, ref: "User:default/guest", wrong: "names a user, a group is expected"},
		{kind: group, ref: "component:default/site", wrong: "names an entity of another kind, a group is expected"},
		{kind: user, ref: " default/guest", wrong: blank},
		{kind: user, ref: "default/guest\n", wrong: blank},
		{kind: user, ref: "default/gu est", wrong: blank},
		{kind: user, ref: "default/gu\u00a0est", wrong: blank},
		{kind: user, ref: "default/gu\u2003est", wrong: blank},
		{kind: user, ref: "default/gu\x00est", wrong: blank},
		{kind: user, ref: "default/gu\x7fest", wrong: blank},
		{kind: user, ref: "default/\xff", wrong: "is not valid UTF-8"},
		{kind: user, ref: "default/" + long + "n", wrong: "is longer than 255 bytes"},
		{kind: service, ref: "default/ci", wrong: `a catalog has no entities of the kind "service"`},
		{kind: "", ref: ":default/ci", wrong: `a catalog has no entities of the kind ""`},
	}
	var files catalog.Files // Canonical needs no files
	for _, tt := range tests {
		t.Run(string(tt.kind)+" "+tt.ref, func(t *testing.T) {
			t.Parallel()
			got, err := files.Canonical(tt.kind, tt.ref)
			checkCanonical(t, got, err, tt.want, tt.wrong)
			if err != nil {
				return
			}
			if again, err := files.Canonical(tt.kind, got); again != got || err != nil {
				t.Errorf("Canonical(%q) = %q, %v, want it unchanged", got, again, err)
			}
		})
	}
}

func TestOpenCanonical(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 255)
	tests := []struct {
		kind     notifications.Kind
		id, want string
		wrong    string
	}{
		{kind: user, id: "42", want: "42"},
		{kind: user, id: "Jane", want: "Jane"},
		{kind: user, id: "users:42", want: "users:42"},
		{kind: group, id: "a/b/c", want: "a/b/c"},
		{kind: group, id: " Night shift\n", want: " Night shift\n"},
		{kind: user, id: "E\u0301", want: "E\u0301"},
		{kind: user, id: long, want: long},

		{kind: user, id: "", wrong: "must not be empty"},
		{kind: user, id: long + "n", wrong: "is longer than 255 bytes"},
		{kind: user, id: "a\x00b", wrong: "contains the NUL character"},
		{kind: user, id: "a\xff", wrong: "is not valid UTF-8"},
		{kind: user, id: "user:42", wrong: `must be an id without "user:" before it`},
		{kind: group, id: "user:42", wrong: `must be an id without "user:" before it`},
		{kind: user, id: "service:ci", wrong: `must be an id without "service:" before it`},
		{kind: service, id: "ci", wrong: `a catalog has no entities of the kind "service"`},
	}
	open := catalog.Open(nil)
	for _, tt := range tests {
		t.Run(string(tt.kind)+" "+tt.id, func(t *testing.T) {
			t.Parallel()
			got, err := open.Canonical(tt.kind, tt.id)
			checkCanonical(t, got, err, tt.want, tt.wrong)
		})
	}
}

func checkCanonical(t *testing.T, got string, err error, want, wrong string) {
	t.Helper()
	switch {
	case wrong != "":
		if err == nil || err.Error() != wrong || got != "" {
			t.Errorf("got %q, %v; want the error %q", got, err, wrong)
		}
	case err != nil || got != want:
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, ref := range []string{
		"default/guest", "user:Default/É", "group:default/ops", "guest", ":/", "a:b/c:d", "default/\u212a",
		"default/a\u0345\u0308", "\u017fser:x/y", "default/\xff", "default/" + strings.Repeat("\u0345", 130),
	} {
		f.Add(ref)
	}
	var files catalog.Files
	open := catalog.Open(nil)
	f.Fuzz(func(t *testing.T, ref string) {
		for _, kind := range []notifications.Kind{user, group} {
			canon, err := files.Canonical(kind, ref)
			checkForm(t, ref, canon, err)
			if err == nil {
				if again, err := files.Canonical(kind, canon); again != canon || err != nil {
					t.Errorf("%q became %q, and that %q, %v", ref, canon, again, err)
				}
				if strings.Count(canon, "/") != 1 || strings.Contains(canon, ":") {
					t.Errorf("%q became %q", ref, canon)
				}
			}
			canon, err = open.Canonical(kind, ref)
			checkForm(t, ref, canon, err)
			if err == nil && canon != ref {
				t.Errorf("open: %q became %q", ref, canon)
			}
		}
	})
}

// checkForm checks the form that every catalog promises for its canonical
// names.
func checkForm(t *testing.T, ref, canon string, err error) {
	t.Helper()
	if err != nil {
		if canon != "" || !utf8.ValidString(err.Error()) || len(err.Error()) > 200 {
			t.Errorf("%q: %q, %q", ref, canon, err)
		}
		return
	}
	if canon == "" || len(canon) > 255 || !utf8.ValidString(canon) || strings.Contains(canon, "\x00") {
		t.Errorf("%q became %q", ref, canon)
	}
}
