package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/strictjson"
)

// Catalog knows users and groups: their names, whether they exist, and who is
// in which group. Package catalog has two implementations; package
// catalog/catalogtest tests a host's own. A Catalog must be safe for concurrent
// use.
//
// Names have no kind before them: the Service adds it, so that a user and a
// group of one name stay apart. In a Service bound to a transaction, [TxFrom]
// and [SQLTxFrom] find that transaction in ctx. A catalog over the host's own
// tables can then read uncommitted rows, without taking a second connection.
type Catalog interface {
	// Canonical returns the form of a name in which it is stored and compared,
	// byte for byte: "default/jane" for "User:Default/Jane". It is idempotent,
	// does no I/O, and does not say whether the name exists. The result is 1 to
	// 255 bytes of valid UTF-8 without control characters below U+0020. The error says what is wrong with
	// the form of the name; the caller who wrote the name will read it.
	Canonical(kind Kind, name string) (string, error)

	// Groups returns the groups that the user is in now, and none if the user
	// does not exist. The argument is a canonical name, and so are the results.
	// Every read of an inbox calls it.
	Groups(ctx context.Context, user string) ([]Membership, error)

	// Missing returns the refs that do not exist. The names are canonical.
	Missing(ctx context.Context, refs []Ref) ([]Ref, error)
}

// Membership is one group a user is in.
type Membership struct {
	// Group is the canonical name of the group.
	Group string
	// Since is when the user joined, in any time zone. Zero means unknown.
	Since time.Time
}

// AccountDates is an optional interface of a [Catalog], for
// Config.SystemHistory.
type AccountDates interface {
	// AccountSince returns when the user's account was made; zero means
	// unknown. The name is canonical.
	AccountSince(ctx context.Context, user string) (time.Time, error)
}

// Sizer is an optional interface of a [Catalog], for [Service.Reach].
type Sizer interface {
	// Size returns how many users are in the group now, and false if that is
	// unknown. The name is canonical. The empty name asks for the number of all
	// users.
	Size(ctx context.Context, group string) (int, bool, error)
}

// canonical returns a ref in canonical form. Its error is for the caller who
// wrote the name.
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
	case len(name) > maxNameBytes:
		return fmt.Errorf("is longer than %d bytes", maxRefBytes)
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8")
	case strings.ContainsFunc(name, strictjson.IsControl):
		return errors.New(strictjson.HasControl)
	}
	return nil
}

// missing returns the refs that do not exist.
func (s *Service) missing(ctx context.Context, refs []Ref) ([]Ref, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	missing, err := s.catalog.Missing(ctx, refs)
	if err != nil {
		return nil, s.away("catalog", err)
	}
	return missing, nil
}

// exists reports whether the catalog knows the user or group.
func (s *Service) exists(ctx context.Context, ref Ref) (bool, error) {
	missing, err := s.missing(ctx, []Ref{ref})
	return !slices.Contains(missing, ref), err
}

// SameUser reports whether the caller is a user and name, in any form the
// catalog accepts, is theirs. It is false if the catalog refuses the name.
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

// nameOf returns an identity as it is stored: a user in canonical form.
func (s *Service) nameOf(who Identity) string {
	if who.Kind == KindUser {
		if ref, err := s.canonical(KindUser, who.Name); err == nil {
			return ref.String()
		}
	}
	return who.String()
}
