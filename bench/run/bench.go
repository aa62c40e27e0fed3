// Package run measures: the library against the floor, its growth, large
// databases, and running servers.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/record"
	"github.com/notifications-go/notifications/bench/report"
)

// Config is what all commands are told that fill a database.
type Config struct {
	Spec     fill.Spec
	Database string // its URL; empty makes one on Server, to be dropped in the end
	Server   string // URL of a PostgreSQL server
	Samples  int    // different users, messages and drafts for an operation

	measure.Plan
	Duration time.Duration // after which no round begins
	Log      io.Writer     // takes what is done
	Output   io.Writer     // takes the results
}

// bed is a filled database and all contenders over it.
type bed struct {
	world      *fill.World
	database   *fill.Database
	db         *gorm.DB // of svc
	svc        *notifications.Service
	contenders []measure.Contender
	closers    []func() error // are called in reverse order
}

// fillBed fills a database. What it returns is to be closed even with an error.
func (c Config) fillBed(ctx context.Context, s fill.Spec, suffix string) (*bed, error) {
	b := &bed{}
	var err error
	if b.world, err = fill.NewWorld(s); err != nil {
		return b, err
	}
	if b.database, err = fill.Find(ctx, c.Database, c.Server, suffix); err != nil {
		return b, err
	}
	b.closers = append(b.closers, func() error { return b.database.Drop(ctx) })
	return b, fill.Fill(ctx, b.database, b.world, c.Log)
}

// openBed fills a database and sets up all contenders. What it returns is to be
// closed even with an error.
func (c Config) openBed(ctx context.Context, s fill.Spec, suffix string) (*bed, error) {
	b, err := c.fillBed(ctx, s, suffix)
	if err != nil {
		return b, err
	}
	if b.db, err = b.open(ctx, c.Concurrency); err != nil {
		return b, err
	}
	if b.svc, err = fill.NewService(b.db, b.world); err != nil {
		return b, err
	}
	floor, err := b.floor(ctx, c.Concurrency)
	if err != nil {
		return b, err
	}
	server, err := startServer(ctx, b.svc)
	if err != nil {
		return b, err
	}
	b.closers = append(b.closers, server.close)
	client, err := measure.NewClient(server.url, server.token)
	if err != nil {
		return b, err
	}
	b.contenders = []measure.Contender{measure.Floor(floor), measure.Service(b.svc), client.Contender()}
	return b, nil
}

// open opens the database until the bed is closed.
func (b *bed) open(ctx context.Context, conns int) (*gorm.DB, error) {
	db, err := b.database.Open(ctx, conns)
	if err == nil {
		b.closers = append(b.closers, func() error { return fill.Close(db) })
	}
	return db, err
}

func (b *bed) floor(ctx context.Context, conns int) (*record.Floor, error) {
	if b.database.URL == "" {
		db, err := b.open(ctx, conns)
		if err != nil {
			return nil, err
		}
		pool, err := db.DB()
		if err == nil {
			pool.SetMaxOpenConns(conns)
			pool.SetMaxIdleConns(conns)
		}
		return record.NewSQLiteFloor(pool), err
	}
	config, err := pgxpool.ParseConfig(b.database.URL)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		b.closers = append(b.closers, func() error { pool.Close(); return nil })
	}
	return record.NewPostgresFloor(pool), err
}

// close closes all connections, and drops a database of our own.
func (b *bed) close() (err error) {
	for len(b.closers) > 0 {
		last := len(b.closers) - 1
		err = errors.Join(err, b.closers[last]())
		b.closers = b.closers[:last]
	}
	return err
}

