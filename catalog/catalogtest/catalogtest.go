// Package catalogtest checks that a host's own [notifications.Catalog] does what
// a Service relies on.
//
//	func TestCatalog(t *testing.T) {
//		catalogtest.Run(t, host.NewCatalog(db), catalogtest.Sample{
//			Users: []string{"jane", "john"}, Groups: []string{"ops"},
//			NoUsers: []string{"nobody", "ops"}, NoGroups: []string{"none", "jane"},
//			Members: map[string][]string{"jane": {"ops"}, "john": nil},
//		})
//	}
package catalogtest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
	"gorm.io/gorm"
)

// Sample is some of what the catalog knows. All names are in any form it
// accepts; each names another user or group than those before it. What is not
// given is not checked.
type Sample struct {
	// Users and Groups exist. At least one user is required.
	Users, Groups []string
	// NoUsers and NoGroups are good names of which no user, or no group,
	// exists. The name of a group is a good one for a user that does not exist,
	// and the other way round: it shows that the catalog tells them apart.
	NoUsers, NoGroups []string
	// Members are all the groups of some of the users.
	Members map[string][]string

	// DB is the database that Config.DB of the Service will be, and AddUser
	// adds a user to it, in the transaction that [notifications.TxFrom] or
	// [notifications.SQLTxFrom] finds in ctx, and returns a name of them. With
	// both, it is checked that the catalog reads in the transaction of a bound
	// Service. It is rolled back.
	DB      *gorm.DB
	AddUser func(ctx context.Context) (user string, err error)
}

// Run reports everything that is wrong with the catalog, as far as the samples
// show it. Without a sample it checks names alone: their canonical form, and
// names that callers may send. It changes nothing. With the race detector it
// finds more.
func Run(t testing.TB, cat notifications.Catalog, samples ...Sample) {
	t.Helper()
	if len(samples) == 0 {
		(&run{TB: t, cat: cat}).strange(Sample{})
	}
	for _, sample := range samples {
		check(t, cat, sample)
	}
}

func check(t testing.TB, cat notifications.Catalog, sample Sample) {
	t.Helper()
	if len(sample.Users) == 0 {
		t.Fatal("catalogtest: the Sample has no Users")
		return
	}
	r := &run{TB: t, cat: cat}
	r.users, r.groups = r.names(notifications.KindUser, sample.Users), r.names(notifications.KindGroup, sample.Groups)
	r.noUsers, r.noGroups = r.names(notifications.KindUser, sample.NoUsers), r.names(notifications.KindGroup, sample.NoGroups)
	r.strange(sample)
	ctx := t.Context()
	r.missing(ctx)
	r.memberships(ctx, sample.Members)
	r.answers(ctx)
	r.sizes(ctx, sample.Members)
	if sample.DB != nil && sample.AddUser != nil {
		r.transaction(ctx, sample)
	}
}

// run is a catalog that is checked, and canonical names of the sample.
type run struct {
	testing.TB
	cat                              notifications.Catalog
	users, groups, noUsers, noGroups []notifications.Ref
}

// refs returns the canonical refs of names of the sample.
func (r *run) refs(kind notifications.Kind, names []string) (refs []notifications.Ref) {
	r.Helper()
	for _, name := range names {
		canonical, err := r.cat.Canonical(kind, name)
		if err != nil {
			r.Errorf("Canonical(%s, %q): %v; it is a name of the sample", kind, name, err)
			continue
		}
		refs = append(refs, notifications.Ref{Kind: kind, Name: canonical})
	}
	return refs
}

// names is refs, and checks the names.
func (r *run) names(kind notifications.Kind, names []string) []notifications.Ref {
	r.Helper()
	refs := r.refs(kind, names)
	if len(refs) < len(names) {
		return refs // which was reported
	}
	for i, ref := range refs {
		if slices.Contains(refs[:i], ref) {
			r.Errorf("Canonical(%s, %q) is %q, as for another %s of the sample", kind, names[i], ref.Name, kind)
		}
		r.canonical(kind, names[i], ref.Name)
		r.prefixed(kind, names[i], ref.Name)
		r.lookalikes(kind, names[i], ref.Name)
	}
	return refs
}

// canonical checks the canonical form of a name.
func (r *run) canonical(kind notifications.Kind, name, canonical string) {
	r.Helper()
	const maxBytes = 255
	switch {
	case canonical == "":
		r.Errorf("Canonical(%s, %q) is empty, and no error", kind, name)
	case len(canonical) > maxBytes:
		r.Errorf("Canonical(%s, %.40q…) has %d bytes, the limit is %d", kind, name, len(canonical), maxBytes)
	case !utf8.ValidString(canonical):
		r.Errorf("Canonical(%s, %q) is %q, which is not valid UTF-8", kind, name, canonical)
	case strings.ContainsRune(canonical, 0):
		r.Errorf("Canonical(%s, %q) is %q, which has a NUL character", kind, name, canonical)
	case strings.HasPrefix(canonical, string(kind)+":"):
		r.Errorf("Canonical(%s, %q) is %q, and must be without the kind", kind, name, canonical)
	}
	if again, err := r.cat.Canonical(kind, canonical); err != nil || again != canonical {
		r.Errorf("Canonical(%s, %q) is %q, and of that it is %q, %v; it must be idempotent", kind, name, canonical, again, err)
	}
}

