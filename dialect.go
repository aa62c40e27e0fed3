package notifications

import (
	"fmt"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// dialect is where the SQL of the two databases differs, and nothing else.
type dialect struct {
	// migrations is what goose calls the dialect.
	migrations goose.Dialect
	// oneWriter says that the database takes one writer at a time.
	oneWriter bool
	// encoding asks for the encoding of the database.
	encoding string
	// audiences is the relation a(value, since) over a parameter, sources.
	audiences string
	// delivery is the columns of the delivery d that eachAudience needs.
	delivery string
	// ids is a selection of the ids in a parameter, a JSON array.
	ids string
	// texts is the relation a(value) over a parameter, a JSON array of texts.
	texts string
	// audiencesOf is the relation a(value) of the audiences of the message at
	// hand; textArray makes a JSON array of its values.
	audiencesOf, textArray string
	// keepRows, after a selection of messages, keeps them from being removed
	// before the transaction ends; changeRows keeps others from changing them;
	// lockRows keeps others from locking them, and leaves out what others have
	// locked.
	keepRows, changeRows, lockRows string
	// purgeLock asks for the lock of those who purge, until the transaction
	// ends; empty where writing is lock enough.
	purgeLock string
	// hiddenTime is a parameter, Unix milliseconds, that the planner does not
	// look at. PostgreSQL would find that next to nothing has expired by now,
	// which a plan for any parameters cannot know, and plan each execution anew
	// for the sake of it; in large tables that took longer than the execution.
	hiddenTime string
	// text is a parameter that is a text.
	text string
	// find is the function strpos(text, part): 0 when part does not occur.
	find string
	// eachAudience adds a relation v(message_id, system): the branch,
	// which speaks of a, done once for each audience. An id occurs once for
	// each audience it is in.
	eachAudience func(sql *sqlText, sources []source, branch *sqlText)
	// insert stores a message and its deliveries, all or nothing.
	insert func(db *gorm.DB, row *messageRow) error
	// deletePairs deletes the deliveries in a parameter, a JSON array of
	// [audience, id].
	deletePairs string
}

// A list of any length is one parameter, a JSON array, where an IN list has a
// limit.
const (
	postgresAudiences = "json_to_recordset(?::json) AS a(value text, since uuid)"
	postgresTexts     = "json_array_elements_text(?::json) AS a(value)"

	sqliteAudiences = "(SELECT json_extract(j.value, '$.value') AS value, json_extract(j.value, '$.since') AS since" +
		" FROM json_each(?) j) AS a"
	sqliteTexts = "json_each(?) AS a"
)

var dialects = map[string]dialect{
	"postgres": {
		migrations:   goose.DialectPostgres,
		encoding:     "SHOW server_encoding",
		audiences:    postgresAudiences,
		delivery:     "d.message_id, d.system",
		ids:          "SELECT i.value::uuid FROM json_array_elements_text(?::json) AS i(value)",
		texts:        postgresTexts,
		audiencesOf:  "json_array_elements_text(notification_messages.audiences::json) AS a(value)",
		textArray:    "coalesce(json_agg(a.value)::text, '[]')",
		keepRows:     " FOR KEY SHARE",
		changeRows:   " FOR NO KEY UPDATE",
		lockRows:     " FOR UPDATE SKIP LOCKED",
		purgeLock:    "SELECT pg_try_advisory_xact_lock(?)",
		hiddenTime:   "(SELECT ?::bigint)",
		text:         "?::text",
		find:         "strpos",
		eachAudience: postgresEachAudience,
		insert:       postgresInsert,
		deletePairs: "DELETE FROM notification_deliveries d USING (SELECT p.value->>0 AS audience, (p.value->>1)::uuid AS message_id" +
			" FROM json_array_elements(?::json) AS p(value)) p WHERE d.audience = p.audience AND d.message_id = p.message_id",
	},
	"sqlite": {
		migrations:   goose.DialectSQLite3,
		oneWriter:    true,
		encoding:     "PRAGMA encoding",
		audiences:    sqliteAudiences,
		delivery:     "d.message_id",
		ids:          "SELECT i.value FROM json_each(?) i",
		texts:        sqliteTexts,
		audiencesOf:  "json_each(notification_messages.audiences) AS a",
		textArray:    "json_group_array(a.value)",
		hiddenTime:   "?",
		text:         "?",
		find:         "instr",
		eachAudience: sqliteEachAudience,
		insert:       sqliteInsert,
		deletePairs: "DELETE FROM notification_deliveries WHERE (audience, message_id) IN" +
			" (SELECT json_extract(p.value, '$[0]'), json_extract(p.value, '$[1]') FROM json_each(?) p)",
	},
}

// postgresEachAudience is a lateral join. OFFSET 0 keeps the planner from
// dissolving the branch into a join that reads the whole table. LIMIT tells it
// how many audiences there are: it would think of a hundred, and compile the
// query, which takes longer than the query does.
func postgresEachAudience(sql *sqlText, sources []source, branch *sqlText) {
	sql.add("(SELECT * FROM "+postgresAudiences+fmt.Sprintf(" LIMIT %d) a CROSS JOIN LATERAL (", len(sources)), sourcesJSON(sources))
	sql.add(branch.String(), branch.args...)
	sql.add(" OFFSET 0) v")
}

// sqliteEachAudience does the same for SQLite, which has no lateral joins but
// lets an IN list refer to the row at hand.
func sqliteEachAudience(sql *sqlText, sources []source, branch *sqlText) {
	sql.add(sqliteAudiences+" CROSS JOIN notification_deliveries v"+
		" ON v.audience = a.value AND v.message_id IN (", sourcesJSON(sources))
	sql.add(branch.String(), branch.args...)
	sql.add(")")
}

// insertMessage stores a message; its parameters are [messageRow.values].
const insertMessage = "INSERT INTO notification_messages" +
	" (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audiences," +
	" scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)" +
	" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

// values are what insertMessage stores, with room for what a dialect adds.
func (m *messageRow) values() []any {
	return append(make([]any, 0, 32),
		m.ID, m.Poster, m.Origin, m.Title, m.Message, m.Topic, m.Severity, m.Link, m.Icon, m.Metadata, m.Actions, m.IsSystem, m.Audiences,
		m.Scope, m.ExpiresAt, m.Scheduled, m.OriginKey, m.TitleKey, m.MessageKey, m.TopicKey)
}

// insertDeliveries stores its deliveries, and begins with their columns.
const insertDeliveries = "INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)"

// deliveryValues are what is the same in all deliveries, and whose they are.
func (m *messageRow) deliveryValues() []any {
	return []any{m.ID, m.Severity, m.Scheduled, m.IsSystem, m.deliveryExpiry(), m.Audiences}
}

// postgresInsert is one statement and so one round trip.
func postgresInsert(db *gorm.DB, m *messageRow) error {
	return db.Exec("WITH message AS ("+insertMessage+") "+insertDeliveries+
		" SELECT a.value, ?::uuid, ?::smallint, ?::boolean, ?::boolean, ?::bigint FROM "+postgresTexts,
		append(m.values(), m.deliveryValues()...)...).Error
}

// sqliteInsert is a transaction, or a savepoint in the host's one. Its first
// statement writes, so it waits for the lock instead of failing to upgrade.
func sqliteInsert(db *gorm.DB, m *messageRow) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := sqliteExec(tx, insertMessage, m.values()...); err != nil {
			return err
		}
		return sqliteExec(tx, insertDeliveries+" SELECT a.value, ?, ?, ?, ?, ? FROM "+sqliteTexts, m.deliveryValues()...)
	})
}

// sqliteExec is Exec for a statement that is as SQLite wants it. GORM would
// look for parameters byte by byte, which takes longer than SQLite does.
func sqliteExec(db *gorm.DB, sql string, args ...any) error {
	db = db.Clauses() // none, but a statement of its own
	db.Statement.SQL.WriteString(sql)
	db.Statement.Vars = args
	return db.Callback().Raw().Execute(db).Error
}
