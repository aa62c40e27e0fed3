package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/auth"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestServicesHaveNoInbox(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"t"}`)
		s.do("GET", "/notifications", as("ci")).problem(http.StatusForbidden)
		unknown := s.do("GET", "/notifications", as("user:default/nobody")).problem(http.StatusForbidden)
		if strings.Contains(unknown.body, "nobody") || strings.Contains(unknown.body, "catalog") {
			t.Errorf("an unknown reader is told %s", unknown.body)
		}
	})
}

func TestThingsAway(t *testing.T) {
	eachServer(t, func(s *server) {
		a := s.do("GET", "/notifications", as(jane)).problem(http.StatusServiceUnavailable)
		if a.header.Get("Retry-After") == "" || strings.Contains(a.body, "internals") {
			t.Errorf("policy away: %v %s", a.header, a.body)
		}
		s.do("POST", "/notifications", as("ci"), jsonBody(`{`)).problem(http.StatusServiceUnavailable)
	}, func(c *notifications.Config, _ *httpapi.Config) {
		c.Policy = policyFunc(func(notifications.Identity, notifications.Permission) (notifications.Decision, error) {
			return notifications.Allow, errAway
		})
	})
}

func TestDatabaseAway(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, table := range []string{"states", "deliveries", "messages", "scopes", "idempotency_keys"} {
			if err := s.db.Exec("DROP TABLE notification_" + table).Error; err != nil {
				t.Fatal(err)
			}
		}
		s.do("POST", "/notifications", as("ci"), header("Idempotency-Key", "k"), jsonBody(`{"origin":"o","title":"t"}`)).problem(http.StatusServiceUnavailable)
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t","scope":"s"}`)).problem(http.StatusServiceUnavailable)
		for _, c := range calls {
			for _, who := range []string{jane, "ci"} {
				a := s.send(c, unknown, as(who))
				if who == "ci" && a.status == http.StatusForbidden {
					continue // a service has no inbox
				}
				if a.problem(http.StatusServiceUnavailable); strings.Contains(a.body, "notification_") || a.header.Get("Retry-After") == "" {
					t.Errorf("%s answers %v %s", c.operation, a.header, a.body)
				}
			}
		}
	})
}

func TestKeysAway(t *testing.T) {
	eachServer(t, func(s *server) {
		s.do("GET", "/notifications", as(jane)).problem(http.StatusServiceUnavailable)
		s.do("GET", "/readyz").problem(http.StatusServiceUnavailable)
	}, func(_ *notifications.Config, c *httpapi.Config) {
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		verifier, err := auth.NewJWTVerifier(auth.JWTConfig{JWKSURL: gone.URL, Issuer: "i", Audience: "a"})
		if err != nil {
			t.Fatal(err)
		}
		c.Verifier = verifier
	})
}

// keyless is a verifier without keys.
type keyless struct{}

func (keyless) Verify(context.Context, string) (notifications.Identity, error) {
	return notifications.Identity{}, fmt.Errorf("%w: internals", notifications.ErrUnavailable)
}

func (keyless) Ready(context.Context) error { return errAway }

// TestVerifiersAway: readiness needs the verifier of secrets as much as that of
// tokens.
func TestVerifiersAway(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		proof string
		cfg   httpapi.Config
	}{
		"tokens":  {"Authorization", httpapi.Config{Verifier: keyless{}}},
		"secrets": {api.SecretHeader, httpapi.Config{Secrets: keyless{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) { *c = tt.cfg })
			for _, path := range []string{"/notifications", "/readyz"} {
				if a := s.do("GET", path, header(tt.proof, "Bearer x")).problem(http.StatusServiceUnavailable); strings.Contains(a.body, "internals") {
					t.Errorf("%s leaks %s", path, a.body)
				}
			}
		})
	}
}

// asGuest makes every caller default/guest.
func asGuest(_ *notifications.Config, c *httpapi.Config) {
	*c = httpapi.Config{Guest: notifications.User("default/guest"), TrustedOrigins: []string{"https://trusted.example"}}
}

func TestGuest(t *testing.T) {
	eachServer(t, func(s *server) {
		body := jsonBody(`{"origin":"o","title":"t","targetUsers":["default/guest"]}`)
		s.do("POST", "/notifications", body).want(http.StatusOK)
		var items []item
		s.do("GET", "/notifications").want(http.StatusOK).decode(&items)
		if len(items) != 1 {
			t.Errorf("%d items, want the guest's", len(items))
		}
		s.do("GET", "/notifications", header("Authorization", "Bearer x")).problem(http.StatusUnauthorized)
		s.do("GET", "/notifications", header("notifications-secret", secret)).problem(http.StatusUnauthorized)
	}, asGuest)
}

