package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/run"
)

const usage = `notifybench fills a database with notifications and measures, in one run on one
machine, what the library costs over it. Three contenders take turns: the floor,
a bare loop over the driver that runs the very SQL the library was recorded to
run; the library itself; and the library over HTTP with verified tokens.

Usage:
  notifybench [flags]               fill the database if need be, and measure
  notifybench fill [flags]          only fill it
  notifybench --curve [flags]       list and count over the size of the table,
                                    the inbox, what is hidden, and the groups
  notifybench scale [flags]         a large PostgreSQL database: its size, and
                                    what marks, posts and a purge do to it
  notifybench log [flags]           what the log of changes costs posts and marks
  notifybench --url URL [flags]     measure a running notifyd
  notifybench --compare A B         compare two files written with --out
  notifybench start PATH [flags]    start the notifyd at PATH again and again:
                                    how soon it answers, what memory it keeps
  notifybench stream PATH [flags]   streams of the notifyd at PATH: memory of idle
                                    ones, how soon a post arrives, readers who do
                                    not read, all reconnecting at once

Without --database a database is made on the PostgreSQL server of the variable
NOTIFICATIONS_TEST_POSTGRES, and dropped in the end:
  go run ./internal/dbtest/withpostgres -- go -C bench run .
A database that is named must be empty or filled by notifybench before; it is
kept, and with the same numbers not filled again.

Flags:
`

