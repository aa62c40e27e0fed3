package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
)

// Open returns the catalog in which every user and every group exists. It is
// for hosts that have users of their own, and have looked up each name before
// they call the Service.
//
// Names are the host's ids. They are compared byte for byte and need no "/". An
// id is 1 to 255 bytes of valid UTF-8 without NUL. An id with a kind and a
// colon before it, such as "user:42", is an error, because it would be another
// user than "42". The catalog knows no sizes: it is not a
// [notifications.Sizer].
//
// groups returns the ids of the groups that the user is in now, in any order.
// It is called on every read, and must be safe for concurrent use. Open returns
// its errors unchanged, ignores invalid ids, and does not modify its result.
// Nil means that groups have no members.
func Open(groups func(ctx context.Context, user string) ([]string, error)) notifications.Catalog {
	return open{groups}
}

type open struct {
	groups func(ctx context.Context, user string) ([]string, error)
}

// Canonical returns a valid id as it is.
func (open) Canonical(kind notifications.Kind, id string) (string, error) {
	if err := checkKind(kind); err != nil {
		return "", err
	}
	switch {
	case id == "":
		return "", errors.New("must not be empty")
	case len(id) > maxNameBytes:
		return "", errTooLong
	case !utf8.ValidString(id):
		return "", errUTF8
	case strings.ContainsRune(id, 0):
		return "", errors.New("contains the NUL character")
	}
	for _, kind := range []notifications.Kind{notifications.KindUser, notifications.KindGroup, notifications.KindService} {
		if strings.HasPrefix(id, string(kind)+":") {
			return "", fmt.Errorf("must be an id without %q before it", string(kind)+":")
		}
	}
	return id, nil
}

// Groups calls the host's function.
func (o open) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	if o.groups == nil {
		return nil, nil
	}
	ids, err := o.groups(ctx, user)
	if err != nil {
		return nil, err
	}
	in := make([]notifications.Membership, 0, len(ids))
	for _, id := range ids {
		if group, err := o.Canonical(notifications.KindGroup, id); err == nil {
			in = append(in, notifications.Membership{Group: group})
		}
	}
	return in, nil
}

// Missing returns none: everybody exists.
func (open) Missing(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
	return nil, nil
}
