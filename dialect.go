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
	// numbered says that parameters are $1, $2 and so on, and not "?".
	numbered bool
	// encoding asks for the encoding of the database.
	encoding string
	// audiences is the relation a(value, since) over a parameter, sources.
	audiences string
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
	// hiddenTime is a parameter, Unix milliseconds, and hiddenID one that is an
	// id, that the planner does not look at. PostgreSQL would find that next to
	// nothing has expired by now, which a plan for any parameters cannot know,
	// and plan each execution anew for the sake of it; in large tables that took
	// longer than the execution.
	hiddenTime, hiddenID string
	// text is a parameter that is a text.
	text string
	// find is the function strpos(text, part): 0 when part does not occur.
	find string
	// deliveries adds a relation (message_id, system): the deliveries d to the
	// sources, each being a(value, since) in turn, for which the condition
	// holds. page is an ORDER BY with a LIMIT, for each source, or empty. A
	// message comes once for each audience it is in.
	deliveries func(sql *sqlText, sources []source, where *sqlText, page string)
	// merged adds the same relation for few sources, in the direction of the
	// ids, each message once. No page is needed: of each source no more is read
	// than what is above takes. nil where the database cannot do that.
	merged func(sql *sqlText, sources []source, where *sqlText, direction string)
	// ofState joins to each delivery d the state s of a user, a parameter,
	// looking up one after another. full, before a JOIN, joins to all deliveries
	// all states of a user; rows without a delivery do no harm.
	ofState, full string
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
		migrations:  goose.DialectPostgres,
		numbered:    true,
		encoding:    "SHOW server_encoding",
		audiences:   postgresAudiences,
		ids:         "SELECT i.value::uuid FROM json_array_elements_text(?::json) AS i(value)",
		texts:       postgresTexts,
		audiencesOf: "json_array_elements_text(notification_messages.audiences::json) AS a(value)",
		textArray:   "coalesce(json_agg(a.value)::text, '[]')",
		keepRows:    " FOR KEY SHARE",
		changeRows:  " FOR NO KEY UPDATE",
		lockRows:    " FOR UPDATE SKIP LOCKED",
		purgeLock:   "SELECT pg_try_advisory_xact_lock(?)",
		hiddenTime:  "(SELECT ?::bigint)",
		hiddenID:    "(SELECT ?::uuid)",
		text:        "?::text",
		find:        "strpos",
		deliveries:  postgresDeliveries,
		merged:      postgresMerged,
		ofState: " LEFT JOIN LATERAL (SELECT * FROM notification_states r" +
			" WHERE r.user_ref = ? AND r.message_id = d.message_id OFFSET 0) s ON TRUE",
		full:   " FULL",
		insert: postgresInsert,
		deletePairs: "DELETE FROM notification_deliveries d USING (SELECT p.value->>0 AS audience, (p.value->>1)::uuid AS message_id" +
			" FROM json_array_elements(?::json) AS p(value)) p WHERE d.audience = p.audience AND d.message_id = p.message_id",
	},
	"sqlite": {
		migrations:  goose.DialectSQLite3,
		oneWriter:   true,
		encoding:    "PRAGMA encoding",
		audiences:   sqliteAudiences,
		ids:         "SELECT i.value FROM json_each(?) i",
		texts:       sqliteTexts,
		audiencesOf: "json_each(notification_messages.audiences) AS a",
		textArray:   "json_group_array(a.value)",
		hiddenTime:  "?",
		hiddenID:    "?",
		text:        "?",
		find:        "instr",
		deliveries:  sqliteDeliveries,
		ofState:     " LEFT JOIN notification_states s ON s.user_ref = ? AND s.message_id = d.message_id",
		full:        " LEFT",
		insert:      sqliteInsert,
		deletePairs: "DELETE FROM notification_deliveries WHERE (audience, message_id) IN" +
			" (SELECT json_extract(p.value, '$[0]'), json_extract(p.value, '$[1]') FROM json_each(?) p)",
	},
}

