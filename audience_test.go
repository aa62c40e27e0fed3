package notifications_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/notifications-go/notifications"
)

func TestAudience(t *testing.T) {
	t.Parallel()
	var nobody notifications.Audience
	a := notifications.Users("jane", "john").And(notifications.Groups("ops"))
	for _, tt := range []struct {
		a, b  notifications.Audience
		equal bool
	}{
		{a, a, true},
		{nobody, notifications.Users(), true},
		{a, notifications.Groups("ops").And(notifications.Users("john", "jane", "john")), true},
		{a, a.And(notifications.Everyone()), false},
		{a, notifications.Users("jane", "john", "ops"), false},
		{a, notifications.Users("Jane", "john").And(notifications.Groups("ops")), false},
		{notifications.Everyone(), nobody, false},
	} {
		if tt.a.Equal(tt.b) != tt.equal || tt.b.Equal(tt.a) != tt.equal {
			t.Errorf("%s equals %s: want %v", tt.a, tt.b, tt.equal)
		}
	}
	want := []notifications.Ref{notifications.UserRef("jane"), notifications.UserRef("john"), notifications.GroupRef("ops")}
	refs := a.Refs()
	if !slices.Equal(refs, want) {
		t.Errorf("Refs() = %v, want %v", refs, want)
	}
	refs[0] = notifications.UserRef("eve")
	if !slices.Equal(a.Refs(), want) {
		t.Error("a caller changed the audience")
	}
	if a.IsEveryone() || !notifications.Everyone().IsEveryone() {
		t.Error("IsEveryone is wrong")
	}
}

func ExampleAudience() {
	var nobody notifications.Audience
	fmt.Println(notifications.Users("john", "jane").And(notifications.Groups("ops")))
	fmt.Println(notifications.Everyone().And(notifications.Users("jane")))
	fmt.Println(nobody)
	// Output:
	// group:ops user:jane user:john
	// user:jane everyone
	// nobody
}
