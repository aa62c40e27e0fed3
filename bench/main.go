// Command notifybench fills a database with notifications and measures what
// the library costs over it: against a bare loop that runs the same SQL, and
// over HTTP. Run "notifybench --help" for its flags.
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

// usageError is what only another command line can mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// process is what a program is given from outside.
type process struct {
	args    []string // without the program's name
	environ []string // "KEY=value"
	stdout  io.Writer
	stderr  io.Writer
}

func main() {
	gogc.Set(os.Getenv("GOGC"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once
	os.Exit(run(ctx, process{os.Args[1:], os.Environ(), os.Stdout, os.Stderr}))
}

// run is the program: it does what the arguments say until that is done or ctx
// is, and returns the exit status.
func run(ctx context.Context, p process) int {
	err := dispatch(ctx, p)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		printHelp(p.stdout)
		return 0
	}
	for line := range strings.Lines(err.Error()) { // joined errors, one a line
		fmt.Fprintln(p.stderr, "notifybench:", strings.TrimRight(line, "\n"))
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

func dispatch(ctx context.Context, p process) error {
	word := "run"
	if len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		word, p.args = p.args[0], p.args[1:]
	}
	if word == "start" {
		return runStart(ctx, p)
	}
	o, err := parseOptions(p.args)
	if err != nil {
		return err
	}
	switch {
	case word == "fill":
		return runFill(ctx, p, o)
	case word == "scale":
		return runScale(ctx, p, o)
	case word != "run":
		return usagef("there is no command %q; see notifybench --help", word)
	case o.compare:
		return runCompare(p, o)
	case o.url != "":
		return runURL(ctx, p, o)
	case o.curve:
		return runCurve(ctx, p, o)
	default:
		return runBench(ctx, p, o)
	}
}
