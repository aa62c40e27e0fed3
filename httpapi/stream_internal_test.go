package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

var jane = notifications.User("default/jane")

// newStreaming returns a handler, over a database, whose guest is jane. Run
// runs for the rest of the test.
func newStreaming(t *testing.T, db *gorm.DB, cfg Config) *api {
	t.Helper()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Guest = jane
	a, err := newAPI(svc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = svc.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	for err := notifications.ErrUnavailable; errors.Is(err, notifications.ErrUnavailable); {
		for _, err = range svc.Watch(t.Context(), jane, notifications.WatchQuery{}) {
			break
		}
	}
	return a
}

// TestSlowReadersAreCut: a client that does not read its stream loses it, on
// HTTP/1.1 and on HTTP/2, and the log says why.
func TestSlowReadersAreCut(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var log strings.Builder
		a := newStreaming(t, db, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		a.streams.timeout = 200 * time.Millisecond
		for _, http2 := range []bool{false, true} {
			log.Reset()
			ended := make(chan struct{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				a.serve(w, r)
			}))
			if srv.EnableHTTP2 = http2; http2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			t.Cleanup(srv.Close)
			res, err := srv.Client().Get(srv.URL + "/notifications/stream")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = res.Body.Close() })
			post := func(length int) {
				draft := notifications.Draft{Origin: "o", Title: "t", Message: strings.Repeat("\n", length), To: notifications.Users(jane.Name)}
				if _, err := a.svc.Post(t.Context(), notifications.ServiceAccount("ci"), draft); err != nil {
					t.Fatal(err)
				}
			}
			// A client that reads has no limit: there are two seconds between
			// two counts.
			waitForCount(t, res.Body)
			post(1)
			waitForCount(t, res.Body)
			for posted := 0; !closed(ended); posted++ {
				if post(64 << 10); posted == 2000 {
					t.Fatal("the stream goes on")
				}
			}
			if !strings.Contains(log.String(), "level=INFO") || !strings.Contains(log.String(), "the client did not take an event") {
				t.Errorf("HTTP/2 %t: the log has %s", http2, log.String())
			}
		}
	})
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestStreamsEndInTime: after its time a stream ends in order, and its client is
// to come back soon.
func TestStreamsEndInTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		a := newStreaming(t, db, Config{})
		a.streams.life = time.Millisecond
		srv := httptest.NewServer(http.HandlerFunc(a.serve))
		t.Cleanup(srv.Close)
		res, err := http.Get(srv.URL + "/notifications/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		all, err := io.ReadAll(res.Body)
		if text := string(all); err != nil || !strings.HasPrefix(text, "retry: ") || strings.Count(text, "retry: ") != 2 || !strings.HasSuffix(text, "\n\n") {
			t.Errorf("the stream is %q, %v", all, err)
		}
	})
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	s := streams{life: streamLife}
	seen := map[time.Duration]bool{}
	for range 100 {
		life := s.lifetime(time.Time{})
		if seen[life] = true; life < 9*time.Minute || life > 11*time.Minute {
			t.Errorf("a stream lasts %v", life)
		}
		if life := s.lifetime(time.Now().Add(time.Minute)); life > time.Minute-beforeExpiry {
			t.Errorf("with a token of a minute a stream lasts %v", life)
		}
		if life := s.lifetime(time.Now().Add(-time.Hour)); life != leastLife {
			t.Errorf("with an old token a stream lasts %v", life)
		}
	}
	if len(seen) < 50 {
		t.Errorf("100 streams end at %d different times", len(seen))
	}
}

// An idle stream is a comment with an id, which no program in the browser sees.
func TestIdleEvents(t *testing.T) {
	t.Parallel()
	e := notifications.Event{Kind: notifications.EventIdle, Position: "p"}
	if got := string(appendEvent(nil, &e)); got != ": idle\nid: p\n\n" {
		t.Errorf("it is %q", got)
	}
}

// TestIdleStreamsTakeLittle: it runs alone, because it measures the process.
func TestIdleStreamsTakeLittle(t *testing.T) {
	const n = 2000
	a := newStreaming(t, dbtest.SQLite(t), Config{StreamsPerUser: n, Streams: n})
	srv := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(srv.Close)
	connections := make([]net.Conn, n)
	open := func(i int) {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		connections[i] = c
		t.Cleanup(func() { _ = c.Close() })
		if _, err := fmt.Fprintf(c, "GET /notifications/stream HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	open(0)
	waitForCount(t, connections[0])
	before := memory()
	for i := 1; i < n; i++ {
		open(i)
	}
	for _, c := range connections[1:] {
		waitForCount(t, c)
	}
	each := (memory() - before) / (n - 1)
	t.Logf("an idle stream takes %d bytes", each)
	if each > idleStream {
		t.Errorf("an idle stream takes %d bytes", each)
	}
}

// waitForCount reads a stream up to its count. It leaves no buffer behind.
func waitForCount(t *testing.T, stream io.Reader) {
	t.Helper()
	for lines := bufio.NewReader(stream); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, `data: {"unread":`) {
			return
		}
	}
}

// memory returns the bytes that the process uses for heap and stacks.
func memory() int64 {
	for range 5 { // each halves the stacks that are too large
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
