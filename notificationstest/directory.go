package notificationstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
)

// Directory is a [notifications.Catalog] in memory, whose users and groups come
// and go while a test runs. The zero Directory is empty and ready for use. It is
// safe for concurrent use and must not be copied.
//
// A name is "jane" or "namespace/jane". A kind before it is dropped, and A to Z
// become small letters: "User:Default/Jane" is "default/jane". White space,
// control characters, another colon and more than 255 bytes are errors.
//
// It is a [notifications.AccountDates] and a [notifications.Sizer] too. A test
// of a catalog that is neither wraps it: struct{ notifications.Catalog }{dir}.
//
// The methods that change it panic when a name is malformed, for then it is the
// test that is wrong.
type Directory struct {
	mu      sync.RWMutex
	users   map[string]account
	members map[string]int // of every group
	failing error
}

// account is a user: since when, and since when in which groups. Zero times are
// unknown. It is never modified.
type account struct {
	since  time.Time
	groups []notifications.Membership // sorted by group, each once
}

var (
	_ notifications.Catalog      = (*Directory)(nil)
	_ notifications.AccountDates = (*Directory)(nil)
	_ notifications.Sizer        = (*Directory)(nil)
)

// SetUser adds a user, if there is none of that name, and puts them into exactly
// these groups, since a time that is not known. Groups that do not exist are
// added.
func (d *Directory) SetUser(user string, groups ...string) {
	in := make([]notifications.Membership, len(groups))
	for i, group := range groups {
		in[i].Group = mustName(notifications.KindGroup, group)
	}
	slices.SortFunc(in, byGroup)
	d.change(user, func(a *account) { a.groups = slices.Compact(in) })
}

// Join puts a user into one more group since a time; the zero time is not known.
// If they are in it already, only the time changes. The user and the group are
// added if they do not exist.
func (d *Directory) Join(user, group string, since time.Time) {
	joined := notifications.Membership{Group: mustName(notifications.KindGroup, group), Since: since}
	d.change(user, func(a *account) {
		i, found := slices.BinarySearchFunc(a.groups, joined, byGroup)
		if a.groups = slices.Clone(a.groups); found {
			a.groups[i] = joined
		} else {
			a.groups = slices.Insert(a.groups, i, joined)
		}
	})
}

// Leave takes a user out of a group.
func (d *Directory) Leave(user, group string) {
	user, group = mustName(notifications.KindUser, user), mustName(notifications.KindGroup, group)
	d.mu.Lock()
	defer d.mu.Unlock()
	if a, known := d.users[user]; known {
		d.put(user, account{a.since, without(a.groups, group)})
	}
}

// SetAccount says since when a user has an account; the zero time is not known.
// The user is added if they do not exist.
func (d *Directory) SetAccount(user string, since time.Time) {
	d.change(user, func(a *account) { a.since = since })
}

// RemoveUser makes a user, and what was known of them, not exist.
func (d *Directory) RemoveUser(user string) {
	user = mustName(notifications.KindUser, user)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(user, account{})
	delete(d.users, user)
}

// AddGroup adds a group without members, if there is none of that name.
func (d *Directory) AddGroup(group string) {
	group = mustName(notifications.KindGroup, group)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count(group, 0)
}

// RemoveGroup makes a group not exist, and its members leave it.
func (d *Directory) RemoveGroup(group string) {
	group = mustName(notifications.KindGroup, group)
	d.mu.Lock()
	defer d.mu.Unlock()
	for user, a := range d.users {
		d.put(user, account{a.since, without(a.groups, group)})
	}
	delete(d.members, group)
}

// Fail makes every question to the directory fail with err, as a catalog that
// is away does. Nil makes it answer again.
func (d *Directory) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = err
}

// Canonical implements [notifications.Catalog].
func (*Directory) Canonical(kind notifications.Kind, name string) (string, error) {
	if kind != notifications.KindUser && kind != notifications.KindGroup {
		return "", fmt.Errorf("there are no names of the kind %q here", kind)
	}
	if !utf8.ValidString(name) {
		return "", errors.New("is not valid UTF-8")
	}
	name = strings.TrimPrefix(lower(name), string(kind)+":")
	namespace, base, slash := strings.Cut(name, "/")
	switch {
	case name == "" || slash && (namespace == "" || base == "") || strings.Contains(base, "/") || strings.Contains(name, ":"):
		return "", errors.New("must be of the form name or namespace/name")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "", errors.New("contains white space or control characters")
	case len(name) > maxNameBytes:
		return "", fmt.Errorf("is longer than %d bytes", maxNameBytes)
	}
	return name, nil
}

const maxNameBytes = 255

// Groups implements [notifications.Catalog]. The groups are sorted.
func (d *Directory) Groups(_ context.Context, user string) ([]notifications.Membership, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.users[user].groups), d.failing
}

// Missing implements [notifications.Catalog].
func (d *Directory) Missing(_ context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var missing []notifications.Ref
	for _, ref := range refs {
		_, known := d.users[ref.Name]
		if ref.Kind == notifications.KindGroup {
			_, known = d.members[ref.Name]
		}
		if !known {
			missing = append(missing, ref)
		}
	}
	return missing, d.failing
}

// AccountSince implements [notifications.AccountDates].
func (d *Directory) AccountSince(_ context.Context, user string) (time.Time, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.users[user].since, d.failing
}

// Size implements [notifications.Sizer]. It reports false for a group that does
// not exist.
func (d *Directory) Size(_ context.Context, group string) (int, bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if group == "" {
		return len(d.users), true, d.failing
	}
	n, known := d.members[group]
	return n, known, d.failing
}

// change changes what is known of a user, who is added if need be.
func (d *Directory) change(user string, do func(*account)) {
	user = mustName(notifications.KindUser, user)
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.users[user]
	do(&a)
	d.put(user, a)
}

// put stores a user and counts the members of the groups.
func (d *Directory) put(user string, a account) {
	if d.users == nil {
		d.users = map[string]account{}
	}
	for _, m := range d.users[user].groups {
		d.count(m.Group, -1)
	}
	for _, m := range a.groups {
		d.count(m.Group, 1)
	}
	d.users[user] = a
}

// count changes the number of a group's members, and adds it if need be.
func (d *Directory) count(group string, by int) {
	if d.members == nil {
		d.members = map[string]int{}
	}
	d.members[group] += by
}

func byGroup(a, b notifications.Membership) int { return cmp.Compare(a.Group, b.Group) }

// without returns the memberships of other groups.
func without(in []notifications.Membership, group string) []notifications.Membership {
	return slices.DeleteFunc(slices.Clone(in), func(m notifications.Membership) bool { return m.Group == group })
}

// mustName is the canonical form of a name a test has written.
func mustName(kind notifications.Kind, name string) string {
	canonical, err := new(Directory).Canonical(kind, name)
	if err != nil {
		panic(fmt.Sprintf("notificationstest: the %s %q %v", kind, name, err))
	}
	return canonical
}

// lower makes small letters of A to Z, and of nothing else: in names "İ" and "i"
// are two letters.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
