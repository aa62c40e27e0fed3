package notifications_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

// TestPoliciesOnlyLook: what a policy does to the draft changes neither what is
// stored nor what the caller has.
func TestPoliciesOnlyLook(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	s := f.with(func(cfg *notifications.Config) {
		cfg.Policy = requestPolicy(func(r notifications.Request) notifications.Decision {
			r.Draft.Title, r.Draft.To = "changed", notifications.Everyone()
			r.Draft.Actions[0].Title = "changed"
			copy(r.Draft.Metadata, `{"z"`)
			return notifications.Allow
		})
	})
	d := draft("a", toJane)
	d.Actions = []notifications.ActionDraft{{Title: "open", URL: "/"}}
	d.Metadata = []byte(`{"a":1}`)
	posted, err := s.Post(t.Context(), ci, d)
	if err != nil {
		t.Fatal(err)
	}
	n := f.get(jane, posted.ID)
	if n.Title != "a" || n.System || n.Actions[0].Title != "open" || string(n.Metadata) != `{"a":1}` {
		t.Errorf("stored is %+v", n)
	}
	if d.Actions[0].Title != "open" || string(d.Metadata) != `{"a":1}` {
		t.Errorf("the caller's draft is %+v", d)
	}
}

// TestPoliciesSeeCanonicalNames: a policy need not know how a name is written.
func TestPoliciesSeeCanonicalNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	id := f.post("a", toJane)
	var asked []notifications.Request
	s := f.with(func(cfg *notifications.Config) {
		cfg.Policy = requestPolicy(func(r notifications.Request) notifications.Decision {
			asked = append(asked, r)
			return notifications.Allow
		})
	})
	shouting := notifications.User("USER:Default/JANE")
	_, errGet := s.Get(t.Context(), shouting, strings.ToUpper(id))
	_, errErase := s.EraseUser(t.Context(), ci, "Default/JOHN")
	_, errExplain := s.Explain(t.Context(), ci, notifications.ExplainQuery{ID: id, User: "User:default/Jane"})
	_, errScope := s.WithdrawScope(t.Context(), ci, notifications.ScopeKey{Origin: "o", Scope: "s"})
	if err := errors.Join(errGet, errErase, errExplain, errScope); err != nil {
		t.Fatal(err)
	}
	for i, want := range []notifications.Request{
		{Who: jane, Permission: notifications.PermissionList, ID: id},
		{Who: ci, Permission: notifications.PermissionErase, User: "default/john"},
		{Who: ci, Permission: notifications.PermissionExplain, ID: id, User: "default/jane"},
		{Who: ci, Permission: notifications.PermissionDelete, Scope: notifications.ScopeKey{Origin: "o", Scope: "s"}},
	} {
		if asked[i] != want {
			t.Errorf("asked %+v, want %+v", asked[i], want)
		}
	}
}

// TestFailuresOfTheHostAreNoAnswers: a policy or catalog that fails with an error
// of this package is away, and nothing else.
func TestFailuresOfTheHostAreNoAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	for _, cause := range []error{
		notifications.ErrForbidden, notifications.ErrNotFound, notifications.ErrUnauthenticated, notifications.ErrKeyReused,
		notifications.Invalid("x", "y"), errAway,
	} {
		f.directory.Fail(cause)
		_, errCatalog := f.List(t.Context(), jane, notifications.ListQuery{})
		f.directory.Fail(nil)
		_, errPolicy := f.withPolicy(func(notifications.Identity, notifications.Permission) (notifications.Decision, error) {
			return notifications.Deny, cause
		}).List(t.Context(), jane, notifications.ListQuery{})
		for _, err := range []error{errCatalog, errPolicy} {
			var invalid *notifications.InvalidError
			if !errors.Is(err, notifications.ErrUnavailable) || errors.As(err, &invalid) || errors.Is(err, cause) != errors.Is(cause, errAway) ||
				!strings.Contains(err.Error(), cause.Error()) {
				t.Errorf("%v becomes %v", cause, err)
			}
		}
	}
}

// TestTransactionsOfAnotherPool are refused, also those of the same kind of
// database.
func TestTransactionsOfAnotherPool(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	other, err := database.OpenSQLite(filepath.Join(t.TempDir(), "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePool(t, other) })
	pool, err := other.DB()
	if err != nil {
		t.Fatal(err)
	}
	err = other.Transaction(func(tx *gorm.DB) error {
		_, err := f.WithTx(tx).Post(t.Context(), ci, draft("a", toJane))
		return err
	})
	if !errors.Is(err, notifications.ErrNoTransaction) {
		t.Errorf("WithTx: %v, want ErrNoTransaction", err)
	}
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // of nothing
	if _, err := f.WithSQLTx(tx).Post(t.Context(), ci, draft("a", toJane)); !errors.Is(err, notifications.ErrNoTransaction) {
		t.Errorf("WithSQLTx: %v, want ErrNoTransaction", err)
	}
}

// TestConfigThatDoesNothing is refused: typed nils, and a history that no date
// can decide.
func TestConfigThatDoesNothing(t *testing.T) {
	t.Parallel()
	var nobody *notificationstest.Directory
	_, err := notifications.New(notifications.Config{DB: new(gorm.DB), Catalog: nobody, Policy: (*rolesOf)(nil)})
	for _, field := range []string{"Config.DB", "Config.Catalog", "Config.Policy"} {
		if err == nil || !strings.Contains(err.Error(), field+" is required") {
			t.Errorf("New: %v, want a fault of %s", err, field)
		}
	}
	db := dbtest.SQLite(t)
	decorated := struct{ notifications.Catalog }{newDirectory()}
	_, err = notifications.New(notifications.Config{
		DB: db, Catalog: decorated, Policy: notifications.AllowAll{}, SystemHistory: notifications.HistorySinceJoining,
	})
	if err == nil || !strings.Contains(err.Error(), "AccountDates") {
		t.Errorf("New: %v, want a fault of SystemHistory", err)
	}
	f := newFixture(t, db)
	wantFields(t, f.Authorize(t.Context(), jane), "permissions")
}

type rolesOf struct{ notifications.Policy }

// TestTxFromHasNoConditions: those of the host's handle would filter the catalog.
func TestTxFromHasNoConditions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	asked := false
	s := f.with(func(cfg *notifications.Config) {
		cfg.Catalog = askingTx{f.directory, func(tx *gorm.DB) error {
			asked = true
			var n int64
			return tx.Table("sqlite_master").Count(&n).Error
		}}
	})
	err := f.db.Transaction(func(tx *gorm.DB) error {
		_, err := s.WithTx(tx.Table("nowhere").Where("tenant = 3")).Post(t.Context(), ci, draft("a", toJane))
		return err
	})
	if err != nil || !asked {
		t.Errorf("Post: %v, asked %v", err, asked)
	}
}

// askingTx is a directory that asks the database in the host's transaction.
type askingTx struct {
	*notificationstest.Directory
	ask func(tx *gorm.DB) error
}

func (c askingTx) Missing(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	tx, found := notifications.TxFrom(ctx)
	if !found {
		return nil, errors.New("no transaction")
	}
	if err := c.ask(tx.WithContext(ctx)); err != nil {
		return nil, err
	}
	return c.Directory.Missing(ctx, refs)
}
