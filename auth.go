package notifications

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"
)

// Kind says what a name belongs to.
type Kind string

// The kinds. Users read, groups are read for, services post.
const (
	KindUser    Kind = "user"
	KindGroup   Kind = "group"
	KindService Kind = "service"
)

// Ref names a user or a group. It is comparable. In the form a [Catalog]
// calls canonical, two refs are equal if and only if they name the same.
type Ref struct {
	Kind Kind
	Name string // without the kind
}

// UserRef is the ref of a user.
func UserRef(name string) Ref { return Ref{KindUser, name} }

// GroupRef is the ref of a group.
func GroupRef(name string) Ref { return Ref{KindGroup, name} }

// String returns "user:default/jane". No two refs have the same string, for no
// kind has a colon.
func (r Ref) String() string { return string(r.Kind) + ":" + r.Name }

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// Identity is who asks: a user or a service. The zero Identity is nobody, and
// every verb answers it with [ErrUnauthenticated].
//
// An Identity is a statement of fact by its maker, a [Verifier] or the host's
// own session. This package does not check it again.
type Identity struct {
	// Kind is [KindUser] or [KindService].
	Kind Kind
	// Name is, for a user, a name in any form the [Catalog] accepts
	// ("default/jane", "user:Default/Jane"); for a service, its name. It must
	// be valid UTF-8 without NUL and, without a prefix "user:", at most 255
	// bytes long, as long as the subject of a token may be (OpenID Connect
	// Core 1.0, section 2); otherwise it is [ErrUnauthenticated].
	Name string
	// Guest marks an identity without a proof. See [Authenticated].
	Guest bool
}

// User is the identity of a user, in any form the [Catalog] accepts.
func User(name string) Identity { return Identity{Kind: KindUser, Name: name} }

// ServiceAccount is the identity of a service: it may post, and has no inbox.
func ServiceAccount(name string) Identity { return Identity{Kind: KindService, Name: name} }

// IsZero reports whether who is nobody.
func (who Identity) IsZero() bool { return who == Identity{} }

// valid reports whether who is somebody, and can be stored.
func (who Identity) valid() bool {
	limit := maxRefBytes
	if who.Kind == KindUser {
		limit += len(KindUser) + 1
	}
	return (who.Kind == KindUser || who.Kind == KindService) &&
		who.Name != "" && len(who.Name) <= limit && utf8.ValidString(who.Name) && !strings.ContainsRune(who.Name, 0)
}

// String returns "user:default/jane" or "service:ci"; "nobody" for the zero
// Identity.
func (who Identity) String() string {
	if who.IsZero() {
		return "nobody"
	}
	return string(who.Kind) + ":" + who.Name
}

// Verifier turns a bearer token (without the word Bearer), or a shared secret,
// into an Identity. It answers [ErrUnauthenticated] for one that does not hold,
// and [ErrUnavailable] when it cannot tell, for instance because keys cannot be
// fetched. It must be safe for concurrent use. Package auth has ready ones.
type Verifier interface {
	Verify(ctx context.Context, token string) (Identity, error)
}