// entries are operations that were recorded, with all contenders.
func (b *bed) entries(ctx context.Context, ops []*measure.Operation) (entries []*measure.Entry, err error) {
	source, err := b.database.Open(ctx, 4)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fill.Close(source)) }()
	pool, err := source.DB()
	if err != nil {
		return nil, err
	}
	rec := &record.Recorder{Begin: "begin"}
	noted := rec.Open(pool)
	defer func() { err = errors.Join(noted.Close(), err) }()
	dialector := postgres.New(postgres.Config{Conn: noted})
	if b.database.URL == "" {
		rec.Begin = "BEGIN IMMEDIATE" // as database.OpenSQLite has it
		dialector = sqlite.New(sqlite.Config{Conn: noted})
	}
	db, err := gorm.Open(dialector, &gorm.Config{DisableAutomaticPing: true, Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	svc, err := fill.NewService(db, b.world)
	if err != nil {
		return nil, err
	}
	for _, op := range ops {
		do := func(i int) (string, error) { return op.Service(ctx, svc, i) }
		if op.Scripts, err = rec.Record(op.Period, do); err != nil {
			return nil, fmt.Errorf("record %s: %w", op.Title, err)
		}
		entries = append(entries, &measure.Entry{Operation: op, Contenders: b.contenders})
	}
	return entries, nil
}

// newReport begins a report of what is measured in a bed.
func (c Config) newReport(ctx context.Context, b *bed) (*report.Report, error) {
	r := report.New(c.Concurrency, c.Slice)
	r.Fill = b.world.String()
	var err error
	r.Settings, err = fill.Settings(ctx, b.db)
	return r, err
}

// Fill fills a database and measures nothing.
func Fill(ctx context.Context, c Config) (err error) {
	b, err := c.fillBed(ctx, c.Spec, "")
	return errors.Join(err, b.close())
}

// Bench measures all operations, or those whose names are in only, which are
// separated by commas.
func Bench(ctx context.Context, c Config, only string) (r *report.Report, err error) {
	b, err := c.openBed(ctx, c.Spec, "")
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return nil, err
	}
	if r, err = c.newReport(ctx, b); err != nil {
		return nil, err
	}
	phases, err := all(ctx, b.world, b.svc, c.Samples)
	if err != nil {
		return nil, err
	}
	total := 0
	for i, ops := range phases {
		phases[i] = wanted(only, ops)
		total += len(phases[i])
	}
	if total == 0 {
		return nil, fmt.Errorf("--only %s: there is no such operation", only)
	}
	began, done := time.Now(), 0
	for _, ops := range phases {
		done += len(ops)
		c.Until = began.Add(c.Duration * time.Duration(done) / time.Duration(total)) // each has its share of the time
		if err := c.phase(ctx, r, b, ops); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// phase measures operations beside each other.
func (c Config) phase(ctx context.Context, r *report.Report, b *bed, ops []*measure.Operation) error {
	if len(ops) == 0 {
		return nil
	}
	entries, err := b.entries(ctx, ops)
	if err != nil {
		return err
	}
	if err := c.add(ctx, r, entries); err != nil {
		return err
	}
	results := r.Results[len(r.Results)-len(entries):]
	for i, e := range entries {
		for k, contender := range e.Contenders {
			if results[i].Contenders[k].Allocations, err = measure.Allocations(ctx, contender, e.Operation); err != nil {
				return err
			}
		}
	}
	return nil
}

// add measures entries and adds their results to a report, which says the
// smallest number of rounds: the time may have run out.
func (c Config) add(ctx context.Context, r *report.Report, entries []*measure.Entry) error {
	rounds, err := c.Measure(ctx, entries)
	if err != nil {
		return err
	}
	if r.Rounds == 0 || rounds < r.Rounds {
		r.Rounds = rounds
	}
	for _, e := range entries {
		r.Results = append(r.Results, e.Result())
	}
	return nil
}

// wanted are the operations whose names are in only; all, if that is empty.
func wanted(only string, ops []*measure.Operation) []*measure.Operation {
	names := strings.Split(only, ",")
	return slices.DeleteFunc(ops, func(op *measure.Operation) bool { return only != "" && !slices.Contains(names, op.Name) })
}

// Inbox is a point of a curve over inboxes.
type Inbox struct {
	Curve string
	X     int
	fill.Wide
}

// visible, hidden and inGroups are points of the curves.
func visible(n int) Inbox { return Inbox{"messages a user sees", n, fill.Wide{Visible: n}} }
func hidden(n int) Inbox {
	return Inbox{"hidden messages before 100 unread", n, fill.Wide{Visible: 100, Hidden: n, Unread: true}}
}
func inGroups(n int) Inbox {
	return Inbox{"groups a user is in", n, fill.Wide{Visible: 100, Groups: n, Unread: true}}
}

// Inboxes are all that are measured.
var Inboxes = []Inbox{
	visible(100), visible(1000), visible(10_000), visible(100_000), hidden(0), hidden(1000), hidden(100_000),
	inGroups(1), inGroups(10), inGroups(100), inGroups(500),
}

// Curve measures list and unread count over sizes of the table, each in a
// database of its own, and over inboxes. All databases are filled first and then
// measured round by round, so that the machine is as fast for the first as for
// the last.
func Curve(ctx context.Context, c Config, sizes []int, inboxes []Inbox) (r *report.Report, err error) {
	var beds []*bed
	defer func() {
		for _, b := range beds {
			err = errors.Join(err, b.close())
		}
	}()
	var entries []*measure.Entry
	add := func(b *bed, curve string, x int, ops ...*measure.Operation) error {
		for _, op := range ops {
			op.Curve, op.X = curve, x
		}
		more, err := b.entries(ctx, ops)
		entries = append(entries, more...)
		return err
	}
	readers := c.Samples
	for _, size := range sizes {
		readers = min(readers, c.Spec.Of(size).Measured) // as many at each size: more would find less in the processor's caches
	}
	for _, size := range sizes {
		b, err := c.openBed(ctx, c.Spec.Of(size), strconv.Itoa(size))
		beds = append(beds, b)
		if err != nil {
			return nil, err
		}
		users := everything(b.world.UserNames(fill.Measured)[:readers])
		if err := add(b, report.Rows, size, users.firstPage(), users.unreadCount()); err != nil {
			return nil, err
		}
	}
	s := c.Spec.Of(sizes[0])
	for _, inbox := range inboxes {
		s.Wide = append(s.Wide, inbox.Wide)
	}
	s.Messages = s.Least() * 3 / 2
	b, err := c.openBed(ctx, s, "wide")
	beds = append(beds, b)
	if err != nil {
		return nil, err
	}
	for k, inbox := range inboxes {
		users := reader{b.world.UserNames(fill.WideName(k)), notifications.Filter{System: notifications.NotSystem}, "messageScope=user"}
		listed := users
		if inbox.Curve == hidden(0).Curve {
			listed = users.unread()
		}
		if err := add(b, inbox.Curve, inbox.X, listed.firstPage(), users.unreadCount()); err != nil {
			return nil, err
		}
	}
	if r, err = c.newReport(ctx, b); err != nil {
		return nil, err
	}
	r.Fill = "each point says its own fill"
	c.Until = time.Now().Add(c.Duration)
	return r, c.add(ctx, r, entries)
}
