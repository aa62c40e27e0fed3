package notifications

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// TestPlans reads PostgreSQL's plans for list and count over 100,000 messages.
// They must use indexes only, and sort no more than a page.
func TestPlans(t *testing.T) {
	t.Parallel()
	db, st := filledForPlans(t)

	reader := inbox{
		user: UserRef("default/u7"), audience: "user:default/u7", groups: []source{{"group:default/g1", firstID}, {"group:default/g2", firstID}},
		system: source{systemAudience, firstID}, readBefore: firstID, now: time.Now(),
	}
	lists := []struct {
		name string
		q    ListQuery
	}{
		{"first page", ListQuery{}},
		{"unread", ListQuery{Filter: Filter{Read: Unread}}},
		{"read", ListQuery{Filter: Filter{Read: Read}}},
		{"everything", ListQuery{Filter: Filter{}}},
		{"text", ListQuery{Filter: Filter{Text: "title 5"}}},
		{"created after", ListQuery{Filter: Filter{CreatedAfter: time.UnixMilli(50_000)}}},
		{"oldest first", ListQuery{Ascending: true}},
		{"by title", ListQuery{OrderBy: OrderTitle}},
	}
	for _, tt := range lists {
		q, _, err := tt.q.prepared()
		if err != nil {
			t.Fatal(err)
		}
		query := st.listByCreated
		if q.OrderBy != OrderCreated {
			query = st.listByText
		}
		p := explain(t, db, query(reader, q, selection{Filter: q.Filter}, nil))
		p.check(t, tt.name)
		if q.OrderBy == OrderCreated && p.sorted > float64(q.Limit+1) {
			t.Errorf("%s: sorts %v rows, want at most those of the page\n%s", tt.name, p.sorted, p.text)
		}
		// One delivery of each audience and then one more for each that was
		// taken, until the page is full.
		if most := q.Limit + 1 + len(reader.sources(q.System)); q.Filter == (Filter{}) && q.OrderBy == OrderCreated && p.delivered > float64(most) {
			t.Errorf("%s: reads %v deliveries, want at most %d\n%s", tt.name, p.delivered, most, p.text)
		}
		wide := reader
		for i := range maxMerged {
			wide.groups = append(wide.groups, source{fmt.Sprintf("group:default/more%02d", i), firstID})
		}
		p = explain(t, db, query(wide, q, selection{Filter: q.Filter}, nil))
		p.check(t, tt.name+", of many audiences")
		if most := (q.Limit + 1) * len(wide.sources(q.System)); q.OrderBy == OrderCreated && p.sorted > float64(most) {
			t.Errorf("%s: sorts %v rows, want at most %d, a page from each audience\n%s", tt.name, p.sorted, most, p.text)
		}
		at := &cursor{ID: "00000000-c350-7000-8000-000000000000", Key: new("title 5")}
		explain(t, db, query(reader, q, selection{Filter: q.Filter}, at)).check(t, tt.name+", by cursor")
	}
	if sql := st.countQuery(reader, Filter{Archived: ArchivedOrNot}); strings.Contains(sql.String(), "states") {
		t.Errorf("a count that asks for no state reads them: %s", sql)
	}
	for _, f := range []Filter{{}, {Read: Unread}, {Read: Unread}, {Text: "x"}} {
		explain(t, db, st.countQuery(reader, f)).check(t, fmt.Sprintf("count %+v", f))
	}
}

