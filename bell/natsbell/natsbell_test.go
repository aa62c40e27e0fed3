package natsbell_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/notifications-go/notifications/bell/natsbell"
)

// The tests with servers are in internal/natstest, a module of its own.

func TestNew(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"", "a", "notifications.bell", "ünï.$x", "a-b_c.d:e/f"} {
		if _, err := natsbell.New(new(nats.Conn), subject); err != nil {
			t.Errorf("%q: %v", subject, err)
		}
	}
	for _, subject := range []string{"*", "a.*", ">", "a.>", "a b", "a\tb", "a\r\nPUB b 0", ".a", "a.", "a..b", "a\x00"} {
		if _, err := natsbell.New(new(nats.Conn), subject); err == nil || !strings.Contains(err.Error(), "without wildcards") {
			t.Errorf("%q: %v", subject, err)
		}
	}
	if _, err := natsbell.New(nil, "*"); err == nil || !strings.Contains(err.Error(), "the connection is nil") || !strings.Contains(err.Error(), `"*"`) {
		t.Errorf("without a connection: %v", err)
	}
}
