package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const usage = `notifybench fills a database with notifications and measures, in one run on one
machine, what the library costs over it. Three contenders take turns: the floor,
a bare loop over pgx (database/sql for SQLite) that runs the very SQL the library
was recorded to run; the library itself; and the library over HTTP with tokens
that are verified.

Usage:
  notifybench [flags]                 fill the database if need be, and measure
  notifybench fill [flags]            only fill it
  notifybench --curve [flags]         list and count over the size of the table,
                                      the inbox, what is hidden, and the groups
  notifybench scale [flags]           sizes of tables and indexes, autovacuum
                                      under churn, and what a purge leaves; on
                                      PostgreSQL
  notifybench --url URL [flags]       measure a running notifyd
  notifybench --compare A B           compare two files written with --out
  notifybench start PATH [flags]      start the notifyd at PATH again and again:
                                      how soon it answers, what memory it keeps

Without --database a database of its own is made on the PostgreSQL server of the
variable NOTIFICATIONS_TEST_POSTGRES, and dropped in the end:
  go run ./internal/dbtest/withpostgres -- go -C bench run .
That server does not wait for the disk. For figures of one that does, give
--database. It must be empty or filled by notifybench before; it is kept, and
with the same numbers not filled again.

Flags:
`

// maxSamples fits on one page of the API.
const maxSamples = 10_000

// options is everything notifybench can be told.
type options struct {
	spec spec

	database    string
	concurrency int
	slice       time.Duration
	operations  int
	samples     int
	rounds      int
	duration    time.Duration
	only        string
	out         string

	curve                               bool
	curveSizes                          intList
	wideVisible, wideHidden, wideGroups intList
	svg                                 string

	churn, probes, purgeBatch int
	purgePart                 float64
	autovacuumWait            time.Duration

	url, token, tokenFile string
	posts, text           string

	compare bool
	files   []string
}

// intList is a flag of numbers separated by commas.
type intList []int

func (l *intList) String() string {
	var parts []string
	for _, n := range *l {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

func (l *intList) Set(s string) error {
	*l = nil
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a whole number from 0", part)
		}
		*l = append(*l, n)
	}
	return nil
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("notifybench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned, help is ours
	f.StringVar(&o.database, "database", "", "`URL` of the database: postgres://USER@HOST/NAME, or sqlite:PATH")

	f.IntVar(&o.spec.Messages, "messages", 1_000_000, "`N` messages in all")
	f.IntVar(&o.spec.Users, "users", 100_000, "`N` users who share what the measured ones do not get")
	f.IntVar(&o.spec.Measured, "measured", 0, "`N` users who are measured; 0 is 1,000, or fewer so that they get at most half of the messages")
	f.IntVar(&o.spec.Visible, "visible", 100, "`N` messages to each measured user alone")
	f.IntVar(&o.spec.Groups, "groups", 100, "`N` groups")
	f.IntVar(&o.spec.GroupsPerUser, "groups-per-user", 2, "`N` groups a user is in")
	f.IntVar(&o.spec.GroupPosts, "group-posts", 1000, "`N` messages to all groups together")
	f.IntVar(&o.spec.System, "system", 500, "`N` messages to everybody")
	f.Float64Var(&o.spec.ReadFraction, "read-fraction", 0.5, "`PART` of the messages that are read, 0 to 1")
	f.Uint64Var(&o.spec.Seed, "seed", 1, "`N`: the same numbers fill the same rows")

	f.IntVar(&o.concurrency, "concurrency", 16, "`N` operations at once, each on a connection; with --curve 1 unless given")
	f.DurationVar(&o.slice, "slice", 500*time.Millisecond, "`DURATION` of one contender at one operation in one round")
	f.IntVar(&o.operations, "slice-operations", 0, "`N` operations instead of --slice")
	f.IntVar(&o.samples, "samples", 256, "`N` different users, messages and drafts for an operation, each recorded once")
	f.IntVar(&o.rounds, "rounds", 8, "`N` rounds")
	f.DurationVar(&o.duration, "duration", 10*time.Minute, "`DURATION` after which no round begins")
	f.StringVar(&o.only, "only", "", "`OPERATIONS` to measure, separated by commas: list, list-cursor, list-page, list-text, unread, status, "+
		"mark-one, mark-all, post-user, post-many, post-group, post-everyone")
	f.StringVar(&o.out, "out", "", "`FILE` for the results, as JSON")

	f.BoolVar(&o.curve, "curve", false, "measure list and unread count over growing numbers")
	o.curveSizes = intList{10_000, 100_000, 1_000_000, 10_000_000}
	o.wideVisible = intList{100, 1000, 10_000, 100_000}
	o.wideHidden = intList{0, 1000, 100_000}
	o.wideGroups = intList{1, 10, 100, 500}
	f.Var(&o.curveSizes, "curve-sizes", "`NUMBERS` of messages in the table, each in a database of its own")
	f.Var(&o.wideVisible, "curve-visible", "`NUMBERS` of messages a user sees")
	f.Var(&o.wideHidden, "curve-hidden", "`NUMBERS` of read and archived messages that lie before 100 unread ones")
	f.Var(&o.wideGroups, "curve-groups", "`NUMBERS` of groups a user is in, up to 1,000; together they have 1,000 messages")
	f.StringVar(&o.svg, "svg", "", "`FILE` for the plot of the curves")

	f.IntVar(&o.churn, "churn", 200_000, "scale: `N` marks and posts, --concurrency at once, nine marks to a post; 0 leaves that out")
	f.DurationVar(&o.autovacuumWait, "autovacuum-wait", 3*time.Minute, "scale: `DURATION` to wait after the churn for autovacuum, where a table is due")
	f.Float64Var(&o.purgePart, "purge-part", 0.5, "scale: `PART` of the messages to purge, the oldest, 0 to 0.9; 0 leaves that out")
	f.IntVar(&o.purgeBatch, "purge-batch", 500, "scale: `N` messages to a transaction of the purge")
	f.IntVar(&o.probes, "probes", 300, "scale: `N` lists and unread counts, one at a time, for each latency")

	f.StringVar(&o.url, "url", "", "`URL` of a running API, such as http://127.0.0.1:7007/api/notifications. Reads, and marks unread messages "+
		"of the user as read and back; marks nothing else and posts nothing unless told")
	f.StringVar(&o.token, "token", "", "`TOKEN` of the user; none where the server lets guests in")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token")
	f.StringVar(&o.text, "text", searched, "`TEXT` to search for")
	f.StringVar(&o.posts, "posts", "", "`USER` to post to as well, such as default/guest; the posts stay")

	f.BoolVar(&o.compare, "compare", false, "compare the two files that follow")
	return f
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, usage)
	printFlags(w, new(options).flags())
	fmt.Fprint(w, "\nFlags of start:\n")
	printFlags(w, new(startOptions).flags())
}

