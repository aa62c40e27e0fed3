package httpapi_test

import (
	"bytes"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// slowly allows a few requests at once and then one in 1,000 s.
func slowly(burst int) httpapi.Rate { return httpapi.Rate{PerSecond: 0.001, Burst: burst} }

// limited is a server with rate limits, and its log. It is for tests that ask
// no database anything that SQLite might answer differently.
func limited(t *testing.T, limits httpapi.RateLimits, configure ...func(*httpapi.Config)) (*server, *bytes.Buffer) {
	t.Helper()
	t.Parallel()
	var log bytes.Buffer
	return newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) {
		c.RateLimits, c.Logger = limits, slog.New(slog.NewTextHandler(&log, nil))
		for _, change := range configure {
			change(c)
		}
	}), &log
}

// tooMany checks that the answer is a 429 that says when to come again.
func (a answer) tooMany(seconds int) {
	a.t.Helper()
	a.problem(http.StatusTooManyRequests)
	got, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || got > seconds || got < seconds/2 { // less, as time goes on
		a.t.Errorf("Retry-After is %q, want %d", a.header.Get("Retry-After"), seconds)
	}
}

// Each class of operations of each caller has its own limit.
func TestRateLimits(t *testing.T) {
	s, _ := limited(t, httpapi.RateLimits{Reads: slowly(3), Marks: slowly(2), Posts: slowly(4)})
	post := `{"origin":"o","title":"t","scope":"s","targetGroups":["default/ops"]}`
	id := s.postAs(jane, post)
	for who, posted := range map[string]int{jane: 1, john: 0} {
		for _, c := range []struct {
			method, path, body string
			status             int
		}{
			{"GET", "/notifications", "", 200}, {"GET", "/notifications/count", "", 200}, {"GET", "/notifications?x=1", "", 400},
			{"PUT", "/notifications/read?read=true&messageId=" + id, "", 200}, {"PUT", "/notifications/state", `{"ids":["` + id + `"],"saved":true}`, 200},
		} {
			s.do(c.method, c.path, as(who), jsonBody(c.body)).want(c.status)
		}
		for range 4 - posted {
			s.do("POST", "/notifications/withdraw", as(who), jsonBody(`{"origin":"x","scope":"x"}`)).want(http.StatusOK)
		}
		for _, path := range []string{"", "/count", "/status", "/topics", "/stream", "/" + id, "/" + id + "/reach"} {
			s.do("GET", "/notifications"+path, as(who)).tooMany(1000)
		}
		s.do("GET", "/notifications", as("user:"+strings.ToUpper(strings.TrimPrefix(who, "user:")))).tooMany(1000) // the same user
		s.do("PUT", "/notifications/state", as(who), jsonBody(`{`)).tooMany(1000)
		s.do("PUT", "/notifications/read", as(who)).tooMany(1000)
		s.do("POST", "/notifications", as(who), jsonBody(post)).tooMany(1000)
		s.do("DELETE", "/notifications/"+id, as(who)).tooMany(1000)
	}
	for range 10 {
		s.do("GET", "/healthz").want(http.StatusOK)
		s.do("GET", "/readyz").want(http.StatusOK)
	}
}

