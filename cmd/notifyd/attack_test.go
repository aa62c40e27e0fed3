package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// attackTime is how long each phase of TestAttack takes. NOTIFICATIONS_ATTACK
// sets another time, such as 30s.
const attackTime = 2 * time.Second

// TestAttack lets a user list and post, alone and then beside 16 hostile
// clients, each with an identity of its own. No answer may be a 5xx but 503. It
// prints how long the user waits in both cases:
//
//	NOTIFICATIONS_ATTACK=30s go test ./cmd/notifyd -run TestAttack/sqlite -v
func TestAttack(t *testing.T) {
	phase := attackTime
	if given := os.Getenv("NOTIFICATIONS_ATTACK"); given != "" {
		var err error
		if phase, err = time.ParseDuration(given); err != nil {
			t.Fatal(err)
		}
	}
	databases(t, func(t *testing.T, database string) {
		a := newAttack(t, database)
		quiet := a.victim(phase)
		ctx, end := context.WithCancel(t.Context())
		var hostile sync.WaitGroup
		for n, token := range a.tokens {
			hostile.Go(func() { a.attack(ctx, n, token) })
		}
		busy := a.victim(phase)
		end()
		hostile.Wait()
		t.Logf("the user waits: quiet p50 %v p99 %v, under attack p50 %v p99 %v (%.1f times)",
			percentile(quiet, 50), percentile(quiet, 99), percentile(busy, 50), percentile(busy, 99), float64(percentile(busy, 99))/float64(percentile(quiet, 99)))
		t.Logf("answers by status: %v, at most %d MiB resident", a.statuses, a.peakMemory(t)>>20)
		for status := range a.statuses {
			if status >= 500 && status != http.StatusServiceUnavailable {
				t.Errorf("%d answers are %d", a.statuses[status], status)
			}
		}
		a.get(t, "/readyz").want(t, http.StatusOK)
	})
}

// attack is a server with large messages, a user and hostile clients.
type attack struct {
	*instance
	t      *testing.T
	user   string
	tokens []string // of the hostile clients

	mu       sync.Mutex
	statuses map[int]int
}

func newAttack(t *testing.T, database string) *attack {
	t.Helper()
	user, keys := issued(t, "--user=default/victim")
	a := &attack{t: t, user: user, statuses: map[int]int{}}
	for n := range 16 {
		a.tokens = append(a.tokens, issuedInto(t, keys, fmt.Sprintf("--user=default/hostile%d", n)))
	}
	ci := bearer(issuedInto(t, keys, "--service=ci"))
	a.instance = spawn(t, append(jwtArgs(keys), database, "--open-catalog", "--log-level=error")...)
	long := strings.Repeat("a", 60<<10)
	var everyone []string
	for n := range a.tokens {
		everyone = append(everyone, fmt.Sprintf(`"default/hostile%d"`, n))
	}
	for range 100 {
		a.do(t, http.MethodPost, "/notifications", fmt.Sprintf(`{"origin":"o","title":"t","message":%q,"targetUsers":[%s]}`, long, strings.Join(everyone, ",")), ci).want(t, http.StatusOK)
		a.do(t, http.MethodPost, "/notifications", draft("default/victim"), ci).want(t, http.StatusOK)
	}
	return a
}

// victim lists and posts for a while, and returns how long each request took.
func (a *attack) victim(phase time.Duration) []time.Duration {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(phase)
	var took []time.Duration
	for n := 0; ; n++ {
		select {
		case <-end:
			return took
		case <-tick.C:
		}
		method, path, body := http.MethodGet, "/notifications", ""
		if n%2 == 1 {
			method, body = http.MethodPost, draft("default/victim")
		}
		started := time.Now()
		r, err := a.try(a.t.Context(), method, path, body, bearer(a.user))
		took = append(took, time.Since(started))
		a.count(r.status)
		if err != nil || r.status != http.StatusOK && r.status != http.StatusServiceUnavailable {
			a.t.Errorf("the user's %s is answered with %d %s %v", method, r.status, r.body, err)
		}
	}
}

// attack sends requests of one sort until ctx ends, each at once after the last
// one.
func (a *attack) attack(ctx context.Context, n int, token string) {
	needle := strings.Repeat("a", 254) + "b"
	for ctx.Err() == nil {
		method, path, body := http.MethodGet, "/notifications?containsText="+needle, ""
		switch n % 6 {
		case 1:
			method, path, body = http.MethodPut, "/notifications/state", fmt.Sprintf(`{"filter":{"messageScope":"all"},"read":%t}`, n%2 == 0)
		case 2:
			a.holdPage(ctx, token)
			continue
		case 3:
			path = "/notifications"
		case 4:
			method, path, body = http.MethodPost, "/notifications", draft("default/victim")
		case 5:
			path, token = "/notifications", "bad."+token
		}
		r, err := a.try(ctx, method, path, body, bearer(token))
		if err == nil {
			a.count(r.status)
		}
	}
}

// holdPage asks for as much as a page can hold, and does not read it for a
// second.
func (a *attack) holdPage(ctx context.Context, token string) {
	u, err := url.Parse(a.url)
	if err != nil {
		a.t.Error(err)
		return
	}
	dialer := net.Dialer{Control: smallBuffer}
	conn, err := dialer.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = fmt.Fprintf(conn, "GET %s/notifications?pageSize=10000 HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", u.Path, u.Host, bearer(token))
	<-ctx.Done()
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
	return sorted[len(sorted)*p/100].Round(10 * time.Microsecond)
}

// smallBuffer lets a connection receive little before it is read.
func smallBuffer(_, _ string, raw syscall.RawConn) error {
	var set error
	if err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); err != nil {
		return err
	}
	return set
}