// postgresDeliveries is a lateral join. OFFSET 0 keeps the planner from
// dissolving it into a join that reads the whole table. LIMIT tells it how many
// audiences there are: it would think of a hundred, and compile the query, which
// takes longer than the query does.
func postgresDeliveries(sql *sqlText, sources []source, where *sqlText, page string) {
	sql.add("(SELECT d.message_id, d.system FROM (SELECT * FROM "+postgresAudiences+fmt.Sprintf(" LIMIT %d) a", len(sources)), sourcesJSON(sources))
	sql.add(" CROSS JOIN LATERAL (SELECT d.message_id, d.system FROM notification_deliveries d WHERE ")
	sql.append(where)
	sql.add(page + " OFFSET 0) d)")
}

// postgresMerged has a branch for each source, for only then the planner merges
// them. It is not to know which audience is which: see hiddenTime. The condition
// is written once, with its parameters, and then repeated.
func postgresMerged(sql *sqlText, sources []source, where *sqlText, direction string) {
	condition, end := "", " ORDER BY d.message_id "+direction+" OFFSET 0)"
	sql.add("(SELECT DISTINCT ON (v.message_id) v.message_id, v.system FROM (")
	for i, source := range sources {
		if i > 0 {
			sql.add(" UNION ALL ")
		}
		sql.add("(SELECT d.message_id, d.system FROM (SELECT (SELECT ?::text) AS value, (SELECT ?::uuid) AS since) a"+
			" CROSS JOIN notification_deliveries d WHERE ", source.Audience, source.Since)
		if i == 0 {
			begin := sql.Len()
			sql.append(where)
			condition = sql.String()[begin:]
		} else {
			sql.WriteString(condition)
		}
		sql.add(end)
	}
	sql.add(") v ORDER BY v.message_id " + direction + ")")
}

// sqliteDeliveries does the same as postgresDeliveries. SQLite has no lateral
// joins for the sake of a page, but lets an IN list refer to the row at hand.
func sqliteDeliveries(sql *sqlText, sources []source, where *sqlText, page string) {
	sql.add("(SELECT d.message_id, d.system FROM "+sqliteAudiences+" CROSS JOIN notification_deliveries d ON ", sourcesJSON(sources))
	if page == "" {
		sql.append(where)
	} else {
		sql.add("d.audience = a.value AND d.message_id IN (SELECT d.message_id FROM notification_deliveries d WHERE ")
		sql.append(where)
		sql.add(page + ")")
	}
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
	return execute(db, postgresInsertion, append(m.values(), m.deliveryValues()...)).Error
}

var postgresInsertion = func() string {
	sql := sqlText{numbered: true}
	sql.add("WITH message AS (" + insertMessage + ") " + insertDeliveries +
		" SELECT a.value, ?::uuid, ?::smallint, ?::boolean, ?::boolean, ?::bigint FROM " + postgresTexts)
	return sql.String()
}()

// sqliteInsert is a transaction, or a savepoint in the host's one. Its first
// statement writes, so it waits for the lock instead of failing to upgrade.
func sqliteInsert(db *gorm.DB, m *messageRow) error {
	insert := func(tx *gorm.DB) error {
		tx = tx.Clauses() // none, but a statement of its own, for one after the other
		if err := execute(tx, insertMessage, m.values()).Error; err != nil {
			return err
		}
		return execute(tx, sqliteInsertion, m.deliveryValues()).Error
	}
	if db.DisableNestedTransaction { // in a transaction with others, see share
		return insert(db)
	}
	return db.Transaction(insert)
}

const sqliteInsertion = insertDeliveries + " SELECT a.value, ?, ?, ?, ?, ? FROM " + sqliteTexts

// raw is GORM's Raw for a statement that is as the database wants it. GORM
// would look for parameters byte by byte, which takes longer than SQLite takes
// to store a row.
func raw(db *gorm.DB, sql string, args []any) *gorm.DB {
	db = db.Clauses() // none, but a statement of its own
	db.Statement.SQL.WriteString(sql)
	db.Statement.Vars = args
	return db
}

// execute is GORM's Exec, in the same way.
func execute(db *gorm.DB, sql string, args []any) *gorm.DB {
	db = raw(db, sql, args)
	return db.Callback().Raw().Execute(db)
}
