package notifications

import (
	"context"
	"database/sql"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// dialect holds the differences between the SQL of the two databases. Its
// methods write SQL together with its arguments. An alias means the same in
// every statement: msg is a message, del a delivery, st the reader's state of
// it, aud an audience of the reader, found the deliveries to several audiences,
// page the rows that a list shows.
type dialect interface {
	// oneWriter reports whether the database takes one writer at a time.
	oneWriter() bool
	// migrations is goose's name of the dialect. encoding is a query for the
	// encoding of the database, and columns for the columns of a table, its one
	// parameter.
	migrations() goose.Dialect
	encoding() string
	columns() string

	// statement begins a statement.
	statement() *sqltext.Text
	// hidden writes a parameter that the planner cannot see the value of.
	hidden(sql *sqltext.Text, is columnType, value any)
	// list writes a selection of one column named value. It passes a list of
	// any length as one parameter, because IN has a limit.
	list(sql *sqltext.Text, is columnType, values []string)
	// objects writes a relation with these columns. Its one parameter is a JSON
	// array of objects.
	objects(sql *sqltext.Text, array string, columns ...typedColumn)
	// contains writes the condition that a column contains the text.
	contains(sql *sqltext.Text, column, text string)
	// messageAudiences returns the relation aud(value) of the audiences of
	// notification_messages. audienceArray returns an expression that makes a
	// JSON array of its values.
	messageAudiences() string
	audienceArray() string
	// lock returns the clause that locks selected rows until the transaction
	// ends.
	lock(against lockKind) string
	// takesWrites fails if the database takes no writes.
	takesWrites(ctx context.Context, s *store) error
	// transaction returns the options of the library's own transactions.
	transaction() *sql.TxOptions
	// limit limits the time of each statement of a transaction, unless a shorter
	// limit is set. unlimit lifts the limits of the host's connection for a
	// transaction.
	limit(tx *gorm.DB, d time.Duration) error
	unlimit(tx *gorm.DB) error
	// tryPurgeLock reports whether this transaction may purge: no other one
	// does.
	tryPurgeLock(tx *gorm.DB) (bool, error)

	// deliveries writes a relation (message_id, system): for each of the
	// sources, which is aud(value, since), its deliveries del for which the
	// condition holds. page is ORDER BY and LIMIT for each source, or empty. A
	// message delivered to several sources comes several times.
	deliveries(sql *sqltext.Text, sources []source, where *sqltext.Text, page string)
	// joinState joins to each delivery del the user's state st of it, by one
	// look-up a delivery. joinStates joins all the user's states to all the
	// deliveries at once, and may add rows without a delivery.
	joinState(sql *sqltext.Text, user string)
	joinStates(sql *sqltext.Text, user string)

	// snapshot returns an expression for what this statement sees of the log of
	// changes, as text. In a transaction of the host, which is bound, it leaves
	// out what the transaction itself has written: that may yet be rolled back,
	// and more may follow. parseSnapshot reads the text, and that of a tick.
	// tickSnapshot returns the expression that a tick stores.
	snapshot(bound bool) string
	parseSnapshot(text string) (changelog.Snapshot, error)
	tickSnapshot() string
	// changeNumber returns an expression for the number of a change ch, by which a
	// snapshot tells whether it is visible.
	changeNumber() string
	// unseen writes the condition that a change ch is not visible in a snapshot.
	unseen(sql *sqltext.Text, s changelog.Snapshot)
	// changedSince writes the condition that any change is not visible in a
	// snapshot.
	changedSince(sql *sqltext.Text, s changelog.Snapshot)
	// seen writes the condition that a delivery del is of a message that was
	// neither posted nor rewritten after a snapshot.
	seen(sql *sqltext.Text, s changelog.Snapshot)
	// prune writes a statement that deletes up to pruneBatch changes: those
	// visible in a snapshot that were due before a time, if they have one.
	prune(sql *sqltext.Text, s changelog.Snapshot, due int64)
	// identity returns an expression for the server and the table that have the
	// log.
	identity() string
	// continues writes a condition that holds unless the ticks show that the
	// database was at this position and then went back.
	continues(sql *sqltext.Text, p changelog.Position)

	// insert stores messages and their deliveries and logs them, all or none.
	insert(db *gorm.DB, posts []*posting) error
	// mark returns a function that runs a statement that changes states, and
	// logs the change if it changed any. It returns how many.
	mark(insert func(sql *sqltext.Text), c change) func(db *gorm.DB) (int64, error)
}

// merger is implemented by a dialect that can merge audiences.
type merger interface {
	// merged writes the same relation as dialect.deliveries, ordered by id and
	// with each message once, for few sources. It needs no page: the database
	// reads no more of each source than the rest of the statement takes.
	merged(sql *sqltext.Text, sources []source, where *sqltext.Text, direction string)
}

// columnType is the type of a column in PostgreSQL's words.
type columnType string

const (
	typeText  columnType = "text"
	typeID    columnType = "uuid"
	typeInt   columnType = "bigint"
	typeSmall columnType = "smallint"
	typeBool  columnType = "boolean"
)

type typedColumn struct {
	name string
	is   columnType
}

// lockKind says what a lock keeps other transactions from doing with the rows.
type lockKind int

const (
	lockRemoval lockKind = iota // remove them
	lockChange                  // change them
	lockAll                     // lock them; the selection skips rows that others have locked
)

var dialects = map[string]dialect{"postgres": postgres{}, "sqlite": sqlite{}}
