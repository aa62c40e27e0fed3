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
notifications addressed to them alone, and their idempotency keys. It prints what
it removed. The catalog need not have the user any more; a user whom neither the
catalog nor the database knows is an error. Notifications to groups, to everybody and to
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
		erased, err := svc.EraseUser(ctx, operator, ref)
		if err != nil {
			return asUsageError(err)
		}
		name, err := cat.Canonical(notifications.KindUser, ref)
		if err != nil {
			return err
		}
		user := notifications.UserRef(name)
		if erased == (notifications.Erased{}) {
			if missing, err := cat.Missing(ctx, []notifications.Ref{user}); err != nil || len(missing) > 0 {
				return errors.Join(err, fmt.Errorf("nothing is erased: neither the catalog nor the database knows %s", user))
			}
		}
		_, err = fmt.Fprintf(p.stdout, "%s is erased\n"+
			"  %d marks\n  %d notifications to this user alone\n  %d notifications to the user and others, which the others keep\n"+
			"  %d posts of the user, which stay without a poster\n  %d idempotency keys\n",
			user, erased.Marks, erased.Notifications, erased.Shared, erased.Posts, erased.Keys)
		return err
	})
}
