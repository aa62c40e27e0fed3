package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What notifyd is held to.
const (
	mostMilliseconds = 300 // from its start to the first answer
	mostResident     = 40  // MiB, when it has nothing to do
)

// loadConnections make the requests between the two times the memory is read.
const loadConnections = 16

// endGrace is how long a notifyd may take to end before it is killed.
const endGrace = 5 * time.Second

// startOptions is everything "notifybench start" can be told.
type startOptions struct {
	programs      []string // which must be one
	rounds, lists int
	timeout, rest time.Duration
	gogc          intList
}

func (o *startOptions) flags() *flag.FlagSet {
	f := flag.NewFlagSet("notifybench start", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned, help is ours
	f.IntVar(&o.rounds, "rounds", 10, "`N` starts, each on an empty directory")
	f.IntVar(&o.lists, "lists", 5000, fmt.Sprintf("`N` lists for the load, by %d at once", loadConnections))
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "`DURATION` to wait for the first answer")
	f.DurationVar(&o.rest, "rest", 2*time.Second, "`DURATION` without requests before the memory is read")
	f.Var(&o.gogc, "gogc", "`NUMBERS` to start it with as the variable GOGC, in turn; without, GOGC is passed on")
	return f
}

// parseStart takes flags before and after the program.
func parseStart(args []string) (*startOptions, error) {
	o := new(startOptions)
	f := o.flags()
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, usageError{err}
		}
		if f.NArg() == 0 {
			return o, o.check()
		}
		o.programs = append(o.programs, f.Arg(0))
		args = f.Args()[1:]
	}
}

func (o *startOptions) check() error {
	if len(o.programs) != 1 {
		return usagef("start: needs one PATH, that of notifyd, and not %q", o.programs)
	}
	if o.rounds < 1 || o.lists < 1 || o.timeout <= 0 || o.rest < 0 {
		return usagef("--rounds, --lists, --timeout, --rest: must not be negative, and only the last may be zero")
	}
	return nil
}

// program is the path of notifyd from any directory.
func (o *startOptions) program() (string, error) {
	path, err := exec.LookPath(o.programs[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", usagef("start: %w", err)
	}
	return path, nil
}

// starter starts one program in one way, over and over.
type starter struct {
	options *startOptions
	program string
	environ []string
	gogc    string // of the program; "" is its own
	samples []startSample
}

// startSample is what was measured of one start. Memory is in MiB.
type startSample struct {
	answer          float64 // milliseconds to the first answer
	idle, afterLoad float64
	perSecond       float64 // lists, under load
}

// runStart measures how soon a notifyd answers, and the memory it keeps.
func runStart(ctx context.Context, p process) error {
	o, err := parseStart(p.args)
	if err != nil {
		return err
	}
	starters, err := newStarters(o, p.environ)
	if err != nil {
		return err
	}
	for range o.rounds {
		for _, s := range starters {
			if err := s.round(ctx); err != nil {
				return fmt.Errorf("start: %w", err)
			}
		}
	}
	printStarts(p.stdout, o, starters)
	return nil
}

// newStarters are one for each GOGC.
func newStarters(o *startOptions, environ []string) ([]*starter, error) {
	program, err := o.program()
	if err != nil {
		return nil, err
	}
	var values []string
	for _, n := range o.gogc {
		values = append(values, strconv.Itoa(n))
	}
	if len(values) == 0 {
		values = []string{environment(environ, "GOGC")}
	}
	var starters []*starter
	for _, gogc := range values {
		starters = append(starters, &starter{
			options: o, program: program, gogc: gogc,
			environ: append(slices.Clone(environ), "GOGC="+gogc), // the last one counts
		})
	}
	return starters, nil
}

// round starts the program in a directory that is removed in the end.
func (s *starter) round(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "notifybench-start-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return err
	}
	defer stderr.Close()
	sample, err := s.life(ctx, dir, stderr)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(stderr))
	}
	s.samples = append(s.samples, sample)
	return nil
}

// life is that of one process, which has ended when life returns.
func (s *starter) life(ctx context.Context, dir string, stderr *os.File) (startSample, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := exec.CommandContext(ctx, s.program, "--listen=127.0.0.1:0", "--guest", "--database=sqlite:"+filepath.Join(dir, "notifications.db"))
	cmd.Dir, cmd.Env, cmd.Stderr = dir, s.environ, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endGrace // then it is killed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return startSample{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return startSample{}, err
	}
	sample, err := s.observe(ctx, began, stdout, cmd.Process.Pid)
	end()
	_ = cmd.Wait() // says that we ended it; the state says how
	if err == nil && !cmd.ProcessState.Success() {
		err = fmt.Errorf("told to end, it ended with %v", cmd.ProcessState)
	}
	return sample, err
}

