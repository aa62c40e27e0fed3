package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(ctx context.Context, program string, patience time.Duration) (string, error) {
	var out strings.Builder
	c := Config{Output: &out}
	c.Rounds = 2
	err := Start(ctx, c, StartConfig{Program: program, Lists: 50, Rest: 10 * time.Millisecond, Patience: patience})
	return out.String(), err
}

func TestStart(t *testing.T) {
	t.Parallel()
	program := built(t)
	out, err := start(t.Context(), program, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`2 starts, 10ms of rest, 50 lists`, `\| first answer, ms \| \d+\.\d \|`, `\| resident after load, MiB \| [1-9]\d+\.\d \|`, `at most 40: `} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	wrapper := shell(t, `trap 'kill $!; wait $!; echo sorry >&2; exit 7' TERM; `+program+` "$@" & wait $!`)
	if _, err := start(t.Context(), wrapper, time.Minute); err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "sorry") {
		t.Errorf("an unclean end: %v", err)
	}
	gone(t, wrapper)
}

// shell is a program of the shell, which notes its process and its directory
// beside it.
func shell(t *testing.T, text string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "program")
	text = fmt.Sprintf("#!/bin/sh\necho $$ $PWD >%[1]s.new; mv %[1]s.new %[1]s.life\n%s\n", program, text)
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return program
}

// gone checks that a program left neither its process nor its directory behind.
func gone(t *testing.T, program string) {
	t.Helper()
	text, err := os.ReadFile(program + ".life")
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	if _, err := fmt.Sscan(string(text), &pid, &dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !strings.Contains(dir, "notifybench-start-") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory %s: %v", dir, err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("its process %d: %v", pid, err)
	}
}

// What never answers is ended, and its last words are told.
func TestStartFails(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"echo no disk >&2; exit 3":                                  "no disk",
		"echo hello; echo which way >&2; exec sleep 60":             `but "hello\n"`,
		"echo still busy >&2; exec sleep 60":                        "still busy",
		"trap '' TERM; echo never >&2; while :; do sleep 1; done":   "never",
		"echo 'listens on http://127.0.0.1:1/api, '; exec sleep 60": "no answer within",
		"seq 9999 >&2; echo at last >&2; exit 3":                    "9999\nat last\n",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			program := shell(t, script)
			if _, err := start(t.Context(), program, time.Second); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 3000 {
				t.Errorf("it starts: %v", err)
			}
			gone(t, program)
		})
	}
}

// Told to end, it ends what it started.
func TestStartInterrupted(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	program := shell(t, "echo >"+fifo+"; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.ReadFile(fifo) // is there when the program has begun
		cancel()
	}()
	if _, err := start(ctx, program, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	gone(t, program)
}
