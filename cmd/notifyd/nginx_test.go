package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// nginxConf is what docs/operations.md advises, in a directory of its own.
const nginxConf = `
daemon off;
pid DIR/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  upstream notifyd {
    server ONE max_fails=0;
    server TWO max_fails=0;
  }
  server {
    listen LISTEN;
    location /api/notifications/ {
      proxy_pass http://notifyd;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_connect_timeout 2s;
    }
  }
}
`

// startNginx returns nginx in front of two addresses, as an instance.
func startNginx(t *testing.T, one, two string) *instance {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("NOTIFICATIONS_TEST_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skipf("needs nginx, which make test installs: %v", err)
	}
	dir, listen := t.TempDir(), freeAddress(t)
	conf := strings.NewReplacer("DIR", dir, "ONE", one, "TWO", two, "LISTEN", listen).Replace(nginxConf)
	if os.Geteuid() == 0 {
		conf = "user root;\n" + conf // its workers use the directory
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	i := &instance{url: "http://" + listen + "/api/notifications", stderr: newOutput(), client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	i.cmd = exec.Command(program, "-p", dir, "-c", path, "-e", "stderr")
	i.cmd.Stderr = i.stderr
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = i.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		_ = i.cmd.Wait()
		i.client.CloseIdleConnections()
	})
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return i
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Two servers behind nginx are replaced one after the other while others post.
// A reader whose stream ends reconnects through nginx, is never refused, and
// misses nothing.
func TestRollingRestartBehindNginx(t *testing.T) {
	t.Parallel()
	database := "--database=" + dbtest.PostgresURL(t)
	addresses := [2]string{freeAddress(t), freeAddress(t)}
	var servers [2]*instance
	start := func(n int) { servers[n] = spawn(t, database, "--listen="+addresses[n], "--rate-limits=off") }
	proxy := startNginx(t, addresses[0], addresses[1])
	start(0)
	start(1)
	f := proxy.mustFollow(t, "")

	posts := make(chan string, 10_000) // acknowledged ids
	enough := make(chan struct{})
	var load sync.WaitGroup
	for poster := range 3 {
		load.Go(func() {
			for n := 0; ; n++ {
				id, err := proxy.postOnce(t, fmt.Sprintf("%d-%d", poster, n))
				if err != nil {
					t.Error(err)
					return
				}
				posts <- id
				select {
				case <-enough:
					return
				default:
				}
			}
		})
	}
	r := &reader{t: t, proxy: proxy, f: f, seen: map[string]bool{}}
	for n := range 4 {
		r.readUntil(<-posts)
		if code := servers[n%2].stop(); code != 0 {
			t.Errorf("exit status %d: %s", code, servers[n%2].stderr)
		}
		r.readUntil(<-posts)
		start(n % 2)
	}
	close(enough)
	load.Wait()
	close(posts)
	for id := range posts {
		r.readUntil(id)
	}
	if r.reconnects < 4 { // the one stream was on each server that was stopped, or on the other
		t.Logf("%d reconnects", r.reconnects)
	}
}

// postOnce posts until it is acknowledged, with a key.
func (i *instance) postOnce(t *testing.T, key string) (id string, err error) {
	for deadline := time.Now().Add(patience); ; {
		var r reply
		if r, err = i.try(t.Context(), http.MethodPost, "/notifications", draft(guestRef), "Idempotency-Key: "+key); err == nil {
			if id, err = r.messageID(); err == nil {
				return id, nil
			}
		}
		if time.Now().After(deadline) {
			return "", err
		}
	}
}

// reader follows, and reconnects at each end of the stream.
type reader struct {
	t          *testing.T
	proxy      *instance
	f          *follower
	seen       map[string]bool
	reconnects int
}

// readUntil reads until the notification has come.
func (r *reader) readUntil(id string) {
	r.t.Helper()
	for !r.seen[id] {
		b, open := r.f.next(r.t)
		if b.kind == "resync" {
			r.t.Fatalf("the stream says %+v", b)
		}
		note(r.t, r.seen, b)
		if !open {
			r.reconnects++
			r.f = r.proxy.mustFollow(r.t, r.f.last)
		}
	}
}
