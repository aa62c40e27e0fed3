package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/notifications-go/notifications"
)

func eraseUserHelp(w io.Writer) {
	fmt.Fprint(w, `notifyd erase-user removes a user's own data: what they read, saved and archived,
notifications addressed to them alone, and their idempotency keys. The catalog
need not have the user any more. Notifications to groups, to everybody and to
other users stay. Notifications that the user posted stay, without a poster.
An erasure cannot be undone.

Usage:
  notifyd erase-user REF [settings]

  REF is the user, in any form that the catalog accepts.

The command accepts all settings of the server, so that both can use one command
line or file. It uses --database…, --catalog, --open-catalog, --config and
--log-…. The database must exist. The server may be running.
`)
	printSettings(w)
}

// runEraseUser erases one user.
func runEraseUser(ctx context.Context, p process) error {
	var ref string
	c, err := loadConfig(flag.NewFlagSet("erase-user", flag.ContinueOnError), p.args, p.environ, &ref)
	if err != nil {
		return err
	}
	faults := []error{c.checkOperator()}
	if ref == "" {
		faults = append(faults, errors.New("the REF of a user is required"))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return operate(ctx, c, c.logger(p.stderr), func(svc *notifications.Service, cat notifications.Catalog) error {
		if err := svc.EraseUser(ctx, operator, ref); err != nil {
			return asUsageError(err)
		}
		user, err := cat.Canonical(notifications.KindUser, ref)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s is erased\n", notifications.UserRef(user))
		return err
	})
}