func printFlags(w io.Writer, flags *flag.FlagSet) {
	flags.VisitAll(func(f *flag.Flag) {
		arg, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s", f.Name)
		if arg != "" {
			fmt.Fprintf(w, " %s", arg)
		}
		fmt.Fprintf(w, "\n      %s.", text)
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
			fmt.Fprintf(w, " Default %s.", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}

func parseOptions(args []string) (*options, error) {
	o := new(options)
	f := o.flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usageError{err}
	}
	explicit := false
	f.Visit(func(given *flag.Flag) { explicit = explicit || given.Name == "concurrency" })
	if o.curve && !explicit {
		o.concurrency = 1 // latencies without a queue
	}
	o.files = f.Args()
	return o, o.check()
}

func (o *options) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.compare && len(o.files) != 2 {
		bad("--compare: needs two files")
	}
	if !o.compare && len(o.files) > 0 {
		bad("there is something after the flags: %q", o.files)
	}
	if o.concurrency < 1 || o.concurrency > maxIdle {
		bad("--concurrency: must be between 1 and %d", maxIdle)
	}
	if o.slice <= 0 || o.slice > time.Minute {
		bad("--slice: must be above 0 and at most 1m")
	}
	if o.samples < 1 || o.samples > maxSamples {
		bad("--samples: must be between 1 and %d", maxSamples)
	}
	if o.rounds < 1 || o.operations < 0 || o.duration <= 0 {
		bad("--rounds, --slice-operations, --duration: must not be negative, and rounds at least 1")
	}
	if o.token != "" && o.tokenFile != "" {
		bad("--token and --token-file exclude each other")
	}
	if o.url == "" && (o.token != "" || o.tokenFile != "" || o.posts != "") {
		bad("--token, --token-file and --posts go with --url")
	}
	for _, n := range o.wideGroups {
		if n < 1 || n > widePosts {
			bad("--curve-groups: must be between 1 and %d", widePosts)
		}
	}
	if len(o.curveSizes) == 0 || len(o.wideVisible) == 0 || len(o.wideHidden) == 0 || len(o.wideGroups) == 0 {
		bad("--curve-…: must not be empty")
	}
	if isPostgres := strings.HasPrefix(o.database, "postgres://") || strings.HasPrefix(o.database, "postgresql://"); o.database != "" &&
		!isPostgres && (!strings.HasPrefix(o.database, "sqlite:") || o.database == "sqlite:") {
		bad("--database: must be postgres://USER@HOST/NAME or sqlite:PATH") // without quoting it: it may hold a password
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

// readToken returns the token, which may be none.
func (o *options) readToken() (string, error) {
	if o.tokenFile == "" {
		return o.token, nil
	}
	data, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", usageError{err}
	}
	return strings.TrimSpace(string(data)), nil
}

func (o *options) plan() plan {
	return plan{concurrency: o.concurrency, rounds: o.rounds, slice: o.slice, operations: o.operations}
}

// wanted reports whether the operation is to be measured.
func (o *options) wanted(op *operation) bool {
	if o.only == "" {
		return true
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if strings.TrimSpace(name) == op.name {
			return true
		}
	}
	return false
}

// sized is the spec with that many messages.
func (o *options) sized(messages int) spec {
	s := o.spec
	s.Messages = messages
	if s.Measured == 0 {
		const most = 1000
		half := (messages - s.GroupPosts - s.System) / 2 / max(1, s.Visible)
		s.Measured = min(most, max(1, half))
	}
	return s
}
