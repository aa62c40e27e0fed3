//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestDiskFull fills the file system under the SQLite file of notifyd. A post is
// then answered with 503, notifyd is not ready, and reads go on. When there is
// room again everything works without a restart, and each post that was
// acknowledged is there. The sizes leave room for 0 to 7 more pages.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for size := 4004; size <= 4032; size += 4 { // KiB
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			fillDisk(t, strconv.Itoa(size)+"k")
		})
	}
}

func fillDisk(t *testing.T, size string) {
	t.Helper()
	i, disk := spawnOnSmallDisk(t, size, "--rate-limits=off")
	var acknowledged []string
	post := func(body string) int {
		r := i.do(t, http.MethodPost, "/notifications", body)
		if r.status == http.StatusOK {
			id, err := r.messageID()
			if err != nil {
				t.Fatal(err)
			}
			acknowledged = append(acknowledged, id)
		} else if r.status != http.StatusServiceUnavailable {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		return r.status
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	i.get(t, "/readyz").want(t, http.StatusOK)
	large := fmt.Sprintf(`{"origin":"test","title":"t","message":%q,"targetUsers":["default/guest"]}`, strings.Repeat("x", 4000))
	for post(large) == http.StatusOK { // until the disk is full
	}
	for post(draft("default/guest")) == http.StatusOK { // also for small ones
	}
	i.get(t, "/readyz").want(t, http.StatusServiceUnavailable)
	i.get(t, "/healthz").want(t, http.StatusOK)
	i.get(t, "/notifications/count").want(t, http.StatusOK)
	i.get(t, "/notifications").want(t, http.StatusOK)
	acknowledged = append(acknowledged, i.postOnFullDisk(t, large)...)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	i.get(t, "/readyz").want(t, http.StatusOK)
	for range 10 {
		if status := post(large); status != http.StatusOK {
			t.Errorf("with room again: %d", status)
		}
	}
	i.wantStored(t, acknowledged)
}

// postOnFullDisk posts from 8 clients at once, which share transactions, and
// asks in between whether notifyd is ready. It returns what was acknowledged.
func (i *instance) postOnFullDisk(t *testing.T, body string) (acknowledged []string) {
	t.Helper()
	var mu sync.Mutex
	var posters sync.WaitGroup
	for range 8 { // they share transactions
		posters.Go(func() {
			for range 5 {
				r, err := i.try(t.Context(), http.MethodPost, "/notifications", body)
				if err != nil || r.status != http.StatusServiceUnavailable {
					t.Errorf("on a full disk: %d, %v", r.status, err)
				}
				if id, err := r.messageID(); err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, id)
					mu.Unlock()
				}
				i.get(t, "/readyz").want(t, http.StatusServiceUnavailable)
			}
		})
	}
	posters.Wait()
	return acknowledged
}

// wantStored lists all notifications of the guest.
func (i *instance) wantStored(t *testing.T, ids []string) {
	t.Helper()
	stored := map[string]bool{}
	for page := 1; ; page++ {
		found := i.get(t, fmt.Sprintf("/notifications?pageSize=100&pageNumber=%d", page)).ids(t)
		for _, id := range found {
			stored[id] = true
		}
		if len(found) == 0 {
			break
		}
	}
	for _, id := range ids {
		if !stored[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	t.Logf("%d acknowledged, %d stored", len(ids), len(stored))
}

// spawnOnSmallDisk starts notifyd in a mount namespace of its own, where a file
// system of that size holds its SQLite file. It returns the directory as this
// process sees it. The file system goes with the process.
func spawnOnSmallDisk(t *testing.T, size string, args ...string) (i *instance, dir string) {
	t.Helper()
	dir = t.TempDir()
	const script = `mount --make-rprivate / && mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"`
	args = append([]string{"-c", script, "sh", size, dir, binary, "--listen=127.0.0.1:0", "--database=sqlite:" + filepath.Join(dir, "test.db")}, args...)
	if out, err := inNamespace("-c", script, "sh", size, dir, "true").CombinedOutput(); err != nil {
		t.Skipf("this machine permits no file system of the test's own (%v: %s); TestFullDatabase covers a full database", err, out)
	}
	i = spawnCommand(t, inNamespace(args...))
	return i, filepath.Join("/proc", strconv.Itoa(i.cmd.Process.Pid), "root", dir)
}

// inNamespace runs a shell that can mount. Without root that needs a user
// namespace.
func inNamespace(args ...string) *exec.Cmd {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = attr
	return cmd
}
