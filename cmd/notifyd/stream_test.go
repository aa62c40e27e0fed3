package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// block is one event of a stream.
type block struct{ kind, id, data, retry string }

// follower reads a stream from a connection of its own.
type follower struct {
	conn   net.Conn
	blocks chan block // closed at the end of the stream
	last   string     // the id of the latest event
	retry  string     // the latest one
}

// follow begins a stream of the guest. It returns an error if the server cannot
// be reached, or does not begin a stream.
func (i *instance) follow(t *testing.T, after string) (*follower, error) {
	t.Helper()
	u, err := url.Parse(i.url)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	head := fmt.Sprintf("GET %s/notifications/stream?messageScope=all HTTP/1.1\r\nHost: %s\r\n", u.Path, u.Host)
	if after != "" {
		head += "Last-Event-ID: " + after + "\r\n"
	}
	if _, err := conn.Write([]byte(head + "\r\n")); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	f := &follower{conn: conn, blocks: make(chan block, 10_000), last: after}
	go f.read(bufio.NewScanner(res.Body))
	return f, nil
}

func (f *follower) read(lines *bufio.Scanner) {
	defer close(f.blocks)
	var b block
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			b.kind = value
		case "id":
			b.id = value
		case "data":
			b.data = value
		case "retry":
			b.retry = value
		case "":
			f.blocks <- b
			b = block{}
		}
	}
}

// next returns the next event, and false at the end of the stream.
func (f *follower) next(t *testing.T) (block, bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case b, open := <-f.blocks:
		if b.id != "" {
			f.last = b.id
		}
		if b.retry != "" {
			f.retry = b.retry
		}
		return b, open
	case <-timeout.C:
		t.Fatal("no event came")
	}
	return block{}, false
}

// wait returns the next event of a kind.
func (f *follower) wait(t *testing.T, kind string) block {
	t.Helper()
	for {
		b, open := f.next(t)
		switch {
		case !open:
			t.Fatalf("the stream has ended before %s", kind)
		case b.kind == kind:
			return b
		}
	}
}

// mustFollow is follow for a server that is there.
func (i *instance) mustFollow(t *testing.T, after string) *follower {
	t.Helper()
	f, err := i.follow(t, after)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The timeouts of the server do not cut a stream: the second count comes two
// seconds after the first. SIGTERM ends it at once.
func TestStream(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		i := spawn(t, database, "--read-timeout=500ms", "--write-timeout=500ms", "--idle-timeout=500ms", "--shutdown-timeout=1h")
		f := i.mustFollow(t, "")
		f.wait(t, "count")
		for range 2 {
			id, err := i.post(t, guestRef).messageID()
			if err != nil {
				t.Fatal(err)
			}
			if n := f.wait(t, "notification"); !strings.HasPrefix(n.data, `{"id":"`+id+`"`) {
				t.Errorf("the event is %+v, want that of %s", n, id)
			}
			f.wait(t, "count")
		}
		if code := i.stop(); code != 0 { // it kills a process that does not end
			t.Errorf("exit status %d: %s", code, i.stderr)
		}
		for open := true; open; {
			_, open = f.next(t)
		}
		if len(f.retry) != len("999") {
			t.Errorf("in the end retry is %q ms", f.retry)
		}
	})
}

// After the server was killed, a client that reconnects misses nothing.
func TestStreamAfterKill(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		const posters, killAfter = 4, 60
		i := spawn(t, database, "--rate-limits=off")
		f := i.mustFollow(t, "")
		var mu sync.Mutex
		var acknowledged []string
		var load sync.WaitGroup
		for range posters {
			load.Go(func() {
				for {
					r, err := i.try(t.Context(), http.MethodPost, "/notifications", draft(guestRef))
					id, wrong := r.messageID()
					if err != nil || wrong != nil {
						return // the server is gone
					}
					mu.Lock()
					if acknowledged = append(acknowledged, id); len(acknowledged) == killAfter {
						_ = i.cmd.Process.Kill() // it is running
					}
					mu.Unlock()
				}
			})
		}
		load.Wait()
		seen := map[string]bool{}
		for open := true; open; {
			var b block
			b, open = f.next(t)
			note(t, seen, b)
		}
		again := spawn(t, database, "--rate-limits=off")
		id, err := again.post(t, guestRef).messageID()
		if err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, id)
		f = again.mustFollow(t, f.last)
		for missing(seen, acknowledged) > 0 {
			b, open := f.next(t)
			if !open || b.kind == "resync" {
				t.Fatalf("the stream says %+v, and %d of %d are missing", b, missing(seen, acknowledged), len(acknowledged))
			}
			note(t, seen, b)
		}
	})
}

// note notes the id of a notification.
func note(t *testing.T, seen map[string]bool, b block) {
	t.Helper()
	if b.kind != "notification" {
		return
	}
	var n struct{ ID string }
	if err := json.Unmarshal([]byte(b.data), &n); err != nil {
		t.Fatal(err)
	}
	seen[n.ID] = true
}

func missing(seen map[string]bool, ids []string) (n int) {
	for _, id := range ids {
		if !seen[id] {
			n++
		}
	}
	return n
}