// filledForPlans returns a database filled by fillForPlans.
func filledForPlans(t *testing.T) (*gorm.DB, *store) {
	t.Helper()
	db := dbtest.Postgres(t)
	st, err := newStore(db, discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fillForPlans(t, db)
	return db, st
}

// fillForPlans stores 100,000 messages to 200 users, 10 groups and everybody,
// and updates the planner's statistics.
func fillForPlans(t *testing.T, db *gorm.DB) {
	t.Helper()
	const id = "lpad(to_hex(i), 12, '0')::text || '70008000000000000000'"
	const audience = "CASE WHEN i % 500 = 0 THEN 'system' WHEN i % 50 = 0 THEN 'group:default/g' || i / 50 % 10 ELSE 'user:default/u' || i % 200 END"
	for _, sql := range []string{
		`INSERT INTO notification_messages (id, poster, origin, title, topic, actions, is_system, audience_list, scope, severity, expires_at, withdrawn_at, origin_key, title_key)
			SELECT (` + id + `)::uuid, CASE WHEN i % 100 = 9 THEN 'user:default/u9' ELSE 'service:ci' END, 'o', 'title ' || i, 'topic ' || i % 7, '[]', i % 500 = 0,
			json_build_array(` + audience + `)::text, CASE WHEN i % 2 = 1 THEN 'scope ' || i % 30000 END, i % 4,
			CASE WHEN i % 40 = 0 THEN i WHEN i % 4 = 0 THEN 9000000000000 END, CASE WHEN i % 1000 = 1 THEN i END, 'o', 'title ' || i FROM generate_series(1, 100000) i`,
		`INSERT INTO notification_deliveries (audience, message_id, severity)
			SELECT ` + audience + `, (` + id + `)::uuid, i % 4 FROM generate_series(1, 100000) i`,
		`INSERT INTO notification_states (user_ref, message_id, read_at, saved_at, logged)
			SELECT 'user:default/u' || i % 200, (` + id + `)::uuid, i, CASE WHEN i % 30 = 0 THEN i END, TRUE FROM generate_series(1, 100000) i WHERE i % 3 = 0`,
		`INSERT INTO notification_deliveries (audience, message_id, severity)
			SELECT 'user:default/heavy', (` + id + `)::uuid, i % 4 FROM generate_series(1, 100000) i WHERE i % 10 = 3`,
		"INSERT INTO notification_scopes SELECT 'user:default/u' || i % 200, 'o', 'scope ' || i, i FROM generate_series(1, 60000) i",
		"INSERT INTO notification_idempotency_keys SELECT 'user:default/u' || i % 200, 'key ' || i, 'x', (" + id + ")::uuid, 9000000000000 - i FROM generate_series(1, 100000) i",
		"INSERT INTO notification_changes (xact, kind, message_id) SELECT (i % 700)::text::xid8, i % 2 + 1, (" + id + ")::uuid FROM generate_series(1, 20000) i",
		"INSERT INTO notification_changes (kind, message_id) SELECT 1, (" + id + ")::uuid FROM generate_series(20000, 100000) i WHERE i % 200 <> 7",
		"INSERT INTO notification_ticks SELECT '1:1:', i * 10000, 'nonce' || i FROM generate_series(1, 100) i",
		"VACUUM ANALYZE notification_changes", "VACUUM ANALYZE notification_ticks",
		"VACUUM ANALYZE notification_messages", "VACUUM ANALYZE notification_deliveries", "VACUUM ANALYZE notification_states",
		"VACUUM ANALYZE notification_scopes", "VACUUM ANALYZE notification_idempotency_keys",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// plan is what the tests check of an executed plan.
type plan struct {
	text      string
	scanned   []string // tables that were scanned sequentially
	sorted    float64  // rows of the largest sort
	delivered float64  // rows read from the deliveries
	cost      float64  // PostgreSQL's estimate
}

func (p plan) check(t *testing.T, name string) {
	t.Helper()
	if len(p.scanned) > 0 {
		t.Errorf("%s: sequential scan of %q\n%s", name, p.scanned, p.text)
	}
}

// sentStatement is a statement as it was sent.
type sentStatement struct {
	text string
	args []any
}

func (s sentStatement) String() string { return s.text }

func explain(t *testing.T, db *gorm.DB, sql *sqltext.Text) plan {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := pool.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql.String(), sql.Args()...).Scan(&text); err != nil {
		t.Fatalf("%v\n%s", err, sql.String())
	}
	return parsePlan(t, text)
}

func parsePlan(t *testing.T, text string) plan {
	t.Helper()
	var parsed []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	p := plan{text: text, cost: parsed[0].Plan.Cost}
	p.visit(parsed[0].Plan)
	return p
}

type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Cost     float64 `json:"Total Cost"`
	Plans    []node
}

func (p *plan) visit(n node) {
	if n.Type == "Seq Scan" {
		p.scanned = append(p.scanned, n.Relation)
	}
	if strings.Contains(n.Type, "Sort") && len(n.Plans) > 0 {
		p.sorted = max(p.sorted, n.Plans[0].Rows*n.Plans[0].Loops)
	}
	if n.Relation == "notification_deliveries" {
		p.delivered += n.Rows * n.Loops
	}
	for _, child := range n.Plans {
		p.visit(child)
	}
}

// TestMergedLists compares the statement for readers with few audiences and the
// one for readers with many. Both must return the same pages.
func TestMergedLists(t *testing.T) {
	t.Parallel()
	db, merging := filledForPlans(t)
	for _, sql := range []string{ // gives some messages two audiences, and some a state
		"INSERT INTO notification_deliveries SELECT 'group:default/g1', message_id, severity, scheduled, system, expires_at" +
			" FROM notification_deliveries WHERE audience IN ('user:default/u7', 'system') AND message_id::text LIKE '%7000-8000%' AND severity = 1",
		"UPDATE notification_messages SET is_system = TRUE WHERE id IN (SELECT message_id FROM notification_deliveries WHERE audience = 'system')",
		"UPDATE notification_deliveries SET system = TRUE WHERE message_id IN (SELECT id FROM notification_messages WHERE is_system)",
		"UPDATE notification_states SET archived_at = 1 WHERE read_at % 7 = 0",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	other := *merging
	other.dialect = struct{ dialect }{merging.dialect} // hides the method merged
	reader := inbox{
		user: UserRef("default/u7"), audience: "user:default/u7", groups: []source{{"group:default/g1", firstID}, {"group:default/g2", planID(40_000)}},
		system: source{systemAudience, planID(500)}, readBefore: planID(60_000), now: time.Now(),
	}
	pages := 0
	for i := range 3 * 3 * 3 * 3 * 2 * 2 {
		pick := func(n int) (k int) { k, i = i%n, i/n; return k }
		q := ListQuery{
			Filter: Filter{
				Read: ReadFilter(pick(3)), Saved: SavedFilter(pick(3)), Archived: ArchivedFilter(pick(3)), System: SystemFilter(pick(3)),
			},
			Ascending: pick(2) == 1, Limit: 7, Offset: 5 * pick(2),
		}
		if i := pages % 4; i == 1 {
			q.Text = "title 5"
		} else if i == 2 {
			q.MinSeverity, q.Topic = SeverityNormal, "topic 3"
		}
		q, _, err := q.prepared()
		if err != nil {
			t.Fatal(err)
		}
		for _, after := range []*cursor{nil, {ID: planID(50_000)}} {
			got, err := merging.list(t.Context(), reader, q, after)
			if err != nil {
				t.Fatal(err)
			}
			want, err := other.list(t.Context(), reader, q, after)
			if err != nil {
				t.Fatal(err)
			}
			got.Position, want.Position = "", ""
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v after %v: %d items, %q; otherwise %d items, %q", q, after, len(got.Items), got.Next, len(want.Items), want.Next)
			}
			if len(got.Items) > 0 {
				pages++
			}
		}
	}
	if pages < 100 {
		t.Errorf("only %d pages have something on them", pages)
	}
}

// TestReadsKeepOnePlan: PostgreSQL plans a read for its parameters five times,
// and then keeps one plan for all readers. Planning takes longer than reading.
func TestReadsKeepOnePlan(t *testing.T) {
	t.Parallel()
	db, st := filledForPlans(t)
	// Few users have nearly all messages, and the planner knows which.
	for _, sql := range []string{
		"DELETE FROM notification_deliveries WHERE audience >= 'user:default/u12'",
		"INSERT INTO notification_deliveries (audience, message_id) SELECT 'user:default/new' || i, gen_random_uuid() FROM generate_series(1, 300) i",
		"VACUUM ANALYZE notification_deliveries",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1) // plans belong to a connection
	const readers = 12
	for i := range readers {
		in := inbox{
			user: UserRef(fmt.Sprint("default/new", i)), audience: fmt.Sprint("user:default/new", i), groups: []source{{"group:default/new", firstID}},
			system: source{systemAudience, firstID}, readBefore: firstID, now: time.Now(),
		}
		q, _, err := ListQuery{Filter: Filter{}}.prepared()
		if err != nil {
			t.Fatal(err)
		}
		list := st.listByCreated(in, q, selection{Filter: q.Filter}, nil)
		if this, any := planFor(t, db, sentStatement{list.String(), list.Args()}).cost, genericPlanFor(t, db, sentStatement{list.String(), list.Args()}).cost; this != any {
			t.Errorf("reader %d: PostgreSQL estimates %v for a list, and %v for any reader's", i, this, any)
		}
		_, errList := st.list(t.Context(), in, q, nil)
		_, _, errCount := st.count(t.Context(), in, Filter{Read: Unread})
		_, errStatus := st.status(t.Context(), in, SystemOrNot)
		if err := errors.Join(errList, errCount, errStatus); err != nil {
			t.Fatal(err)
		}
	}
	var plans []struct {
		Statement string `gorm:"column:statement"`
		Custom    int    `gorm:"column:custom_plans"`
		Generic   int    `gorm:"column:generic_plans"`
	}
	err = db.Raw("SELECT statement, custom_plans, generic_plans FROM pg_prepared_statements" +
		" WHERE statement LIKE '%notification_deliveries del%' AND statement !~ 'pg_prepared|PREPARE|EXPLAIN'").Find(&plans).Error
	if err != nil || len(plans) != 3 {
		t.Errorf("%d statements are prepared, %v; want 3", len(plans), err)
	}
	for _, p := range plans {
		if p.Custom != 5 || p.Generic != readers-5 {
			t.Errorf("planned %d times, executed %d times as planned before: %s", p.Custom, p.Generic, p.Statement)
		}
	}
}

// TestPlanReader shows that the tests above can fail: it finds the scan and the
// sort in a plan that has both.
func TestPlanReader(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	if err := db.Exec("CREATE TABLE x AS SELECT i FROM generate_series(1, 500) i").Error; err != nil {
		t.Fatal(err)
	}
	if p := explain(t, db, sqltext.Part("SELECT i FROM x ORDER BY i")); !slices.Equal(p.scanned, []string{"x"}) || p.sorted != 500 {
		t.Errorf("scanned %q, sorted %v; want x and 500\n%s", p.scanned, p.sorted, p.text)
	}
}
