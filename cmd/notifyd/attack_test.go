package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// attackTime is how long each phase of TestAttack takes. NOTIFICATIONS_ATTACK
// sets another time, such as 10s.
const attackTime = 2 * time.Second

// hostiles is the number of hostile clients.
const hostiles = 16

// TestAttack lets a user list, count, post and mark, alone and then beside
// hostile clients, each with an identity of its own. The user must get what was
// asked for, and nobody a 5xx but 503. It prints how long the user waits. The
// last way of attack is all at once; with NOTIFICATIONS_ATTACK it tries each:
//
//	NOTIFICATIONS_ATTACK=10s go test ./cmd/notifyd -run TestAttack/sqlite -v
func TestAttack(t *testing.T) {
	phase, ways := attackTime, waysOfAttack()
	if given := os.Getenv("NOTIFICATIONS_ATTACK"); given != "" {
		var err error
		if phase, err = time.ParseDuration(given); err != nil {
			t.Fatal(err)
		}
	} else {
		ways = ways[len(ways)-1:]
	}
	known := newAttackers(t)
	measure := func(database func(t *testing.T) string) func(t *testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			table := fmt.Sprintf("%-22s %8s %8s %8s %8s %6s  %s\n", "", "p50", "p99", "p50", "p99", "times", "answers to the hostile clients by status")
			for _, w := range ways {
				t.Run(w.name, func(t *testing.T) { table += known.measure(t, database(t), w, phase) })
			}
			t.Logf("how long the user waits in ms, quiet for %v and then under attack\n%s", phase, table)
		}
	}
	t.Run("sqlite", measure(func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") }))
	t.Run("postgres", measure(func(t *testing.T) string { return dbtest.PostgresURL(t) }))
}

// attackers are the callers of TestAttack.
type attackers struct {
	keys            string // a file
	victim          string // a token, as are the others
	users, services []string
}

func newAttackers(t *testing.T) *attackers {
	t.Helper()
	var a attackers
	a.victim, a.keys = issued(t, "--user=default/victim")
	for n := range hostiles {
		a.users = append(a.users, issuedInto(t, a.keys, fmt.Sprintf("--user=default/hostile%d", n)))
		a.services = append(a.services, issuedInto(t, a.keys, fmt.Sprintf("--service=hostile%d", n)))
	}
	return &a
}

// attack is a server and the answers to those who attack it.
type attack struct {
	*instance
	*attackers

	mu       sync.Mutex
	statuses map[int]int
}

// measure returns a line of the table.
func (k *attackers) measure(t *testing.T, database string, w way, phase time.Duration) string {
	ids := fillForAttack(t, database)
	a := &attack{attackers: k, statuses: map[int]int{}}
	a.instance = spawn(t, append(jwtArgs(k.keys), "--database="+database, "--open-catalog", "--log-level=error")...)
	quiet, busy := a.visit(t, ids, phase), a.beside(t, w, ids, phase)
	a.get(t, "/readyz").want(t, http.StatusOK)
	for status, n := range a.statuses {
		if status >= 500 && status != http.StatusServiceUnavailable {
			t.Errorf("%d answers are %d", n, status)
		}
	}
	p := func(took []time.Duration, p int) float64 { return percentile(took, p).Seconds() * 1000 }
	return fmt.Sprintf("%-22s %8.2f %8.2f %8.2f %8.2f %6.1f  %v, %d MiB\n", w.name, p(quiet, 50), p(quiet, 99), p(busy, 50), p(busy, 99),
		p(busy, 99)/p(quiet, 99), a.statuses, a.peakMemory(t)>>20)
}

// beside is visit under attack.
func (a *attack) beside(t *testing.T, w way, ids []string, phase time.Duration) []time.Duration {
	ctx, end := context.WithCancel(t.Context())
	var hostile sync.WaitGroup
	for n := range hostiles {
		hostile.Go(func() {
			for ctx.Err() == nil {
				w.send(ctx, a, n)
			}
		})
	}
	defer hostile.Wait()
	defer end()
	return a.visit(t, ids, phase)
}

// fillForAttack stores messages to everybody, some long, and a few to the
// victim, and returns the ids of these.
func fillForAttack(t *testing.T, address string) (ids []string) {
	t.Helper()
	c, err := loadConfig(flag.NewFlagSet("notifyd", flag.ContinueOnError), []string{"--database=" + address, "--open-catalog"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log, open := slog.New(slog.DiscardHandler), catalog.Open(nil)
	if err := migrate(t.Context(), c, open, log); err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeDatabase(db); err != nil {
			t.Error(err)
		}
	}()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: open, Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	post := func(n int, d notifications.Draft) {
		drafts := slices.Repeat([]notifications.Draft{d}, n)
		posted, err := svc.PostMany(t.Context(), notifications.ServiceAccount("ci"), drafts)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range posted {
			ids = append(ids, p.ID)
		}
	}
	for range 5 {
		post(1000, notifications.Draft{Origin: "o", Title: "t", Message: "m", To: notifications.Everyone()})
	}
	post(120, notifications.Draft{Origin: "o", Title: "t", Message: strings.Repeat("a", 60<<10), To: notifications.Everyone()})
	ids = nil
	post(100, notifications.Draft{Origin: "o", Title: "t", Message: "m", To: notifications.Users("default/victim")})
	return ids
}

// visit is what the victim does, a request each 20 ms whether or not the
// earlier ones have been answered. It returns how long each took.
func (a *attack) visit(t *testing.T, ids []string, phase time.Duration) []time.Duration {
	const pace = 20 * time.Millisecond
	took := make([]time.Duration, phase/pace)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var requests sync.WaitGroup
	for n := range took {
		<-tick.C
		method, path, body := http.MethodGet, "/notifications", ""
		switch n % 4 {
		case 1:
			path = "/notifications/count?read=false"
		case 2:
			method, body = http.MethodPost, draft("default/victim")
		case 3:
			method, path = http.MethodPut, fmt.Sprintf("/notifications/read?read=%t&messageId=%s", n%8 == 3, ids[n%len(ids)])
		}
		requests.Go(func() {
			started := time.Now()
			r, err := a.try(t.Context(), method, path, body, bearer(a.victim))
			took[n] = time.Since(started)
			if err != nil || r.status != http.StatusOK {
				t.Errorf("the user's %s %s is answered with %d %s %v after %v", method, path, r.status, r.body, err, took[n])
			}
		})
	}
	requests.Wait()
	return took
}

// way is a way of attack. send sends a request of the hostile client n.
type way struct {
	name string
	send func(ctx context.Context, a *attack, n int)
}

var longText = strings.Repeat("a", 60<<10)

// thousand are the JSON strings of 1,000 targets.
var thousand = func() string {
	var all []string
	for n := range 1000 {
		all = append(all, fmt.Sprintf(`"default/target%d"`, n))
	}
	return strings.Join(all, ",")
}()

// waysOfAttack returns the ways of attack. The last one is all others at once.
func waysOfAttack() []way {
	const all = "messageScope=all"
	get := func(path string) func(ctx context.Context, a *attack, n int) {
		return func(ctx context.Context, a *attack, n int) { a.send(ctx, http.MethodGet, path, "", a.users[n]) }
	}
	post := func(body string) func(ctx context.Context, a *attack, n int) {
		return func(ctx context.Context, a *attack, n int) {
			a.send(ctx, http.MethodPost, "/notifications", body, a.services[n])
		}
	}
	list := []way{
		{"searches", get("/notifications?" + all + "&containsText=" + strings.Repeat("a", 254) + "b")},
		{"searches_counted", get("/notifications/count?" + all + "&containsText=" + strings.Repeat("a", 254) + "b")},
		{"marks_by_filter", func(ctx context.Context, a *attack, n int) {
			for _, read := range []bool{true, false} {
				a.send(ctx, http.MethodPut, "/notifications/state", fmt.Sprintf(`{"filter":{"messageScope":"all"},"read":%t}`, read), a.users[n])
			}
		}},
		{"pages_never_read", func(ctx context.Context, a *attack, n int) {
			a.holdPage(ctx, "/notifications?pageSize=10000&"+all, a.users[n])
		}},
		{"largest_pages", get("/notifications?pageSize=10000&" + all)},
		{"deep_pages", get("/notifications?pageNumber=200&" + all)},
		{"ordered_pages", get("/notifications?orderBy=message&" + all)},
		{"lists", get("/notifications?" + all)},
		{"short_lists", get("/notifications")},
		{"counts", get("/notifications/count?read=false&" + all)},
		{"posts", post(draft("default/victim"))},
		{"posts_to_everybody", post(fmt.Sprintf(`{"origin":"o","title":"t","message":%q}`, longText))},
		{"posts_to_1000", post(fmt.Sprintf(`{"origin":"o","title":"t","message":%q,"targetUsers":[%s]}`, longText, thousand))},
		{"bad_JSON", post(fmt.Sprintf(`{"origin":"o","title":"t","targetUsers":[%s],"message":%q,}`, thousand, longText))},
		{"bad_tokens", func(ctx context.Context, a *attack, n int) {
			a.send(ctx, http.MethodGet, "/notifications", "", "bad."+a.users[n])
		}},
		{"connections", func(ctx context.Context, a *attack, n int) { a.openMany(ctx, a.users[n]) }},
	}
	return append(list, way{"all", func(ctx context.Context, a *attack, n int) { list[n%len(list)].send(ctx, a, n) }})
}

// send sends a request and throws the answer away.
func (a *attack) send(ctx context.Context, method, path, body, token string) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, strings.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if resp, err := a.client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body) // the status is what counts
		_ = resp.Body.Close()
		a.count(resp.StatusCode)
	}
}

