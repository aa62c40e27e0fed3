package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

const usage = `notifyd serves notifications to users, to groups and to everybody.

Usage:
  notifyd [settings]                         serve
  notifyd migrate [--dry-run] [settings]     create or update the tables, and end
  notifyd migrate export|baseline …          have another tool do it, see notifyd migrate --help
  notifyd explain --user REF ID [settings]   tell why a user sees a notification or not
  notifyd erase-user REF [settings]          remove what is a user's own
  notifyd dev-token --user REF               issue a token for trying things out
  notifyd version                            print the version

With --help each of them prints its own help. SIGTERM and SIGINT end the server
when the requests in flight are done; SIGHUP makes it read the catalog again.
`

const settingsHelp = `
Every setting can be given as a flag, as an environment variable, or as a key in
the file that --config names; the first of these that has it counts. Flags that
can be repeated are a list in the file, and separated by commas in the
environment. A DURATION is written 500ms, 30s, 1h30m or, in whole days, 90d.
Rules of the policy can only be given in the file:

  policy:        # without it all is allowed, but to withdraw what others posted
    - allow: [notifications.create, notifications.create.system, notifications.delete]
      services: [external]
    - allow: [notifications.list, notifications.update.read]
      users: ["*"]                         # or refs; also groups: [default/ops]
`

// printSettings prints the table.
func printSettings(w io.Writer) {
	fmt.Fprint(w, settingsHelp)
	for _, section := range new(config).sections() {
		fmt.Fprintf(w, "\n%s:\n", section.title)
		for _, s := range section.settings {
			fmt.Fprintf(w, "  --%s", s.name)
			if s.arg != "" {
				fmt.Fprintf(w, " %s", s.arg)
			}
			if s.many {
				fmt.Fprint(w, "  (can be repeated)")
			}
			fmt.Fprintf(w, "\n      %s\n      %s", s.help, s.environment())
			if s.def != "" {
				fmt.Fprintf(w, ", default %s", s.def)
			}
			fmt.Fprintln(w)
		}
	}
}

// serveHelp is the help of the server and of the program.
func serveHelp(w io.Writer) {
	fmt.Fprint(w, usage)
	printSettings(w)
}

func versionHelp(w io.Writer) {
	fmt.Fprintln(w, "notifyd version prints the version of the program, and of Go and the platform it was built for.")
}

// runVersion prints what was built, from what and with what.
func runVersion(_ context.Context, p process) error {
	flags := flag.NewFlagSet("version", flag.ContinueOnError)
	if err := parseFlags(flags, p.args); err != nil {
		return err
	}
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version // holds the revision, too
	}
	_, err := fmt.Fprintf(p.stdout, "notifyd %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
