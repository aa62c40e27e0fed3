package notifications

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// BenchmarkDeliveryModel holds ways to keep deliveries against each other, for
// docs/decisions/0009-deliveries-carry-what-counts-need.md. The contenders take
// turns, so that whatever else the machine does hits all of them alike. It
// prints medians, and in brackets their ratio to the first contender's.
func BenchmarkDeliveryModel(b *testing.B) {
	b.Run("postgres", func(b *testing.B) { benchmarkModels(b, modelPostgres, dbtest.Postgres(b)) })
	b.Run("sqlite", func(b *testing.B) { benchmarkModels(b, modelSQLite, dbtest.SQLite(b)) })
}

// deliveryModel is one way. All have the primary key (audience, message_id).
type deliveryModel struct {
	name    string
	carried bool // deliveries carry what lists and counts ask for
	include bool // and so does the index of the primary key
	indexed bool // found by an index on message_id, not by a list in the message
}

// modelDialect is the SQL of one database. Words in braces are those of
// [modelDialect.sql]; the statements of one change are one transaction.
type modelDialect struct {
	models            []deliveryModel
	uuid, key, end    string // types, and what ends a table that is its key
	filled            string // run when all is filled
	counts            []string
	post, withdraw    []string
	listed, addressed string // how withdraw finds deliveries by the message's list
}

// modelPostgres has a contender more, which is B without INCLUDE, and a second
// count, which tells the planner how many audiences there are. Of the first it
// supposes 100, which can look dear enough to compile the query (JIT).
var modelPostgres = modelDialect{
	models: []deliveryModel{
		{name: "A"},
		{name: "B", carried: true, include: true},
		{name: "C", carried: true, include: true, indexed: true},
		{name: "B0", carried: true},
	},
	uuid: "uuid", key: `text COLLATE "C"`, filled: "VACUUM ANALYZE",
	counts: []string{
		"SELECT count(DISTINCT v.message_id) FROM json_array_elements_text(CAST(@to AS json)) a(value)" + modelLateral,
		"SELECT count(DISTINCT v.message_id) FROM (SELECT * FROM json_array_elements_text(CAST(@to AS json)) LIMIT 6) a(value)" + modelLateral,
	},
	post: []string{`WITH message AS (INSERT INTO {m} VALUES (@id, @text, @text, @list, 2, FALSE, FALSE, 9223372036854775807))
		INSERT INTO {d} SELECT a.value, CAST(@id AS uuid){as posted} FROM json_array_elements_text(CAST(@to AS json)) a(value)`},
	withdraw: []string{`WITH m AS (UPDATE {m} SET withdrawn_at = 1 WHERE id = @id AND withdrawn_at IS NULL RETURNING id, audiences)
		DELETE FROM {d} d USING m{listed} WHERE d.message_id = m.id{addressed}`},
	listed: ", json_array_elements_text(m.audiences::json) a(value)", addressed: " AND d.audience = a.value",
}

const (
	modelLateral = " CROSS JOIN LATERAL (" + modelBranch + " OFFSET 0) v"
	modelBranch  = "SELECT d.message_id FROM {d} d{joined} WHERE d.audience = a.value AND {k}.expires_at > @now AND NOT {k}.scheduled" +
		" AND (SELECT r.read_at FROM states r WHERE r.user_ref = @user AND r.message_id = d.message_id) IS NULL"
)

