package hosttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
)

// TestCatalogAndPolicySeeTheTransaction: with every verb, whatever they are
// asked, and outside of one they see none.
func TestCatalogAndPolicySeeTheTransaction(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		var mu sync.Mutex
		var questions []string
		bound := false
		asked := func(ctx context.Context, question string) {
			mu.Lock()
			defer mu.Unlock()
			questions = append(questions, question)
			tx, found := notifications.TxFrom(ctx)
			sqlTx, sqlFound := notifications.SQLTxFrom(ctx)
			if found != bound || sqlFound != bound || (sqlTx != nil) != bound {
				t.Errorf("%s in a transaction: %t, sees one: %t, of database/sql: %t", question, bound, found, sqlFound)
			}
			if found && tx.Statement.ConnPool == h.db.Statement.ConnPool {
				t.Errorf("%s sees the pool", question)
			}
		}
		h.people.asked, h.policy.asked = asked, asked
		for name, verb := range verbs {
			bound = false
			if err := verb(t.Context(), h.svc); err != nil && !errors.Is(err, notifications.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			alone := slices.Clone(questions)
			questions, bound = nil, true
			err := h.tx(func(tx transaction) error { return verb(t.Context(), tx.svc) })
			if err != nil && !errors.Is(err, notifications.ErrNotFound) {
				t.Errorf("%s in a transaction: %v", name, err)
			}
			if len(questions) == 0 || !slices.Equal(questions, alone) {
				t.Errorf("%s asks %q, in a transaction %q", name, alone, questions)
			}
			questions = nil
		}
		bound = false
		id := h.post("of the shop")
		questions, bound = nil, true
		err := h.tx(func(tx transaction) error {
			_, err := tx.svc.Reach(t.Context(), shop, id)
			return err
		})
		if err != nil || !slices.Contains(questions, "Size") {
			t.Errorf("Reach asks %q, %v", questions, err)
		}
	})
}

// post posts to a group.
func (h *host) post(title string) (id string) {
	h.t.Helper()
	posted, err := h.svc.Post(h.t.Context(), shop, notifications.Draft{Origin: "shop", Title: title, To: notifications.Groups("ops")})
	if err != nil {
		h.t.Fatal(err)
	}
	return posted.ID
}

// TestVerbsAnswerAlikeEverywhere: what a Service answers does not depend on how
// the host has its transactions, nor on whether there is one.
func TestVerbsAnswerAlikeEverywhere(t *testing.T) {
	t.Parallel()
	want := tour(t, sqliteHost(t, "immediate", inGormTx).svc)
	if len(want) < 30 || strings.Contains(strings.Join(want, "\n"), "unavailable") {
		t.Fatalf("the tour is\n%s", strings.Join(want, "\n"))
	}
	check := func(t *testing.T, where string, got []string) {
		t.Helper()
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %s, want %s", where, got[i], want[i])
			}
		}
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			h := kind.open(t)
			err := h.tx(func(tx transaction) error {
				check(t, "in a transaction", tour(t, tx.svc))
				return errRollback
			})
			if !errors.Is(err, errRollback) {
				t.Error(err)
			}
			check(t, "alone", tour(t, h.svc))
		})
	}
}

