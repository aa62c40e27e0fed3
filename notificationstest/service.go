// Package notificationstest is for the tests of a host: a Service over a
// database of its own in one line, users and groups that come and go, checks of
// what was posted, and a recorder to stand in for the Service.
//
//	func TestOrder(t *testing.T) {
//		svc := notificationstest.New(t)
//		placeOrder(t.Context(), svc, 7, "jane")
//		notificationstest.RequirePosted(t, svc, notifications.User("jane"),
//			notifications.Notification{Title: "Order 7 is placed"})
//	}
package notificationstest

import (
	"path/filepath"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/database"
	"gorm.io/gorm"
)

// New returns a Service over an empty database of its own, ready for use. Every
// name is a user and a group, nobody is in a group, and everybody may do
// everything. It is gone when the test ends.
func New(t testing.TB) *notifications.Service {
	t.Helper()
	return NewWith(t, notifications.Config{})
}

// NewWith is [New] with a configuration. Of that, DB is by default [NewDB],
// Catalog is [catalog.Open] without groups, and Policy is
// [notifications.AllowAll]. Its tables are made.
func NewWith(t testing.TB, cfg notifications.Config) *notifications.Service {
	t.Helper()
	if cfg.DB == nil {
		cfg.DB = NewDB(t)
	}
	if cfg.Catalog == nil {
		cfg.Catalog = catalog.Open(nil)
	}
	if cfg.Policy == nil {
		cfg.Policy = notifications.AllowAll{}
	}
	svc, err := notifications.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return svc
}

// NewDB returns an empty SQLite database of its own, which is closed and
// removed when the test ends. It takes transactions and connections as one in
// production does; it works with and without cgo.
func NewDB(t testing.TB) *gorm.DB {
	t.Helper()
	db, err := database.OpenSQLite(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Errorf("close the test's database: %v", err)
		}
	})
	return db
}
