package notifications_test

import (
	"testing"

	"github.com/notifications-go/notifications"
)

func TestIdentityString(t *testing.T) {
	t.Parallel()
	for want, who := range map[string]notifications.Identity{
		"nobody":            {},
		"user:default/jane": notifications.User("default/jane"),
		"service:ci":        notifications.ServiceAccount("ci"),
	} {
		if got := who.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
		if who.IsZero() != (want == "nobody") {
			t.Errorf("%s: IsZero = %v", want, who.IsZero())
		}
	}
	if (notifications.Identity{Guest: true}).IsZero() {
		t.Error("a guest is nobody")
	}
}
