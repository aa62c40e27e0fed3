package routertest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/database"
)

const prefix = "/api/notifications"

// mounts are the usual ways to mount the handler below the prefix, next to a
// route of the host: with and without the prefix in the path.
var mounts = map[string]func(api, host http.Handler) http.Handler{
	"alone": func(api, host http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/host" {
				host.ServeHTTP(w, r)
				return
			}
			api.ServeHTTP(w, r)
		})
	},
	"ServeMux": func(api, host http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle(prefix+"/", api)
		m.Handle("/host", host)
		return m
	},
	"ServeMux, StripPrefix": func(api, host http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle(prefix+"/", http.StripPrefix(prefix, api))
		m.Handle("/host", host)
		return m
	},
	"gorilla/mux PathPrefix": func(api, host http.Handler) http.Handler {
		m := mux.NewRouter()
		m.PathPrefix(prefix).Handler(api)
		m.Handle("/host", host)
		return m
	},
	"gorilla/mux PathPrefix, StripPrefix": func(api, host http.Handler) http.Handler {
		m := mux.NewRouter()
		m.PathPrefix(prefix).Handler(http.StripPrefix(prefix, api))
		m.Handle("/host", host)
		return m
	},
	"gorilla/mux Subrouter": func(api, host http.Handler) http.Handler {
		m := mux.NewRouter()
		m.PathPrefix(prefix).Subrouter().PathPrefix("/").Handler(api)
		m.Handle("/host", host)
		return m
	},
	"chi Mount": func(api, host http.Handler) http.Handler {
		m := chi.NewRouter()
		m.Mount(prefix, api)
		m.Handle("/host", host)
		return m
	},
	"chi Mount, StripPrefix": func(api, host http.Handler) http.Handler {
		m := chi.NewRouter()
		m.Mount(prefix, http.StripPrefix(prefix, api))
		m.Handle("/host", host)
		return m
	},
	"chi Route": func(api, host http.Handler) http.Handler {
		m := chi.NewRouter()
		m.Route("/api", func(r chi.Router) { r.Mount("/notifications", api) })
		m.Handle("/host", host)
		return m
	},
	"gin Any": func(api, host http.Handler) http.Handler {
		m := gin.New()
		m.Any(prefix+"/*path", gin.WrapH(api))
		m.GET("/host", gin.WrapH(host))
		return m
	},
	"gin Group, StripPrefix": func(api, host http.Handler) http.Handler {
		m := gin.New()
		m.Group("/api").Any("/notifications/*path", gin.WrapH(http.StripPrefix(prefix, api)))
		m.GET("/host", gin.WrapH(host))
		return m
	},
	"echo Any": func(api, host http.Handler) http.Handler {
		m := echo.New()
		m.Any(prefix+"/*", echo.WrapHandler(api))
		m.GET("/host", echo.WrapHandler(host))
		return m
	},
	"echo Group, StripPrefix": func(api, host http.Handler) http.Handler {
		m := echo.New()
		m.Group("/api").Any("/notifications/*", echo.WrapHandler(http.StripPrefix(prefix, api)))
		m.GET("/host", echo.WrapHandler(host))
		return m
	},
}

func TestMounts(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the host's own") })
			srv := httptest.NewServer(mount(newAPI(t), host))
			t.Cleanup(srv.Close)
			for _, tt := range []struct {
				method, path, body string
				status             int
				has                string
			}{
				{"GET", "/host", "", 200, "the host's own"},
				{"POST", prefix + "/notifications", `{"origin":"o","title":"hello","targetUsers":["jane"]}`, 200, `"messageId"`},
				{"GET", prefix + "/notifications", "", 200, `"title":"hello"`},
				{"GET", prefix + "/notifications?pageSize=1&containsText=a%2Fb%2520", "", 200, "[]"},
				{"HEAD", prefix + "/notifications", "", 200, ""},
				{"GET", prefix + "/notifications/count", "", 200, `{"count":1}`},
				{"PUT", prefix + "/notifications/read?messageId=01890000-0000-7000-8000-000000000000&read=true", "", 404, `"status":404`},
				{"DELETE", prefix + "/notifications", "", 405, `"status":405`},
				{"OPTIONS", prefix + "/notifications", "", 204, ""},
				{"GET", prefix + "/nothing", "", 404, `"status":404`},
				{"GET", prefix + "/notifications/status", "", 200, `"unread":1`},
				{"PUT", prefix + "/notifications/state", `{"filter":{},"read":true}`, 200, `{"updated":1}`},
				{"GET", prefix + "/notifications/01890000-0000-7000-8000-000000000000", "", 404, `"status":404`},
				{"GET", prefix + "/notifications/%301890000-0000-7000-8000-000000000000/reach", "", 404, `"status":404`},
				{"DELETE", prefix + "/notifications/01890000-0000-7000-8000-000000000000", "", 404, `"status":404`},
				{"DELETE", prefix + "/notifications/count", "", 405, `"status":405`},
				{"GET", prefix + "/notifications/a%2Fb", "", 400, `"field":"id"`},
				{"GET", prefix + "/notifications/a/b", "", 404, `"status":404`},
				{"GET", prefix + "/healthz", "", 200, "ok"},
			} {
				if got, body := send(t, tt.method, srv.URL+tt.path, tt.body); got != tt.status || !strings.Contains(body, tt.has) {
					t.Errorf("%s %s: %d %q, want %d with %q", tt.method, tt.path, got, body, tt.status, tt.has)
				}
			}
		})
	}
}

// newAPI returns the handler over a new SQLite file, with jane as the guest.
func newAPI(t *testing.T) http.Handler {
	t.Helper()
	db, err := database.OpenSQLite(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(svc, httpapi.Config{Guest: notifications.User("jane")})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func send(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
