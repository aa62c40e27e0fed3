package notifications

import (
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// postgres is the [dialect] of PostgreSQL.
type postgres struct{}

func (postgres) oneWriter() bool           { return false }
func (postgres) migrations() goose.Dialect { return goose.DialectPostgres }
func (postgres) encoding() string          { return "SHOW server_encoding" }
func (postgres) statement() *sqltext.Text  { return sqltext.Statement(true) }

func (postgres) columns() string {
	return "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
}

// hidden is a subquery. If PostgreSQL saw the time, it would find that few
// deliveries have expired, and plan each execution for it instead of keeping a
// general plan. In large tables the planning took longer than the execution.
func (postgres) hidden(sql *sqltext.Text, is columnType, value any) {
	switch is { // the common types first: they need no string concatenation
	case typeInt:
		sql.Add("(SELECT ?::bigint)", value)
	case typeID:
		sql.Add("(SELECT ?::uuid)", value)
	default:
		sql.Add("(SELECT ?::"+string(is)+")", value)
	}
}

func (postgres) list(sql *sqltext.Text, is columnType, values []string) {
	sql.Add("SELECT item.value::"+string(is)+" AS value FROM json_array_elements_text(?::json) AS item(value)", jsonArray(values))
}

func (postgres) objects(sql *sqltext.Text, array string, columns ...typedColumn) {
	sql.Add("(SELECT * FROM json_to_recordset(?::json) AS item(", array)
	for i, c := range columns {
		if i > 0 {
			sql.Add(", ")
		}
		sql.Add(c.name + " " + string(c.is))
	}
	sql.Add("))")
}

// contains compares with a regular expression of which every character is
// literal ("***=", PostgreSQL's manual, section 9.7.3.4). Its time does not
// grow with the length of the text, while that of strpos does.
func (postgres) contains(sql *sqltext.Text, column, text string) {
	sql.Add(column+" ~ ?", "***="+text)
}

func (postgres) messageAudiences() string {
	return "json_array_elements_text(notification_messages.audience_list::json) AS aud(value)"
}

func (postgres) audienceArray() string { return "coalesce(json_agg(aud.value)::text, '[]')" }

func (postgres) lock(against lockKind) string {
	return [...]string{
		lockRemoval: " FOR KEY SHARE",
		lockChange:  " FOR NO KEY UPDATE",
		lockAll:     " FOR UPDATE SKIP LOCKED",
	}[against]
}

// purgeLock is the advisory lock under which one instance purges at a time:
// "notifpur" in ASCII.
const purgeLock int64 = 0x6e6f746966707572

// transaction asks for the isolation that the library relies on: a statement
// that waited for a row sees what was done to it. A host's database may have
// another default, with which it would fail.
func (postgres) transaction() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// limit is SET LOCAL with a condition. A setting is a text such as "30s" or
// "0", for no limit.
func (d postgres) limit(tx *gorm.DB, left time.Duration) error {
	_, err := exec(tx, d.statement().Add(`SELECT set_config('statement_timeout', item.value, TRUE) FROM (SELECT ?::text AS value) item
		WHERE current_setting('statement_timeout')::interval NOT BETWEEN interval '1 ms' AND (item.value || ' ms')::interval`,
		strconv.FormatInt(max(left.Milliseconds(), 1), 10)))
	return err
}

func (d postgres) unlimit(tx *gorm.DB) error {
	var set struct{ Statement, Lock string }
	return find(tx, d.statement().Add("SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock"), &set)
}

func (d postgres) tryPurgeLock(tx *gorm.DB) (mine bool, err error) {
	err = find(tx, d.statement().Add("SELECT pg_try_advisory_xact_lock(?)", purgeLock), &mine)
	return mine, err
}

// deliveries is a lateral join. OFFSET 0 keeps the planner from turning it into
// a join that reads the whole table. LIMIT tells the planner the number of
// audiences: otherwise it assumes a hundred and compiles the query (JIT), which
// takes longer than running it.
func (postgres) deliveries(sql *sqltext.Text, sources []source, where *sqltext.Text, page string) {
	sql.Add("(SELECT del.message_id, del.system FROM (SELECT * FROM json_to_recordset(?::json) AS item(value text, since uuid)"+
		" LIMIT "+strconv.Itoa(len(sources))+") aud", sourcesJSON(sources))
	sql.Add(" CROSS JOIN LATERAL (SELECT del.message_id, del.system FROM notification_deliveries del WHERE ")
	sql.AddPart(where)
	sql.Add(page + " OFFSET 0) del)")
}

// merged has one branch a source, because only then the planner merges them.
// Its parameters are subqueries; see hidden. The condition is built once, with
// its parameters, and repeated in each branch.
func (d postgres) merged(sql *sqltext.Text, sources []source, where *sqltext.Text, direction string) {
	condition, end := "", " ORDER BY del.message_id "+direction+" OFFSET 0)"
	sql.Add("(SELECT DISTINCT ON (found.message_id) found.message_id, found.system FROM (")
	for i, source := range sources {
		if i > 0 {
			sql.Add(" UNION ALL ")
		}
		sql.Add("(SELECT del.message_id, del.system FROM (SELECT (SELECT ?::text) AS value, (SELECT ?::uuid) AS since) aud"+
			" CROSS JOIN notification_deliveries del WHERE ", source.Audience, source.Since)
		if i == 0 {
			begin := sql.Len()
			sql.AddPart(where)
			condition = sql.From(begin)
		} else {
			sql.Repeat(condition)
		}
		sql.Add(end)
	}
	sql.Add(") found ORDER BY found.message_id " + direction + ")")
}

func (postgres) joinState(sql *sqltext.Text, user string) {
	sql.Add(" LEFT JOIN LATERAL (SELECT * FROM notification_states st"+
		" WHERE st.user_ref = ? AND st.message_id = del.message_id OFFSET 0) st ON TRUE", user)
}

// joinStates reads the user's states in one scan instead of one look-up a
// delivery. It is a FULL JOIN with a subquery, because the planner cannot do it
// any other way.
func (postgres) joinStates(sql *sqltext.Text, user string) {
	sql.Add(" FULL JOIN (SELECT * FROM notification_states WHERE user_ref = ?) st ON st.message_id = del.message_id", user)
}

// insert is one statement, and so takes one round trip.
func (d postgres) insert(db *gorm.DB, posts []*posting) error {
	if len(posts) == 1 {
		post := posts[0]
		_, err := execText(db, postgresInsert, append(append(append(post.values(), post.logged()...), post.copied()...), post.audienceArray))
		return err
	}
	sql := d.statement().Add("WITH message AS (")
	insertMessages(d, sql, posts)
	sql.Add("), logged AS (")
	insertChanges(d, sql, postedAll(posts))
	sql.Add(") ")
	insertDeliveries(d, sql, posts)
	_, err := exec(db, sql)
	return err
}

// postgresInsert stores one message. Its parameters are [posting.values],
// [posting.logged], [posting.copied] and the audiences.
var postgresInsert = func() string {
	var d postgres
	post := new(posting)
	sql := d.statement().Add("WITH message AS (").Add(insertMessage, post.values()...)
	sql.Add("), logged AS ("+insertPosted+" VALUES (?, ?, ?)", post.logged()...)
	sql.Add(") "+insertDelivery+" SELECT aud.value, ?::uuid, ?::smallint, ?::boolean, ?::boolean, ?::bigint FROM (", post.copied()...)
	d.list(sql, typeText, post.audiences)
	return sql.Add(") aud").String()
}()

// mark is one statement. Its count is that of the rows that the change wrote.
func (d postgres) mark(insert func(sql *sqltext.Text), c change) func(db *gorm.DB) (int64, error) {
	sql := d.statement().Add("WITH marked AS (")
	insert(sql)
	sql.Add(" RETURNING TRUE), logged AS ("+insertMarked+" SELECT ?::smallint, ?::uuid, ?::text WHERE EXISTS (SELECT FROM marked))"+
		" SELECT count(*) FROM marked", int(c.kind), optional(c.messageID), c.user)
	return func(db *gorm.DB) (changed int64, err error) {
		err = scanRow(raw(db, sql), []any{&changed})
		return changed, err
	}
}

// snapshot adds the transaction itself if it is one of the host: PostgreSQL
// counts it as visible.
func (postgres) snapshot(bound bool) string {
	if bound {
		return "concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned())"
	}
	return "CAST(pg_current_snapshot() AS text)"
}

func (postgres) parseSnapshot(text string) (changelog.Snapshot, error) {
	text, own, bound := strings.Cut(text, " ")
	s, err := changelog.ParseSnapshot(text)
	if err != nil || !bound {
		return s, err
	}
	n, err := strconv.ParseUint(own, 10, 64)
	if err != nil {
		return s, err
	}
	return s.Without(n), nil
}

func (d postgres) tickSnapshot() string { return d.snapshot(false) }

func (postgres) changeNumber() string { return "ch.xact::text::bigint" }

func (postgres) unseen(sql *sqltext.Text, s changelog.Snapshot) {
	sql.Add("(ch.xact >= CAST(CAST(? AS text) AS xid8) OR ch.xact = ANY (CAST(CAST(? AS text) AS xid8[])))",
		strconv.FormatUint(s.Xmax, 10), xid8Array(s.InProgress))
}

// changedSince asks for the latest change, because PostgreSQL would guess that a
// third of all changes is not visible, and look for one in the table.
func (postgres) changedSince(sql *sqltext.Text, s changelog.Snapshot) {
	sql.Add("((SELECT ch.xact FROM notification_changes ch ORDER BY ch.xact DESC LIMIT 1) >= CAST(CAST(? AS text) AS xid8)"+
		" OR EXISTS (SELECT 1 FROM notification_changes ch WHERE ch.xact = ANY (CAST(CAST(? AS text) AS xid8[]))))",
		strconv.FormatUint(s.Xmax, 10), xid8Array(s.InProgress))
}

// seen is NOT EXISTS, which PostgreSQL turns into a join. NOT IN would compare
// each delivery with each change once these take more than work_mem.
func (d postgres) seen(sql *sqltext.Text, s changelog.Snapshot) {
	sql.Add("NOT EXISTS (SELECT 1 FROM notification_changes ch WHERE ch.message_id = del.message_id AND ch.kind IN " + newContent + " AND ")
	d.unseen(sql, s)
	sql.Add(")")
}

// xid8Array is the text of an array of xid8.
func xid8Array(list []uint64) string {
	b := []byte{'{'}
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, n, 10)
	}
	return string(append(b, '}'))
}

// prune skips rows that another instance is deleting.
func (d postgres) prune(sql *sqltext.Text, s changelog.Snapshot, due int64) {
	sql.Add("DELETE FROM notification_changes WHERE ctid = ANY (ARRAY(SELECT ch.ctid FROM notification_changes ch"+
		" WHERE ch.xact < CAST(CAST(? AS text) AS xid8) AND NOT ch.xact = ANY (CAST(CAST(? AS text) AS xid8[]))"+
		" AND (ch.due_at IS NULL OR ch.due_at <= ?) ORDER BY ch.xact LIMIT "+strconv.Itoa(pruneBatch)+" FOR UPDATE SKIP LOCKED))",
		strconv.FormatUint(s.Xmax, 10), xid8Array(s.InProgress), due)
}

// identity is that of the cluster, its timeline, and the table: a promoted
// standby has another timeline, and tables restored in the same cluster are
// other ones.
func (postgres) identity() string {
	return "concat_ws(' ', (SELECT system_identifier FROM pg_control_system()), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)," +
		" CAST(to_regclass('notification_changes') AS oid))"
}

func (postgres) continues(sql *sqltext.Text, p changelog.Position) { hasTick(sql, p) }
