package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/notifications-go/notifications"
)

// schema is the host's own.
const schema = `
CREATE TABLE IF NOT EXISTS customers (name text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, customer text NOT NULL REFERENCES customers ON DELETE CASCADE);
`

// shop is the host: its tables, and the Service beside them.
type shop struct {
	pool  *sql.DB
	inbox *notifications.Service
}

// self is who posts.
var self = notifications.ServiceAccount("shop")

// register adds a customer and welcomes them. The catalog finds the customer in
// the transaction.
func (s shop) register(ctx context.Context, customer string) error {
	return s.inTx(ctx, func(tx *sql.Tx, inbox *notifications.Service) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO customers VALUES ($1)", customer); err != nil {
			return err
		}
		_, err := inbox.Post(ctx, self, notifications.Draft{
			Origin: "shop", Title: "Welcome, " + customer, To: notifications.Users(customer),
		})
		return err
	})
}

var errOutOfStock = errors.New("out of stock")

// placeOrder stores an order and tells its customer; if it is out of stock, it
// does neither.
func (s shop) placeOrder(ctx context.Context, id int64, customer string, inStock bool) error {
	return s.inTx(ctx, func(tx *sql.Tx, inbox *notifications.Service) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES ($1, $2)", id, customer); err != nil {
			return err
		}
		_, err := inbox.Post(ctx, self, notifications.Draft{
			Origin: "shop", Scope: orderScope(id), Title: fmt.Sprintf("Order %d is placed", id), To: notifications.Users(customer),
		})
		if err != nil {
			return err
		}
		if !inStock {
			return errOutOfStock
		}
		return nil
	})
}

// cancelOrder removes an order and takes the notification about it back.
func (s shop) cancelOrder(ctx context.Context, id int64) error {
	return s.inTx(ctx, func(tx *sql.Tx, inbox *notifications.Service) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM orders WHERE id = $1", id); err != nil {
			return err
		}
		_, err := inbox.WithdrawScope(ctx, self, notifications.ScopeKey{Origin: "shop", Scope: orderScope(id)})
		return err
	})
}

func orderScope(id int64) string { return fmt.Sprint("order-", id) }

// unregister removes a customer and what is theirs in the inbox.
func (s shop) unregister(ctx context.Context, customer string) error {
	return s.inTx(ctx, func(tx *sql.Tx, inbox *notifications.Service) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM customers WHERE name = $1", customer); err != nil {
			return err
		}
		_, err := inbox.EraseUser(ctx, self, customer)
		return err
	})
}

// inTx runs do in a transaction of the host, with the Service bound to it. A
// shop whose transactions may meet others would run it again on
// notifications.ErrRetry.
func (s shop) inTx(ctx context.Context, do func(tx *sql.Tx, inbox *notifications.Service) error) error {
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx, s.inbox.WithSQLTx(tx)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// customers is the catalog: the host's table. There are no groups.
type customers struct{ pool *sql.DB }

// Canonical takes names as the table has them: in small letters.
func (customers) Canonical(_ notifications.Kind, name string) (string, error) {
	other := func(r rune) bool { return r <= ' ' || r > '~' } // letters that only look like others too
	if name == "" || len(name) > 100 || strings.Contains(name, ":") || strings.ContainsFunc(name, other) {
		return "", errors.New("is not the name of a customer")
	}
	return strings.ToLower(name), nil
}

// Groups returns none.
func (customers) Groups(context.Context, string) ([]notifications.Membership, error) { return nil, nil }

// Missing reads in the transaction of a bound Service, and so finds the customer
// that it has just added, without a second connection.
func (c customers) Missing(ctx context.Context, refs []notifications.Ref) (missing []notifications.Ref, err error) {
	query := c.pool.QueryRowContext
	if tx, found := notifications.SQLTxFrom(ctx); found {
		query = tx.QueryRowContext
	}
	for _, ref := range refs {
		var known bool
		err := query(ctx, "SELECT EXISTS (SELECT FROM customers WHERE name = $1)", ref.Name).Scan(&known)
		if err != nil {
			return nil, err
		}
		if !known || ref.Kind != notifications.KindUser {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}
