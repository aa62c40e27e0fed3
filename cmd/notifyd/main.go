// Command notifyd serves notifications over HTTP, on a SQLite file or on
// PostgreSQL. Run "notifyd --help" for its settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/notifications-go/notifications/internal/gogc"
)

// The exit statuses beside 0.
const (
	exitFailure = 1 // something did not work
	exitUsage   = 2 // something was asked for that cannot be done
)

// usageError is what only another command line, environment or file can mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// process is what a program is given from outside.
type process struct {
	args    []string // without the program's name
	environ []string // "KEY=value"
	stdout  io.Writer
	stderr  io.Writer
	hangup  <-chan os.Signal // asks for the catalog to be read again
}

func main() {
	gogc.Set(os.Getenv("GOGC"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	os.Exit(run(ctx, process{os.Args[1:], os.Environ(), os.Stdout, os.Stderr, hangup}))
}

// run is the program: it does what the arguments say until that is done or ctx
// is, and returns the exit status.
func run(ctx context.Context, p process) int {
	err := dispatch(ctx, p)
	if err == nil {
		return 0
	}
	for line := range strings.Lines(err.Error()) { // joined errors, one a line
		fmt.Fprintln(p.stderr, "notifyd:", strings.TrimRight(line, "\n"))
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// command is what the first word of the command line chooses.
type command struct {
	run  func(ctx context.Context, p process) error // flag.ErrHelp asks for help
	help func(w io.Writer)
}

// commands are all there are. Serving is what happens without a word.
var commands = map[string]command{
	"":           {runServe, serveHelp},
	"migrate":    {runMigrate, migrateHelp},
	"explain":    {runExplain, explainHelp},
	"erase-user": {runEraseUser, eraseUserHelp},
	"dev-token":  {runDevToken, devTokenHelp},
	"version":    {runVersion, versionHelp},
}

// dispatch finds the command and runs it.
func dispatch(ctx context.Context, p process) error {
	word := ""
	if len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		word, p.args = p.args[0], p.args[1:]
	}
	cmd, ok := commands[word]
	if !ok {
		return usageError{fmt.Errorf("there is no command %q; see notifyd --help", word)}
	}
	err := cmd.run(ctx, p)
	if errors.Is(err, flag.ErrHelp) {
		cmd.help(p.stdout)
		return nil
	}
	return err
}
