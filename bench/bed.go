package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/notifications-go/notifications"
)

// The databases.
const (
	postgresName = "postgres"
	sqliteName   = "sqlite"
)

// bed is a filled database with all contenders over it.
type bed struct {
	world   *world
	target  *target
	svc     *notifications.Service
	db      *gorm.DB // of svc
	scripts scripts
	floor   interface {
		contender
		close() error
	}
	server *server
	http   *httpContender
}

// fillBed fills a database and opens nothing over it. What it returns is to be
// closed even with an error.
func fillBed(ctx context.Context, p process, o *options, s spec, suffix string) (*bed, error) {
	b := &bed{scripts: scripts{}}
	var err error
	if b.world, err = newWorld(s); err != nil {
		return b, err
	}
	if b.target, err = newTarget(ctx, p, o, suffix); err != nil {
		return b, err
	}
	return b, prepare(ctx, b.target, b.world, p.stderr)
}

// openBed fills a database and sets everything up that is measured over it.
// What it returns is to be closed even with an error.
func openBed(ctx context.Context, p process, o *options, s spec, suffix string) (*bed, error) {
	b, err := fillBed(ctx, p, o, s, suffix)
	if err != nil {
		return b, err
	}
	if b.db, err = b.target.open(ctx, o.concurrency); err != nil {
		return b, err
	}
	if b.svc, err = newService(b.db, newCatalog(b.world)); err != nil {
		return b, err
	}
	if err := b.openFloor(ctx, o.concurrency); err != nil {
		return b, err
	}
	return b, b.openHTTP(ctx, o.samples)
}

func (b *bed) openFloor(ctx context.Context, conns int) error {
	if !b.target.isSQLite() {
		floor, err := newPostgresFloor(ctx, b.target.url, conns, b.scripts)
		if err == nil {
			b.floor = floor
		}
		return err
	}
	db, err := b.target.open(ctx, conns)
	if err != nil {
		return err
	}
	floor, err := newSQLiteFloor(db, conns, b.scripts)
	if err == nil {
		b.floor = floor
	}
	return err
}

func (b *bed) openHTTP(ctx context.Context, samples int) error {
	var users []string
	for _, block := range b.world.blocks {
		if block.kind == toUser && block.name != userName {
			users = append(users, block.refs()[:min(block.count, samples)]...)
		}
	}
	var err error
	if b.server, err = startServer(ctx, b.svc, users); err != nil {
		return err
	}
	b.http, err = newHTTPContender(b.server.url, b.server.tokens)
	return err
}

func (b *bed) close(ctx context.Context) error {
	err := b.disconnect()
	if b.target != nil {
		err = errors.Join(err, b.target.close(ctx))
	}
	return err
}

// disconnect closes all connections and leaves the database as it is.
func (b *bed) disconnect() error {
	var errs []error
	if b.http != nil {
		errs = append(errs, b.http.close())
	}
	if b.server != nil {
		errs = append(errs, b.server.close())
	}
	if b.floor != nil {
		errs = append(errs, b.floor.close())
	}
	if b.db != nil {
		errs = append(errs, closeDatabase(b.db))
	}
	b.http, b.server, b.floor, b.db = nil, nil, nil, nil
	return errors.Join(errs...)
}

// entries sets operations up to be measured: they are recorded, and those
// contenders chosen that can do them.
func (b *bed) entries(ctx context.Context, ops []*operation) ([]*entry, error) {
	if err := b.record(ctx, ops); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var entries []*entry
	for _, op := range ops {
		e := &entry{op: op}
		for _, c := range []contender{b.floor, serviceContender{b.svc}, b.http} {
			can, err := c.offers(ctx, op)
			if err != nil {
				return nil, failedAt(c, op, err)
			}
			if can {
				e.contenders = append(e.contenders, c)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// record runs the operations through a service of its own, over connections
// that note what passes.
func (b *bed) record(ctx context.Context, ops []*operation) (err error) {
	source, err := b.target.open(ctx, fillConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(source)) }()
	db, rec, err := recorded(source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(closeDatabase(db), err) }()
	svc, err := newService(db, newCatalog(b.world))
	if err != nil {
		return err
	}
	for _, op := range ops {
		if err := b.scripts.record(ctx, svc, rec, op); err != nil {
			return err
		}
	}
	return nil
}

// recorded opens the connections of a database once more, with a recorder.
func recorded(source *gorm.DB) (*gorm.DB, *recorder, error) {
	pool, err := source.DB()
	if err != nil {
		return nil, nil, err
	}
	rec := new(recorder)
	noted := rec.open(pool)
	db, err := gorm.Open(dialectorOver(source, noted), &gorm.Config{DisableAutomaticPing: true, Logger: logger.Discard})
	if err != nil {
		return nil, nil, errors.Join(err, noted.Close())
	}
	return db, rec, nil
}

func dialectorOver(source *gorm.DB, pool *sql.DB) gorm.Dialector {
	if source.Name() == sqliteName {
		return sqlite.New(sqlite.Config{Conn: pool})
	}
	return postgres.New(postgres.Config{Conn: pool})
}
