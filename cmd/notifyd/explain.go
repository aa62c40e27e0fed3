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
	fmt.Fprint(w, `notifyd explain says why a user sees a notification or does not. The first line is
"visible", "visible, not listed (archived)" or "not visible". Each further line is
a reason: its code and, where there is one, the user, the group or "system", the
id of a later notification, and the time.

Usage:
  notifyd explain --user REF ID [settings]

  --user REF
      User, in any form that the catalog accepts. Required.

The command accepts all settings of the server, so that both can use one command
line or file. It uses --database…, --catalog, --open-catalog, --config and
--log-…. The database must exist. The server may be running. The exit status is
0 in either case.
`)
	printSettings(w)
}

// runExplain prints why one user sees one notification or does not.
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
			return asUsageError(err)
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
