// Databasesql is a shop on PostgreSQL that uses database/sql and no GORM. Its
// orders and the notifications about them are written in the same *sql.Tx: both
// are stored, or neither.
//
//	createdb shop
//	go run ./examples/databasesql postgres:///shop
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"; lib/pq will do as well
	"github.com/notifications-go/notifications"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: databasesql URL")
	}
	if err := run(context.Background(), os.Args[1], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// newService makes the Service over the host's pool. GORM is on this side of it
// alone.
func newService(pool *sql.DB) (*notifications.Service, error) {
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	return notifications.New(notifications.Config{DB: db, Catalog: customers{pool}, Policy: notifications.Authenticated{}})
}

func run(ctx context.Context, url string, out io.Writer) (err error) {
	pool, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, schema); err != nil {
		return err
	}
	svc, err := newService(pool)
	if err != nil {
		return err
	}
	if err := svc.Migrate(ctx); err != nil {
		return err
	}
	s := shop{pool, svc}

	if err := s.register(ctx, "jane"); err != nil {
		return err
	}
	if err := s.placeOrder(ctx, 7, "jane", true); err != nil {
		return err
	}
	if err := s.placeOrder(ctx, 8, "jane", false); !errors.Is(err, errOutOfStock) {
		return fmt.Errorf("order 8: %w", err)
	}
	if err := s.print(ctx, out, "jane", "after two orders, of which one is out of stock"); err != nil {
		return err
	}
	if err := s.cancelOrder(ctx, 7); err != nil {
		return err
	}
	if err := s.print(ctx, out, "jane", "once the other one is cancelled"); err != nil {
		return err
	}
	if err := s.unregister(ctx, "jane"); err != nil {
		return err
	}
	_, err = svc.List(ctx, notifications.User("jane"), notifications.ListQuery{})
	_, _ = fmt.Fprintln(out, "of a customer who has left:", err)
	return nil
}

// print prints what a customer reads.
func (s shop) print(ctx context.Context, out io.Writer, customer, when string) error {
	_, _ = fmt.Fprintln(out, when+",", customer, "reads:")
	for n, err := range s.inbox.All(ctx, notifications.User(customer), notifications.Filter{}) {
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, "-", n.Title)
	}
	return nil
}
