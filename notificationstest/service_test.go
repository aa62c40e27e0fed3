package notificationstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

var (
	shop = notifications.ServiceAccount("shop")
	jane = notifications.User("jane")
)

func post(t *testing.T, svc *notifications.Service, title string, to notifications.Audience) {
	t.Helper()
	if _, err := svc.Post(t.Context(), shop, notifications.Draft{Origin: "shop", Title: title, To: to}); err != nil {
		t.Fatal(err)
	}
}

func titles(t *testing.T, svc *notifications.Service, who notifications.Identity) (list []string) {
	t.Helper()
	for n, err := range svc.All(t.Context(), who, notifications.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n.Title)
	}
	return list
}

func TestNew(t *testing.T) {
	t.Parallel()
	svc, other := notificationstest.New(t), notificationstest.New(t)
	if err := svc.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	post(t, svc, "hello", notifications.Users("jane"))
	want(t, "jane's", titles(t, svc, jane), "hello")
	want(t, "jane's of another service", titles(t, other, jane))
}

func TestNewWith(t *testing.T) {
	t.Parallel()
	clock, dir, db := notificationstest.NewClock(time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)), new(notificationstest.Directory), notificationstest.NewDB(t)
	dir.SetUser("jane", "ops")
	svc := notificationstest.NewWith(t, notifications.Config{
		DB: db, Catalog: dir, Policy: notifications.Authenticated{}, Now: clock.Now,
	})
	_, err := svc.Post(t.Context(), shop, notifications.Draft{
		Origin: "shop", Title: "short-lived", To: notifications.Groups("ops"), Expires: clock.Advance(0).Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "jane's", titles(t, svc, jane), "short-lived")
	if at := clock.Advance(time.Hour); !at.Equal(clock.Now()) {
		t.Errorf("Advance returned %v, it is %v", at, clock.Now())
	}
	want(t, "jane's an hour later", titles(t, svc, jane))

	if _, err := svc.List(t.Context(), notifications.User("john"), notifications.ListQuery{}); !errors.Is(err, notifications.ErrForbidden) {
		t.Errorf("a list of who is not in the directory: %v", err)
	}
	guest := jane
	guest.Guest = true
	if _, err := svc.List(t.Context(), guest, notifications.ListQuery{}); !errors.Is(err, notifications.ErrForbidden) {
		t.Errorf("a list of who the policy does not let in: %v", err)
	}
	rollback := errors.New("rollback")
	err = db.Transaction(func(tx *gorm.DB) error {
		post(t, svc.WithTx(tx), "taken back", notifications.Groups("ops"))
		want(t, "jane's in the transaction", titles(t, svc.WithTx(tx), jane), "taken back")
		return rollback
	})
	if !errors.Is(err, rollback) {
		t.Error(err)
	}
	want(t, "jane's after the rollback", titles(t, svc, jane))
}

// TestNewDBIsGone: its pool is closed with the test it was made for.
func TestNewDBIsGone(t *testing.T) {
	t.Parallel()
	var db *gorm.DB
	t.Run("short", func(t *testing.T) { db = notificationstest.NewDB(t) })
	if err := db.Exec("SELECT 1").Error; err == nil {
		t.Error("the database still answers")
	}
}
