package run

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/report"
)

// loaders make the requests between the two times the memory is read.
const loaders = 16

// StartConfig says how [Start] measures.
type StartConfig struct {
	Program  string        // path of notifyd
	Lists    int           // requests for the load
	Rest     time.Duration // without requests before the memory is read
	Patience time.Duration // with the first answer, and with the end, before it is killed
}

// startColumns are what is measured of a process, and at most promised.
var startColumns = []struct {
	title string
	most  float64
}{{"first answer, ms", 300}, {"resident, MiB", 40}, {"resident after load, MiB", 40}}

// Start starts a notifyd as often as there are rounds, each time on an empty
// directory, and prints how soon it answers and what memory it keeps. It needs
// /proc, as Linux has it. The environment is passed on, GOGC too.
func Start(ctx context.Context, c Config, s StartConfig) error {
	program, err := filepath.Abs(s.Program)
	if err != nil {
		return err
	}
	s.Program = program
	figures := make([][]float64, len(startColumns))
	for range c.Rounds {
		life, err := s.round(ctx)
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		for i, v := range life {
			figures[i] = append(figures[i], v)
		}
	}
	fmt.Fprintf(c.Output, "\n%s. %d starts, %v of rest, %d lists by %d at once, %[3]v of rest.\n\n| | p50 | max | promise |\n|---|--:|--:|---|\n",
		report.Machine(), c.Rounds, s.Rest, s.Lists, loaders)
	for i, column := range startColumns {
		most := slices.Max(figures[i])
		fmt.Fprintf(c.Output, "| %s | %.1f | %.1f | %s |\n", column.title, measure.Percentile(figures[i], 0.5), most, report.Verdict(most, true, column.most))
	}
	return nil
}

// round starts the program in a directory that is removed in the end. The
// process has ended when round returns.
func (s StartConfig) round(ctx context.Context) (life [3]float64, err error) {
	dir, err := os.MkdirTemp("", "notifybench-start-")
	if err != nil {
		return life, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := exec.CommandContext(ctx, s.Program, "--listen=127.0.0.1:0", "--guest", "--rate-limits=off", "--database=sqlite:"+filepath.Join(dir, "notifications.db"))
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, &stderr, s.Patience
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return life, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return life, err
	}
	life, err = s.observe(ctx, began, stdout, cmd.Process.Pid)
	end()
	_ = cmd.Wait() // says that we ended it; the state says how
	if err == nil && !cmd.ProcessState.Success() {
		err = fmt.Errorf("told to end, it ended with %v", cmd.ProcessState)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, stderr.Bytes()[max(0, stderr.Len()-2000):])
	}
	return life, err
}

// observe measures a process that has just begun.
func (s StartConfig) observe(ctx context.Context, began time.Time, stdout io.ReadCloser, pid int) (life [3]float64, err error) {
	client, err := s.firstAnswer(ctx, stdout)
	if err != nil {
		return life, err
	}
	life[0] = measure.Milliseconds(time.Since(began))
	guest := post(report.PostUser, "post to 1 user", pageSize, func(int) targets { return targets{users: []string{"default/guest"}} })
	list := everything([]string{""}).firstPage()
	few, many := measure.Plan{Concurrency: 1, Operations: pageSize}, measure.Plan{Concurrency: loaders, Operations: s.Lists}
	for _, op := range []*measure.Operation{guest, list} {
		if _, err := few.Do(ctx, client.Contender(), op); err != nil {
			return life, err
		}
	}
	if life[1], err = s.residentAtRest(ctx, pid); err != nil {
		return life, err
	}
	if _, err := many.Do(ctx, client.Contender(), list); err != nil {
		return life, err
	}
	life[2], err = s.residentAtRest(ctx, pid)
	return life, err
}

// listensOn finds the URL in the line that notifyd prints when it listens.
var listensOn = regexp.MustCompile(`listens on (\S+),`)

