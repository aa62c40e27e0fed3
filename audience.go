package notifications

import (
	"slices"
	"strings"
)

// Audience says whom a notification is for: users, groups, or everybody. The
// zero Audience is nobody, and posting to it is an error. It is a set: order
// and repetition change nothing. It must not be modified while in use.
type Audience struct {
	refs     []Ref
	everyone bool
}

// Users is an audience of the named users.
func Users(names ...string) Audience { return Audience{refs: refsOf(KindUser, names)} }

// Groups is an audience of those who are members of the named groups at the
// time they read.
func Groups(names ...string) Audience { return Audience{refs: refsOf(KindGroup, names)} }

// Everyone is an audience of every user, now and later: the notification is a
// system notification.
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

// Refs returns the users and groups as they were named, in their order. An
// error about Draft.To[2] is about the third of them.
func (a Audience) Refs() []Ref { return slices.Clone(a.refs) }

// IsEveryone reports whether everybody is in the audience.
func (a Audience) IsEveryone() bool { return a.everyone }

// Equal reports whether two audiences name the same, byte for byte. It does
// not know that two names may stand for one user.
func (a Audience) Equal(b Audience) bool {
	return a.everyone == b.everyone && slices.Equal(a.sorted(), b.sorted())
}

// String returns "user:jane group:ops everyone", sorted; "nobody" for the zero
// Audience.
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
