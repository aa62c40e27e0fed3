package notifications

import (
	"fmt"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// BenchmarkCounting holds ways to count what is unread against each other, for
// docs/decisions/0016-counting.md, and what writes would pay for kept counts.
// The contenders take turns on one connection. It prints medians, and in
// brackets their ratio to the first contender's.
func BenchmarkCounting(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	err := dbtest.Postgres(b).Connection(func(db *gorm.DB) error {
		modelDo(b, db, nil, countingTables...)
		modelDo(b, db, nil, "VACUUM ANALYZE")
		fmt.Print("\n" + benchmarkCounts(b, db) + benchmarkKept(b, db))
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// The reader has 100,000 deliveries in four audiences, and has read nine
// tenths. There are 500,000 to others.
const (
	countingReader = `["user","group one","group two","system"]`
	countingID     = "lpad(to_hex(n), 32, '0')::uuid"
	countingUnread = 10_000
)

var countingTables = []string{
	`CREATE TABLE deliveries (audience text COLLATE "C", message_id uuid, scheduled boolean, expires_at bigint,
		PRIMARY KEY (audience, message_id) INCLUDE (scheduled, expires_at))`,
	"INSERT INTO deliveries SELECT CASE WHEN n <= 97000 THEN 'user' WHEN n <= 98000 THEN 'group one' WHEN n <= 99000 THEN 'group two'" +
		" ELSE 'system' END, " + countingID + ", false, 9 FROM generate_series(1, 100000) n",
	"INSERT INTO deliveries SELECT 'user ' || n % 1000, " + countingID + ", false, 9 FROM generate_series(100001, 600000) n",
	`CREATE TABLE states (user_ref text COLLATE "C", message_id uuid, read_at bigint, archived_at bigint, PRIMARY KEY (user_ref, message_id))`,
	"CREATE INDEX ON states (message_id)",
	"INSERT INTO states SELECT 'user', " + countingID + ", 1 FROM generate_series(1, 100000) n WHERE n % 10 > 0",
	"INSERT INTO states SELECT 'user ' || n % 1000, " + countingID + ", 1 FROM generate_series(100001, 600000) n WHERE n % 2 = 0",
	"CREATE TABLE stamped (LIKE deliveries INCLUDING ALL)",
	"INSERT INTO stamped SELECT * FROM deliveries",
	"ALTER TABLE stamped ADD COLUMN transaction xid8 NOT NULL DEFAULT pg_current_xact_id()",
	"CREATE INDEX ON stamped (audience, transaction)",
	"CREATE TABLE kept (user_ref text PRIMARY KEY, unread bigint NOT NULL)",
	"INSERT INTO kept SELECT 'user ' || n, 0 FROM generate_series(0, 999) n",
}

const (
	countingVisible = "SELECT d.message_id FROM (SELECT * FROM json_array_elements_text(CAST(@to AS json)) AS a(value) LIMIT 4) a" +
		" CROSS JOIN LATERAL (SELECT * FROM deliveries d WHERE d.audience = a.value AND d.expires_at > 1 AND NOT d.scheduled OFFSET 0) d"
	countingHidden = "SELECT r.message_id FROM states r WHERE r.user_ref = 'user' AND NOT (r.read_at IS NULL AND r.archived_at IS NULL)"
)

// countingWays are the ways, by name.
var countingWays = []struct{ name, sql string }{
	{"FULL JOIN", "SELECT count(DISTINCT d.message_id) FILTER (WHERE h.message_id IS NULL) FROM (" + countingVisible + ") d" +
		" FULL JOIN (" + countingHidden + ") h ON h.message_id = d.message_id"},
	{"EXCEPT", "SELECT count(*) FROM (" + countingVisible + " EXCEPT " + countingHidden + ") c"},
	{"GROUP BY", "SELECT count(*) FROM (SELECT message_id FROM (SELECT message_id, false AS hidden FROM (" + countingVisible + ") v" +
		" UNION ALL SELECT message_id, true FROM (" + countingHidden + ") h) c GROUP BY message_id HAVING NOT bool_or(hidden)) c"},
	{"NOT IN", "SELECT count(DISTINCT d.message_id) FROM (" + countingVisible + ") d WHERE d.message_id NOT IN (" + countingHidden + ")"},
	{"NOT EXISTS", "SELECT count(DISTINCT d.message_id) FROM (" + countingVisible + ") d WHERE NOT EXISTS (" +
		countingHidden + " AND r.message_id = d.message_id)"},
	{"subquery", "SELECT count(DISTINCT d.message_id) FROM (" + countingVisible + ") d" +
		" WHERE coalesce((SELECT r.read_at IS NULL AND r.archived_at IS NULL FROM states r" +
		" WHERE r.user_ref = 'user' AND r.message_id = d.message_id), TRUE)"},
}

// benchmarkCounts counts. The server plans a statement anew the first five
// times, and may keep a plan from then on.
func benchmarkCounts(b *testing.B, db *gorm.DB) (report string) {
	var names []string
	for _, way := range countingWays {
		names = append(names, way.name)
	}
	count := func(c, _ int) {
		var n int
		err := db.Raw(countingWays[c].sql, map[string]any{"to": countingReader}).Row().Scan(&n)
		if err != nil || n != countingUnread {
			b.Fatalf("%s counts %d, %v", names[c], n, err)
		}
	}
	for _, rounds := range []struct {
		name string
		n    int
	}{{"count, first five", 5}, {"count, later", 25}} {
		report += takeTurns(rounds.name, rounds.n, names, count)
	}
	return report
}

// benchmarkKept writes what kept counts need: deliveries with the transaction,
// and an index of it; marks that adjust a row of their reader.
func benchmarkKept(b *testing.B, db *gorm.DB) string {
	posts := takeTurns("post to one", 400, []string{"deliveries", "stamped"}, func(c, round int) {
		table := []string{"deliveries", "stamped"}[c]
		modelDo(b, db, map[string]any{"id": modelID(round), "to": fmt.Sprint("user ", round)},
			"INSERT INTO "+table+" VALUES (@to, CAST(@id AS uuid), false, 9)")
	})
	const mark = "INSERT INTO states AS s VALUES (@user, CAST(@id AS uuid), 1) ON CONFLICT (user_ref, message_id)" +
		" DO UPDATE SET read_at = excluded.read_at"
	marks := takeTurns("mark one", 400, []string{"alone", "adjusting"}, func(c, round int) {
		statements := [][]string{{mark}, {
			"SELECT unread FROM kept WHERE user_ref = @user FOR UPDATE",
			"WITH marked AS (" + mark + " RETURNING 1) UPDATE kept SET unread = unread - (SELECT count(*) FROM marked) WHERE user_ref = @user",
		}}[c]
		modelDo(b, db, map[string]any{"id": modelID(2*round + c), "user": fmt.Sprint("user ", round)}, statements...)
	})
	return posts + marks
}
