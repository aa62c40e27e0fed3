package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// served is a server over a database with a few messages to one user.
func served(t *testing.T, db *gorm.DB) (*notifications.Service, *server, string) {
	t.Helper()
	w, err := newWorld(smallSpec())
	if err != nil {
		t.Fatal(err)
	}
	svc, err := newService(db, newCatalog(w))
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	user := w.block(toUser, measuredName).ref(0)
	for n := range 100 {
		if _, err := svc.Post(t.Context(), poster, userDraft(n, user)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := startServer(t.Context(), svc, []string{user})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return svc, s, user
}

// An operation the server does not have is left out, not failed.
func TestOffers(t *testing.T) {
	t.Parallel()
	_, s, user := served(t, dbtest.SQLite(t))
	c, err := newHTTPContender(s.url, s.tokens)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{"/notifications?x=y": true, "/notifications/read?": false, "/nowhere": false} {
		op := &operation{request: func(int) call { return call{user: user, method: http.MethodGet, target: target} }}
		if got, err := c.offers(t.Context(), op); err != nil || got != want {
			t.Errorf("offers GET %s: %t, %v", target, got, err)
		}
	}
	if got, err := c.offers(t.Context(), &operation{}); err != nil || got {
		t.Errorf("offers what has no request: %t, %v", got, err)
	}
}

// scripted is a server that answers each line it reads with the next answer.
func scripted(t *testing.T, answers ...string) *wire {
	t.Helper()
	client, remote := net.Pipe()
	t.Cleanup(func() { _ = client.Close(); _ = remote.Close() })
	go func() {
		in := bufio.NewReader(remote)
		for _, answer := range answers {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			_, _ = remote.Write([]byte(answer)) // a test that ended does not read
		}
		_ = remote.Close()
	}()
	return &wire{conn: client, in: bufio.NewReader(client)}
}

func TestWire(t *testing.T) {
	t.Parallel()
	w := scripted(t,
		"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX: y\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
	)
	for i := range 4 {
		if err := w.do([]byte("GET\n")); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	if w.conn != nil {
		t.Error("the connection is kept although the server closes it")
	}
	for _, c := range []struct{ answer, want string }{
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", "404: gone"},
		{"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\naway\r\n0\r\n\r\n", "503: away"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "ended after 3 of 9"},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid syntax"},
		{"HTTP/1.1\r\n", "not an answer"},
		{"HTTP/1.1 200 OK\r\nContent-", "EOF"},
	} {
		w := scripted(t, c.answer)
		if err := w.do([]byte("GET\n")); err == nil || !strings.Contains(err.Error(), c.want) || w.conn != nil {
			t.Errorf("%q: %v, want %q", c.answer, err, c.want)
		}
	}
}

// A connection the server closed is opened again.
func TestReconnect(t *testing.T) {
	t.Parallel()
	_, s, user := served(t, dbtest.SQLite(t))
	c, err := newHTTPContender(s.url, s.tokens)
	if err != nil {
		t.Fatal(err)
	}
	s.http[1].SetKeepAlivesEnabled(false)
	op := &operation{period: 1, request: func(int) call { return call{user: user, method: http.MethodGet, target: "/notifications"} }}
	do, done, err := c.worker(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := do(i); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	done()
}

// Whoever waits for an answer that never comes can be told to end.
func TestCancelledRequest(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // it takes connections, and never answers
	c, err := newHTTPContender("http://"+listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithCancel(t.Context())
	do, done, err := c.worker(ctx, &operation{period: 1, request: func(int) call { return call{method: http.MethodGet} }})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	cancel()
	if err := do(0); err == nil {
		t.Error("there was an answer")
	}
}

// What the client itself costs, beside net/http's.
func BenchmarkClient(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"count":12}`)) // a client that left cannot be told
	}))
	defer server.Close()
	b.Run("wire", func(b *testing.B) {
		c, err := newHTTPContender(server.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer c.close()
		do, done, err := c.worker(b.Context(), &operation{period: 1, request: func(int) call { return call{method: http.MethodGet, target: "/"} }})
		if err != nil {
			b.Fatal(err)
		}
		defer done()
		b.ReportAllocs()
		for b.Loop() {
			if err := do(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			answer, err := server.Client().Get(server.URL + "/")
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body) // what matters is the time it takes
			_ = answer.Body.Close()
		}
	})
}
