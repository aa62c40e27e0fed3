package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// twoGroupsCatalog is a catalog in which every user is in two groups.
type twoGroupsCatalog struct{}

func (twoGroupsCatalog) Canonical(_ Kind, name string) (string, error) { return name, nil }

func (twoGroupsCatalog) Groups(context.Context, string) ([]Membership, error) {
	return []Membership{{Group: "default/g1"}, {Group: "default/g2"}}, nil
}

func (twoGroupsCatalog) Missing(context.Context, []Ref) ([]Ref, error) { return nil, nil }

func (twoGroupsCatalog) AccountSince(context.Context, string) (time.Time, error) {
	return time.UnixMilli(50_000), nil
}

// allowEverything is a policy that allows everything, PermissionDeleteAny too.
type allowEverything struct{}

func (allowEverything) Decide(context.Context, Request) (Decision, error) { return Allow, nil }

// planID is the id of the i-th message of fillForPlans.
func planID(i int) string { return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", i>>16, i&0xffff) }

// planIDs returns the ids of n messages. Some of them are addressed to u7.
func planIDs(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = planID(7 + i*100)
	}
	return list
}

// plannedVerbs are in an order in which each finds something to do.
var plannedVerbs = []struct {
	name string
	do   func(ctx context.Context, s *Service) error
}{
	{"status", func(ctx context.Context, s *Service) error {
		_, err := s.Status(ctx, User("default/u7"), SystemOrNot)
		return err
	}},
	{"topics", func(ctx context.Context, s *Service) error {
		_, err := s.Topics(ctx, User("default/u7"), SystemOrNot)
		return err
	}},
	{"status of many", func(ctx context.Context, s *Service) error {
		_, err := s.Status(ctx, User("default/heavy"), NotSystem)
		return err
	}},
	{"topics of many", func(ctx context.Context, s *Service) error {
		_, err := s.Topics(ctx, User("default/heavy"), NotSystem)
		return err
	}},
	{"mark all of many", func(ctx context.Context, s *Service) error {
		_, err := s.SetState(ctx, User("default/heavy"), ByFilter(Filter{System: NotSystem}), StateChange{Read: new(true)})
		return err
	}},
	{"list of filters", func(ctx context.Context, s *Service) error {
		_, err := s.List(ctx, User("default/u7"), ListQuery{Filter: Filter{MinSeverity: SeverityHigh, Saved: Saved, Topic: "topic 3", Archived: ArchivedOrNot}})
		return err
	}},
	{"count of filters", func(ctx context.Context, s *Service) error {
		_, err := s.Count(ctx, User("default/u7"), Filter{MinSeverity: SeverityLow, Archived: Archived, Origin: "o"})
		return err
	}},
	{"get", func(ctx context.Context, s *Service) error {
		_, err := s.Get(ctx, User("default/u7"), planID(10_007))
		return err
	}},
	{"mark one", func(ctx context.Context, s *Service) error {
		return s.MarkRead(ctx, User("default/u7"), planID(10_007), true)
	}},
	{"mark one again", func(ctx context.Context, s *Service) error {
		return s.MarkRead(ctx, User("default/u7"), planID(10_007), true)
	}},
	{"mark few ids", setState(ByIDs(planIDs(3)...), StateChange{Read: new(true)})},
	{"mark 1,000 ids", setState(ByIDs(planIDs(1000)...), StateChange{Read: new(true)})},
	{"save few ids", setState(ByIDs(planIDs(3)...), StateChange{Saved: new(true)})},
	{"save 1,000 ids", setState(ByIDs(planIDs(1000)...), StateChange{Saved: new(true)})},
	{"mark by filter", setState(ByFilter(Filter{Topic: "topic 3"}), StateChange{Archived: new(true)})},
	{"save by filter", setState(ByFilter(Filter{Topic: "topic 4"}), StateChange{Saved: new(true)})},
	{"mark all", setState(ByFilterUpTo(Filter{System: NotSystem}, planID(90_000)), StateChange{Read: new(true)})},
	{"mark all that was seen", func(ctx context.Context, s *Service) error {
		page, err := s.List(ctx, User("default/u7"), ListQuery{})
		if err != nil {
			return err
		}
		return setState(ByFilterSeen(Filter{System: NotSystem}, page.Position), StateChange{Read: new(false)})(ctx, s)
	}},
	{"mark all that was seen long ago", func(ctx context.Context, s *Service) error {
		// It sees what the log had before the last 80,000 changes.
		page, err := s.List(ctx, User("default/u7"), ListQuery{})
		if err != nil {
			return err
		}
		at, err := changelog.ParsePosition(string(page.Position))
		at.Seen, at.Nonce = changelog.UpTo(800), ""
		return errors.Join(err, setState(ByFilterSeen(Filter{System: NotSystem, Archived: ArchivedOrNot}, Position(at.String())), StateChange{Read: new(true)})(ctx, s))
	}},
	{"tick and prune", func(ctx context.Context, s *Service) error { return s.store.tick(ctx, s.now(), false) }},
	{"reach", func(ctx context.Context, s *Service) error {
		_, err := s.Reach(ctx, ServiceAccount("ci"), planID(10_007))
		return err
	}},
	{"explain", func(ctx context.Context, s *Service) error {
		_, err := s.Explain(ctx, ServiceAccount("ci"), ExplainQuery{planID(10_007), "default/u7"})
		return err
	}},
	{"post", post(Draft{To: Users("default/u7").And(Groups("default/g1"))})},
	{"post with a key", post(Draft{To: Users("default/u7"), IdempotencyKey: "new"})},
	{"post with a key again", post(Draft{To: Users("default/u7"), IdempotencyKey: "new"})},
	{"take over", post(Draft{To: Users("default/u7", "default/u8").And(Everyone()), Scope: "scope 7"})},
	{"take over all", post(Draft{To: Users("default/u7").And(Everyone()), Scope: "scope 8"})},
	{"take over from everybody", post(Draft{To: Everyone(), Scope: "scope 8"})},
	{"rewrite", post(Draft{To: Users("default/u7"), Scope: "scope 8", KeepPlace: true})},
	{"withdraw", func(ctx context.Context, s *Service) error {
		return s.Withdraw(ctx, ServiceAccount("ci"), planID(20_007))
	}},
	{"withdraw a scope", func(ctx context.Context, s *Service) error {
		_, err := s.WithdrawScope(ctx, ServiceAccount("ci"), ScopeKey{"o", "scope 7"})
		return err
	}},
	{"erase", func(ctx context.Context, s *Service) error {
		_, err := s.EraseUser(ctx, ServiceAccount("ci"), "default/u9")
		return err
	}},
	{"purge", func(ctx context.Context, s *Service) error {
		_, err := s.Purge(ctx, PurgeOptions{OlderThan: time.Since(time.UnixMilli(2000))})
		return err
	}},
}

