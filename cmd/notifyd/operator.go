package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/notifications-go/notifications"
)

// operator is who runs the commands: no policy is asked about whoever has the
// database itself.
var operator = notifications.ServiceAccount("notifyd")

// operate calls do with a service over the database, as it is, and the catalog
// of the server.
func operate(ctx context.Context, c *config, log *slog.Logger, do func(*notifications.Service, notifications.Catalog) error) (err error) {
	cat, err := loadCatalog(c)
	if err != nil {
		return usageError{err}
	}
	db, err := openExisting(ctx, c, log)
	if err != nil {
		return err
	}
	if db == nil {
		return fmt.Errorf("the database %s does not exist or is empty", c.databaseName())
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: cat, Policy: notifications.AllowAll{}, Logger: log})
	if err != nil {
		return err
	}
	if err := svc.Ready(ctx); err != nil {
		return fmt.Errorf("the database %s is not ready: %w", c.databaseName(), err)
	}
	return do(svc, cat)
}

// checkOperator reports what is wrong with the settings these commands heed.
func (c *config) checkOperator() error {
	return errors.Join(c.checkDatabase(), c.checkCatalog())
}

// flagNames are the names that fields of the library have on the command line.
var flagNames = map[string]string{"ID": "ID", "User": "--user", "user": "REF"}

// misused turns what a verb says about its input into what is wrong with the
// command line.
func misused(err error) error {
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	var faults []error
	for _, f := range invalid.Fields {
		faults = append(faults, fmt.Errorf("%s: %s", flagNames[f.Field], f.Reason))
	}
	return usageError{errors.Join(faults...)}
}