// TestCrossOriginWrites: another site cannot write with an identity that the
// browser adds itself.
func TestCrossOriginWrites(t *testing.T) {
	cookie := func(_ *notifications.Config, c *httpapi.Config) {
		*c = httpapi.Config{TrustedOrigins: []string{"https://trusted.example"}, Identify: func(r *http.Request) (notifications.Identity, error) {
			return notifications.User("default/jane"), nil
		}}
	}
	for name, configure := range map[string]func(*notifications.Config, *httpapi.Config){"guest": asGuest, "cookie": cookie} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, dbtest.SQLite(t), configure)
			body := jsonBody(`{"origin":"o","title":"t"}`)
			s.do("POST", "/notifications", body, header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")).problem(http.StatusForbidden)
			s.do("POST", "/notifications", body, header("Origin", "https://evil.example")).problem(http.StatusForbidden)
			for _, c := range calls {
				if c.method == http.MethodGet {
					continue
				}
				for _, site := range []string{"same-site", "cross-site"} {
					if a := s.send(c, "x", header("Sec-Fetch-Site", site)).problem(http.StatusForbidden); !strings.Contains(a.body, "another origin") {
						t.Errorf("%s: %s", c.operation, a.body)
					}
				}
			}
			s.do("POST", "/notifications", body, header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://trusted.example")).want(http.StatusOK)
			s.do("POST", "/notifications", body, header("Sec-Fetch-Site", "same-origin")).want(http.StatusOK)
			s.do("POST", "/notifications", body).want(http.StatusOK)
			s.do("GET", "/notifications", header("Sec-Fetch-Site", "cross-site")).want(http.StatusOK)
		})
	}
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, dbtest.SQLite(t))
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t"}`), header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")).
			want(http.StatusOK)
	})
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		who    notifications.Identity
		err    error
		status int
	}{
		{"user", notifications.User("default/jane"), nil, http.StatusOK},
		{"nobody", notifications.Identity{}, nil, http.StatusUnauthorized},
		{"no session", notifications.Identity{}, fmt.Errorf("no cookie: %w", notifications.ErrUnauthenticated), http.StatusUnauthorized},
		{"forbidden", notifications.Identity{}, notifications.ErrForbidden, http.StatusForbidden},
		{"session store away", notifications.User("default/jane"), errAway, http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) {
				*c = httpapi.Config{Identify: func(*http.Request) (notifications.Identity, error) { return tt.who, tt.err }}
			})
			if a := s.do("GET", "/notifications").want(tt.status); strings.Contains(a.body, "internals") {
				t.Errorf("leaks %s", a.body)
			}
		})
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := httpapi.New(nil, httpapi.Config{
		Prefix: "x", MaxBodyBytes: -1, Guest: notifications.ServiceAccount("x"), TrustedOrigins: []string{"evil.example/path"},
		Identify: func(*http.Request) (notifications.Identity, error) { return notifications.Identity{}, nil },
	})
	for _, part := range []string{"service is nil", "Config.Prefix", "Config.MaxBodyBytes", "Config.Guest", "Config.TrustedOrigins", "Config.Identify"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("New: %v, want a fault of %s", err, part)
		}
	}
}

// TestLogs: the log says what happened, and contains nothing of the request's
// data.
func TestLogs(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	s.do("POST", "/notifications", as("ci"), header("X-Request-Id", "r1"), jsonBody(`{"origin":"o","title":"very private","targetUsers":["default/whoisit"]}`)).want(http.StatusBadRequest)
	s.do("GET", "/notifications?containsText=private", header("Authorization", "Bearer private.token.x")).want(http.StatusUnauthorized)
	s.do("GET", "/notifications", header("notifications-secret", "private secret 0123456")).want(http.StatusUnauthorized)
	s.do("GET", "/notifications?pageSize=private&y=private&"+strings.Repeat("y", 1000), as(jane), header("X-Forwarded-For", "192.0.2.1")).want(http.StatusBadRequest)
	s.do("PUT", "/notifications/state", as(jane), header("Content-Type", "text/private"), jsonBody("private")).want(http.StatusUnsupportedMediaType)
	s.close()
	for _, want := range []string{
		"request_id=r1", "operation=createNotification", "status=400", "duration=", "status=401", "caller=service:ci from=127.0.0.1 fields=targetUsers[0]\n",
		"caller=nobody from=127.0.0.1 error=", "caller=user:default/jane from=127.0.0.1 fields=\"pageSize, y, " + strings.Repeat("y", 100) + "…\"\n",
		"caller=user:default/jane from=127.0.0.1 error=\"httpapi: the body must be",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	for _, never := range []string{"private", "whoisit", s.tokens["ci"]} {
		if strings.Contains(log.String(), never) {
			t.Errorf("the log has %q:\n%s", never, log.String())
		}
	}
}

// TestPanics: a panic in the host's code is answered with 500, without its
// text, and the server goes on.
func TestPanics(t *testing.T) {
	t.Parallel()
	crash := func(with any) *server {
		return newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) {
			*c = httpapi.Config{Identify: func(*http.Request) (notifications.Identity, error) { panic(with) }}
		})
	}
	s := crash("internals")
	if a := s.do("GET", "/notifications").problem(http.StatusInternalServerError); strings.Contains(a.body, "internals") {
		t.Errorf("leaks %s", a.body)
	}
	s.do("GET", "/healthz").want(http.StatusOK)

	s = crash(http.ErrAbortHandler)
	res, err := http.Get(s.url + "/notifications")
	if err == nil {
		_ = res.Body.Close()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("an aborted answer gives %v, want the connection closed", err)
	}
}

// A token of a name that only looks like that of a user opens nobody's inbox.
func TestLookAlikes(t *testing.T) {
	eachServer(t, func(s *server) {
		s.people("guest: [], kim: []")
		s.post(`{"origin":"o","title":"t","targetUsers":["default/kim"]}`)
		for sub, status := range map[string]int{
			"user:default/kim": http.StatusOK, "User:Default/KIM": http.StatusOK,
			"user:default/kım": http.StatusForbidden, "user:default/KİM": http.StatusForbidden, "user:default/\u212aim": http.StatusForbidden,
			"user:default/kim ": http.StatusForbidden, "user:default/ki\u0301m": http.StatusForbidden,
		} {
			if a := s.do("GET", "/notifications", as(sub)).want(status); status == http.StatusOK && len(a.body) < 100 {
				t.Errorf("%s has %s", sub, a.body)
			}
			s.do("POST", "/notifications", as(sub), jsonBody(`{"origin":"o","title":"t","targetUsers":["default/kım"]}`)).want(max(status, http.StatusBadRequest))
		}
	})
}
