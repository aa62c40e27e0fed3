// Transaction posts inside the host's own GORM transaction: the order and the
// notification about it are stored together, or not at all.
//
//	go run ./examples/transaction
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", which needs no cgo
)

func main() {
	dir, err := os.MkdirTemp("", "transaction")
	if err != nil {
		log.Fatal(err)
	}
	err = run(context.Background(), filepath.Join(dir, "shop.db"), os.Stdout)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

// Order is the host's own model.
type Order struct {
	ID       int
	Customer string
}

var errOutOfStock = errors.New("out of stock")

func run(ctx context.Context, path string, out io.Writer) error {
	db, err := gorm.Open(sqlite.New(sqlite.Config{
		DriverName: "sqlite", DSN: "file:" + path + "?_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate&_synchronous=FULL",
	}))
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	// The host's table, made in the host's own way. The library's tables come
	// from Migrate alone.
	if err := db.AutoMigrate(&Order{}); err != nil {
		return err
	}
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		return err
	}
	if err := svc.Migrate(ctx); err != nil {
		return err
	}

	buy := func(id int, inStock bool) error {
		return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Create(&Order{ID: id, Customer: "jane"}).Error; err != nil {
				return err
			}
			_, err := svc.WithTx(tx).Post(ctx, notifications.ServiceAccount("shop"), notifications.Draft{
				Origin: "shop", Title: fmt.Sprintf("Order %d is placed", id), To: notifications.Users("jane"),
			})
			if err != nil {
				return err
			}
			if !inStock {
				return errOutOfStock // takes the notification with it
			}
			return nil
		})
	}
	if err := buy(1, true); err != nil {
		return err
	}
	if err := buy(2, false); !errors.Is(err, errOutOfStock) {
		return fmt.Errorf("order 2: %w", err)
	}

	var orders int64
	if err := db.Model(&Order{}).Count(&orders).Error; err != nil {
		return err
	}
	page, err := svc.List(ctx, notifications.User("jane"), notifications.ListQuery{})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "orders:", orders)
	for _, n := range page.Items {
		_, _ = fmt.Fprintln(out, "jane reads:", n.Title)
	}
	return nil
}