func setState(sel Selection, change StateChange) func(context.Context, *Service) error {
	return func(ctx context.Context, s *Service) error {
		n, err := s.SetState(ctx, User("default/u7"), sel, change)
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing is marked")
		}
		return err
	}
}

func post(d Draft) func(context.Context, *Service) error {
	return func(ctx context.Context, s *Service) error {
		d.Origin, d.Title = "o", "t"
		_, err := s.Post(ctx, ServiceAccount("ci"), d)
		return err
	}
}

// expensivePlan is a tenth of jit_above_cost. A plan that costs more than
// jit_above_cost is compiled first, which takes some 100 ms. Production tables
// may be ten times as large as those of this test.
const expensivePlan = 10_000

// TestPlansOfVerbs runs every verb over 100,000 messages, and reads
// PostgreSQL's plan of each statement. Both the plan for the parameters and the
// generic plan, which PostgreSQL may use after five executions, must use
// indexes.
func TestPlansOfVerbs(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	svc, err := New(Config{DB: db, Catalog: twoGroupsCatalog{}, Policy: allowEverything{}, SystemHistory: HistoryRead})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fillForPlans(t, db)
	for _, v := range plannedVerbs {
		t.Run(v.name, func(t *testing.T) {
			statements := record(t, db, func() {
				if err := v.do(t.Context(), svc); err != nil {
					t.Error(err)
				}
			})
			if len(statements) == 0 {
				t.Error("it did nothing")
			}
			for _, sql := range statements {
				for _, p := range []plan{planFor(t, db, sql), genericPlanFor(t, db, sql)} {
					p.scanned = slices.DeleteFunc(p.scanned, func(table string) bool { return readsAll(sql.String(), table) })
					p.check(t, sql.String())
					if p.cost >= expensivePlan {
						t.Errorf("%s: looks dear enough to compile\n%s", sql, p.text)
					}
				}
			}
		})
	}
}

// readsAll says which statements may read a whole table: one of an erasure, and
// one of a purge.
func readsAll(sql, table string) bool {
	switch {
	case strings.HasPrefix(sql, "UPDATE notification_messages SET poster = ''"):
		return table == "notification_messages"
	case table == "notification_epoch" || table == "notification_ticks": // few rows
		return true
	case strings.Contains(sql, "notification_changes ch WHERE ch.message_id"): // joined to all that a mark selects
		return table == "notification_changes"
	case strings.HasPrefix(sql, "DELETE FROM notification_scopes WHERE used_at <"):
		return table == "notification_scopes" || table == "notification_messages"
	}
	return false
}

// record returns the statements that db executes while do runs.
func record(t *testing.T, db *gorm.DB, do func()) []sentStatement {
	t.Helper()
	var list []sentStatement
	const name = "test:record"
	take := func(db *gorm.DB) {
		if sql := db.Statement.SQL.String(); !strings.HasPrefix(sql, "SET ") { // which has no plan
			list = append(list, sentStatement{sql, db.Statement.Vars})
		}
	}
	raw, query, row := db.Callback().Raw(), db.Callback().Query(), db.Callback().Row()
	for _, err := range []error{raw.After("*").Register(name, take), query.After("*").Register(name, take), row.After("*").Register(name, take)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	do()
	for _, err := range []error{raw.Remove(name), query.Remove(name), row.Remove(name)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// planFor returns the plan of a statement for its parameters.
func planFor(t *testing.T, db *gorm.DB, sql sentStatement) plan {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := pool.QueryRowContext(t.Context(), "EXPLAIN (FORMAT JSON) "+sql.String(), sql.args...).Scan(&text); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return parsePlan(t, text)
}

// genericPlanFor returns the plan of a statement for any parameters.
func genericPlanFor(t *testing.T, db *gorm.DB, sql sentStatement) plan {
	t.Helper()
	var text string
	err := db.Transaction(func(tx *gorm.DB) error {
		execute := "EXECUTE statement"
		if len(sql.args) > 0 {
			execute += "(NULL" + strings.Repeat(", NULL", len(sql.args)-1) + ")"
		}
		for _, sql := range []string{"SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE statement AS " + sql.String()} {
			if err := tx.Exec(sql).Error; err != nil {
				return err
			}
		}
		if err := tx.Raw("EXPLAIN (FORMAT JSON) " + execute).Row().Scan(&text); err != nil {
			return err
		}
		return tx.Exec("DEALLOCATE statement").Error
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return parsePlan(t, text)
}
