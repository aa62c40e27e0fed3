package belltest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Proxy passes bytes between bells and a server, or holds them back.
type Proxy struct {
	listener net.Listener
	network  string
	server   string

	mu       sync.Mutex
	moved    *sync.Cond
	frozen   bool
	closed   bool
	old, new []byte // a statement to replace
	conns    []net.Conn
	copies   sync.WaitGroup
}

// StartProxy starts a proxy before a server. It ends with the test.
func StartProxy(t *testing.T, network, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, network: network, server: server}
	p.moved = sync.NewCond(&p.mu)
	p.copies.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		for _, conn := range p.conns {
			_ = conn.Close()
		}
		p.moved.Broadcast()
		p.mu.Unlock()
		p.copies.Wait()
	})
	return p
}

// Addr is the address of the proxy, HOST:PORT.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.network, p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.copies.Go(func() { p.copy(server, client) })
		p.copies.Go(func() { p.copy(client, server) })
	}
}

func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.frozen && !p.closed {
			p.moved.Wait()
		}
		data := buffer[:n]
		if len(p.old) > 0 {
			data = bytes.Replace(data, p.old, p.new, 1)
		}
		p.mu.Unlock()
		if _, err := to.Write(data); err != nil {
			return
		}
	}
}

// Cut closes all connections. What is held back is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// Freeze holds back all bytes, or passes them on again.
func (p *Proxy) Freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	p.moved.Broadcast()
}

// Rewrite replaces a statement by another one of the same length.
func (p *Proxy) Rewrite(old, replacement string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old, p.new = []byte(old), []byte(replacement)
	if len(p.old) != len(p.new) {
		panic("the lengths differ")
	}
}
