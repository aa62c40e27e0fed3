package notificationstest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

// poster is what the host's code asks for: a Service, or a Recorder.
type poster interface {
	Post(context.Context, notifications.Identity, notifications.Draft) (notifications.Posted, error)
}

// placeOrder is the host's code.
func placeOrder(ctx context.Context, p poster, order int, customer string) error {
	_, err := p.Post(ctx, notifications.ServiceAccount("shop"), notifications.Draft{
		Origin: "shop", Title: fmt.Sprintf("Order %d is placed", order), To: notifications.Users(customer),
	})
	return err
}

// inTest stands for the test function of a host. It prints why it fails.
func inTest(test func(t testing.TB)) { fmt.Print(failureOf(test)) }

func ExampleRequirePosted() {
	inTest(func(t testing.TB) {
		svc := notificationstest.New(t)
		if err := placeOrder(t.Context(), svc, 7, "jane"); err != nil {
			t.Fatal(err)
		}
		notificationstest.RequirePosted(t, svc, notifications.User("jane"), notifications.Notification{Title: "Order 7 is placed"})
		notificationstest.RequireNotPosted(t, svc, notifications.User("john"))

		// A test that expects something else fails so:
		notificationstest.RequirePosted(t, svc, notifications.User("jane"),
			notifications.Notification{Title: "Order 7 is placed", Severity: notifications.SeverityHigh})
	})
	// Output:
	// user:jane sees no notification with
	// 	title "Order 7 is placed", severity "high"
	// but
	// 	title "Order 7 is placed", severity "normal"
}

func ExampleRecorder() {
	inTest(func(t testing.TB) {
		posts := new(notificationstest.Recorder)
		if err := placeOrder(t.Context(), posts, 7, "jane"); err != nil {
			t.Fatal(err)
		}
		posts.RequirePosted(t, notifications.Draft{Title: "Order 7 is placed", To: notifications.Users("jane")})

		// A test that expects something else fails so:
		posts.RequirePosted(t, notifications.Draft{To: notifications.Users("john")})
	})
	// Output:
	// the Recorder has no notification with
	// 	to "user:john"
	// but
	// 	title "Order 7 is placed", to "user:jane"
}

func ExampleDirectory() {
	inTest(func(t testing.TB) {
		people := new(notificationstest.Directory)
		people.SetUser("jane", "ops")
		people.SetUser("john")
		svc := notificationstest.NewWith(t, notifications.Config{Catalog: people})

		_, err := svc.Post(t.Context(), notifications.ServiceAccount("ci"), notifications.Draft{
			Origin: "ci", Title: "main is broken", To: notifications.Groups("ops"),
		})
		if err != nil {
			t.Fatal(err)
		}
		people.SetUser("jane")        // leaves ops
		people.SetUser("john", "ops") // joins it
		for _, user := range []string{"jane", "john"} {
			n, err := svc.Count(t.Context(), notifications.User(user), notifications.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(user, "sees", n)
		}
	})
	// Output:
	// jane sees 0
	// john sees 1
}
