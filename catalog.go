package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Catalog knows users and groups: what their names are, which of them exist,
// and who is in which group. Package catalog has ready ones; package
// catalog/catalogtest checks a host's own. It must be safe for concurrent use.
//
// Names come and go without a kind before them: it is the Service that keeps
// users, groups and everybody apart. In a Service bound to a transaction,
// [TxFrom] and [SQLTxFrom] find that transaction in ctx, so that a catalog over
// the host's own tables reads what the host has just written, on the
// connection the host already has.
type Catalog interface {
	// Canonical returns the one form of a name, which is what is stored and
	// compared, byte for byte: "default/jane" for "User:Default/Jane". It is
	// idempotent. Its error tells the writer of the name what is wrong with
	// its form. It does no I/O and does not say whether the name exists. The
	// result is 1 to 255 bytes of valid UTF-8 without NUL.
	Canonical(kind Kind, name string) (string, error)

	// Groups returns the groups the user is in now, none for a user who does
	// not exist. The name is canonical, and so are the names it returns. It is
	// asked on every read.
	Groups(ctx context.Context, user string) ([]Membership, error)

	// Missing returns those of the canonical refs that do not exist.
	Missing(ctx context.Context, refs []Ref) ([]Ref, error)
}

// Membership is one group a user is in.
type Membership struct {
	// Group is the canonical name of the group.
	Group string
	// Since is when the user joined, in any location; zero if the catalog does
	// not know.
	Since time.Time
}

// AccountDates is what a [Catalog] may implement too, for Config.SystemHistory.
type AccountDates interface {
	// AccountSince returns when the account of the user, a canonical name, was
	// made; the zero time if that is not known.
	AccountSince(ctx context.Context, user string) (time.Time, error)
}

// Sizer is what a [Catalog] may implement too, for [Service.Reach].
type Sizer interface {
	// Size returns how many users are in the group now, a canonical name, or
	// how many there are for the empty name. It reports false if that is not
	// known.
	Size(ctx context.Context, group string) (int, bool, error)
}

// canonical returns a ref in canonical form, or an error fit for the writer of
// the name.
func (s *Service) canonical(kind Kind, name string) (Ref, error) {
	if err := checkName(name); err != nil {
		return Ref{}, err
	}
	canon, err := s.catalog.Canonical(kind, name)
	if err != nil {
		return Ref{}, err
	}
	if err := checkName(canon); err != nil {
		return Ref{}, err
	}
	if len(canon) > maxRefBytes {
		return Ref{}, fmt.Errorf("is longer than %d bytes", maxRefBytes)
	}
	return Ref{kind, canon}, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case strings.ContainsRune(name, 0):
		return errors.New("contains the NUL character")
	}
	return nil
}

// missing returns those of the refs that do not exist.
func (s *Service) missing(ctx context.Context, refs []Ref) ([]Ref, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	missing, err := s.catalog.Missing(ctx, refs)
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	return missing, nil
}

// exists reports whether the catalog knows the user or group.
func (s *Service) exists(ctx context.Context, ref Ref) (bool, error) {
	missing, err := s.missing(ctx, []Ref{ref})
	return !slices.Contains(missing, ref), err
}

// SameUser reports whether name, in any form the catalog accepts, names who.
// It is false for services and for names the catalog cannot read.
func (s *Service) SameUser(who Identity, name string) bool {
	if who.Kind != KindUser {
		return false
	}
	mine, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return false
	}
	other, err := s.canonical(KindUser, name)
	return err == nil && mine == other
}

// nameOf is an identity as it is stored: users in canonical form.
func (s *Service) nameOf(who Identity) string {
	if who.Kind == KindUser {
		if ref, err := s.canonical(KindUser, who.Name); err == nil {
			return ref.String()
		}
	}
	return who.String()
}
