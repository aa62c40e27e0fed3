// Package httpapi serves a notifications.Service over HTTP.
//
// [New] returns an http.Handler for any router:
//
//	h, err := httpapi.New(svc, httpapi.Config{Verifier: verifier})
//	mux.Handle("/api/notifications/", h)
//
// The handler knows its prefix and works whether or not the router has cut it
// off before. openapi.yaml, which it also serves, describes the operations.
package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/notifications-go/notifications"
)

const (
	// DefaultPrefix is where the handler is mounted unless told otherwise.
	DefaultPrefix = "/api/notifications"
	// DefaultMaxBodyBytes is the largest request body accepted.
	DefaultMaxBodyBytes = 1 << 20
)

// Config says how requests reach the service. At least one way to tell who is
// asking must be set: Identify alone, or any of Verifier, Secrets and Guest.
type Config struct {
	// Prefix is the path the handler is mounted at, "/api/notifications"
	// when empty, "/" for none. A request's path may have it or not.
	Prefix string

	// Verifier judges bearer tokens. Nil accepts none. A request with a
	// bearer token is judged by it alone, whatever else it carries.
	Verifier notifications.Verifier

	// Secrets verifies the value of the header notifications-secret, as
	// *auth.Secrets does. Nil refuses requests with this header and no
	// bearer token.
	Secrets notifications.Verifier

	// Guest is who asks when a request carries neither token nor secret. The
	// zero Identity, the default, refuses such requests.
	Guest notifications.Identity

	// Identify, when set, replaces the three above: the host's own session
	// says who asks. The zero Identity or an error that matches
	// notifications.ErrUnauthenticated is a 401, ErrForbidden a 403, and any
	// other error a 503.
	Identify func(*http.Request) (notifications.Identity, error)

	// TrustedOrigins may write on behalf of a browser's user from another
	// site, each of the form "https://host[:port]". It concerns only
	// requests whose identity the browser adds by itself, a cookie read by
	// Identify or the guest: their writes are refused cross-origin, see
	// http.CrossOriginProtection.
	TrustedOrigins []string

	// MaxBodyBytes bounds request bodies; zero is 1 MiB. A larger body is
	// answered with 413.
	MaxBodyBytes int64

	// Logger receives one record a request, at level Info: request id,
	// operation, status and duration, and at level Error what made it fail
	// with a 5xx. Never bodies, tokens or query strings. Nil discards.
	Logger *slog.Logger
}

// api is the handler behind New.
type api struct {
	svc     *notifications.Service
	prefix  string // "" or "/…" without a slash at the end
	who     authenticator
	maxBody int64
	log     *slog.Logger
	router  *mux.Router
}

// New returns the handler. It starts nothing, and reports all faults of the
// configuration at once.
func New(svc *notifications.Service, cfg Config) (http.Handler, error) {
	var faults []error
	if svc == nil {
		faults = append(faults, errors.New("httpapi: the service is nil"))
	} else if svc.InTransaction() {
		faults = append(faults, fmt.Errorf("httpapi: %w", notifications.ErrBound))
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if !strings.HasPrefix(cfg.Prefix, "/") {
		faults = append(faults, fmt.Errorf("httpapi: Config.Prefix %q does not begin with a slash", cfg.Prefix))
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if cfg.MaxBodyBytes < 0 {
		faults = append(faults, errors.New("httpapi: Config.MaxBodyBytes is negative"))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	who, err := newAuthenticator(cfg)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	a := &api{
		svc: svc, prefix: strings.TrimRight(cfg.Prefix, "/"), who: who,
		maxBody: cfg.MaxBodyBytes, log: cfg.Logger,
	}
	a.router = a.newRouter()
	return http.HandlerFunc(a.serve), nil
}

// newRouter registers the route table, flat: prefix and methods are not left
// to the router, which would answer HEAD and OPTIONS wrongly under a subrouter.
func (a *api) newRouter() *mux.Router {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problemOf(notifications.ErrNotFound))
	})
	paths := routesByPath()
	// The router takes the first match. Sorted, a literal segment comes before
	// {id}: the brace is after every letter.
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		router.Handle(path, a.methods(paths[path]))
	}
	return router
}

// serve is what every request goes through.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.observe(w, r, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		a.router.ServeHTTP(w, withoutPrefix(r, a.prefix))
	})
}

// withoutPrefix cuts the prefix off the path if it is there, at the boundary
// of a segment. Routers differ in whether they have cut it off themselves.
func withoutPrefix(r *http.Request, prefix string) *http.Request {
	cut := func(path string) (string, bool) {
		rest, found := strings.CutPrefix(path, prefix)
		if !found || (rest != "" && rest[0] != '/') {
			return path, false
		}
		if rest == "" {
			rest = "/"
		}
		return rest, true
	}
	path, found := cut(r.URL.Path)
	if !found {
		return r
	}
	rawPath, found := cut(r.URL.RawPath)
	if !found {
		rawPath = "" // the prefix itself was escaped; Path is enough
	}
	u := *r.URL
	u.Path, u.RawPath = path, rawPath
	stripped := *r
	stripped.URL = &u
	return &stripped
}
