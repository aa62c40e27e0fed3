package notifications_test

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// proxy passes on what is sent to PostgreSQL, and can cut a connection.
type proxy struct {
	url    string
	server string // path of the server's socket
	mu     sync.Mutex
	left   int  // messages to pass on before the cut; -1 if there is none
	lose   bool // the answer to the last message is lost, not the message
	conns  map[net.Conn]bool
}

// newProxy starts a proxy before a new database.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	u, err := url.Parse(dbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	dir := t.TempDir()
	p := &proxy{left: -1, server: filepath.Join(q.Get("host"), ".s.PGSQL.5432"), conns: map[net.Conn]bool{}}
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	p.url = u.String()
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		p.cutAll()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", p.server)
			if err != nil {
				t.Error(err)
				_ = client.Close()
				return
			}
			p.mu.Lock()
			p.conns[client], p.conns[server] = true, true
			p.mu.Unlock()
			serving.Go(func() { p.pass(client, server) })
			serving.Go(func() {
				_, _ = io.Copy(client, server) // until one of them is closed
				_, _ = client.Close(), server.Close()
			})
		}
	})
	return p
}

// cutAll cuts every connection.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// cutAfter cuts a connection once: after n messages of the clients it loses the
// next one, or the answer to it.
func (p *proxy) cutAfter(n int, answer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.lose = n, answer
}

// cut reports whether the connection was cut, and cancels the cut.
func (p *proxy) cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.left
	p.left = -1
	return left < 0
}

// pass passes on what the client sends.
func (p *proxy) pass(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		now, lose := p.left == 0, p.lose
		if p.left >= 0 {
			p.left--
		}
		p.mu.Unlock()
		if now && !lose {
			return
		}
		if now {
			_ = client.Close() // the server reads the message all the same
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
		if now {
			return
		}
	}
}
