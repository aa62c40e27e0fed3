package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// built is a notifyd as go build makes it.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "notifyd")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "..", "build", "-o", program, "./cmd/notifyd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// shell is a program of the shell, which is told the directory of the test as
// $T and notes there its own directory and process.
func shell(t *testing.T, text string) (program string, environ []string) {
	t.Helper()
	dir := t.TempDir()
	program = filepath.Join(dir, "program")
	text = "#!/bin/sh\npwd >$T/dir; echo $$ >$T/pid.new; mv $T/pid.new $T/pid\n" + text + "\n"
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, append(os.Environ(), "T="+dir)
}

// gone checks that a script left nothing behind.
func gone(t *testing.T, program string) {
	t.Helper()
	noted := func(name string) string {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(program), name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if dir := noted("dir"); !strings.Contains(dir, "notifybench-start-") {
		t.Errorf("it ran in %s", dir)
	} else if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory %s is there (%v)", dir, err)
	}
	var pid int
	if _, err := fmt.Sscan(noted("pid"), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("its process %d is there (%v)", pid, err)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	program := built(t)
	t.Run("figures", func(t *testing.T) {
		t.Parallel()
		r := invoke(t, os.Environ(), "start", program, "--rounds=2", "--lists=50", "--rest=10ms", "--gogc=50,400")
		if r.status != 0 {
			t.Fatalf("ends with %d: %s", r.status, r.stderr)
		}
		checkStarts(t, r.stdout)
	})
	// The variable is passed on where none is given.
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		r := invoke(t, append(os.Environ(), "GOGC=75"), "start", program, "--rounds=1", "--lists=50", "--rest=0s")
		if r.status != 0 || !strings.Contains(r.stdout, "\n| 75 |") {
			t.Errorf("ends with %d: %s%s", r.status, r.stdout, r.stderr)
		}
	})
	t.Run("unclean end", func(t *testing.T) {
		t.Parallel()
		wrapper, environ := shell(t, `trap 'kill $!; wait $!; echo sorry >&2; exit 7' TERM; "$REAL" "$@" & wait $!`)
		r := invoke(t, append(environ, "REAL="+program), "start", wrapper, "--rounds=1", "--lists=50", "--rest=0s")
		if r.status != exitFailure || !strings.Contains(r.stderr, "exit status 7") || !strings.Contains(r.stderr, "sorry") {
			t.Errorf("ends with %d: %s%s", r.status, r.stdout, r.stderr)
		}
		gone(t, wrapper)
	})
}

// checkStarts looks at a table of GOGC=50 and 400.
func checkStarts(t *testing.T, stdout string) {
	t.Helper()
	const number = `(\d+(?:\.\d)?)`
	row := regexp.MustCompile(`(?m)^\| ` + number + strings.Repeat(` \| `+number, 7) + ` \|$`)
	rows := row.FindAllStringSubmatch(stdout, -1)
	if len(rows) != 2 || rows[0][1] != "50" || rows[1][1] != "400" {
		t.Fatalf("the rows are %q:\n%s", rows, stdout)
	}
	for _, row := range rows {
		var gogc, answer, slowest, idle, most, loaded, mostLoaded, perSecond float64
		if _, err := fmt.Sscan(strings.Join(row[1:], " "), &gogc, &answer, &slowest, &idle, &most, &loaded, &mostLoaded, &perSecond); err != nil {
			t.Fatal(err)
		}
		if answer <= 0 || slowest < answer || idle < 5 || most < idle || loaded < 5 || mostLoaded < loaded || perSecond <= 0 {
			t.Errorf("the figures are %v", row[1:])
		}
	}
	for _, want := range []string{
		"- slowest first answer with GOGC=50, ms: ", " (at most 300: ",
		"- most resident with GOGC=400, MiB: ", "- most resident after load with GOGC=400, MiB: ", " (at most 40: ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout)
		}
	}
}

// What never answers is ended, and its last words are told.
func TestStartFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"dies":     {"echo no disk >&2; exit 3", "no disk"},
		"chatters": {"echo hello; echo which way >&2; exec sleep 60", `"hello\n"`},
		"silent":   {"echo still busy >&2; exec sleep 60", "no answer within 2s"},
		"stubborn": {"trap '' TERM; echo never >&2; while :; do sleep 1; done", "never"},
		"deaf":     {"echo 'listens on http://127.0.0.1:1, '; exec sleep 60", "no answer within 2s"},
		"verbose":  {"seq 9999 >&2; echo at last >&2; exit 3", "9998\nnotifybench: 9999\nnotifybench: at last\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, environ := shell(t, c.script)
			r := invoke(t, environ, "start", program, "--timeout=2s")
			if r.status != exitFailure || !strings.Contains(r.stderr, c.want) || r.stdout != "" || len(r.stderr) > 10_000 {
				t.Errorf("ends with %d, prints %q and %q", r.status, r.stdout, r.stderr)
			}
			gone(t, program)
		})
	}
}

// Whoever is told to end takes what was started along.
func TestStartInterrupted(t *testing.T) {
	t.Parallel()
	program, environ := shell(t, "exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(program), "pid")); err == nil {
				return
			}
			time.Sleep(time.Millisecond) // nothing tells when another process writes its file
		}
	}()
	defer cancel()
	var out strings.Builder
	if status := run(ctx, process{args: []string{"start", program}, environ: environ, stdout: &out, stderr: &out}); status != exitFailure {
		t.Errorf("ends with %d: %s", status, &out)
	}
	gone(t, program)
}

// The first answer is the first that is a list.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 || r.RequestURI != "/api"+firstPage {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	line := io.NopCloser(strings.NewReader("notifyd listens on " + server.URL + "/api, for all\n"))
	url, err := firstAnswer(t.Context(), line, time.Minute)
	if err != nil || url != server.URL+"/api" || asked.Load() != 3 {
		t.Errorf("%q after %d requests, %v", url, asked.Load(), err)
	}
}

func TestStartUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "needs one PATH"},
		{[]string{"one", "--rounds=1", "two"}, `["one" "two"]`},
		{[]string{"/does/not/exist"}, "/does/not/exist"},
		{[]string{"x", "--nonsense"}, "nonsense"},
		{[]string{"x", "--rounds=0"}, "--rounds"},
		{[]string{"x", "--lists=0"}, "--lists"},
		{[]string{"x", "--timeout=0s"}, "--timeout"},
		{[]string{"x", "--rest=-1s"}, "--rest"},
		{[]string{"x", "--gogc=off"}, "not a whole number"},
	} {
		r := invoke(t, nil, append([]string{"start"}, c.args...)...)
		if r.status != exitUsage || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("notifybench start %q ends with %d, prints %q and %q", c.args, r.status, r.stdout, r.stderr)
		}
	}
}

func TestStartHelp(t *testing.T) {
	t.Parallel()
	r := succeeded(t, "start", "--help")
	for _, want := range []string{"notifybench start PATH", "Flags of start:", "--gogc NUMBERS", "--rest DURATION\n      DURATION without requests before the memory is read. Default 2s."} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the help lacks %q:\n%s", want, r.stdout)
		}
	}
}
