package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
)

// Open returns the catalog in which everybody exists: every id the host calls a
// user or a group is one. It suits a host that has users of its own and has
// looked them up before it asks.
//
// The host's ids are kept byte for byte: they are not folded and need no "/". An
// id is 1 to 255 bytes of valid UTF-8 without NUL. One that begins with a kind
// and a colon, such as "user:42", is refused: it is a ref of the entity
// catalogs, and would be another user than "42". How many users there are, or in
// a group, this catalog cannot tell: it is no [notifications.Sizer].
//
// groups returns the ids of the groups the user is in now, in any order. Nil
// means that nobody is in any group. It is called on every read, from many
// goroutines at once; its error is returned unchanged, and an invalid id is left
// out, for nothing can have been posted to it. The slice it returns is not
// modified.
func Open(groups func(ctx context.Context, user string) ([]string, error)) notifications.Catalog {
	return open{groups}
}

type open struct {
	groups func(ctx context.Context, user string) ([]string, error)
}

// Canonical returns the id as it is, if it is one.
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

// Groups asks the host.
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

// Missing returns none.
func (open) Missing(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
	return nil, nil
}
