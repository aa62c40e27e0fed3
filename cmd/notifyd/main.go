// Command notifyd serves notifications over HTTP, on a SQLite file or on
// PostgreSQL. Run "notifyd --help" for its settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/notifications-go/notifications/internal/gogc"
)

// The exit statuses other than 0.
const (
	exitFailure = 1 // an operation failed
	exitUsage   = 2 // the settings or arguments are wrong
)

// usageError is an error in the command line, the environment or the
// configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// process holds a program's inputs and outputs.
type process struct {
	args    []string // without the name of the program
	environ []string // "KEY=value"
	stdout  io.Writer
	stderr  io.Writer
	hangup  <-chan os.Signal // a signal to read files again
}

func main() {
	gogc.Set(os.Getenv("GOGC"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	os.Exit(run(ctx, process{os.Args[1:], os.Environ(), os.Stdout, os.Stderr, hangup}))
}

// run is the program. It returns the exit status when the command is done or
// ctx has ended.
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

// command is a command of notifyd.
type command struct {
	run  func(ctx context.Context, p process) error // flag.ErrHelp asks for the help
	help func(w io.Writer)
}

// commands are the commands by name. Without a name, notifyd serves.
var commands = map[string]command{
	"":           {runServe, serveHelp},
	"migrate":    {runMigrate, migrateHelp},
	"explain":    {runExplain, explainHelp},
	"erase-user": {runEraseUser, eraseUserHelp},
	"dev-token":  {runDevToken, devTokenHelp},
	"version":    {runVersion, versionHelp},
}

// dispatch runs the command that the first argument names.
func dispatch(ctx context.Context, p process) error {
	word := ""
	if len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		word, p.args = p.args[0], p.args[1:]
	}
	switch {
	case word == "help":
		word = ""
		if len(p.args) > 0 {
			word, p.args = p.args[0], p.args[1:]
		}
		p.args = append(slices.Clone(p.args), "--help")
	case word == "" && len(p.args) == 1 && strings.TrimLeft(p.args[0], "-") == "version":
		word, p.args = "version", nil
	}
	cmd, ok := commands[word]
	if !ok {
		return usageError{fmt.Errorf("there is no command %q%s; see notifyd --help", word, suggestion("", word, slices.Sorted(maps.Keys(commands))))}
	}
	err := cmd.run(ctx, p)
	if errors.Is(err, flag.ErrHelp) {
		cmd.help(p.stdout)
		return nil
	}
	return err
}
