package pgbell_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bell/pgbell"
	"github.com/notifications-go/notifications/internal/belltest"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBell returns a bell over the server of a URL. The settings are changed
// before.
func newBell(t *testing.T, url string, change ...func(*pgbell.Config)) *pgbell.Bell {
	t.Helper()
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	c := pgbell.Config{Conn: conn, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c)
	}
	bell, err := pgbell.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return bell
}

// admin opens a connection for the test.
func admin(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// count returns the number of a query.
func count(t *testing.T, conn *pgx.Conn, query string) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// others are the connections to the test's database but the one that asks.
const others = " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestBell(t *testing.T) {
	server := dbtest.StartPostgres(t, pgcluster.Options{})
	belltest.Run(t, belltest.Network{
		New:   func(t *testing.T) notifications.Bell { return newBell(t, server.URL()) },
		Stop:  func(t *testing.T) { must(t, server.Crash()) },
		Start: func(t *testing.T) { must(t, server.Start()) },
	})
}

// A bell that is not listening starts and opens nothing.
func TestNewIsInert(t *testing.T) {
	url := dbtest.PostgresURL(t)
	before := goleak.IgnoreCurrent()
	bell := newBell(t, url)
	belltest.Ring(t, bell)
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	if n := count(t, admin(t, url), "SELECT count(*)"+others); n != 0 {
		t.Errorf("it has %d connections", n)
	}
}

// After a cut there is a new connection, and never more than one.
func TestConnectionIsCut(t *testing.T) {
	url := dbtest.PostgresURL(t)
	a, b := newBell(t, url), newBell(t, url)
	inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	conn := admin(t, url)
	for range 3 {
		eventually(t, "two bells have two connections", func() bool { return count(t, conn, "SELECT count(*)"+others) == 2 })
		belltest.RingUntilHeard(t, a, inB)
		inA.Drain()
		inB.Drain()
		if n := count(t, conn, "SELECT count(pg_terminate_backend(pid, 10000))"+others); n != 2 {
			t.Fatalf("%d connections were cut", n)
		}
		belltest.Ring(t, a) // sent when there is a connection again
		inA.Wait(t, "A is connected again")
		inB.Wait(t, "B is connected again")
	}
}

// A ring that could not be sent is sent over the next connection.
func TestRingIsKept(t *testing.T) {
	url := dbtest.PostgresURL(t)
	p, throughIt := startProxy(t, url)
	log := &records{}
	a, b := newBell(t, url, throughIt, func(c *pgbell.Config) { c.Logger = slog.New(log) }), newBell(t, url)
	a.SetTimes(time.Hour, time.Second)
	inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	p.Freeze(true)
	belltest.Ring(t, a)
	log.wait(t, "lost its connection")
	p.Cut() // also what was written to it
	p.Freeze(false)
	inB.Wait(t, "A rang, and could not send it at first")
}

func TestPgBouncer(t *testing.T) {
	url := dbtest.PostgresURL(t)
	t.Run("session", func(t *testing.T) {
		pooled := dbtest.PgBouncerURL(t, url, "session")
		a, b := newBell(t, pooled), newBell(t, pooled)
		direct := newBell(t, url)
		inA, inB, inDirect := belltest.Listen(t, a), belltest.Listen(t, b), belltest.Listen(t, direct)
		inA.Wait(t, "A is connected")
		inB.Wait(t, "B is connected")
		inDirect.Wait(t, "the bell without PgBouncer is connected")
		belltest.RingUntilHeard(t, a, inB)
		belltest.RingUntilHeard(t, a, inDirect)
		belltest.RingUntilHeard(t, direct, inA)
	})
	for _, mode := range []string{"transaction", "statement"} {
		t.Run(mode, func(t *testing.T) {
			pooled := dbtest.PgBouncerURL(t, url, mode)
			// Also while others ring, who could be mistaken for itself.
			other := newBell(t, url)
			belltest.Listen(t, other).Wait(t, "the bell without PgBouncer is connected")
			ringing, stop := context.WithCancel(t.Context())
			var ringer sync.WaitGroup
			ringer.Go(func() {
				for ringing.Err() == nil {
					_ = other.Ring(ringing)
				}
			})
			defer ringer.Wait()
			defer stop()
			for range 3 {
				bell := newBell(t, pooled)
				bell.SetTimes(time.Minute, 5*time.Second)
				err := bell.Listen(t.Context(), func() {})
				if !errors.Is(err, pgbell.ErrPooled) || !strings.Contains(err.Error(), "PgBouncer in transaction mode") {
					t.Errorf("Listen: %v", err)
				}
			}
			if n := count(t, admin(t, pooled), "SELECT count(*) FROM pg_listening_channels()"); n != 0 {
				t.Errorf("%d channels are left on a connection of the pool", n)
			}
		})
	}
}

// A pooler that cannot be told from the server is found out when the connection
// behind it changes.
func TestPoolerFoundLater(t *testing.T) {
	url := dbtest.PostgresURL(t)
	p, throughIt := startProxy(t, url)
	bell := newBell(t, url, throughIt)
	bell.SetTimes(20*time.Millisecond, 10*time.Second)
	heard, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- bell.Listen(t.Context(), func() { heard <- struct{}{} }) }()
	<-heard
	p.Rewrite("SELECT pg_listening_channels()", "SELECT 'another'              ") // same length
	if err := <-ended; !errors.Is(err, pgbell.ErrPooled) {
		t.Errorf("Listen: %v", err)
	}
}

