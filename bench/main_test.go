package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// invoke runs notifybench in this process.
func invoke(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, log bytes.Buffer
	status = start(ctx, process{args: args, stdout: &out, stderr: &log})
	return status, out.String(), log.String()
}

// small is a fill and a measurement that take no time.
func small(args ...string) []string {
	return append([]string{
		"--messages=3000", "--users=30", "--rounds=1", "--slice-operations=6", "--samples=8", "--concurrency=4",
	}, args...)
}

// The commands do what they are for: fill, measure, measure again over what is
// filled, compare.
func TestCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database, a, b := "--database=sqlite:"+filepath.Join(dir, "test.db"), filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	for _, c := range []struct {
		args           []string
		stdout, stderr string
	}{
		{append(small(database), "fill"), "", "filled with 3000 messages"},
		{small(database, "--out="+a, "--only=list,unread"), "| floor/service/http | operations/s", "filled already"},
		{small(database, "--out="+b, "--only=unread"), "sqlite: journal_mode=wal", "filled already"},
		{[]string{"--compare", a, b}, "|  | http |", ""},
	} {
		status, stdout, stderr := invoke(t.Context(), c.args...)
		if status != 0 || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("notifybench %q ends with %d, prints %q and %q", c.args, status, stdout, stderr)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"walk"}, "no command"},
		{[]string{"--nonsense"}, "nonsense"},
		{nil, "there is no database"},
		{[]string{"--database=mysql://secret@h"}, "--database: must be"},
		{[]string{"--database=sqlite:"}, "--database: must be"},
		{[]string{"fill", "--database=sqlite:x", "stray"}, "stray"},
		{[]string{"--concurrency=0"}, "--concurrency"},
		{[]string{"--slice=1h"}, "--slice"},
		{[]string{"--rounds=0"}, "--rounds"},
		{[]string{"--samples=0"}, "--samples"},
		{[]string{"--curve-sizes=1,x"}, "whole numbers"},
		{[]string{"--svg=x"}, "--svg goes with"},
		{[]string{"--posts=x"}, "go with --url"},
		{[]string{"--url=http://h", "--token-file=/does/not/exist"}, "/does/not/exist"},
		{[]string{"--compare", "one.json"}, "needs two files"},
		{[]string{"fill"}, "needs --database"},
		{[]string{"--messages=10", "--database=sqlite:x"}, "alone get"},
		{[]string{"scale", "--database=sqlite:x"}, "is about PostgreSQL"},
		{[]string{"start"}, "needs one PATH"},
		{[]string{"stream", "--database=sqlite:x"}, "stream: needs one PATH"},
		{[]string{"stream", "x", "--database=sqlite:x", "--stalled=0"}, "--stalled"},
		{[]string{"start", "x", "--lists=0"}, "--lists"},
	} {
		status, stdout, stderr := invoke(t.Context(), c.args...)
		if status != exitUsage || !strings.Contains(stderr, c.want) || stdout != "" || strings.Contains(stderr, "secret") {
			t.Errorf("notifybench %q ends with %d, prints %q and %q", c.args, status, stdout, stderr)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a database was made")
	}
	if status, _, stderr := invoke(t.Context(), "--compare", "/does/not/exist", "x"); status != exitFailure || !strings.Contains(stderr, "/does/not/exist") {
		t.Errorf("ends with %d: %s", status, stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	status, stdout, _ := invoke(t.Context(), "start", "--help")
	for _, want := range []string{"--database URL", "instead of 10000,100000,1000000,10000000.", "--compare A B", "notifybench scale", "--rest DURATION\n"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("the help lacks %q:\n%s", want, stdout)
		}
	}
}

// Told to end, it ends, and says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	log := cancelling{cancel: cancel} // when the database is filled
	args := small("--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"), "--slice-operations=0", "--slice=1m")
	if status := start(ctx, process{args: args, stdout: &log, stderr: &log}); status != exitFailure {
		t.Errorf("ends with %d: %s", status, &log.Buffer)
	}
}

type cancelling struct {
	bytes.Buffer
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}
