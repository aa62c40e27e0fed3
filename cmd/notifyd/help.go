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
  notifyd migrate export|baseline …          use another migration tool, see notifyd migrate --help
  notifyd explain --user REF ID [settings]   say why a user sees a notification or does not
  notifyd erase-user REF [settings]          remove a user's own data
  notifyd dev-token --user REF               issue a token for development
  notifyd version                            print the version; also notifyd --version
  notifyd help [COMMAND]                     print this help, or that of a command

Each command prints its own help with --help too. SIGTERM and SIGINT end the server
after the requests in flight. SIGHUP makes it read the files of the catalog, the
secrets, the legacy keys and the certificate again; one with a fault is not used.
`

const settingsHelp = `
Every setting can be given as a flag, as an environment variable, or as a key in
the file of --config. A flag overrides a variable, and a variable overrides the
file. Settings that can be repeated are lists in the file, and separated by commas
in a variable. A DURATION is 500ms, 30s, 1h30m or, in whole days, 90d. Rules of
the policy can be given only in the file:

  policy:        # without it users post to users and groups, read and mark; services post to everybody too
    - allow: [notifications.create, notifications.create.system, notifications.delete]
      services: [external]
    - allow: [notifications.list, notifications.update.read]
      users: ["*"]                         # every user; or names; also groups: [default/ops]
`

// printSettings prints the help of all settings.
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

// serveHelp prints the help of the server and of the program.
func serveHelp(w io.Writer) {
	fmt.Fprint(w, usage)
	printSettings(w)
}

func versionHelp(w io.Writer) {
	fmt.Fprintln(w, "notifyd version prints the version of the program, and of Go and the platform it was built for.")
}

// runVersion prints the versions of the program and of Go, and the platform.
func runVersion(_ context.Context, p process) error {
	flags := flag.NewFlagSet("version", flag.ContinueOnError)
	if err := parseFlags(flags, p.args); err != nil {
		return err
	}
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version // includes the revision
	}
	_, err := fmt.Fprintf(p.stdout, "notifyd %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