var modelSQLite = modelDialect{
	models: []deliveryModel{{name: "A"}, {name: "B", carried: true}, {name: "C", carried: true, indexed: true}},
	uuid:   "text", key: "text", end: "WITHOUT ROWID", filled: "PRAGMA wal_checkpoint(TRUNCATE)",
	counts: []string{"SELECT count(DISTINCT v.message_id) FROM json_each(@to) a" +
		" CROSS JOIN {d} v ON v.audience = a.value AND v.message_id IN (" + modelBranch + ")"},
	post: []string{
		"INSERT INTO {m} VALUES (@id, @text, @text, @list, 2, FALSE, FALSE, 9223372036854775807, NULL)",
		"INSERT INTO {d} SELECT a.value, @id{as posted} FROM json_each(@to) a",
	},
	withdraw: []string{
		"UPDATE {m} SET withdrawn_at = 1 WHERE id = @id AND withdrawn_at IS NULL",
		"DELETE FROM {d} WHERE message_id = @id{addressed}",
	},
	addressed: " AND audience IN (SELECT a.value FROM {m} m CROSS JOIN json_each(m.audiences) a WHERE m.id = @id)",
}

// sql writes a statement out for one model.
func (d modelDialect) sql(m deliveryModel, statement string) string {
	words := []string{"{d}", "deliveries_" + m.name, "{m}", "messages_" + m.name, "{uuid}", d.uuid, "{key}", d.key, "{end}", d.end}
	choose := func(word string, is bool, yes, no string) {
		if !is {
			yes = no
		}
		words = append(words, word, yes)
	}
	choose("{columns}", m.carried, ", severity smallint NOT NULL, scheduled boolean NOT NULL, system boolean NOT NULL,"+
		" expires_at bigint NOT NULL DEFAULT 9223372036854775807", "")
	choose("{include}", m.include, " INCLUDE (severity, scheduled, system, expires_at)", "")
	choose("{copied}", m.carried, ", m.severity, m.scheduled, m.system, m.expires_at", "")
	choose("{as posted}", m.carried, ", 2, FALSE, FALSE, 9223372036854775807", "")
	choose("{k}", m.carried, "d", "k")
	choose("{joined}", m.carried, "", " JOIN messages_"+m.name+" k ON k.id = d.message_id")
	choose("{list}", m.indexed, "'[]'", "audiences")
	choose("{listed}", m.indexed, "", d.listed)
	choose("{addressed}", m.indexed, "", strings.ReplaceAll(d.addressed, "{m}", "messages_"+m.name))
	return strings.NewReplacer(words...).Replace(statement)
}

// The fill: 200,000 messages, of which 400 are to everybody, 3,600 to one of
// 90 groups, 20 to 1,000 users each, and the others to one of 2,000 users.
const modelMessages, modelUsers, modelCrowd = 200_000, 2000, 1000

// modelReader sees about 600 messages and has read a third of them.
var modelReader = append(modelTo(7, 1), "group:default/team.name1", "group:default/team.name2",
	"group:default/team.name3", "group:default/team.name4", systemAudience)

var modelText = strings.Repeat("All checks passed. ", 8)

func modelID(i int) string { return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", i>>16, i&0xffff) }

// modelTo are n users from the given one on.
func modelTo(from, n int) []string {
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user:default/user.name%d", (from+i)%modelUsers)
	}
	return users
}

// modelFill returns whom message i of the fill is for, and who has read it: a
// third of everybody, or all of the others a third of the time.
func modelFill(i int) (to, readers []string) {
	switch {
	case i%500 == 0:
		for u := i / 500 % 3; u < modelUsers; u += 3 {
			readers = append(readers, modelTo(u, 1)...)
		}
		return []string{systemAudience}, readers
	case i%50 == 0:
		to, readers = []string{fmt.Sprintf("group:default/team.name%d", i/50%100)}, modelReader[:1]
	case i%10_000 == 1:
		to = modelTo(0, modelCrowd)
		readers = to
	default:
		to = modelTo(i*31+i/modelUsers, 1)
		readers = to
	}
	if i%3 != 0 {
		readers = nil
	}
	return to, readers
}

// The rows of the fill.
type (
	modelMessage struct {
		ID, Title, Body, Audiences string
		Severity                   int
		Scheduled, System          bool
		ExpiresAt                  int64
	}
	modelDelivery struct{ Audience, MessageID string }
	modelState    struct {
		UserRef, MessageID string
		ReadAt             int64
	}
)

