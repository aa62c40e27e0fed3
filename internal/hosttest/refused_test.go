package hosttest_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

// unknownID is the id of no notification.
const unknownID = "01890000-0000-7000-8000-000000000000"

// verbs are the methods of a Service that work in a transaction, each called
// rightly: of no transaction they must say that and nothing else.
var verbs = map[string]func(ctx context.Context, svc *notifications.Service) error{
	"Authorize": func(ctx context.Context, svc *notifications.Service) error {
		return svc.Authorize(ctx, shop, notifications.PermissionList)
	},
	"Post": func(ctx context.Context, svc *notifications.Service) error {
		return placed(ctx, svc, 1, notifications.Users("jane"))
	},
	"PostMany": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.PostMany(ctx, shop, []notifications.Draft{
			{Origin: "shop", Title: "One", To: notifications.Groups("ops")}, {Origin: "shop", Title: "Two", To: notifications.Everyone()},
		})
		return err
	},
	"List": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.List(ctx, jane, notifications.ListQuery{OrderBy: notifications.OrderTitle})
		return err
	},
	"All": func(ctx context.Context, svc *notifications.Service) error {
		_, err := titles(ctx, svc, jane)
		return err
	},
	"Get": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Get(ctx, jane, unknownID)
		return err
	},
	"Count": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Count(ctx, jane, notifications.Filter{})
		return err
	},
	"CountAt": func(ctx context.Context, svc *notifications.Service) error {
		_, _, err := svc.CountAt(ctx, jane, notifications.Filter{})
		return err
	},
	"Status": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Status(ctx, jane, notifications.SystemOrNot)
		return err
	},
	"Topics": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Topics(ctx, jane, notifications.SystemOrNot)
		return err
	},
	"MarkRead": func(ctx context.Context, svc *notifications.Service) error {
		return svc.MarkRead(ctx, jane, unknownID, true)
	},
	"SetState": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.SetState(ctx, jane, notifications.ByFilter(notifications.Filter{}), notifications.StateChange{Saved: new(true)})
		return err
	},
	"Check": func(ctx context.Context, svc *notifications.Service) error {
		return svc.Check(ctx, shop, notifications.Draft{Origin: "shop", Title: "x", To: notifications.Users("jane")})
	},
	"Withdraw": func(ctx context.Context, svc *notifications.Service) error { return svc.Withdraw(ctx, shop, unknownID) },
	"WithdrawScope": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.WithdrawScope(ctx, shop, notifications.ScopeKey{Origin: "shop", Scope: "order-7"})
		return err
	},
	"Reach": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Reach(ctx, shop, unknownID)
		return err
	},
	"Explain": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Explain(ctx, shop, notifications.ExplainQuery{ID: unknownID, User: "jane"})
		return err
	},
	"EraseUser": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.EraseUser(ctx, shop, "jane")
		return err
	},
}

// unbound are the methods that a bound Service refuses.
var unbound = map[string]func(ctx context.Context, svc *notifications.Service) error{
	"Migrate": func(ctx context.Context, svc *notifications.Service) error { return svc.Migrate(ctx) },
	"PendingMigrations": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.PendingMigrations(ctx)
		return err
	},
	"Baseline": func(ctx context.Context, svc *notifications.Service) error { return svc.Baseline(ctx, 1) },
	"Ready":    func(ctx context.Context, svc *notifications.Service) error { return svc.Ready(ctx) },
	"Run":      func(ctx context.Context, svc *notifications.Service) error { return svc.Run(ctx) },
	"Purge": func(ctx context.Context, svc *notifications.Service) error {
		_, err := svc.Purge(ctx, notifications.PurgeOptions{})
		return err
	},
	"Watch": func(ctx context.Context, svc *notifications.Service) (err error) {
		for _, err = range svc.Watch(ctx, jane, notifications.WatchQuery{}) {
			break
		}
		return err
	},
	"httpapi.New": func(_ context.Context, svc *notifications.Service) error {
		_, err := httpapi.New(svc, httpapi.Config{Identify: func(*http.Request) (notifications.Identity, error) { return jane, nil }})
		return err
	},
}

