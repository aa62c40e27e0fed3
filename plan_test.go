package notifications

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestPlans reads how PostgreSQL means to answer list and count over 100,000
// messages: by indexes alone, and without sorting more than a page.
func TestPlans(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	st, err := newStore(db, discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fillForPlans(t, db)

	reader := inbox{
		user: "user:default/u7", groups: []source{{"group:default/g1", firstID}, {"group:default/g2", firstID}},
		system: source{systemAudience, firstID}, readBefore: firstID, now: time.Now(),
	}
	lists := []struct {
		name string
		q    ListQuery
	}{
		{"first page", ListQuery{}},
		{"unread", ListQuery{Filter: Filter{Read: Unread}}},
		{"read", ListQuery{Filter: Filter{Read: Read}}},
		{"everything", ListQuery{Filter: Filter{Scope: ScopeAll}}},
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
		if most := (q.Limit + 1) * len(reader.sources(q.Scope)); q.OrderBy == OrderCreated && p.sorted > float64(most) {
			t.Errorf("%s: sorts %v rows, want at most %d, a page from each audience\n%s", tt.name, p.sorted, most, p.text)
		}
		at := &cursor{ID: "00000000-c350-7000-8000-000000000000", Key: new("title 5")}
		explain(t, db, query(reader, q, selection{Filter: q.Filter}, at)).check(t, tt.name+", by cursor")
	}
	for _, f := range []Filter{{}, {Read: Unread}, {Read: Unread, Scope: ScopeAll}, {Text: "x"}} {
		explain(t, db, st.countQuery(reader, f)).check(t, fmt.Sprintf("count %+v", f))
	}
}

// fillForPlans stores 100,000 messages to 200 users, 10 groups and everybody,
// and tells the planner about them.
func fillForPlans(t *testing.T, db *gorm.DB) {
	t.Helper()
	const id = "lpad(to_hex(i), 12, '0')::text || '70008000000000000000'"
	const audience = "CASE WHEN i % 500 = 0 THEN 'system' WHEN i % 50 = 0 THEN 'group:default/g' || i / 50 % 10 ELSE 'user:default/u' || i % 200 END"
	for _, sql := range []string{
		`INSERT INTO notification_messages (id, poster, origin, title, topic, actions, is_system, audiences, scope, severity, expires_at, withdrawn_at, origin_key, title_key)
			SELECT (` + id + `)::uuid, CASE WHEN i % 100 = 9 THEN 'user:default/u9' ELSE 'service:ci' END, 'o', 'title ' || i, 'topic ' || i % 7, '[]', i % 500 = 0,
			json_build_array(` + audience + `)::text, CASE WHEN i % 2 = 1 THEN 'scope ' || i % 30000 END, i % 4,
			CASE WHEN i % 40 = 0 THEN i WHEN i % 4 = 0 THEN 9000000000000 END, CASE WHEN i % 1000 = 1 THEN i END, 'o', 'title ' || i FROM generate_series(1, 100000) i`,
		`INSERT INTO notification_deliveries (audience, message_id, severity)
			SELECT ` + audience + `, (` + id + `)::uuid, i % 4 FROM generate_series(1, 100000) i`,
		`INSERT INTO notification_states (user_ref, message_id, read_at, saved_at)
			SELECT 'user:default/u' || i % 200, (` + id + `)::uuid, i, CASE WHEN i % 30 = 0 THEN i END FROM generate_series(1, 100000) i WHERE i % 3 = 0`,
		`INSERT INTO notification_deliveries (audience, message_id, severity)
			SELECT 'user:default/heavy', (` + id + `)::uuid, i % 4 FROM generate_series(1, 100000) i WHERE i % 10 = 3`,
		"INSERT INTO notification_scopes SELECT 'user:default/u' || i % 200, 'o', 'scope ' || i, i FROM generate_series(1, 60000) i",
		"INSERT INTO notification_idempotency_keys SELECT 'user:default/u' || i % 200, 'key ' || i, 'x', (" + id + ")::uuid, 9000000000000 - i FROM generate_series(1, 100000) i",
		"VACUUM ANALYZE notification_messages", "VACUUM ANALYZE notification_deliveries", "VACUUM ANALYZE notification_states",
		"VACUUM ANALYZE notification_scopes", "VACUUM ANALYZE notification_idempotency_keys",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// plan is what matters here of an executed plan.
type plan struct {
	text    string
	scanned []string // tables read from end to end
	sorted  float64  // rows that went into the largest sort
	cost    float64  // as PostgreSQL estimates it
}

func (p plan) check(t *testing.T, name string) {
	t.Helper()
	if len(p.scanned) > 0 {
		t.Errorf("%s: sequential scan of %q\n%s", name, p.scanned, p.text)
	}
}

func explain(t *testing.T, db *gorm.DB, sql *sqlText) plan {
	t.Helper()
	var lines []string
	if err := db.Raw("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql.String(), sql.args...).Scan(&lines).Error; err != nil {
		t.Fatalf("%v\n%s", err, sql.String())
	}
	return parsePlan(t, strings.Join(lines, "\n"))
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
	for _, child := range n.Plans {
		p.visit(child)
	}
}

// TestPlanReader makes sure the test above can fail: it sees the scan and the
// sort of a query that has both.
func TestPlanReader(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	var sql sqlText
	if err := db.Exec("CREATE TABLE x AS SELECT i FROM generate_series(1, 500) i").Error; err != nil {
		t.Fatal(err)
	}
	sql.add("SELECT i FROM x ORDER BY i")
	if p := explain(t, db, &sql); !slices.Equal(p.scanned, []string{"x"}) || p.sorted != 500 {
		t.Errorf("scanned %q, sorted %v; want x and 500\n%s", p.scanned, p.sorted, p.text)
	}
}
