package natstest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bell/natsbell"
	"github.com/notifications-go/notifications/internal/belltest"
)

// patience is how long a test waits for an event that should come at once.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a NATS server. A port of -1 takes a free one.
func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { end(s) })
	return s
}

func end(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// dial connects to the first server that answers, as notifyd does. Only the
// given servers count, not those that they name.
func dial(t *testing.T, urls []string, options ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(strings.Join(urls, ","), append([]nats.Option{
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.DontRandomize(),
		nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(time.Millisecond, time.Millisecond),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// port is the port of HOST:PORT.
func port(address string) int {
	_, number, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(number)
	return n
}

func newBell(t *testing.T, conn *nats.Conn) notifications.Bell {
	t.Helper()
	bell, err := natsbell.New(conn, "")
	if err != nil {
		t.Fatal(err)
	}
	return bell
}

// The promises of every bell, with a server that is restarted.
func TestBell(t *testing.T) {
	for name, options := range map[string][]nats.Option{
		"as in notifyd": {nats.ReconnectBufSize(-1)},
		"usual":         nil,
		"without echo":  {nats.NoEcho()},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, server.Options{Port: -1})
			again := port(s.Addr().String())
			belltest.Run(t, belltest.Network{
				New:   func(t *testing.T) notifications.Bell { return newBell(t, dial(t, []string{s.ClientURL()}, options...)) },
				Stop:  func(*testing.T) { end(s) },
				Start: func(*testing.T) { s = start(t, server.Options{Port: again}) },
			})
		})
	}
}

// cluster starts three servers that know each other.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	servers := make([]*server.Server, 3)
	var routes []*url.URL
	for i := range servers {
		servers[i] = start(t, server.Options{
			ServerName: fmt.Sprintf("n%d", i), Port: -1, Routes: routes,
			Cluster: server.ClusterOpts{Name: "bells", Host: "127.0.0.1", Port: -1},
		})
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: servers[i].ClusterAddr().String()})
	}
	eventually(t, "all servers know each other", func() bool {
		for _, s := range servers {
			if s.NumRoutes() < 2 {
				return false
			}
		}
		return true
	})
	return servers
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// Three bells at three servers: one server is killed, and its client goes to
// another one and is heard, and hears, again.
func TestClusterWithOneKilled(t *testing.T) {
	servers := cluster(t)
	bells, listeners, conns := make([]notifications.Bell, 3), make([]*belltest.Listener, 3), make([]*nats.Conn, 3)
	for i := range bells {
		// Its own server first, then the others.
		urls := []string{servers[i].ClientURL(), servers[(i+1)%3].ClientURL(), servers[(i+2)%3].ClientURL()}
		conns[i] = dial(t, urls)
		bells[i] = newBell(t, conns[i])
		listeners[i] = belltest.Listen(t, bells[i])
		listeners[i].Wait(t, "connected")
		if conns[i].ConnectedUrl() != servers[i].ClientURL() {
			t.Fatalf("bell %d is at %s", i, conns[i].ConnectedUrl())
		}
	}
	everybodyHears := func() {
		t.Helper()
		for _, bell := range bells {
			for _, l := range listeners {
				belltest.RingUntilHeard(t, bell, l)
			}
		}
	}
	everybodyHears()

	killed := 1
	for _, l := range listeners {
		l.Drain()
	}
	end(servers[killed])
	belltest.Ring(t, bells[killed])
	listeners[killed].Wait(t, "connected to another server")
	eventually(t, "it is at another server", func() bool {
		return conns[killed].IsConnected() && conns[killed].ConnectedUrl() != servers[killed].ClientURL()
	})
	everybodyHears()
}

// A server that goes into lame duck mode sends its clients away.
func TestLameDuck(t *testing.T) {
	servers := cluster(t)
	s := start(t, server.Options{
		ServerName: "leaving", Port: -1, LameDuckDuration: time.Second, LameDuckGracePeriod: time.Millisecond,
		Routes:  []*url.URL{{Scheme: "nats-route", Host: servers[0].ClusterAddr().String()}},
		Cluster: server.ClusterOpts{Name: "bells", Host: "127.0.0.1", Port: -1},
	})
	moving := newBell(t, dial(t, []string{s.ClientURL(), servers[0].ClientURL()}))
	staying := newBell(t, dial(t, []string{servers[1].ClientURL()}))
	inMoving, inStaying := belltest.Listen(t, moving), belltest.Listen(t, staying)
	inMoving.Wait(t, "connected")
	inStaying.Wait(t, "connected")
	belltest.RingUntilHeard(t, staying, inMoving)
	inMoving.Drain()
	s.LameDuckShutdown()
	inMoving.Wait(t, "connected to another server")
	belltest.RingUntilHeard(t, staying, inMoving)
	belltest.RingUntilHeard(t, moving, inStaying)
}