// firstAnswer waits until a list is answered.
func (s StartConfig) firstAnswer(ctx context.Context, stdout io.ReadCloser) (*measure.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Patience, fmt.Errorf("there was no answer within %v", s.Patience))
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = stdout.Close() })() // a read that waits ends
	line, _ := bufio.NewReader(stdout).ReadString('\n')           // what is missing then says it
	found := listensOn.FindStringSubmatch(line)
	if found == nil {
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("it does not say where it listens, but %q", line))
	}
	client, err := measure.NewClient(found[1], func(string) (string, error) { return "", nil })
	if err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		if _, _, err = client.Do(ctx, everything([]string{""}).firstPage().Request(0)); err == nil {
			return client, nil
		}
	}
	return nil, errors.Join(context.Cause(ctx), err)
}

// vmRSS is a line of the status of a process (proc_pid_status(5)).
var vmRSS = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentAtRest is the memory in RAM of a process that was left alone for a
// while, in MiB.
func (s StartConfig) residentAtRest(ctx context.Context, pid int) (float64, error) {
	select {
	case <-time.After(s.Rest):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := vmRSS.FindSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("process %d has no memory any more", pid)
	}
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	return kib / 1024, err
}

// URL measures a running server over HTTP alone, with a token that may be empty.
// It lists and counts, and marks unread messages of the token's user as read and
// back; in the end they are unread. It posts only if posts is the name of a user
// to post to; the posts stay.
func URL(ctx context.Context, c Config, base, token, posts, only string) (r *report.Report, err error) {
	client, err := measure.NewClient(base, func(string) (string, error) { return token, nil })
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	me := everything([]string{""})
	const offset = 4 * pageSize
	cursors, err := cursorsAt(ctx, client, offset)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	ops := me.reads(offset, cursors)
	unread, err := firstUnread(ctx, client, c.Samples)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	if len(unread) > 0 {
		ops = append(ops, markOne(unread))
		defer func() { err = errors.Join(err, markUnread(context.WithoutCancel(ctx), client, unread)) }()
	}
	if posts != "" {
		ops = append(ops, post(report.PostUser, "post to 1 user", 64, func(int) targets { return targets{users: []string{posts}} }))
	}
	var entries []*measure.Entry
	for _, op := range wanted(only, ops) {
		entries = append(entries, &measure.Entry{Operation: op, Contenders: []measure.Contender{client.Contender()}})
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("--only %s: there is no such operation", only)
	}
	r = report.New(c.Concurrency, c.Slice)
	r.Fill = base
	c.Until = time.Now().Add(c.Duration)
	return r, c.add(ctx, r, entries)
}

// cursorsAt is the one of the page after so many notifications, or none.
func cursorsAt(ctx context.Context, c *measure.Client, offset int) ([]string, error) {
	header, _, err := c.Do(ctx, measure.Call{Method: "GET", Target: fmt.Sprintf("/notifications?messageScope=all&pageSize=%d", offset)})
	if err != nil {
		return nil, err
	}
	query, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Link"), "<?"), ">")
	values, err := url.ParseQuery(query)
	return values["cursor"], err
}

// firstUnread are messages that can be marked as read, and back.
func firstUnread(ctx context.Context, c *measure.Client, atMost int) (unread []target, err error) {
	var items []struct {
		ID string `json:"id"`
	}
	_, body, err := c.Do(ctx, measure.Call{Method: "GET", Target: fmt.Sprintf("/notifications?messageScope=all&read=false&pageSize=%d", atMost)})
	if err == nil {
		err = json.Unmarshal(body, &items)
	}
	for _, item := range items {
		unread = append(unread, target{id: item.ID})
	}
	return unread, err
}

// markUnread marks as unread what was.
func markUnread(ctx context.Context, c *measure.Client, unread []target) (err error) {
	for _, t := range unread {
		_, _, failed := c.Do(ctx, measure.Call{Method: "PUT", Target: "/notifications/read?read=false&messageId=" + t.id})
		err = errors.Join(err, failed)
	}
	return err
}
