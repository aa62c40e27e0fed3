package notifications

import (
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
	// audiences is the relation a(value).
	audiences string
	// find is the function strpos(text, part): 0 when part does not occur.
	find string
	// state is the row of a state as parameters, with their types.
	state string
	// eachAudience adds a relation v(message_id): the branch, which speaks of
	// a.value, done once for each audience. An id occurs once for each
	// audience it is in.
	eachAudience func(sql *sqlText, audiences []string, branch *sqlText)
	// insert stores a message and its deliveries, all or nothing.
	insert func(db *gorm.DB, row *messageRow, audiences string) error
}

// The audiences as a relation a(value) over a parameter, a JSON array: a list
// of any length is one parameter, where an IN list has a limit.
const (
	postgresAudiences = "json_array_elements_text(?::json) AS a(value)"
	sqliteAudiences   = "json_each(?) AS a"
)

var dialects = map[string]dialect{
	"postgres": {
		migrations:   goose.DialectPostgres,
		encoding:     "SHOW server_encoding",
		audiences:    postgresAudiences,
		find:         "strpos",
		state:        "?::text, ?::uuid, ?::bigint",
		eachAudience: postgresEachAudience,
		insert:       postgresInsert,
	},
	"sqlite": {
		migrations:   goose.DialectSQLite3,
		oneWriter:    true,
		encoding:     "PRAGMA encoding",
		audiences:    sqliteAudiences,
		find:         "instr",
		state:        "?, ?, ?",
		eachAudience: sqliteEachAudience,
		insert:       sqliteInsert,
	},
}

// postgresEachAudience is a lateral join. OFFSET 0 keeps the planner from
// dissolving the branch into a join that reads the whole table.
func postgresEachAudience(sql *sqlText, audiences []string, branch *sqlText) {
	sql.add(postgresAudiences+" CROSS JOIN LATERAL (", jsonArray(audiences))
	sql.add(branch.String(), branch.args...)
	sql.add(" OFFSET 0) v")
}

// sqliteEachAudience does the same for SQLite, which has no lateral joins but
// lets an IN list refer to the row at hand.
func sqliteEachAudience(sql *sqlText, audiences []string, branch *sqlText) {
	sql.add(sqliteAudiences+" CROSS JOIN notification_deliveries v"+
		" ON v.audience = a.value AND v.message_id IN (", jsonArray(audiences))
	sql.add(branch.String(), branch.args...)
	sql.add(")")
}

// postgresInsert is one statement and so one round trip.
func postgresInsert(db *gorm.DB, m *messageRow, audiences string) error {
	return db.Exec(`
WITH message AS (
	INSERT INTO notification_messages
		(id, origin, title, message, topic, actions, is_system, origin_key, title_key, message_key, topic_key)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
)
INSERT INTO notification_deliveries (audience, message_id)
SELECT a.value, ?::uuid FROM `+postgresAudiences,
		m.ID, m.Origin, m.Title, m.Message, m.Topic, m.Actions, m.IsSystem, m.OriginKey, m.TitleKey, m.MessageKey, m.TopicKey,
		m.ID, audiences).Error
}

// sqliteInsert is a transaction, or a savepoint in the host's one. Its first
// statement writes, so it waits for the lock instead of failing to upgrade.
func sqliteInsert(db *gorm.DB, m *messageRow, audiences string) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(m).Error; err != nil {
			return err
		}
		return tx.Exec("INSERT INTO notification_deliveries (audience, message_id) SELECT a.value, ? FROM "+sqliteAudiences,
			m.ID, audiences).Error
	})
}
