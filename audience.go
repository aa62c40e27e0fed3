package notifications

import (
	"slices"
	"strings"
)

// Audience says whom a notification is for: users, groups, or everybody. It is
// a set: order and repetition do not matter. The zero Audience is empty, and a
// post to it is invalid. An Audience never changes and is safe for concurrent
// use.
type Audience struct {
	refs     []Ref
	everyone bool
}

// Users returns an audience of the named users, in any form the [Catalog]
// accepts.
func Users(names ...string) Audience { return Audience{refs: refsOf(KindUser, names)} }

// Groups returns an audience of the members of the named groups, as they are
// when they read. The names may have any form the [Catalog] accepts.
func Groups(names ...string) Audience { return Audience{refs: refsOf(KindGroup, names)} }

// Everyone returns the audience of all users, present and future. A post to it
// is a system notification.
func Everyone() Audience { return Audience{everyone: true} }

func refsOf(kind Kind, names []string) []Ref {
	refs := make([]Ref, len(names))
	for i, name := range names {
		refs[i] = Ref{kind, name}
	}
	return refs
}

// And returns the union of two audiences.
func (a Audience) And(b Audience) Audience {
	return Audience{refs: slices.Concat(a.refs, b.refs), everyone: a.everyone || b.everyone}
}

// Refs returns the users and groups as the caller named them, in that order. An
// error about Draft.To[2] concerns the third.
func (a Audience) Refs() []Ref { return slices.Clone(a.refs) }

// IsEveryone reports whether the audience includes everybody.
func (a Audience) IsEveryone() bool { return a.everyone }

// Equal reports whether two audiences hold the same names, byte for byte. It
// does not ask the catalog whether two names mean one user.
func (a Audience) Equal(b Audience) bool {
	return a.everyone == b.everyone && slices.Equal(a.sorted(), b.sorted())
}

// String returns "user:jane group:ops everyone", sorted, and "nobody" for the
// zero Audience.
func (a Audience) String() string {
	var names []string
	for _, ref := range a.sorted() {
		names = append(names, ref.String())
	}
	if a.everyone {
		names = append(names, "everyone")
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " ")
}

func (a Audience) sorted() []Ref {
	return slices.Compact(slices.SortedFunc(slices.Values(a.refs), compareRefs))
}