// fillModels stores the same in the tables of all models.
func fillModels(b *testing.B, d modelDialect, db *gorm.DB) {
	b.Helper()
	do := func(m deliveryModel, statement string) { modelDo(b, db, nil, d.sql(m, statement)) }
	for _, m := range d.models {
		do(m, `CREATE TABLE {m} (id {uuid} NOT NULL PRIMARY KEY, title text NOT NULL, body text NOT NULL,
			audiences text NOT NULL, severity smallint NOT NULL, scheduled boolean NOT NULL, system boolean NOT NULL,
			expires_at bigint NOT NULL, withdrawn_at bigint)`)
		do(m, "CREATE TABLE {d} (audience {key} NOT NULL, message_id {uuid} NOT NULL{columns}, PRIMARY KEY (audience, message_id){include}) {end}")
		if m.indexed {
			do(m, "CREATE INDEX deliveries_by_message ON {d} (message_id)")
		}
	}
	for _, table := range modelStates {
		do(d.models[0], "CREATE TABLE "+table+
			" (user_ref {key} NOT NULL, message_id {uuid} NOT NULL, read_at bigint, PRIMARY KEY (user_ref, message_id)) {end}")
	}
	do(d.models[0], "CREATE INDEX states_by_message ON states_indexed (message_id)")

	messages, deliveries, states := modelRows()
	for table, rows := range map[string]any{"messages_a": messages, "deliveries_a": deliveries, "states": states} {
		if err := db.Table(table).CreateInBatches(rows, 2000).Error; err != nil {
			b.Fatal(err)
		}
	}
	do(d.models[0], "INSERT INTO states_indexed SELECT * FROM states")
	for _, m := range d.models[1:] {
		do(m, "INSERT INTO {m} SELECT id, title, body, {list}, severity, scheduled, system, expires_at, withdrawn_at FROM messages_a ORDER BY id")
		do(m, "INSERT INTO {d} SELECT d.audience, d.message_id{copied} FROM messages_a m JOIN deliveries_a d ON d.message_id = m.id ORDER BY m.id")
	}
	do(d.models[0], d.filled)
}

// modelStates are the tables of states, without and with an index on
// message_id.
var modelStates = []string{"states", "states_indexed"}

func modelRows() (messages []modelMessage, deliveries []modelDelivery, states []modelState) {
	for i := range modelMessages {
		to, readers := modelFill(i)
		id, expires := modelID(i), int64(math.MaxInt64)
		if i%19 == 3 {
			expires = 1
		}
		messages = append(messages,
			modelMessage{id, modelText[:40], modelText, jsonArray(to), i % 4, i%101 == 3, to[0] == systemAudience, expires})
		for _, audience := range to {
			deliveries = append(deliveries, modelDelivery{audience, id})
		}
		for _, user := range readers {
			states = append(states, modelState{user, id, 1})
		}
	}
	return messages, deliveries, states
}

