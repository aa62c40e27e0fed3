package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/notifications-go/notifications"
)

// operator is the caller of the commands. Their policy allows everything,
// because their user has the database itself.
var operator = notifications.ServiceAccount("notifyd")

// operate calls do with a service over the existing database, and with the
// server's catalog.
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

// checkOperator reports the faults of the settings that these commands use.
func (c *config) checkOperator() error {
	return errors.Join(c.checkDatabase(), c.checkCatalog())
}

// flagNames maps fields of the library to arguments of the command line.
var flagNames = map[string]string{"ID": "ID", "User": "--user", "user": "REF"}

// asUsageError converts an InvalidError of a verb to a usageError.
func asUsageError(err error) error {
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
