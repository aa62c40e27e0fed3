package httpapi_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// After a mark, the browser sends the cookie to every instance, which then
// reads from the replica only if that has the mark. TestReplicaOfSeveral of
// notifyd shows several instances.
func TestMarkedCookie(t *testing.T) {
	t.Parallel()
	s := newServer(t, dbtest.Postgres(t), func(c *notifications.Config, h *httpapi.Config) {
		c.Replica = c.DB
		h.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	id := s.post(`{"origin":"o","title":"x","targetUsers":["default/jane"]}`)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) *url.URL {
		u, err := url.Parse(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	read, state := "/notifications/read?read=true&messageId="+id, `{"ids":["`+id+`"],"saved":true}`
	for path, a := range map[string]answer{
		"/notifications/read":  s.do("PUT", read, as("user:default/jane")).want(http.StatusOK),
		"/notifications/state": s.do("PUT", "/notifications/state", jsonBody(state), as("user:default/jane")).want(http.StatusOK),
	} {
		cookies := (&http.Response{Header: a.header}).Cookies()
		if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].MaxAge != 60 || cookies[0].Secure {
			t.Fatalf("%s sets %v", path, cookies)
		}
		jar.SetCookies(at(path), cookies)
		for to, want := range map[string]int{
			"/notifications": 1, "/notifications/count": 1, "/notifications/status": 1, "/notifications/topics": 1, "/notifications/" + id: 1,
			"/readyz": 0, "/notificationsx": 0,
		} {
			sent := jar.Cookies(at(to))
			if len(sent) != want {
				t.Errorf("%s is sent %v", to, sent)
			}
			for _, c := range sent {
				s.do("GET", to, as("user:default/jane"), header("Cookie", c.String())).want(http.StatusOK)
			}
		}
		jar, _ = cookiejar.New(nil) // never fails
	}
	for _, cookie := range []string{"notifications-marked=", "notifications-marked=-1", "notifications-marked=zzzzzzzzzzzzzzzz", "notifications-marked", "="} {
		s.do("GET", "/notifications", as("user:default/jane"), header("Cookie", cookie)).want(http.StatusOK)
	}

	// Secure if a trusted proxy says that the client uses TLS.
	secured := s.do("PUT", read, as("user:default/jane"), header("X-Forwarded-Proto", "https")).want(http.StatusOK)
	if set := secured.header.Get("Set-Cookie"); !strings.HasSuffix(set, "; Secure; SameSite=Lax") {
		t.Errorf("under TLS it sets %q", set)
	}

	// No cookie without a mark, and none without a replica.
	for _, a := range []answer{
		s.do("GET", "/notifications", as("user:default/jane")).want(http.StatusOK),
		s.do("PUT", read, as("user:default/u7")).want(http.StatusNotFound),
	} {
		if set := a.header.Values("Set-Cookie"); len(set) > 0 {
			t.Errorf("the answer %d sets %q", a.status, set)
		}
	}
	s = newServer(t, dbtest.SQLite(t))
	id = s.post(`{"origin":"o","title":"x","targetUsers":["default/jane"]}`)
	if set := s.do("PUT", "/notifications/read?read=true&messageId="+id, as("user:default/jane")).want(http.StatusOK).header.Values("Set-Cookie"); len(set) > 0 {
		t.Errorf("without a replica it sets %q", set)
	}
}

// What a middleware of the host has put into Vary stays there.
func TestVaryIsAdded(t *testing.T) {
	t.Parallel()
	s := newServer(t, dbtest.SQLite(t))
	h, err := httpapi.New(s.svc, httpapi.Config{Guest: notifications.User("default/jane")})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/notifications/notifications", nil))
	if got := strings.Join(w.Header().Values("Vary"), ", "); got != "Origin, Authorization, Cookie, notifications-secret" {
		t.Errorf("Vary is %q", got)
	}
}
