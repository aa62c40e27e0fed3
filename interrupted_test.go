package notifications_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// interruptedKey marks the context of a verb that is interrupted.
type interruptedKey struct{}

// interruptedBefore returns a context that ends just before the verb that has it
// sends a statement with this text.
func interruptedBefore(t *testing.T, db *gorm.DB, text string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), interruptedKey{}, text))
	t.Cleanup(cancel)
	beforeStatements(t, db, func(db *gorm.DB) {
		if db.Statement.Context.Value(interruptedKey{}) == text && strings.Contains(db.Statement.SQL.String(), text) {
			cancel()
		}
	})
	return ctx
}

// TestInterruptedInHostsTransaction: a verb whose context ends in the host's
// transaction has done all of its work there or nothing, and the transaction
// stays one.
func TestInterruptedInHostsTransaction(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before string
		do     func(ctx context.Context, f *fixture, s *notifications.Service) error
		check  func(f *fixture, err error)
	}{
		"post with a key": {"INSERT INTO notification_messages",
			func(ctx context.Context, _ *fixture, s *notifications.Service) error {
				_, err := s.Post(ctx, ci, keyedDraft("keyed", toJane))
				return err
			},
			func(f *fixture, _ error) {
				f.postDraft(keyedDraft("keyed", toJane)) // again, or for the first time
				f.wantVisible(jane, "keyed")
			}},
		"post with a scope": {"INSERT INTO notification_deliveries",
			func(ctx context.Context, f *fixture, s *notifications.Service) error {
				f.t.Helper()
				_, err := s.Post(ctx, ci, scopedDraft("scoped", toJane))
				return err
			},
			func(f *fixture, err error) {
				if err != nil {
					f.wantVisible(jane)
				} else {
					f.wantVisible(jane, "scoped")
				}
			}},
		"withdraw": {"DELETE FROM notification_deliveries",
			func(ctx context.Context, f *fixture, s *notifications.Service) error {
				return s.Withdraw(ctx, ci, f.ids["secret"])
			},
			func(f *fixture, err error) {
				if err != nil {
					f.withdraw(f.ids["secret"])
				}
				f.wantVisible(jane)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
				f := newFixture(t, db)
				if name == "withdraw" {
					f.ids = map[string]string{"secret": f.post("secret", toJane)}
				}
				if err := db.Exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)").Error; err != nil {
					t.Fatal(err)
				}
				ctx := interruptedBefore(t, db, tt.before)
				var verb error
				err := db.Transaction(func(tx *gorm.DB) error {
					if err := tx.Exec("INSERT INTO orders VALUES (1)").Error; err != nil {
						return err
					}
					verb = tt.do(ctx, f, f.WithTx(tx)) // a notification that fails does not fail the order
					return tx.Exec("INSERT INTO orders VALUES (2)").Error
				})
				if err != nil {
					t.Errorf("the host's transaction: %v", err)
				}
				var orders int64
				if err := db.Raw("SELECT count(*) FROM orders").Find(&orders).Error; err != nil || orders != 2 {
					t.Errorf("%d orders, %v; want 2", orders, err)
				}
				tt.check(f, verb)
			})
		})
	}
}

// TestWritesInHostsTransactionAreNotInterrupted: SQLite takes the whole
// transaction back when it interrupts a statement, and what follows is committed
// one by one.
func TestWritesInHostsTransactionAreNotInterrupted(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	f := newFixture(t, db)
	written := 0
	beforeStatements(t, db, func(db *gorm.DB) {
		if strings.HasPrefix(db.Statement.SQL.String(), "INSERT INTO notification") {
			if written++; db.Statement.Context.Done() != nil {
				t.Errorf("this can be interrupted: %s", db.Statement.SQL.String())
			}
		}
	})
	err := db.Transaction(func(tx *gorm.DB) error {
		s := f.WithTx(tx)
		posted, err := s.Post(t.Context(), ci, withKey("k", scopedDraft("a", toJane)))
		if err != nil {
			return err
		}
		return s.MarkRead(t.Context(), jane, posted.ID, true)
	})
	if err != nil || written != 7 {
		t.Errorf("%d statements, %v; want 7", written, err)
	}
}

// TestSavepointsAreReleased: each open one makes a transaction slower.
func TestSavepointsAreReleased(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		var savepoints, released int
		beforeStatements(t, db, func(db *gorm.DB) {
			switch sql := db.Statement.SQL.String(); {
			case strings.HasPrefix(sql, "SAVEPOINT"):
				savepoints++
			case strings.HasPrefix(sql, "RELEASE"):
				released++
			}
		})
		err := db.Transaction(func(tx *gorm.DB) error {
			for range 3 {
				if _, err := f.WithTx(tx).Post(t.Context(), ci, scopedDraft("a", toJane)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || savepoints < 3 || savepoints != released {
			t.Errorf("%d savepoints, %d released, %v", savepoints, released, err)
		}
	})
}

// TestPoliciesCannotNarrow: what a policy does to its draft does not decide what
// is asked next.
func TestPoliciesCannotNarrow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	s := f.with(func(cfg *notifications.Config) {
		cfg.Policy = requestPolicy(func(r notifications.Request) notifications.Decision {
			r.Draft.To = toJane
			if r.Permission == notifications.PermissionCreateSystem {
				return notifications.Deny
			}
			return notifications.Allow
		})
	})
	if _, err := s.Post(t.Context(), ci, draft("to all", toEveryone)); err == nil {
		t.Error("it is posted to everybody")
	}
	f.wantVisible(john)
}

// TestRepeatedKeepPlace: a repetition that waited for its scope is one, however
// the scope looks by then.
func TestRepeatedKeepPlace(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	f := newFixture(t, db)
	d := withKey("k", keepPlaceDraft("kept", toJane))
	var repeated notifications.Posted
	var wg sync.WaitGroup
	err := db.Transaction(func(tx *gorm.DB) error {
		first, err := f.WithTx(tx).Post(t.Context(), ci, d)
		if err != nil {
			return err
		}
		var done atomic.Bool
		wg.Go(func() {
			defer done.Store(true)
			var err error
			if repeated, err = f.Post(t.Context(), ci, d); err != nil || !repeated.Repeated || repeated.ID != first.ID {
				t.Errorf("the repetition: %+v, %v; want %s", repeated, err, first.ID)
			}
		})
		waitForLock(t, tx, &done)
		_, err = f.WithTx(tx).Post(t.Context(), ci, scopedDraft("wider", toJane.And(toJohn)))
		return err
	})
	wg.Wait()
	if err != nil {
		t.Error(err)
	}
}