// modelDo runs statements, several as one transaction, and returns how many
// rows the last one changed.
func modelDo(b *testing.B, db *gorm.DB, args map[string]any, statements ...string) (rows int64) {
	b.Helper()
	var named []any
	if args != nil {
		named = append(named, args)
	}
	run := func(db *gorm.DB) error {
		for _, statement := range statements {
			done := db.Exec(statement, named...)
			if done.Error != nil {
				return fmt.Errorf("%w\n%s", done.Error, statement)
			}
			rows = done.RowsAffected
		}
		return nil
	}
	var err error
	if len(statements) > 1 {
		err = db.Transaction(run)
	} else {
		err = run(db)
	}
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

// benchmarkModels fills the tables and prints a line for each thing measured:
// not to the log, which a benchmark cuts off after ten.
func benchmarkModels(b *testing.B, d modelDialect, db *gorm.DB) {
	b.ReportMetric(0, "ns/op")
	fillModels(b, d, db)
	var names, messages, deliveries []string
	for _, m := range d.models {
		names, messages, deliveries = append(names, m.name), append(messages, "messages_"+m.name), append(deliveries, "deliveries_"+m.name)
	}
	report := "\n" + db.Name() + "\n"
	if db.Name() == "postgres" {
		report += modelSizes(b, db, messages) + modelSizes(b, db, deliveries) + modelSizes(b, db, modelStates)
	}
	for i, count := range d.counts {
		report += takeTurns(fmt.Sprintf("count unread, query %d", i+1), 200, names, func(c, _ int) {
			args := map[string]any{"to": jsonArray(modelReader), "user": modelReader[0], "now": 2}
			var n int
			if err := db.Raw(d.sql(d.models[c], count), args).Row().Scan(&n); err != nil || n != 424 {
				b.Fatalf("%s counts %d, %v", names[c], n, err)
			}
		})
	}
	for _, size := range []struct{ users, rounds int }{{1, 400}, {modelCrowd, 40}} {
		change := func(statements []string) func(int, int) {
			return func(c, round int) {
				m, to := d.models[c], jsonArray(modelTo(modelCrowd+round, size.users))
				args := map[string]any{"id": modelID(size.users*modelMessages + round), "text": modelText, "to": to, "list": to}
				if m.indexed {
					args["list"] = "[]"
				}
				written := make([]string, len(statements))
				for i, statement := range statements {
					written[i] = d.sql(m, statement)
				}
				if rows := modelDo(b, db, args, written...); rows != int64(size.users) {
					b.Fatalf("%s changed %d deliveries, want %d", m.name, rows, size.users)
				}
			}
		}
		report += takeTurns(fmt.Sprintf("post to %d", size.users), size.rounds, names, change(d.post))
		report += takeTurns(fmt.Sprintf("withdraw from %d", size.users), size.rounds, names, change(d.withdraw))
	}
	report += takeTurns("mark read", 400, modelStates, func(c, round int) {
		args := map[string]any{"id": modelID(500 * round), "user": modelTo(round%3+1+round*37%600*3, 1)[0]}
		if rows := modelDo(b, db, args, "INSERT INTO "+modelStates[c]+" AS s SELECT CAST(@user AS text), d.message_id, 2 FROM deliveries_a d"+
			" WHERE d.audience = 'system' AND d.message_id = @id"+
			" ON CONFLICT (user_ref, message_id) DO UPDATE SET read_at = coalesce(s.read_at, excluded.read_at)"); rows != 1 {
			b.Fatalf("marked %d", rows)
		}
	})
	fmt.Print(report)
}

// takeTurns lets each contender do its thing in each round, another one
// beginning each time, and returns a line with the medians.
func takeTurns(name string, rounds int, contenders []string, do func(contender, round int)) string {
	took := make([][]time.Duration, len(contenders))
	for round := range rounds {
		for i := range contenders {
			c := (round + i) % len(contenders)
			start := time.Now()
			do(c, round)
			took[c] = append(took[c], time.Since(start))
		}
	}
	var medians []float64
	for _, t := range took {
		slices.Sort(t)
		medians = append(medians, float64(t[rounds/2].Nanoseconds())/1000)
	}
	return modelLine(name+", µs", contenders, medians)
}

// modelSizes is a line of what tables take on disk with their indexes.
func modelSizes(b *testing.B, db *gorm.DB, tables []string) string {
	b.Helper()
	sizes := make([]float64, len(tables))
	for i, table := range tables {
		query := "SELECT pg_total_relation_size('" + table + "') / count(*)::float FROM " + table
		if err := db.Raw(query).Row().Scan(&sizes[i]); err != nil {
			b.Fatal(err)
		}
	}
	return modelLine("MB per million rows", tables, sizes)
}

func modelLine(name string, contenders []string, figures []float64) string {
	line := fmt.Sprintf("%-27s", name)
	for i, f := range figures {
		line += fmt.Sprintf(" | %s %.0f (%.2f)", contenders[i], f, f/figures[0])
	}
	return line + "\n"
}
