package notifications

import (
	"context"
	"strings"
	"unicode/utf8"
)

// Kind says what sort of thing a name belongs to.
type Kind string

// The kinds. Users read, groups are read for, services post.
const (
	KindUser    Kind = "user"
	KindGroup   Kind = "group"
	KindService Kind = "service"
)

// kindOf is the kind of a canonical ref.
func kindOf(ref string) Kind {
	kind, _, _ := strings.Cut(ref, ":")
	return Kind(kind)
}

// Identity is who asks: a user or a service. The zero Identity is nobody, and
// every verb answers it with [ErrUnauthenticated].
//
// An Identity is a statement of fact by whoever made it: a [Verifier], or the
// host's own session. This package does not check it again.
type Identity struct {
	// Kind is [KindUser] or [KindService].
	Kind Kind
	// Name is, for a user, a ref in any form the [Catalog] accepts
	// ("default/jane", "user:Default/Jane"); for a service, its name. It must
	// be valid UTF-8 without NUL and, without a prefix "user:", at most 255
	// bytes long, as long as the subject of a token may be (OpenID Connect
	// Core 1.0, section 2); otherwise it is [ErrUnauthenticated].
	Name string
	// Guest marks an identity nobody proved: whoever reached the server. See
	// [Authenticated].
	Guest bool
}

// User is the identity of a user, ref being any form the [Catalog] accepts.
func User(ref string) Identity { return Identity{Kind: KindUser, Name: ref} }

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

// Verifier turns a bearer token (without the word Bearer) into an Identity.
// It answers [ErrUnauthenticated] for a token that does not hold, and
// [ErrUnavailable] when it cannot tell, for instance because the keys cannot
// be fetched. It must be safe for concurrent use.
type Verifier interface {
	Verify(ctx context.Context, token string) (Identity, error)
}
