package catalog

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
)

// Open returns the catalog in which everybody exists: whatever the host calls
// a user or a group is one. It suits a host that has users of its own, whom it
// has looked up before it asks.
//
// The host's ids are kept byte for byte: they are not folded, need no "/", and
// lose no prefix, so the user "user:42" is canonically "user:user:42" and is
// another user than "42". Canonical is therefore for ids, not for what it
// returned before. An id is 1 to 255 bytes of valid UTF-8 without NUL. How many
// users there are, or in a group, it cannot tell: it is no
// [notifications.Sizer].
//
// groups returns the ids of the groups the user is in now. It is given the
// host's id of the user and returns the host's ids of the groups, in any
// order, both without a kind before them. Nil means that nobody is in any
// group. It is called on every read, from many goroutines at once; its error
// is returned unchanged, and a group whose id is not valid is left out, for
// nothing can have been posted to it. The slice it returns is not modified.
func Open(groups func(ctx context.Context, user string) ([]string, error)) notifications.Catalog {
	return open{groups}
}

type open struct {
	groups func(ctx context.Context, user string) ([]string, error)
}

// Canonical puts the kind before the id.
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
	return string(kind) + ":" + id, nil
}

// Groups asks the host.
func (o open) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	id, ok := strings.CutPrefix(user, string(notifications.KindUser)+":")
	if !ok || o.groups == nil {
		return nil, nil
	}
	ids, err := o.groups(ctx, id)
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
func (open) Missing(context.Context, []string) ([]string, error) { return nil, nil }
