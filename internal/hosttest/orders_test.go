package hosttest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
)

var errRollback = errors.New("rollback")

// placed posts that an order is placed.
func placed(ctx context.Context, svc *notifications.Service, order int, to notifications.Audience) error {
	_, err := svc.Post(ctx, shop, notifications.Draft{
		Origin: "shop", Title: fmt.Sprintf("Order %d is placed", order), To: to, Scope: fmt.Sprint("order-", order),
	})
	return err
}

// TestAUserIsWelcomedInTheTransactionThatAddsThem: the catalog sees them there,
// and nobody does after a rollback.
func TestAUserIsWelcomedInTheTransactionThatAddsThem(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		welcome := func(name string, end error) error {
			return h.tx(func(tx transaction) error {
				if err := tx.exec("INSERT INTO users VALUES (?)", name); err != nil {
					return err
				}
				if err := tx.exec("INSERT INTO memberships VALUES (?, 'new')", name); err != nil {
					return err
				}
				_, err := tx.svc.Post(t.Context(), shop, notifications.Draft{
					Origin: "shop", Title: "Welcome", To: notifications.Users(name).And(notifications.Groups("new")),
				})
				if err != nil {
					return err
				}
				if seen, err := titles(t.Context(), tx.svc, notifications.User(name)); err != nil || len(seen) != 1 {
					t.Errorf("in the transaction %s sees %q, %v", name, seen, err)
				}
				return end
			})
		}
		if err := welcome("kim", errRollback); !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
		if _, err := titles(t.Context(), h.svc, notifications.User("kim")); !errors.Is(err, notifications.ErrForbidden) {
			t.Errorf("after the rollback kim is let in: %v", err)
		}
		if err := welcome("kim", nil); err != nil {
			t.Fatal(err)
		}
		h.sees(notifications.User("kim"), "Welcome")
		h.rows("users", 3)
	})
}

// TestCancellingAnOrderWithdrawsItsNotification, and a rollback undoes both.
func TestCancellingAnOrderWithdrawsItsNotification(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		err := h.tx(func(tx transaction) error {
			return errors.Join(tx.exec("INSERT INTO orders VALUES (7, 'jane')"), placed(t.Context(), tx.svc, 7, notifications.Users("jane")))
		})
		if err != nil {
			t.Fatal(err)
		}
		h.sees(jane, "Order 7 is placed")
		cancel := func(end error) error {
			return h.tx(func(tx transaction) error {
				if err := tx.exec("DELETE FROM orders WHERE id = 7"); err != nil {
					return err
				}
				n, err := tx.svc.WithdrawScope(t.Context(), shop, notifications.ScopeKey{Origin: "shop", Scope: "order-7"})
				if err != nil || n != 1 {
					t.Errorf("withdrawn: %d, %v", n, err)
				}
				if seen, err := titles(t.Context(), tx.svc, jane); err != nil || len(seen) != 0 {
					t.Errorf("in the transaction jane sees %q, %v", seen, err)
				}
				return errors.Join(err, end)
			})
		}
		if err := cancel(errRollback); !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
		h.sees(jane, "Order 7 is placed")
		h.rows("orders", 1)
		if err := cancel(nil); err != nil {
			t.Fatal(err)
		}
		h.sees(jane)
		h.rows("orders", 0)
	})
}

// TestDeletingAUserErasesTheInbox, and a rollback undoes both.
func TestDeletingAUserErasesTheInbox(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		if err := errors.Join(placed(t.Context(), h.svc, 7, notifications.Users("jane")), placed(t.Context(), h.svc, 8, notifications.Groups("ops"))); err != nil {
			t.Fatal(err)
		}
		remove := func(end error) error {
			return h.tx(func(tx transaction) error {
				removed := errors.Join(tx.exec("DELETE FROM users WHERE name = 'jane'"), tx.exec("DELETE FROM memberships WHERE user_name = 'jane'"))
				_, erased := tx.svc.EraseUser(t.Context(), shop, "jane")
				return errors.Join(removed, erased, end)
			})
		}
		if err := remove(errRollback); !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
		h.sees(jane, "Order 8 is placed", "Order 7 is placed")
		if err := remove(nil); err != nil {
			t.Fatal(err)
		}
		h.sees(john, "Order 8 is placed")
		if err := h.tx(func(tx transaction) error {
			return errors.Join(tx.exec("INSERT INTO users VALUES ('jane')"), tx.exec("INSERT INTO memberships VALUES ('jane', 'ops')"))
		}); err != nil {
			t.Fatal(err)
		}
		h.sees(jane, "Order 8 is placed") // somebody of her name
	})
}

// TestMoreTransactionsThanConnections: no transaction waits for a second
// connection, which the others would hold, and on SQLite none finds that another
// has written since it read.
func TestMoreTransactionsThanConnections(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a hang is to fail, not to last
		defer cancel()
		const n = 50
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := h.tx(func(tx transaction) error {
					// The first statement is the catalog's, but for the lock.
					if err := placed(ctx, tx.svc, i, notifications.Users("jane").And(notifications.Groups("ops"))); err != nil {
						return err
					}
					if _, err := tx.svc.SetState(ctx, jane, notifications.ByFilter(notifications.Filter{}), notifications.StateChange{Read: new(true)}); err != nil {
						return err
					}
					if _, err := tx.svc.Count(ctx, john, notifications.Filter{}); err != nil {
						return err
					}
					return tx.exec("INSERT INTO orders VALUES (?, 'jane')", i)
				})
				if err != nil {
					t.Errorf("transaction %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		h.rows("orders", n)
		if seen, err := h.svc.Count(t.Context(), john, notifications.Filter{}); err != nil || seen != n {
			t.Errorf("john sees %d, %v, want %d", seen, err, n)
		}
	})
}

// TestWritingVerbsTakeTheLockFirst: on SQLite a transaction that has read cannot
// write once another has, and so a verb that writes does that before the policy
// and the catalog read, in transactions that begin without the lock.
func TestWritingVerbsTakeTheLockFirst(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Post", "PostMany", "MarkRead", "SetState", "Withdraw", "WithdrawScope", "EraseUser"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := sqliteHost(t, "deferred", inGormTx)
			h.policy.asked = func(ctx context.Context, _ string) { // as one that looks up roles
				if _, err := h.people.Groups(ctx, "jane"); err != nil {
					t.Error(err)
				}
			}
			const n = 50
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					err := h.tx(func(tx transaction) error {
						if err := verbs[name](t.Context(), tx.svc); err != nil && !errors.Is(err, notifications.ErrNotFound) {
							return err
						}
						return tx.exec("INSERT INTO orders VALUES (?, 'jane')", i)
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			h.rows("orders", n)
		})
	}
}