// A server that keeps the connection and does not answer any more is noticed.
func TestFrozenServer(t *testing.T) {
	url := dbtest.PostgresURL(t)
	p, throughIt := startProxy(t, url)
	log := &records{}
	bell := newBell(t, url, throughIt, func(c *pgbell.Config) { c.Logger = slog.New(log) })
	bell.SetTimes(50*time.Millisecond, time.Second)
	l := belltest.Listen(t, bell)
	l.Wait(t, "connected")
	p.Freeze(true)
	log.wait(t, "lost its connection")
	l.Drain()
	p.Freeze(false)
	log.wait(t, "connected to PostgreSQL again")
	belltest.RingUntilHeard(t, bell, l)
}

// While the server does not answer, Ring does not block, and Listen ends.
func TestFrozenServerHoldsNobody(t *testing.T) {
	url := dbtest.PostgresURL(t)
	p, throughIt := startProxy(t, url)
	bell := newBell(t, url, throughIt)
	bell.SetTimes(time.Hour, time.Second)
	l := belltest.Listen(t, bell)
	l.Wait(t, "connected")
	p.Freeze(true)
	for range 100_000 {
		belltest.Ring(t, bell)
	}
	if err := l.Stop(); err != nil {
		t.Errorf("Listen: %v", err)
	}
	p.Freeze(false)
}

// Names that are SQL, or hardly names, are channels like any other.
func TestHostileChannels(t *testing.T) {
	url := dbtest.PostgresURL(t)
	conn := admin(t, url)
	_, err := conn.Exec(t.Context(), "CREATE TABLE precious (i int)")
	must(t, err)
	for _, channel := range []string{
		`x; DROP TABLE precious; --`, `x"; DROP TABLE precious; --`, `""`, `'`, `SELECT`, `A b`, `ünï\cödé`, "\n", `$1`, strings.Repeat("x", 63),
	} {
		named := func(c *pgbell.Config) { c.Channel = channel }
		a, b := newBell(t, url, named), newBell(t, url, named)
		b.SetTimes(time.Millisecond, 10*time.Second) // it also looks for the channel
		inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
		inA.Wait(t, "A is connected")
		inB.Wait(t, "B is connected")
		belltest.RingUntilHeard(t, a, inB)
		if err := errors.Join(inA.Stop(), inB.Stop()); err != nil {
			t.Errorf("%q: %v", channel, err)
		}
	}
	count(t, conn, "SELECT count(*) FROM precious")
}

// Two channels do not hear each other.
func TestChannelsAreApart(t *testing.T) {
	url := dbtest.PostgresURL(t)
	a, b := newBell(t, url), newBell(t, url, func(c *pgbell.Config) { c.Channel = "other" })
	inA, inB := belltest.Listen(t, a), belltest.Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	belltest.RingUntilHeard(t, a, inA)
	belltest.RingUntilHeard(t, b, inB) // what was sent before has arrived
	inB.Drain()
	belltest.RingUntilHeard(t, a, inA)
	if n := inB.Drain(); n > 1 { // a ring of B may have been on its way
		t.Errorf("B heard %d rings of another channel", n)
	}
}

func TestInvalidConfig(t *testing.T) {
	_, err := pgbell.New(pgbell.Config{Channel: strings.Repeat("ü", 32)})
	for _, part := range []string{"Conn: is required", "Channel: has 64 bytes, 63 are allowed"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error %v lacks %q", err, part)
		}
	}
	for _, channel := range []string{"a\x00b", "\xff"} {
		if _, err := pgbell.New(pgbell.Config{Conn: new(pgx.ConnConfig), Channel: channel}); err == nil || !strings.Contains(err.Error(), "Channel: ") {
			t.Errorf("%q: %v", channel, err)
		}
	}
}

// An error of the connection is logged once, without a password, and the bell
// goes on trying.
func TestLog(t *testing.T) {
	url := dbtest.PostgresURL(t)
	log := &records{}
	bell := newBell(t, url, func(c *pgbell.Config) {
		c.Conn.Password = "confidential"
		c.Conn.Database = "no_such_database"
		c.Logger = slog.New(log)
	})
	l := belltest.Listen(t, bell)
	log.wait(t, "still not connected")
	must(t, l.Stop())
	if text := log.String(); strings.Contains(text, "confidential") || strings.Count(text, "WARN") != 1 || !strings.Contains(text, "no_such_database") {
		t.Errorf("the log is %s", text)
	}
}

// records is a log in memory.
type records struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }

func (r *records) Handle(ctx context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slog.NewTextHandler(&r.text, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(ctx, rec)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *records) wait(t *testing.T, part string) {
	t.Helper()
	eventually(t, "the log has "+part, func() bool { return strings.Contains(r.String(), part) })
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// startProxy starts a proxy before the server of a URL, and returns it and a
// change that makes a bell connect through it.
func startProxy(t *testing.T, url string) (*belltest.Proxy, func(*pgbell.Config)) {
	t.Helper()
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	network, server := pgconn.NetworkAddress(c.Host, c.Port)
	p := belltest.StartProxy(t, network, server)
	return p, func(c *pgbell.Config) {
		c.Conn.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", p.Addr())
		}
	}
}
