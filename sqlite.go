package notifications

import (
	"database/sql"
	"time"

	"github.com/notifications-go/notifications/internal/sqltext"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// sqlite is the [dialect] of SQLite.
type sqlite struct{}

func (sqlite) oneWriter() bool           { return true }
func (sqlite) migrations() goose.Dialect { return goose.DialectSQLite3 }
func (sqlite) encoding() string          { return "PRAGMA encoding" }
func (sqlite) columns() string           { return "SELECT name FROM pragma_table_info(?)" }
func (sqlite) statement() *sqltext.Text  { return sqltext.Statement(false) }

// hidden is a plain parameter, because SQLite plans without looking at values.
func (sqlite) hidden(sql *sqltext.Text, _ columnType, value any) { sql.Add("?", value) }

func (sqlite) list(sql *sqltext.Text, _ columnType, values []string) {
	sql.Add("SELECT item.value AS value FROM json_each(?) item", jsonArray(values))
}

func (sqlite) objects(sql *sqltext.Text, array string, columns ...typedColumn) {
	sql.Add("(SELECT ")
	for i, c := range columns {
		if i > 0 {
			sql.Add(", ")
		}
		sql.Add("item.value ->> '" + c.name + "' AS " + c.name)
	}
	sql.Add(" FROM json_each(?) item)", array)
}

func (sqlite) contains(sql *sqltext.Text, column, text string) {
	sql.Add("instr("+column+", ?) > 0", text)
}

func (sqlite) messageAudiences() string { return "json_each(notification_messages.audiences) AS aud" }
func (sqlite) audienceArray() string    { return "json_group_array(aud.value)" }

// lock returns nothing: a transaction that writes excludes all others that
// write.
func (sqlite) lock(lockKind) string { return "" }

func (sqlite) transaction() *sql.TxOptions { return nil }

// limit does nothing: the driver interrupts the statement itself.
func (sqlite) limit(*gorm.DB, time.Duration) error { return nil }
func (sqlite) unlimit(*gorm.DB) error              { return nil }

// tryPurgeLock needs no lock, because the transaction holds SQLite's write
// lock.
func (sqlite) tryPurgeLock(*gorm.DB) (bool, error) { return true, nil }

// deliveries is a plain join, because SQLite has no lateral ones. For a page it
// uses IN with a subquery, which may refer to the row aud.
func (d sqlite) deliveries(sql *sqltext.Text, sources []source, where *sqltext.Text, page string) {
	sql.Add("(SELECT del.message_id, del.system FROM ")
	d.objects(sql, sourcesJSON(sources), typedColumn{"value", typeText}, typedColumn{"since", typeID})
	sql.Add(" aud CROSS JOIN notification_deliveries del ON ")
	if page == "" {
		sql.AddPart(where)
	} else {
		sql.Add("del.audience = aud.value AND del.message_id IN (SELECT del.message_id FROM notification_deliveries del WHERE ")
		sql.AddPart(where)
		sql.Add(page + ")")
	}
	sql.Add(")")
}

func (sqlite) joinState(sql *sqltext.Text, user string) {
	sql.Add(" LEFT JOIN notification_states st ON st.user_ref = ? AND st.message_id = del.message_id", user)
}

func (d sqlite) joinStates(sql *sqltext.Text, user string) { d.joinState(sql, user) }

// insert is a transaction, or a savepoint in the host's transaction. Its first
// statement writes, so SQLite waits for the write lock; a read first would fail
// if another writer came in between.
func (d sqlite) insert(db *gorm.DB, posts []*posting) error {
	insert := func(tx *gorm.DB) error {
		if len(posts) == 1 {
			return d.insertOne(tx, posts[0])
		}
		messages, deliveries := d.statement(), d.statement()
		insertMessages(d, messages, posts)
		insertDeliveries(d, deliveries, posts)
		if _, err := exec(tx, messages); err != nil {
			return err
		}
		_, err := exec(tx, deliveries)
		return err
	}
	if db.DisableNestedTransaction { // it shares a transaction with others, see package writequeue
		return insert(db)
	}
	if isTransaction(db) { // of the host
		return inSavepoint(db, insert)
	}
	return db.Transaction(insert)
}

func (sqlite) insertOne(tx *gorm.DB, post *posting) error {
	if _, err := execText(tx, insertMessage, post.values()); err != nil {
		return err
	}
	_, err := execText(tx, sqliteInsertDelivery, append(post.copied(), post.audienceArray))
	return err
}

// sqliteInsertDelivery stores the deliveries of one message. Its parameters are
// [posting.copied] and the audiences.
var sqliteInsertDelivery = func() string {
	var d sqlite
	post := new(posting)
	sql := d.statement().Add(insertDelivery+" SELECT aud.value, ?, ?, ?, ?, ? FROM (", post.copied()...)
	d.list(sql, typeText, post.audiences)
	return sql.Add(") aud").String()
}()
