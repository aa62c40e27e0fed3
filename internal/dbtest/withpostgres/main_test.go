package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// TestInside is also run by TestRun, as the command.
func TestInside(t *testing.T) {
	t.Parallel()
	if err := dbtest.Postgres(t).Exec("SELECT 1").Error; err != nil {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dbtest.NeedsInstalled(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--", os.Args[0], "-test.run=^TestInside$", "-test.v"}, &out, &out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "--- PASS: TestInside") {
		t.Errorf("the output is %s", &out)
	}
}

const printServer = `echo "$NOTIFICATIONS_TEST_POSTGRES $NOTIFICATIONS_TEST_REQUIRE"; `

// TestShowSettings is run by TestSettings, as the command.
func TestShowSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"fsync", "full_page_writes", "work_mem"} {
		var value string
		if err := dbtest.Postgres(t).Raw("SHOW " + name).Scan(&value).Error; err != nil {
			t.Error(err)
		}
		t.Log(name, value)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dbtest.NeedsInstalled(t)
	var out bytes.Buffer
	args := []string{"--durable", "--set", "work_mem=5MB", "--", os.Args[0], "-test.run=^TestShowSettings$", "-test.v"}
	if err := run(t.Context(), args, &out, &out); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"fsync on", "full_page_writes on", "work_mem 5MB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q: %s", want, &out)
		}
	}
}

func TestRunPassesOnTheStatus(t *testing.T) {
	t.Parallel()
	dbtest.NeedsInstalled(t)
	var out bytes.Buffer
	err := run(t.Context(), []string{"sh", "-c", printServer + "exit 3"}, &out, io.Discard)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("run returned %v, want exit status 3", err)
	}
	isGone(t, out.String())
}

func TestRunStopsWhenTold(t *testing.T) {
	t.Parallel()
	dbtest.NeedsInstalled(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error)
	go func() { ended <- run(ctx, []string{"sh", "-c", printServer + "exec sleep 1000"}, w, io.Discard) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("run returned no error")
	}
	isGone(t, line)
}

// isGone checks the line that printServer printed, and that the server and its
// files are gone.
func isGone(t *testing.T, line string) {
	t.Helper()
	server, require, _ := strings.Cut(strings.TrimSpace(line), " ")
	u, err := url.Parse(server)
	if err != nil || require != "1" {
		t.Fatalf("the environment of the command was %q", line)
	}
	dir := u.Query().Get("host")
	if _, err := os.Stat(dir); dir == "" || !os.IsNotExist(err) {
		t.Errorf("the directory %q of the server: %v", dir, err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}, {"--durable"}, {"--set", "fsync", "true"}, {"--set", "=on", "true"}, {"--fast", "true"}} {
		var output strings.Builder
		err := run(t.Context(), args, io.Discard, &output)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()+output.String()), "usage") {
			t.Errorf("run(%q) returned %v and wrote %s", args, err, &output)
		}
	}
}
