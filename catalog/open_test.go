package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

func TestOpenGroups(t *testing.T) {
	t.Parallel()
	away := errors.New("directory away")
	hosts := map[string][]string{
		"42":  {"Editors", "group:x", "a/b"}, // "group:x" is not an id
		"odd": {"", "fine", "a\x00b", "\xff", strings.Repeat("n", 256)},
	}
	open := catalog.Open(func(_ context.Context, user string) ([]string, error) {
		if user == "lost" {
			return []string{"Editors"}, away
		}
		return hosts[user], nil
	})
	tests := []struct {
		user string
		want []string
		err  error
	}{
		{user: "42", want: []string{"Editors", "a/b"}},
		{user: "43"},
		{user: "odd", want: []string{"fine"}},
		{user: "lost", err: away},
	}
	for _, tt := range tests {
		t.Run(tt.user, func(t *testing.T) {
			t.Parallel()
			in, err := open.Groups(t.Context(), tt.user)
			if got := names(in); !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestOpenWithoutGroups(t *testing.T) {
	t.Parallel()
	in, err := catalog.Open(nil).Groups(t.Context(), "42")
	if len(in) != 0 || err != nil {
		t.Errorf("got %v, %v; want none", in, err)
	}
}

// The host's function gets the context of the call, so that a look-up ends with
// the request.
func TestOpenPassesContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	open := catalog.Open(func(ctx context.Context, _ string) ([]string, error) { return nil, ctx.Err() })
	if _, err := open.Groups(ctx, "42"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestOpenHasEverybody(t *testing.T) {
	t.Parallel()
	missing, err := catalog.Open(nil).Missing(t.Context(), []notifications.Ref{notifications.UserRef("42"), notifications.GroupRef("nobody-knows")})
	if len(missing) != 0 || err != nil {
		t.Errorf("got %q, %v; want none", missing, err)
	}
}

// names returns the names of the groups, and nil if there are none.
func names(in []notifications.Membership) []string {
	var refs []string
	for _, m := range in {
		refs = append(refs, m.Group)
	}
	return refs
}

// Open is not a Sizer, because it would have to return false for every group.
func TestOpenKnowsNoSizes(t *testing.T) {
	t.Parallel()
	if _, is := catalog.Open(nil).(notifications.Sizer); is {
		t.Error("the open catalog says how many users there are")
	}
}
