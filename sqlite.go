package notifications

import (
	"database/sql"
	"strconv"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
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

func (sqlite) messageAudiences() string {
	return "json_each(notification_messages.audience_list) AS aud"
}
func (sqlite) audienceArray() string { return "json_group_array(aud.value)" }

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
		messages, deliveries, changes := d.statement(), d.statement(), d.statement()
		insertMessages(d, messages, posts)
		insertDeliveries(d, deliveries, posts)
		insertChanges(d, changes, postedAll(posts))
		for _, sql := range []*sqltext.Text{messages, deliveries, changes} {
			if _, err := exec(tx, sql); err != nil {
				return err
			}
		}
		return nil
	}
	return d.atomically(db, insert)
}

// atomically runs a function in a transaction, or in a savepoint of the host's.
func (sqlite) atomically(db *gorm.DB, do func(tx *gorm.DB) error) error {
	if db.DisableNestedTransaction { // it shares a transaction with others, see package writequeue
		return do(db)
	}
	if isTransaction(db) { // of the host
		return inSavepoint(db, do)
	}
	return db.Transaction(do)
}

func (sqlite) insertOne(tx *gorm.DB, post *posting) error {
	if _, err := execText(tx, insertMessage, post.values()); err != nil {
		return err
	}
	if _, err := execText(tx, sqliteInsertDelivery, append(post.copied(), post.audienceArray)); err != nil {
		return err
	}
	_, err := execText(tx, insertPosted+" VALUES (?, ?, ?)", post.logged())
	return err
}

// mark is a transaction, or a savepoint in the host's transaction.
func (d sqlite) mark(insert func(sql *sqltext.Text), c change) func(db *gorm.DB) (int64, error) {
	sql := d.statement()
	insert(sql)
	return func(db *gorm.DB) (changed int64, err error) {
		err = d.atomically(db, func(tx *gorm.DB) error {
			if changed, err = exec(tx, sql); err != nil || changed == 0 {
				return err
			}
			_, err = execText(tx, insertMarked+" VALUES (?, ?, ?)", []any{int(c.kind), optional(c.messageID), c.user})
			return err
		})
		return changed, err
	}
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

// snapshot is the largest number ever given. What a transaction of the host may
// roll back has numbers that come again; so there it is that of the last tick,
// which no host's transaction writes.
func (d sqlite) snapshot(bound bool) string {
	if bound {
		return "CAST(coalesce((SELECT tick.snapshot FROM notification_ticks tick ORDER BY tick.at DESC LIMIT 1), 0) AS text)"
	}
	return "CAST(" + d.tickSnapshot() + " AS text)"
}

func (sqlite) parseSnapshot(text string) (changelog.Snapshot, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return changelog.UpTo(n), err
}

func (sqlite) tickSnapshot() string {
	return "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'notification_changes'), 0)"
}

func (sqlite) changeNumber() string { return "ch.seq" }

func (sqlite) unseen(sql *sqltext.Text, s changelog.Snapshot) { sql.Add("ch.seq >= ?", int64(s.Xmax)) }

func (d sqlite) changedSince(sql *sqltext.Text, s changelog.Snapshot) {
	sql.Add("EXISTS (SELECT 1 FROM notification_changes ch WHERE ")
	d.unseen(sql, s)
	sql.Add(")")
}

// seen is NOT IN, for which SQLite reads the changes once.
func (d sqlite) seen(sql *sqltext.Text, s changelog.Snapshot) {
	sql.Add("del.message_id NOT IN (SELECT ch.message_id FROM notification_changes ch WHERE ch.kind IN " + newContent + " AND ")
	d.unseen(sql, s)
	sql.Add(")")
}

func (sqlite) prune(sql *sqltext.Text, s changelog.Snapshot, due int64) {
	sql.Add("DELETE FROM notification_changes WHERE seq IN (SELECT ch.seq FROM notification_changes ch"+
		" WHERE ch.seq < ? AND (ch.due_at IS NULL OR ch.due_at <= ?) ORDER BY ch.seq LIMIT "+strconv.Itoa(pruneBatch)+")", int64(s.Xmax), due)
}

func (sqlite) identity() string { return "''" }

// continues also compares the numbers: in a file that was copied back, ticks
// after the time of the position have smaller ones. Up to a minute may pass
// between the time of a position and its number.
func (sqlite) continues(sql *sqltext.Text, p changelog.Position) {
	hasTick(sql, p)
	sql.Add(" AND NOT EXISTS (SELECT 1 FROM notification_ticks tick WHERE tick.at > ? AND tick.snapshot < ?)",
		p.At.Add(time.Minute).UnixMilli(), int64(p.Seen.Xmax)-1)
}