// tour calls every verb, rightly and wrongly, and tells what it answers. Ids are
// left out.
func tour(t *testing.T, svc *notifications.Service) (answers []string) {
	t.Helper()
	ctx := t.Context()
	tell := func(what string, values ...any) {
		for i, v := range values {
			if err, is := v.(error); is {
				values[i] = kindOf(err)
			}
		}
		answers = append(answers, what+": "+fmt.Sprint(values...))
	}
	post := func(d notifications.Draft) string {
		d.Origin = "shop"
		p, err := svc.Post(ctx, shop, d)
		tell("Post "+d.Title, p.ID != "", p.Repeated, p.Replaced, err)
		return p.ID
	}
	all := notifications.Filter{}
	list := func(who notifications.Identity, q notifications.ListQuery) {
		page, err := svc.List(ctx, who, q)
		var titles []string
		for _, n := range page.Items {
			titles = append(titles, fmt.Sprint(n.Title, " ", n.Severity, n.System, n.Read, n.Saved, n.Archived, string(n.Metadata), len(n.Actions)))
		}
		tell(fmt.Sprint("List ", who), strings.Join(titles, " | "), page.Next != "", err)
	}

	first := post(notifications.Draft{Title: "É first", Message: "50 % off", To: notifications.Users("Jane").And(notifications.Groups("ops")),
		Metadata: []byte(`{"a":[1,2]}`), Actions: []notifications.ActionDraft{{Title: "Open", URL: "/1"}}, Severity: notifications.SeverityHigh})
	post(notifications.Draft{Title: "scoped", Scope: "s", Topic: "orders", To: notifications.Users("jane")})
	post(notifications.Draft{Title: "scoped again", Scope: "s", Topic: "orders", To: notifications.Users("jane")})
	post(notifications.Draft{Title: "kept in place", Scope: "s", Topic: "orders", To: notifications.Users("jane"), KeepPlace: true})
	post(notifications.Draft{Title: "to others", Scope: "s", To: notifications.Users("john"), KeepPlace: true})
	post(notifications.Draft{Title: "keyed", IdempotencyKey: "k", To: notifications.Everyone()})
	post(notifications.Draft{Title: "keyed", IdempotencyKey: "k", To: notifications.Everyone()})
	post(notifications.Draft{Title: "keyed otherwise", IdempotencyKey: "k", To: notifications.Everyone()})
	post(notifications.Draft{Title: "to nobody", To: notifications.Users("nobody", "a:b")})
	many, err := svc.PostMany(ctx, shop, []notifications.Draft{
		{Origin: "shop", Title: "one of many", To: notifications.Users("jane")},
		{Origin: "shop", Title: "another", To: notifications.Groups("dev"), IdempotencyKey: "many"},
		{Origin: "shop", Title: "third", To: notifications.Everyone(), Scope: "many"},
	})
	tell("PostMany", len(many), err)

	list(jane, notifications.ListQuery{})
	list(john, notifications.ListQuery{Limit: 1})
	list(jane, notifications.ListQuery{Filter: notifications.Filter{Text: "é FIRST"}})
	list(jane, notifications.ListQuery{Filter: notifications.Filter{Text: "%"}, OrderBy: notifications.OrderMessage})
	list(jane, notifications.ListQuery{OrderBy: notifications.OrderTitle, Ascending: true, Offset: 1})
	list(jane, notifications.ListQuery{Filter: notifications.Filter{Topic: "orders", System: notifications.NotSystem}})
	list(jane, notifications.ListQuery{Filter: notifications.Filter{MinSeverity: notifications.SeverityHigh, Origin: "shop"}})
	list(notifications.User("nobody"), notifications.ListQuery{})
	list(jane, notifications.ListQuery{Limit: -1})

	tell("MarkRead", svc.MarkRead(ctx, jane, first, true))
	tell("MarkRead of another's", svc.MarkRead(ctx, john, many[0].ID, true))
	changed, err := svc.SetState(ctx, jane, notifications.ByIDs(first, many[1].ID, unknownID), notifications.StateChange{Saved: new(true)})
	tell("SetState by ids", changed, err)
	changed, err = svc.SetState(ctx, john, notifications.ByFilterUpTo(all, many[2].ID), notifications.StateChange{Read: new(true), Archived: new(true)})
	tell("SetState by filter", changed, err)
	list(john, notifications.ListQuery{Filter: notifications.Filter{Archived: notifications.Archived, Read: notifications.Read}})
	n, err := svc.Get(ctx, jane, first)
	tell("Get", n.Title, n.Read, n.Saved, err)
	_, err = svc.Get(ctx, john, many[0].ID)
	tell("Get of another's", err)
	count, err := svc.Count(ctx, jane, notifications.Filter{Read: notifications.Unread, Text: "o"})
	tell("Count", count, err)
	status, err := svc.Status(ctx, jane, notifications.SystemOrNot)
	status.Position = ""
	tell("Status", fmt.Sprintf("%+v", status), err)
	topics, err := svc.Topics(ctx, jane, notifications.SystemOrNot)
	tell("Topics", fmt.Sprintf("%+v", topics), err)
	reach, err := svc.Reach(ctx, shop, first)
	tell("Reach", fmt.Sprintf("%+v", reach), err)
	why, err := svc.Explain(ctx, shop, notifications.ExplainQuery{ID: many[0].ID, User: "john"})
	tell("Explain", why.Visible, why.Reasons[0].Code, err)

	tell("Withdraw", svc.Withdraw(ctx, shop, many[0].ID))
	tell("Withdraw again", svc.Withdraw(ctx, shop, many[0].ID))
	withdrawn, err := svc.WithdrawScope(ctx, shop, notifications.ScopeKey{Origin: "shop", Scope: "s"})
	tell("WithdrawScope", withdrawn, err)
	erased, err := svc.EraseUser(ctx, shop, "john")
	tell("EraseUser", fmt.Sprintf("%+v", erased), err)
	list(john, notifications.ListQuery{Filter: notifications.Filter{Archived: notifications.ArchivedOrNot}})
	list(jane, notifications.ListQuery{})
	return answers
}

// kindOf is what an error matches, without what a database says.
func kindOf(err error) string {
	var invalid *notifications.InvalidError
	if errors.As(err, &invalid) {
		return invalid.Error()
	}
	for _, known := range []error{
		notifications.ErrForbidden, notifications.ErrNotFound, notifications.ErrKeyReused, notifications.ErrTargetsDiffer, notifications.ErrNoTransaction,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// TestATransactionGoesOnAfterWhatIsRefused: only a statement that fails spoils
// one, and none does here.
func TestATransactionGoesOnAfterWhatIsRefused(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		err := h.tx(func(tx transaction) error {
			tour(t, tx.svc)
			return tx.exec("INSERT INTO orders VALUES (7, 'jane')")
		})
		if err != nil {
			t.Fatal(err)
		}
		h.rows("orders", 1)
	})
}
