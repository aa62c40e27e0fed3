// Command notifybench fills a database with notifications and measures what the
// library costs over it: against a bare loop that runs the same SQL, and over
// HTTP. "go -C bench run . --help" prints its flags.
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

	"github.com/notifications-go/notifications/bench/report"
	"github.com/notifications-go/notifications/bench/run"
	"github.com/notifications-go/notifications/internal/gogc"
)

// The exit statuses beside 0.
const (
	exitFailure = 1 // something did not work
	exitUsage   = 2 // something was asked for that cannot be done
)

// usageError is an error that only another command line can avoid.
type usageError struct{ error }

// process is what a program is given from outside.
type process struct {
	args           []string // without the program's name
	server         string   // the URL of a PostgreSQL server
	stdout, stderr io.Writer
}

func main() {
	gogc.Set(os.Getenv("GOGC"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once
	os.Exit(start(ctx, process{os.Args[1:], os.Getenv("NOTIFICATIONS_TEST_POSTGRES"), os.Stdout, os.Stderr}))
}

// start is the program: it does what the arguments say and returns the exit
// status.
func start(ctx context.Context, p process) int {
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
	o, err := parse(p)
	if err != nil {
		return err
	}
	var r *report.Report
	switch {
	case o.compare:
		var results [2]*report.Report
		for i, file := range o.arguments {
			if results[i], err = report.Read(file); err != nil {
				return err
			}
		}
		return report.Compare(p.stdout, results[0], results[1])
	case o.command == "start":
		return run.Start(ctx, o.config, o.stream.StartConfig)
	case o.command == "stream":
		return run.Stream(ctx, o.config, o.stream)
	case o.command == "fill":
		return run.Fill(ctx, o.config)
	case o.command == "log":
		return run.Log(ctx, o.config)
	case o.command == "scale":
		return run.Scale(ctx, o.config)
	case o.url != "":
		r, err = run.URL(ctx, o.config, o.url, o.token, o.posts, o.only)
	case o.curve:
		r, err = run.Curve(ctx, o.config, o.curveSizes, run.Inboxes)
	default:
		r, err = run.Bench(ctx, o.config, o.only)
	}
	if err != nil {
		return err
	}
	r.Print(p.stdout)
	if o.svg != "" {
		err = os.WriteFile(o.svg, []byte(r.Plot()), 0o644)
	}
	return errors.Join(err, r.Write(o.out))
}