// prefixed checks names with a kind before them: one with the kind that is asked
// for may stand for the name without it; one with another kind may not.
func (r *run) prefixed(kind notifications.Kind, name, canonical string) {
	r.Helper()
	for _, prefix := range []notifications.Kind{notifications.KindUser, notifications.KindGroup, notifications.KindService} {
		if strings.HasPrefix(name, string(prefix)+":") {
			return
		}
	}
	for _, prefix := range []notifications.Kind{notifications.KindUser, notifications.KindGroup, notifications.KindService} {
		full := string(prefix) + ":" + name
		got, err := r.cat.Canonical(kind, full)
		switch {
		case err != nil:
		case prefix == kind && got != canonical:
			r.Errorf("Canonical(%s, %q) is %q, and %q without the kind; it must be the same, or an error", kind, full, got, canonical)
		case prefix != kind && got == canonical:
			r.Errorf("Canonical(%s, %q) is %q: a %s is taken for a %s", kind, full, got, prefix, kind)
		}
	}
}

// lookalikes checks that a name with other letters is another name, or refused.
// Unicode's case mappings make an ASCII letter of these, so a token with such a
// name would open the inbox of another user.
func (r *run) lookalikes(kind notifications.Kind, name, canonical string) {
	r.Helper()
	for ascii, other := range map[string]string{"k": "\u212a", "s": "\u017f", "i": "\u0131", "I": "\u0130"} {
		for _, letter := range []string{ascii, strings.ToUpper(ascii), strings.ToLower(ascii)} {
			alike := strings.ReplaceAll(name, letter, other)
			if got, err := r.cat.Canonical(kind, alike); alike != name && err == nil && got == canonical {
				r.Errorf("Canonical(%s, %q) is %q, as for %q; fold no letters but A to Z", kind, alike, got, name)
			}
		}
	}
}

// strange checks names that callers may send. Each may be an error.
func (r *run) strange(sample Sample) {
	r.Helper()
	long := strings.Repeat("x", 256)
	names := []string{
		"", " ", "system", "SYSTEM", "user:", "group:", "user:system", "*", "/", ":", "a:b", "a/b/c", "a\x00b", "\xff", "é", "e\u0301", "İ", "\u202e",
		"'; --", "%", "_", long, "default/" + long, strings.Repeat("é/", 1<<15),
	}
	for _, name := range slices.Concat(sample.Users, sample.Groups) {
		names = append(names, strings.ToUpper(name), strings.ToLower(name), " "+name, name+" ", name+"\x00", name+"\xff", name+long)
	}
	for _, kind := range []notifications.Kind{notifications.KindUser, notifications.KindGroup} {
		for _, name := range names {
			if canonical, err := r.cat.Canonical(kind, name); err == nil {
				r.canonical(kind, name, canonical)
			}
		}
	}
}

// missing checks that Missing returns those that do not exist and no others.
func (r *run) missing(ctx context.Context) {
	r.Helper()
	there, gone := slices.Concat(r.users, r.groups), slices.Concat(r.noUsers, r.noGroups)
	r.wantMissing(ctx, nil, nil)
	r.wantMissing(ctx, there, nil)
	r.wantMissing(ctx, gone, gone)
	r.wantMissing(ctx, slices.Concat(gone, there), gone)
	for _, ref := range there {
		r.wantMissing(ctx, []notifications.Ref{ref}, nil)
	}
	for _, ref := range gone {
		r.wantMissing(ctx, []notifications.Ref{ref}, []notifications.Ref{ref})
	}
}

func (r *run) wantMissing(ctx context.Context, refs, want []notifications.Ref) {
	r.Helper()
	got, err := r.cat.Missing(ctx, slices.Clone(refs))
	if err != nil {
		r.Errorf("Missing(%v): %v", refs, err)
	} else if !sameSet(got, want) {
		r.Errorf("Missing(%v) is %v, want %v", refs, got, want)
	}
}

func sameSet(a, b []notifications.Ref) bool {
	outside := func(list []notifications.Ref) func(notifications.Ref) bool {
		return func(ref notifications.Ref) bool { return !slices.Contains(list, ref) }
	}
	return !slices.ContainsFunc(a, outside(b)) && !slices.ContainsFunc(b, outside(a))
}

// memberships checks the answers of Groups.
func (r *run) memberships(ctx context.Context, members map[string][]string) {
	r.Helper()
	for _, user := range r.users {
		for _, group := range r.groupsOf(ctx, user) {
			if canonical, err := r.cat.Canonical(notifications.KindGroup, group.Name); err != nil || canonical != group.Name {
				r.Errorf("Groups(%q) has %q, of which the canonical form is %q, %v", user.Name, group.Name, canonical, err)
				continue
			}
			r.canonical(notifications.KindGroup, group.Name, group.Name)
			r.wantMissing(ctx, []notifications.Ref{group}, nil)
		}
	}
	for _, user := range r.noUsers {
		if in := r.groupsOf(ctx, user); len(in) > 0 {
			r.Errorf("Groups(%q) is %v, of a user who does not exist", user.Name, in)
		}
	}
	for name, groups := range members {
		for _, user := range r.refs(notifications.KindUser, []string{name}) {
			want := r.refs(notifications.KindGroup, groups)
			if got := r.groupsOf(ctx, user); !sameSet(got, want) {
				r.Errorf("Groups(%q) is %v, want %v", user.Name, got, want)
			}
		}
	}
}

// groupsOf returns the groups of a user; it is answers that reports an error.
func (r *run) groupsOf(ctx context.Context, user notifications.Ref) (groups []notifications.Ref) {
	r.Helper()
	in, _ := r.cat.Groups(ctx, user.Name)
	for _, m := range in {
		groups = append(groups, notifications.GroupRef(m.Group))
	}
	return groups
}
