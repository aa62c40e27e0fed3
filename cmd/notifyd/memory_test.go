package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Clients that ask for as much as a page can hold and never read it do not fill
// the memory.
func TestReadersThatNeverRead(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		const readers, page, mostMiB = 20, 8 << 20, 250
		i := spawn(t, database, "--rate-limits=off") // the memory must be bounded without them
		message := strings.Repeat("m", 64<<10)
		for range page/len(message) - 1 {
			i.do(t, http.MethodPost, "/notifications", fmt.Sprintf(`{"origin":"o","title":"t","message":%q,"targetUsers":["default/guest"]}`, message)).want(t, http.StatusOK)
		}
		for range readers {
			i.neverRead(t, "/notifications?pageSize=10000")
		}
		// Two of a caller's pages are sent at once; the others are refused.
		eventually(t, "the readers have an answer", func() bool {
			return strings.Count(i.stderr.String(), "operation=getNotifications") >= readers-2
		})
		if text := i.stderr.String(); !strings.Contains(text, "status=429") || strings.Contains(text, "status=5") {
			t.Errorf("the log says %s", text)
		}
		peak := i.peakMemory(t)
		t.Logf("%d readers that never read: at most %d MiB resident", readers, peak>>20)
		if peak > mostMiB<<20 {
			t.Errorf("at most %d MiB were resident, the limit is %d", peak>>20, mostMiB)
		}
		i.get(t, "/notifications/count").want(t, http.StatusOK)
	})
}

// neverRead sends a request over a connection with a small buffer, and never
// reads the answer.
func (i *instance) neverRead(t *testing.T, path string) {
	t.Helper()
	u, err := url.Parse(i.url)
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Control: smallBuffer}
	conn, err := dialer.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if _, err := fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, path, u.Host); err != nil {
		t.Fatal(err)
	}
}

// peakMemory is the most memory that the process had, in bytes.
func (i *instance) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.cmd.Process.Pid))
	if err != nil {
		t.Skipf("this system does not say: %v", err) // only Linux has /proc
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if peak == nil {
		t.Fatalf("there is no peak in %s", status)
	}
	kB, err := strconv.ParseInt(string(peak[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kB << 10
}