// observe measures a process that has just begun.
func (s *starter) observe(ctx context.Context, began time.Time, stdout io.ReadCloser, pid int) (sample startSample, err error) {
	url, err := firstAnswer(ctx, stdout, s.options.timeout)
	if err != nil {
		return sample, err
	}
	sample.answer = milliseconds(time.Since(began))
	c, err := newHTTPContender(url, nil)
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	post, list := postOperation("default/guest"), getOperation(opList, "list, first page", firstPage)
	few, many := plan{concurrency: 1, operations: pageSize}, plan{concurrency: loadConnections, operations: s.options.lists}
	for _, op := range []*operation{post, list} {
		if _, err := few.oneSlice(ctx, c, op); err != nil {
			return sample, failedAt(c, op, err)
		}
	}
	if sample.idle, err = s.residentAtRest(ctx, pid); err != nil {
		return sample, err
	}
	load, err := many.oneSlice(ctx, c, list)
	if err != nil {
		return sample, failedAt(c, list, err)
	}
	sample.perSecond = load.perSecond
	sample.afterLoad, err = s.residentAtRest(ctx, pid)
	return sample, err
}

// residentAtRest is the memory of a process that was left alone for a while.
func (s *starter) residentAtRest(ctx context.Context, pid int) (mib float64, err error) {
	select {
	case <-time.After(s.options.rest):
		return resident(ctx, pid)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// listensOn finds the URL in the line that notifyd prints when it listens.
var listensOn = regexp.MustCompile(`listens on (\S+),`)

// firstAnswer waits until a list is answered, and returns the URL of the API.
func firstAnswer(ctx context.Context, stdout io.ReadCloser, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("there was no answer within %v", timeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = stdout.Close() }) // a read that waits ends
	defer stop()
	line, _ := bufio.NewReader(stdout).ReadString('\n') // what is missing then says it
	found := listensOn.FindStringSubmatch(line)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case found == nil:
		return "", fmt.Errorf("it does not say where it listens, but %q", line)
	}
	r := remote{base: found[1]}
	var err error
	for ctx.Err() == nil {
		if _, _, err = r.do(ctx, http.MethodGet, firstPage); err == nil {
			return r.base, nil
		}
	}
	return "", errors.Join(context.Cause(ctx), err)
}

// tail is the end of what was written to a file.
func tail(file *os.File) string {
	const length = 2000
	end, _ := file.Seek(0, io.SeekEnd) // what cannot be read is not shown
	text, _ := io.ReadAll(io.NewSectionReader(file, max(0, end-length), length))
	return string(text)
}

func printStarts(w io.Writer, o *startOptions, starters []*starter) {
	fmt.Fprintf(w, "\n%d processors, %d starts, %v of rest, %d lists by %d at once, %v of rest.\n",
		runtime.NumCPU(), o.rounds, o.rest, o.lists, loadConnections, o.rest)
	fmt.Fprint(w, "\n| GOGC | first answer, p50 ms | max ms | resident, p50 MiB | max MiB | after load, p50 MiB | max MiB | lists/s, p50 |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|\n")
	var promises []string
	for _, s := range starters {
		answers := s.column(func(m startSample) float64 { return m.answer })
		idle := s.column(func(m startSample) float64 { return m.idle })
		afterLoad := s.column(func(m startSample) float64 { return m.afterLoad })
		perSecond := s.column(func(m startSample) float64 { return m.perSecond })
		with := ""
		if s.gogc != "" {
			with = " with GOGC=" + s.gogc
		}
		promises = append(promises,
			promiseLine("slowest first answer"+with+", ms", slices.Max(answers), true, mostMilliseconds),
			promiseLine("most resident"+with+", MiB", slices.Max(idle), true, mostResident),
			promiseLine("most resident after load"+with+", MiB", slices.Max(afterLoad), true, mostResident))
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.0f |\n", cmp.Or(s.gogc, "its own"),
			median(answers), slices.Max(answers), median(idle), slices.Max(idle), median(afterLoad), slices.Max(afterLoad), median(perSecond))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(promises, "\n"))
}

// column is one value of each sample.
func (s *starter) column(value func(startSample) float64) []float64 {
	var column []float64
	for _, sample := range s.samples {
		column = append(column, value(sample))
	}
	return column
}