// A poster in a loop is stopped by the quota, and the log says so once.
func TestQuotaOfPosts(t *testing.T) {
	s, log := limited(t, httpapi.RateLimits{PostsPerHour: 3})
	for range 3 {
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
	}
	for range 2 {
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)).tooMany(1200)
	}
	s.do("POST", "/notifications/withdraw", as("ci"), jsonBody(`{"origin":"x","scope":"x"}`)).want(http.StatusOK)
	s.postAs(jane, `{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
	if n := s.count(jane, ""); n != 4 {
		t.Errorf("jane has %d", n)
	}
	s.close()
	if n := strings.Count(log.String(), `msg="a poster has reached the quota" poster=service:ci posts_per_hour=3`); n != 1 {
		t.Errorf("the log says %d times that the quota is reached:\n%s", n, log)
	}
}

// Above the limit, requests from an address are refused without a look at their
// credentials, unless these were valid before.
func TestFailedAuthenticationIsThrottled(t *testing.T) {
	s, _ := limited(t, httpapi.RateLimits{Failures: slowly(3)})
	s.do("GET", "/notifications", as(jane)).want(http.StatusOK)
	s.do("GET", "/notifications").problem(http.StatusUnauthorized)
	s.do("GET", "/notifications", header("Authorization", "Bearer bad")).problem(http.StatusUnauthorized)
	s.do("POST", "/notifications", header("notifications-secret", "wrong")).problem(http.StatusUnauthorized)
	for range 3 {
		s.do("GET", "/notifications").tooMany(1000)
		s.do("GET", "/notifications", header("Authorization", "Bearer bad")).tooMany(1000)
		s.do("POST", "/notifications", header("notifications-secret", secret)).tooMany(1000) // never seen before
		s.do("GET", "/notifications", as(john)).tooMany(1000)
		s.do("GET", "/notifications", as(jane)).want(http.StatusOK)
		s.do("GET", "/notifications", as(jane), header("Cookie", "a=b")).want(http.StatusOK)
	}
	s.do("GET", "/healthz").want(http.StatusOK)
}

// X-Forwarded-For counts only if a trusted proxy sends it.
func TestThrottledAddress(t *testing.T) {
	proxy := func(c *httpapi.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	s, _ := limited(t, httpapi.RateLimits{Failures: slowly(1)}, proxy)
	from := func(forwarded string) answer {
		return s.do("GET", "/notifications", header("X-Forwarded-For", forwarded))
	}
	for _, client := range []string{"192.0.2.1", "2001:db8::1"} {
		from(client).problem(http.StatusUnauthorized)
		from(client).tooMany(1000)
		from("198.51.100.7, " + client + ", 127.0.0.2").tooMany(1000)
	}
	from("2001:db8::2").tooMany(1000) // of the same network
	from("192.0.2.1, 192.0.2.2:80").problem(http.StatusUnauthorized)
	from("nonsense").problem(http.StatusUnauthorized)
	from("").tooMany(1000) // the proxy itself, like before
}

func TestUntrustedForwarding(t *testing.T) {
	s, _ := limited(t, httpapi.RateLimits{Failures: slowly(1)})
	s.do("GET", "/notifications", header("X-Forwarded-For", "192.0.2.1")).problem(http.StatusUnauthorized)
	s.do("GET", "/notifications", header("X-Forwarded-For", "192.0.2.2")).tooMany(1000)
}

func TestRateLimitFaults(t *testing.T) {
	t.Parallel()
	_, err := httpapi.New(nil, httpapi.Config{RateLimits: httpapi.RateLimits{
		Reads: httpapi.Rate{PerSecond: -1}, Marks: httpapi.Rate{PerSecond: 1, Burst: -1}, Posts: httpapi.Rate{PerSecond: math.NaN()},
		PostsPerHour: -1, ReadsAtOnce: -1, Failures: httpapi.Rate{PerSecond: math.Inf(1)},
	}})
	for _, name := range []string{"Reads", "Marks", "Posts", "PostsPerHour", "ReadsAtOnce", "Failures"} {
		if err == nil || !strings.Contains(err.Error(), "Config.RateLimits."+name+" ") {
			t.Errorf("a wrong %s: %v", name, err)
		}
	}
}

// While all turns are taken a read waits, and a caller in a loop does not hold
// up another. Writes need no turn.
func TestReadsInTurn(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan string, 100)
	hold := policyFunc(func(who notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
		if p == notifications.PermissionList {
			entered <- who.Name
			<-gate
		}
		return notifications.Allow, nil
	})
	t.Parallel()
	s := newServer(t, dbtest.SQLite(t), func(c *notifications.Config, h *httpapi.Config) {
		c.Policy, h.RateLimits.ReadsAtOnce = hold, 2
	})
	as(jane)(s, &http.Request{Header: http.Header{}}) // makes the tokens before several requests need them
	as(john)(s, &http.Request{Header: http.Header{}})
	var all sync.WaitGroup
	read := func(path, who string) { all.Go(func() { s.do("GET", path, as(who)).want(http.StatusOK) }) }
	read("/notifications", jane)
	read("/notifications/count", jane)
	for range 2 {
		if who := <-entered; who != "default/jane" {
			t.Errorf("%s is at work", who)
		}
	}
	s.do("GET", "/notifications/status", as(john)).problem(http.StatusServiceUnavailable) // after two seconds
	s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
	s.do("PUT", "/notifications/state", as(john), jsonBody(`{"ids":["`+unknown+`"],"read":true}`)).want(http.StatusOK)
	close(gate)
	all.Wait()
	s.do("GET", "/notifications/topics", as(john)).want(http.StatusOK)
}
