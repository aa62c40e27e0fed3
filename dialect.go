package notifications

import (
	"github.com/notifications-go/notifications/internal/sqltext"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// dialect is where the SQL of the two databases differs, and nothing else. Its
// methods write text and the arguments that belong to it. In every statement an
// alias means one thing: msg is a message, del a delivery, st the reader's
// state of it, aud an audience of the reader, found the deliveries to several of
// them, page what a list shows.
type dialect interface {
	// oneWriter says that the database takes one writer at a time.
	oneWriter() bool
	// migrations is what goose calls the dialect; encoding asks for the
	// encoding of the database, and columns for those of a table, a parameter.
	migrations() goose.Dialect
	encoding() string
	columns() string

	// statement begins a statement.
	statement() *sqltext.Text
	// hidden writes a parameter whose value the planner does not look at.
	hidden(sql *sqltext.Text, is columnType, value any)
	// list writes a selection of the column value: a list of any length as one
	// parameter, where IN has a limit.
	list(sql *sqltext.Text, is columnType, values []string)
	// objects writes a relation over one parameter, the JSON array of objects
	// with these columns.
	objects(sql *sqltext.Text, array string, columns ...typedColumn)
	// contains writes the condition that a column has the text in it.
	contains(sql *sqltext.Text, column, text string)
	// messageAudiences writes the relation aud(value) of the audiences of
	// notification_messages, and audienceArray a JSON array of its values.
	messageAudiences() string
	audienceArray() string
	// lock returns what a selection of rows has at its end, to keep others from
	// doing something with them before the transaction ends.
	lock(against lockKind) string
	// tryPurgeLock reports whether the transaction is the only one that purges.
	tryPurgeLock(tx *gorm.DB) (bool, error)

	// deliveries writes a relation (message_id, system): the deliveries del to
	// the sources, each being aud(value, since) in turn, for which the
	// condition holds. page is an ORDER BY with a LIMIT, for each source, or
	// empty. A message comes once for each audience it is in.
	deliveries(sql *sqltext.Text, sources []source, where *sqltext.Text, page string)
	// joinState joins to each delivery del the state st of a user, looking up
	// one after another. joinStates joins all deliveries and all states of a
	// user at once; rows without a delivery do no harm.
	joinState(sql *sqltext.Text, user string)
	joinStates(sql *sqltext.Text, user string)

	// insert stores messages and their deliveries, all or nothing.
	insert(db *gorm.DB, posts []*posting) error
}

// merger is what a dialect has that can merge audiences.
type merger interface {
	// merged writes the same relation as dialect.deliveries for few sources, in
	// the direction of the ids, each message once. No page is needed: of each
	// source no more is read than what is above takes.
	merged(sql *sqltext.Text, sources []source, where *sqltext.Text, direction string)
}

// columnType is the type of a parameter, as PostgreSQL calls it.
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

// lockKind is what others cannot do with locked rows.
type lockKind int

const (
	lockRemoval lockKind = iota // remove them
	lockChange                  // change them
	lockAll                     // lock them; rows that others have locked are left out
)

var dialects = map[string]dialect{"postgres": postgres{}, "sqlite": sqlite{}}