// connect sends a GET over a new connection.
func (a *attack) connect(ctx context.Context, path, token string, control func(_, _ string, _ syscall.RawConn) error) (net.Conn, error) {
	u, err := url.Parse(a.url)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Control: control}
	conn, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", u.Path, path, u.Host, bearer(token))
	return conn, err
}

// holdPage asks for a page, and does not read it for a second.
func (a *attack) holdPage(ctx context.Context, path, token string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if conn, err := a.connect(ctx, path, token, smallBuffer); err == nil {
		<-ctx.Done()
		_ = conn.Close() // never fails
	}
}

// openMany sends 100 requests, each over a new connection that stays open.
func (a *attack) openMany(ctx context.Context, token string) {
	for range 100 {
		conn, err := a.connect(ctx, "/notifications", token, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body) // the status is what counts
		_ = resp.Body.Close()
		a.count(resp.StatusCode)
		if ctx.Err() != nil {
			return
		}
	}
}

func (a *attack) count(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses[status]++
}

// percentile returns the time within which so many in a hundred were answered.
func percentile(took []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)*p/100]
}

// smallBuffer lets a connection receive little before it is read.
func smallBuffer(_, _ string, raw syscall.RawConn) error {
	var set error
	if err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); err != nil {
		return err
	}
	return set
}
