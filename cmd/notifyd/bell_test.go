package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications/bell/natsbell"
	"github.com/notifications-go/notifications/bell/pgbell"
	"github.com/notifications-go/notifications/internal/belltest"
	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestBellOfDatabase(t *testing.T) {
	t.Parallel()
	const inPostgres = "--database=postgres://db.example/x"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "<nil>"},
		{[]string{"--bell=none"}, "<nil>"},
		{[]string{inPostgres}, fmt.Sprintf("%T", new(pgbell.Bell))},
		{[]string{inPostgres, "--pgbouncer"}, fmt.Sprintf("%T", new(pgbell.Bell))},
		{[]string{inPostgres, "--bell=postgres"}, fmt.Sprintf("%T", new(pgbell.Bell))},
		{[]string{inPostgres, "--bell=none"}, "<nil>"},
		{[]string{inPostgres, "--bell=nats://127.0.0.1:1"}, fmt.Sprintf("%T", new(natsbell.Bell))},
		{[]string{"--bell=nats://127.0.0.1:1,tls://localhost:1"}, fmt.Sprintf("%T", new(natsbell.Bell))},
	} {
		c, err := load(tt.args, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.checkBell(); err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		bell, end, err := openBell(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if got := fmt.Sprintf("%T", bell); got != tt.want {
			t.Errorf("%q: the bell is %s, want %s", tt.args, got, tt.want)
		}
		end()
	}
}

// effectOfBell: two servers of one database hear each other, with the password
// of the file; NATS gets what the settings say.
func effectOfBell(t *testing.T) {
	log := newOutput()
	url := named(dbtest.PostgresURL(t))
	c, err := load([]string{"--database=" + url + "&pool_max_conns=7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := openBell(c, c.logger(log))
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := openBell(c, c.logger(log))
	if err != nil {
		t.Fatal(err)
	}
	inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	if n := sessions(t, connect(t, url), "pid <> pg_backend_pid()"); n != 2 {
		t.Errorf("two bells have %d connections", n)
	}
	belltest.RingUntilHeard(t, a, inB)

	server := startNATS(t)
	creds := file(t, "creds", "-----BEGIN NATS USER JWT-----\nof.this.test\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\nSUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n------END USER NKEY SEED------\n")
	i := serving(t, "--bell=nats://jane:confidential@"+server.Addr().String(), "--bell-credentials-file="+creds)
	i.stderr.wait(t, "the bell is connected to NATS")
	for _, part := range []string{`"name":"notifyd"`, `"jwt":"of.this.test"`} {
		server.received.wait(t, part)
	}
	server.drop()
	i.stderr.wait(t, "the bell lost its connection to NATS")
	i.stderr.wait(t, "the bell is connected to NATS again")
	if text := i.stderr.String(); strings.Contains(text, "confidential") {
		t.Errorf("the password is in the log: %s", text)
	}
	i = serving(t, "--bell=nats://jane:confidential@127.0.0.1:1")
	i.stderr.wait(t, "the bell is not connected to NATS")
	if text := i.stderr.String(); strings.Contains(text, "confidential") {
		t.Errorf("the password is in the log: %s", text)
	}
}

// fakeNATS greets clients as a NATS server does. The real ones are in
// internal/natstest.
type fakeNATS struct {
	net.Listener
	received *output

	mu    sync.Mutex
	conns []net.Conn
}

func startNATS(t *testing.T) *fakeNATS {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeNATS{Listener: l, received: newOutput()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, conn)
			f.mu.Unlock()
			serving.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); f.drop(); serving.Wait() })
	return f
}

func (f *fakeNATS) serve(conn net.Conn) {
	fmt.Fprint(conn, `INFO {"server_id":"x","version":"2.15.0","max_payload":1048576,"proto":1,"headers":true,"nonce":"abc","auth_required":true}`+"\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Fprintln(f.received, lines.Text())
		if lines.Text() == "PING" {
			fmt.Fprint(conn, "PONG\r\n")
		}
	}
}

// drop cuts all connections.
func (f *fakeNATS) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.conns = nil
}
