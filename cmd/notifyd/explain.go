package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/notifications-go/notifications"
)

func explainHelp(w io.Writer) {
	fmt.Fprint(w, `notifyd explain tells why a user sees a notification or does not. The first line is
"visible", "visible, not listed (archived)" or "not visible", and each one after
it a reason: its code, then, where they apply, the user, group or "system", the
id of a later notification, and since or until when it is so.

Usage:
  notifyd explain --user REF ID [settings]

  --user REF
      User it is about, in a form the catalog takes. Required.

It takes all settings of the server, so that a command line or a file can serve
both, and heeds --database…, --catalog, --open-catalog, --config and --log-….
The database must exist; the server may be running. The exit status is 0 whether
or not the user sees it.
`)
	printSettings(w)
}

// runExplain prints the explanation for one user and one notification.
func runExplain(ctx context.Context, p process) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	user := flags.String("user", "", "")
	var id string
	c, err := loadConfig(flags, p.args, p.environ, &id)
	if err != nil {
		return err
	}
	faults := []error{c.checkOperator()}
	if *user == "" {
		faults = append(faults, errors.New("--user is required"))
	}
	if id == "" {
		faults = append(faults, errors.New("the ID of a notification is required"))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return operate(ctx, c, c.logger(p.stderr), func(svc *notifications.Service, _ notifications.Catalog) error {
		e, err := svc.Explain(ctx, operator, notifications.ExplainQuery{ID: id, User: *user})
		if err != nil {
			return misused(err)
		}
		printExplanation(p.stdout, e)
		return nil
	})
}

func printExplanation(w io.Writer, e notifications.Explanation) {
	switch {
	case !e.Visible:
		fmt.Fprintln(w, "not visible")
	case !e.Listed:
		fmt.Fprintln(w, "visible, not listed (archived)")
	default:
		fmt.Fprintln(w, "visible")
	}
	for _, r := range e.Reasons {
		fmt.Fprintln(w, r)
	}
}
