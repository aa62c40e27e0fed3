package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog/catalogtest"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func TestExample(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresURL(t)
	const want = `after two orders, of which one is out of stock, jane reads:
- Order 7 is placed
- Welcome, jane
once the other one is cancelled, jane reads:
- Welcome, jane
of a customer who has left: notifications: not allowed: user:jane: the catalog has no such user
`
	for range 2 { // as a program is started again
		var out strings.Builder
		if err := run(t.Context(), url, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
		}
	}
}

// opened is a shop with a customer.
func opened(t *testing.T) (shop, *gorm.DB) {
	t.Helper()
	db := dbtest.Postgres(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	svc, err := newService(pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := shop{pool, svc}
	if err := s.register(t.Context(), "jane"); err != nil {
		t.Fatal(err)
	}
	return s, db
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	s, db := opened(t)
	catalogtest.Run(t, customers{s.pool}, catalogtest.Sample{
		Users: []string{"jane"}, NoUsers: []string{"kim"}, NoGroups: []string{"jane"}, Members: map[string][]string{"jane": nil},
		DB: db, AddUser: func(ctx context.Context) (string, error) {
			tx, _ := notifications.SQLTxFrom(ctx)
			_, err := tx.ExecContext(ctx, "INSERT INTO customers VALUES ('mary')")
			return "mary", err
		},
	})
}

// TestRegisterAgain: what fails leaves no second welcome behind.
func TestRegisterAgain(t *testing.T) {
	t.Parallel()
	s, _ := opened(t)
	if err := s.register(t.Context(), "jane"); err == nil {
		t.Error("jane is registered twice")
	}
	if n, err := s.inbox.Count(t.Context(), notifications.User("jane"), notifications.Filter{}); err != nil || n != 1 {
		t.Errorf("jane has %d notifications, %v, want 1", n, err)
	}
	if err := s.placeOrder(t.Context(), 9, "kim", true); err == nil || errors.Is(err, errOutOfStock) {
		t.Errorf("an order of who is no customer: %v", err)
	}
}