// options is everything notifybench can be told.
type options struct {
	command   string // "", fill, scale, log, start or stream
	arguments []string
	config    run.Config
	stream    run.StreamConfig // and that of start

	only, out, svg               string
	curve, compare               bool
	curveSizes                   []int
	url, tokenFile, token, posts string
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("notifybench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned, help is ours
	c := &o.config
	f.StringVar(&c.Database, "database", "", "`URL` of the database: postgres://USER@HOST/NAME, or sqlite:PATH")
	c.Spec = fill.Default
	f.IntVar(&c.Spec.Messages, "messages", c.Spec.Messages, "`N` messages in all")
	f.IntVar(&c.Spec.Users, "users", c.Spec.Users, "`N` users who share what the 1,000 measured ones, or fewer, do not get")
	f.Uint64Var(&c.Spec.Seed, "seed", c.Spec.Seed, "`N`: the same numbers fill alike")

	f.IntVar(&c.Concurrency, "concurrency", 16, "`N` operations at once, each on a connection; with --curve 1 unless given")
	f.DurationVar(&c.Slice, "slice", 500*time.Millisecond, "`DURATION` of one contender at one operation in one round")
	f.IntVar(&c.Operations, "slice-operations", 0, "`N` operations instead of --slice")
	f.IntVar(&c.Samples, "samples", 256, "`N` different users, messages and drafts for an operation, each recorded once")
	f.IntVar(&c.Rounds, "rounds", 8, "`N` rounds, or starts of notifyd")
	f.DurationVar(&c.Duration, "duration", 10*time.Minute, "`DURATION` after which no round begins")
	f.StringVar(&o.only, "only", "", "`OPERATIONS` to measure, separated by commas: "+run.Operations)
	f.StringVar(&o.out, "out", "", "`FILE` for the results, as JSON")

	f.BoolVar(&o.curve, "curve", false, "measure list and unread count over growing numbers")
	o.curveSizes = []int{10_000, 100_000, 1_000_000, 10_000_000}
	f.Func("curve-sizes", "`NUMBERS` of messages in the table, each in a database of its own, instead of 10000,100000,1000000,10000000", func(s string) error {
		if err := json.Unmarshal([]byte("["+s+"]"), &o.curveSizes); err != nil || len(o.curveSizes) == 0 {
			return errors.New("they are whole numbers, separated by commas")
		}
		return nil
	})
	f.StringVar(&o.svg, "svg", "", "`FILE` for the plot of the curves")

	f.StringVar(&o.url, "url", "", "`URL` of a running API, such as http://127.0.0.1:7007/api/notifications. Reads, and marks unread messages "+
		"of the user as read and back; marks nothing else and posts nothing unless told")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token of the user; none where the server lets guests in")
	f.StringVar(&o.posts, "posts", "", "`USER` to post to as well, such as default/guest; the posts stay")

	f.BoolVar(&o.compare, "compare", false, "compare the two files that follow")

	f.IntVar(&o.stream.Lists, "lists", 5000, "start: `N` lists for the load, by 16 at once")
	f.DurationVar(&o.stream.Rest, "rest", 2*time.Second, "start, stream: `DURATION` without requests before the memory is read")
	o.stream.Patience = 10 * time.Second

	f.IntVar(&o.stream.Streams, "streams", 10_000, "stream: `N` that are idle, and reconnect all at once")
	f.IntVar(&o.stream.Readers, "readers", 100, "stream: `N` who follow posts")
	f.IntVar(&o.stream.Stalled, "stalled", 1000, "stream: `N` readers who never read")
	f.IntVar(&o.stream.Rate, "rate", 500, "stream: `N` posts a second that are followed, half of them to everybody")
	f.DurationVar(&o.stream.Time, "time", 10*time.Second, "stream: `DURATION` of each measurement of posts")
	return f
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, usage)
	new(options).flags().VisitAll(func(f *flag.Flag) {
		argument, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s %s\n      %s.", f.Name, argument, text)
		if !slices.Contains([]string{"", "0", "false"}, f.DefValue) {
			fmt.Fprintf(w, " Default %s.", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}

// parse reads the command line. Flags may stand before and after arguments.
func parse(p process) (*options, error) {
	o := new(options)
	f := o.flags()
	for args := p.args; ; args = f.Args()[1:] {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, usageError{err}
		}
		if f.NArg() == 0 {
			break
		}
		o.arguments = append(o.arguments, f.Arg(0))
	}
	concurrencyGiven := false
	f.Visit(func(f *flag.Flag) { concurrencyGiven = concurrencyGiven || f.Name == "concurrency" })
	if o.curve && !concurrencyGiven {
		o.config.Concurrency = 1 // latencies without a queue
	}
	if len(o.arguments) > 0 && !o.compare {
		o.command, o.arguments = o.arguments[0], o.arguments[1:]
	}
	if takesProgram(o.command) && len(o.arguments) == 1 {
		o.stream.Program, o.arguments = o.arguments[0], nil
	}
	o.config.Server, o.config.Log, o.config.Output = p.server, p.stderr, p.stdout
	o.config.Spec = o.config.Spec.Of(o.config.Spec.Messages)
	if err := o.check(); err != nil {
		return nil, usageError{err}
	}
	if o.tokenFile != "" {
		token, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return nil, usageError{err}
		}
		o.token = strings.TrimSpace(string(token))
	}
	return o, nil
}

// takesProgram reports whether a command takes the path of notifyd.
func takesProgram(command string) bool { return command == "start" || command == "stream" }

// check returns all that is wrong with the options.
func (o *options) check() error {
	c := &o.config
	fills := !o.compare && o.url == "" && o.command != "start"
	var faults []error
	for _, fault := range []struct {
		is   bool
		text string
	}{
		{!slices.Contains([]string{"", "fill", "scale", "log", "start", "stream"}, o.command), fmt.Sprintf("there is no command %q; see notifybench --help", o.command)},
		{o.compare && len(o.arguments) != 2, "--compare: needs two files"},
		{!o.compare && len(o.arguments) > 0, fmt.Sprintf("there is something after the flags: %q", o.arguments)},
		{takesProgram(o.command) && o.stream.Program == "", o.command + ": needs one PATH, that of notifyd"},
		{c.Concurrency < 1 || c.Concurrency > 4096, "--concurrency: must be between 1 and 4096"},
		{c.Slice <= 0 || c.Slice > time.Minute, "--slice: must be above 0 and at most 1m"},
		{c.Samples < 1 || c.Samples > notifications.MaxLimit, fmt.Sprintf("--samples: must be between 1 and %d", notifications.MaxLimit)},
		{c.Rounds < 1 || c.Operations < 0 || c.Duration <= 0, "--rounds, --slice-operations, --duration: must not be negative, and rounds at least 1"},
		{o.url == "" && (o.tokenFile != "" || o.posts != ""), "--token-file and --posts go with --url"},
		{o.svg != "" && !o.curve, "--svg goes with --curve"},
		{o.stream.Lists < 1 || o.stream.Rest < 0, "--lists, --rest: must not be negative, and lists at least 1"},
		{min(o.stream.Streams, o.stream.Readers, o.stream.Stalled) < 1 || o.stream.Rate < 1 || o.stream.Time <= 0 || o.stream.Time > time.Minute,
			"--streams, --readers, --stalled, --rate: must be at least 1, and --time above 0 and at most 1m"},
		{o.command == "scale" && strings.HasPrefix(c.Database, "sqlite:"), "scale: is about PostgreSQL, not SQLite"},
		{o.command == "fill" && c.Database == "", "fill: needs --database; a database of our own would be dropped at once"},
		{fills && c.Database == "" && c.Server == "", "there is no database: give --database postgres://… or --database sqlite:PATH, " +
			"or run under `go run ./internal/dbtest/withpostgres --`"},
	} {
		if fault.is {
			faults = append(faults, errors.New(fault.text))
		}
	}
	if c.Database != "" {
		faults = append(faults, fill.CheckURL(c.Database))
	}
	if fills && !o.curve {
		faults = append(faults, c.Spec.Check())
	}
	return errors.Join(faults...)
}
