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
	fmt.Fprint(w, `notifyd erase-user removes what is a user's own, whether or not the catalog still
has the user: what was read, saved and archived, what is addressed to this user
alone, and idempotency keys. Notifications to groups, to everybody and to other
users stay; of those the user has posted nobody can tell any more who it was.
There is no way back.

Usage:
  notifyd erase-user REF [settings]

  REF is the user, in a form the catalog takes.

It takes all settings of the server, so that a command line or a file can serve
both, and heeds --database…, --catalog, --open-catalog, --config and --log-….
The database must exist; the server may be running.
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
			return misused(err)
		}
		user, err := cat.Canonical(notifications.KindUser, ref)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s is erased\n", notifications.UserRef(user))
		return err
	})
}
