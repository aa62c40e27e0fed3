package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// resident is the memory a process has in RAM, in MiB: what /proc says, or ps
// where there is no /proc.
func resident(ctx context.Context, pid int) (float64, error) {
	mib, err := residentOfProc(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return residentOfPS(ctx, pid)
	}
	return mib, err
}

// vmRSS is a line of the status of a process (proc_pid_status(5)).
var vmRSS = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

func residentOfProc(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	found := vmRSS.FindSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("process %d has no memory any more", pid)
	}
	return kibToMiB(string(found[1]))
}

func residentOfPS(ctx context.Context, pid int) (float64, error) {
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	return kibToMiB(strings.TrimSpace(string(out)))
}

func kibToMiB(kib string) (float64, error) {
	n, err := strconv.ParseFloat(kib, 64)
	return n / 1024, err
}
