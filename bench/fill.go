package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
)

// The tables that are filled.
const (
	messagesTable   = "notification_messages"
	deliveriesTable = "notification_deliveries"
	statesTable     = "notification_states"
)

// markerTable says that a database is ours to empty and fill, and for what.
const markerTable = "notifybench_fill"

// poster is who posts everything.
var poster = notifications.ServiceAccount("notifybench")

// loader is what filling needs of a database.
type loader interface {
	// columns are those of a table that can be written.
	columns(ctx context.Context, table string) ([]string, error)
	// rows returns what a query selects.
	rows(ctx context.Context, query string) ([][]any, error)
	exec(ctx context.Context, statement string) (affected int64, err error)
	// load adds rows, fast. A row is only valid until the next.
	load(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) error
	// empty removes everything from a table.
	empty(ctx context.Context, table string) error
	// settle leaves the database as it is after a while of use.
	settle(ctx context.Context) error
	// parallel says whether several tables can be loaded at once.
	parallel() bool
	close() error
}

// fill fills a database with a world. What it stores is copied from what the
// library itself stored in it, only more often.
type fill struct {
	world  *world
	svc    *notifications.Service
	db     loader
	log    io.Writer
	stamps *stamps
}

// prepare fills the database unless it is filled already; then it removes what
// earlier measurements left behind.
func prepare(ctx context.Context, t *target, w *world, log io.Writer) (err error) {
	db, err := t.open(ctx, fillConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := newService(db, newCatalog(w))
	if err != nil {
		return err
	}
	if err := svc.Migrate(ctx); err != nil {
		return err
	}
	l, err := t.loader(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return (&fill{world: w, svc: svc, db: l, log: log}).run(ctx)
}

func newService(db *gorm.DB, c notifications.Catalog) (*notifications.Service, error) {
	return notifications.New(notifications.Config{DB: db, Catalog: c, Policy: notifications.AllowAll{}})
}

func (f *fill) run(ctx context.Context) error {
	want, err := json.Marshal(f.world.spec)
	if err != nil {
		return err
	}
	filled, err := f.marker(ctx)
	if err != nil {
		return err
	}
	if filled == string(want) {
		return f.reset(ctx)
	}
	if _, err := f.db.exec(ctx, "UPDATE "+markerTable+" SET spec = ''"); err != nil {
		return err
	}
	if err := f.all(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	_, err = f.db.exec(ctx, "UPDATE "+markerTable+" SET spec = "+quoted(string(want)))
	return err
}

// marker returns what the database was filled for. It refuses a database with
// messages that are not ours.
func (f *fill) marker(ctx context.Context) (string, error) {
	if rows, err := f.db.rows(ctx, "SELECT spec FROM "+markerTable); err == nil && len(rows) == 1 {
		return fmt.Sprint(rows[0][0]), nil
	}
	rows, err := f.db.rows(ctx, "SELECT id FROM "+messagesTable+" LIMIT 1")
	if err != nil {
		return "", err
	}
	if len(rows) > 0 {
		return "", usagef("--database: has messages that notifybench did not make; it measures only databases of its own")
	}
	if _, err := f.db.exec(ctx, "CREATE TABLE "+markerTable+" (spec text NOT NULL)"); err != nil {
		return "", err
	}
	_, err = f.db.exec(ctx, "INSERT INTO "+markerTable+" (spec) VALUES ('')")
	return "", err
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// all empties the tables and fills them.
func (f *fill) all(ctx context.Context) error {
	began := time.Now()
	var err error
	if f.stamps, err = f.makeStamps(ctx); err != nil {
		return err
	}
	// Not before: the stamps' ids are newer than those of the fill, which would
	// then not be added at the end of the indexes, and half of each page stay free.
	for _, table := range []string{statesTable, deliveriesTable, messagesTable} {
		if err := f.db.empty(ctx, table); err != nil {
			return err
		}
	}
	loads := []func(context.Context) error{
		func(ctx context.Context) error { return f.load(ctx, messagesTable, f.messages()) },
		func(ctx context.Context) error { return f.load(ctx, deliveriesTable, f.deliveries()) },
		func(ctx context.Context) error { return f.load(ctx, statesTable, f.states(false)) },
	}
	if err := together(ctx, f.db.parallel(), loads); err != nil {
		return err
	}
	if err := f.db.settle(ctx); err != nil {
		return err
	}
	fmt.Fprintf(f.log, "filled with %d messages in %v\n", f.world.Messages, time.Since(began).Round(time.Millisecond))
	return nil
}

// together runs all, at once or one after another, and ends the others when
// one fails.
func together(ctx context.Context, parallel bool, all []func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, do := range all {
		wg.Go(func() {
			if err := do(ctx); err != nil {
				cancel(err)
			}
		})
		if !parallel {
			wg.Wait()
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// reset removes what measuring added, and makes the marks of the measured
// users what they were.
func (f *fill) reset(ctx context.Context) error {
	newer := quoted(fillEnd().String())
	var removed int64
	for _, statement := range []string{
		"DELETE FROM " + messagesTable + " WHERE id >= " + newer,
		"DELETE FROM " + deliveriesTable + " WHERE message_id >= " + newer,
	} {
		n, err := f.db.exec(ctx, statement)
		if err != nil {
			return err
		}
		removed += n
	}
	var err error
	if f.stamps, err = f.makeStamps(ctx); err != nil {
		return err
	}
	prefix := "user:bench/" + measuredName[:strings.IndexByte(measuredName, '%')]
	if _, err := f.db.exec(ctx, "DELETE FROM "+statesTable+" WHERE user_ref LIKE "+quoted(prefix+"%")); err != nil {
		return err
	}
	if err := f.load(ctx, statesTable, f.states(true)); err != nil {
		return err
	}
	fmt.Fprintf(f.log, "the database is filled already; removed %d rows of earlier measurements\n", removed)
	return f.db.settle(ctx)
}

func (f *fill) load(ctx context.Context, table string, rows iter.Seq[[]any]) error {
	return f.db.load(ctx, table, f.stamps.columns[table], rows)
}

// messages are the rows of that table, in the order of time.
func (f *fill) messages() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var row []any
		for place := range f.world.Messages {
			j := f.world.messageAt(place)
			b := f.blockOf(j)
			names := []value{idValue(f.world.id(place)), textValue(b.audience(b.audienceOf(j)))}
			row = stampRow(row, f.stamps.of(f.world, b.kind, place).message, names)
			if !yield(row) {
				return
			}
		}
	}
}

// blockOf is the block the j-th message is in. The blocks cover all of them,
// so there is one, or the arithmetic of newWorld is wrong.
func (f *fill) blockOf(j int) block {
	for _, b := range f.world.blocks {
		if j < b.start+b.messages() {
			return b
		}
	}
	panic("notifybench: a message outside all blocks") // the blocks hold all messages of a world
}

// deliveries are the rows of that table, in the order of its key.
func (f *fill) deliveries() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var row []any
		for _, b := range f.world.blocks {
			for i := range b.count {
				audience := textValue(b.audience(i))
				for _, place := range f.world.places(b, i) {
					names := []value{idValue(f.world.id(place)), audience}
					row = stampRow(row, f.stamps.of(f.world, b.kind, place).delivery, names)
					if !yield(row) {
						return
					}
				}
			}
		}
	}
}

// states are the rows of that table, user by user.
func (f *fill) states(measuredOnly bool) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		var row []any
		for _, b := range f.world.blocks {
			if b.kind != toUser || measuredOnly && !b.measured {
				continue
			}
			for i := range b.count {
				user := textValue(b.audience(i))
				for _, marked := range f.world.marks(b, i) {
					stamp := f.stamps.read
					if marked.hidden {
						stamp = f.stamps.hidden
					}
					row = stampRow(row, stamp, []value{idValue(f.world.id(marked.place)), user})
					if !yield(row) {
						return
					}
				}
			}
		}
	}
}

// stampRow writes a row into the memory of the last.
func stampRow(row []any, stamp []pattern, names []value) []any {
	row = row[:0]
	for i := range stamp {
		row = append(row, stamp[i].with(names))
	}
	return row
}
