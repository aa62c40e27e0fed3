package notifications

import (
	"context"
	"time"
)

// Catalog knows users and groups: what their names are, which of them exist,
// and who belongs where. The subpackage catalog has two ready ones. It must be
// safe for concurrent use.
//
// A canonical ref is the kind, a colon and the name: "user:default/jane",
// "group:default/ops". It is what is stored and compared, byte for byte.
type Catalog interface {
	// Canonical returns the one form of a ref, or an error whose text is
	// fit for the caller who wrote the ref: it is wrong in form, or of
	// another kind. It does no I/O, and does not say whether the ref exists.
	// The result is at most 255 bytes long after the kind.
	Canonical(kind Kind, ref string) (string, error)

	// Groups returns the groups the user, a canonical ref, is in now. A user
	// who does not exist is in none. It is asked on every read.
	Groups(ctx context.Context, user string) ([]Membership, error)

	// Missing returns those of the canonical refs that do not exist.
	Missing(ctx context.Context, refs []string) ([]string, error)
}

// Membership is one group a user is in.
type Membership struct {
	// Group is the canonical ref of the group.
	Group string
	// Since is when the user joined, in any location; zero where the catalog
	// does not know.
	Since time.Time
}

// AccountDates is what a [Catalog] may implement too, for Config.SystemHistory.
type AccountDates interface {
	// AccountSince returns since when there is an account of the user, a
	// canonical ref; the zero time where that is not known.
	AccountSince(ctx context.Context, user string) (time.Time, error)
}

// Sizer is what a [Catalog] may implement too, for [Service.Reach].
type Sizer interface {
	// Size returns how many users are in the group now, a canonical ref, or
	// how many there are for the empty ref. It reports false where that is
	// not known.
	Size(ctx context.Context, group string) (int, bool, error)
}
