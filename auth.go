package notifications

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/strictjson"
)

// Kind tells users, groups and services apart.
type Kind string

// The kinds. Users have inboxes, groups have members, services only post.
const (
	KindUser    Kind = "user"
	KindGroup   Kind = "group"
	KindService Kind = "service"
)

// Ref names a user or a group. It is comparable. If both names are canonical
// (see [Catalog]), two refs are equal only if they name the same user or group.
type Ref struct {
	Kind Kind
	Name string // without the kind
}

// UserRef returns the ref of a user.
func UserRef(name string) Ref { return Ref{KindUser, name} }

// GroupRef returns the ref of a group.
func GroupRef(name string) Ref { return Ref{KindGroup, name} }

// String returns "user:default/jane". Different refs have different strings,
// because no kind contains a colon.
func (r Ref) String() string { return string(r.Kind) + ":" + r.Name }

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// Identity is the caller: a user or a service. Every verb answers the zero
// Identity with [ErrUnauthenticated].
//
// This package trusts an Identity: a [Verifier] or the host's own session must
// have proved it.
type Identity struct {
	// Kind is [KindUser] or [KindService].
	Kind Kind
	// Name is the name of the service, or of the user in any form the [Catalog]
	// accepts ("default/jane", "user:Default/Jane"). It must be valid UTF-8
	// without control characters below U+0020 and at most 255 bytes, not counting a prefix "user:". That is
	// the limit of a token's subject in OpenID Connect Core 1.0, section 2.
	// Verbs answer any other name with [ErrUnauthenticated].
	Name string
	// Guest marks an identity that nobody has proved. [Authenticated] denies it
	// everything.
	Guest bool
}

// User returns the identity of a user. The name may have any form the [Catalog]
// accepts.
func User(name string) Identity { return Identity{Kind: KindUser, Name: name} }

// ServiceAccount returns the identity of a service. It may post, and has no
// inbox.
func ServiceAccount(name string) Identity { return Identity{Kind: KindService, Name: name} }

// IsZero reports whether the Identity is empty.
func (who Identity) IsZero() bool { return who == Identity{} }

// valid reports whether the Identity is a user or a service with a name that
// can be stored.
func (who Identity) valid() bool {
	limit := maxRefBytes
	if who.Kind == KindUser {
		limit += len(KindUser) + 1
	}
	return (who.Kind == KindUser || who.Kind == KindService) &&
		who.Name != "" && len(who.Name) <= limit && utf8.ValidString(who.Name) && !strings.ContainsFunc(who.Name, strictjson.IsControl)
}

// String returns "user:default/jane" or "service:ci", and "nobody" for the zero
// Identity.
func (who Identity) String() string {
	if who.IsZero() {
		return "nobody"
	}
	return string(who.Kind) + ":" + who.Name
}

// Verifier turns a bearer token (without the word Bearer) or a shared secret
// into an Identity. It returns [ErrUnauthenticated] for an invalid one, and
// [ErrUnavailable] if it cannot decide, for instance because it cannot fetch
// keys. It must be safe for concurrent use. Package auth has implementations.
type Verifier interface {
	Verify(ctx context.Context, token string) (Identity, error)
}