// TestEveryMethodIsAsked: a method is a verb, or refused, or asks no database.
func TestEveryMethodIsAsked(t *testing.T) {
	t.Parallel()
	others := []string{"WithTx", "WithSQLTx", "InTransaction", "SameUser", "Marked", "Ring"}
	for method := range reflect.TypeFor[*notifications.Service]().Methods() {
		if verbs[method.Name] == nil && unbound[method.Name] == nil && !slices.Contains(others, method.Name) {
			t.Errorf("Service.%s is not asked", method.Name)
		}
	}
}

// wantNoTransaction checks that all verbs refuse, and that nothing was done.
func (h *host) wantNoTransaction(what string, svc *notifications.Service) {
	h.t.Helper()
	if !svc.InTransaction() {
		h.t.Errorf("%s: the Service does not say that it is bound", what)
	}
	for name, verb := range verbs {
		if err := verb(h.t.Context(), svc); !errors.Is(err, notifications.ErrNoTransaction) {
			h.t.Errorf("%s in %s: %v, want ErrNoTransaction", name, what, err)
		}
	}
	for name, do := range unbound {
		if err := do(h.t.Context(), svc); !errors.Is(err, notifications.ErrBound) {
			h.t.Errorf("%s in %s: %v, want ErrBound", name, what, err)
		}
	}
	h.sees(jane)
}

// TestWhatIsNoTransactionIsRefused by every verb, whatever it is.
func TestWhatIsNoTransactionIsRefused(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		h.wantNoTransaction("nil", h.svc.WithTx(nil))
		h.wantNoTransaction("a nil *sql.Tx", h.svc.WithSQLTx(nil))
		h.wantNoTransaction("a zero *gorm.DB", h.svc.WithTx(new(gorm.DB)))
		h.wantNoTransaction("the pool", h.svc.WithTx(h.db))
		h.wantNoTransaction("a session", h.svc.WithTx(h.db.WithContext(t.Context()).Where("1 = 1")))
		h.wantNoTransaction("nil, from a bound Service", h.svc.WithTx(h.db).WithTx(nil))

		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		failed := h.db.WithContext(cancelled).Begin()
		if failed.Error == nil {
			t.Fatal("a transaction begins with a cancelled context")
		}
		h.wantNoTransaction("one that did not begin", h.svc.WithTx(failed))

		err := h.db.Connection(func(conn *gorm.DB) error {
			h.wantNoTransaction("a connection", h.svc.WithTx(conn))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestEndedTransactionsAreRefused, committed or rolled back, with a catalog that
// reads in them.
func TestEndedTransactionsAreRefused(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		for name, end := range map[string]error{"a committed one": nil, "one that was rolled back": errRollback} {
			var svc *notifications.Service
			err := h.tx(func(tx transaction) error {
				svc = tx.svc
				return errors.Join(tx.exec("SELECT 1"), end)
			})
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
			h.wantNoTransaction(name, svc)
		}
	})
}

// TestTransactionsOfOtherDatabasesAreRefused.
func TestTransactionsOfOtherDatabasesAreRefused(t *testing.T) {
	t.Parallel()
	hosts := []*host{gormHost(t, false), sqliteHost(t, "immediate", inGormTx)}
	for i, h := range hosts {
		err := hosts[1-i].db.Transaction(func(tx *gorm.DB) error {
			h.wantNoTransaction("one of "+tx.Name(), h.svc.WithTx(tx))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestBoundServicesDoNotMigrateRunOrServe.
func TestBoundServicesDoNotMigrateRunOrServe(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		err := h.tx(func(tx transaction) error {
			for name, do := range unbound {
				if err := do(t.Context(), tx.svc); !errors.Is(err, notifications.ErrBound) {
					t.Errorf("%s: %v, want ErrBound", name, err)
				}
			}
			return placed(t.Context(), tx.svc, 7, notifications.Users("jane")) // it is as good as before
		})
		if err != nil {
			t.Error(err)
		}
		h.sees(jane, "Order 7 is placed")
	})
}