// A connection that is closed for good ends Listen with an error.
func TestClosed(t *testing.T) {
	for what, lose := range map[string]func(*server.Server, *nats.Conn){
		"the host closes it":      func(_ *server.Server, conn *nats.Conn) { conn.Close() },
		"it used up its attempts": func(s *server.Server, _ *nats.Conn) { end(s) },
	} {
		t.Run(what, func(t *testing.T) {
			s := start(t, server.Options{Port: -1})
			conn := dial(t, []string{s.ClientURL()}, nats.MaxReconnects(2))
			bell := newBell(t, conn)
			connected, ended := make(chan struct{}, 10), make(chan error, 1)
			go func() { ended <- bell.Listen(t.Context(), func() { connected <- struct{}{} }) }()
			<-connected
			lose(s, conn)
			if err := <-ended; !errors.Is(err, nats.ErrConnectionClosed) {
				t.Errorf("Listen: %v", err)
			}
			if err := bell.Listen(t.Context(), func() {}); !errors.Is(err, nats.ErrConnectionClosed) {
				t.Errorf("Listen on a closed connection: %v", err)
			}
		})
	}
}

// Credentials that the server refuses are tried again: they may become right.
// A subject that it refuses is told to the error handler, without the password.
func TestRefused(t *testing.T) {
	var mu sync.Mutex
	var told []string
	tells := func(part string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(told, "\n"), part)
		}
	}
	s := start(t, server.Options{Port: -1, Users: []*server.User{{
		Username: "jane", Password: "confidential",
		Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{">"}}},
	}}})
	address := strings.Replace(s.ClientURL(), "nats://", "nats://jane:confidential@", 1)
	conn := dial(t, []string{address}, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	}))
	belltest.Listen(t, newBell(t, conn)).Wait(t, "connected")
	eventually(t, "the refusal is told", tells(`Permissions Violation for Subscription to "notifications.bell"`))
	if tells("confidential")() {
		t.Errorf("the password is in %q", told)
	}
}

// A ring that could not be sent is sent after the next connection.
func TestRingIsKept(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	p := belltest.StartProxy(t, "tcp", s.Addr().String())
	conn := dial(t, []string{"nats://" + p.Addr()}, nats.ReconnectBufSize(-1), nats.Timeout(time.Second))
	a, b := newBell(t, conn), newBell(t, dial(t, []string{s.ClientURL()}))
	inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	p.Freeze(true)
	p.Cut()
	eventually(t, "the client noticed", func() bool { return !conn.IsConnected() })
	belltest.Ring(t, a)
	p.Freeze(false)
	inB.Wait(t, "A rang, and could not send it at first")
}

// Ring does not block, and Listen ends, whatever a server does that keeps the
// connection and does not answer.
func TestFrozenServer(t *testing.T) {
	s := start(t, server.Options{Port: -1})
	p := belltest.StartProxy(t, "tcp", s.Addr().String())
	conn := dial(t, []string{"nats://" + p.Addr()}, nats.PingInterval(100*time.Millisecond), nats.MaxPingsOutstanding(2), nats.Timeout(time.Second))
	bell := newBell(t, conn)
	l := belltest.Listen(t, bell)
	l.Wait(t, "connected")
	l.Drain()
	p.Freeze(true)
	for range 100_000 {
		belltest.Ring(t, bell)
	}
	eventually(t, "the client noticed", func() bool { return !conn.IsConnected() })
	p.Freeze(false)
	l.Wait(t, "connected again")
	belltest.RingUntilHeard(t, bell, l)
	p.Freeze(true)
	if err := l.Stop(); err != nil {
		t.Errorf("Listen: %v", err)
	}
}
