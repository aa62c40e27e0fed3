// Package httpapi serves a notifications.Service over HTTP.
//
// [New] returns an http.Handler for any router:
//
//	h, err := httpapi.New(svc, httpapi.Config{Verifier: verifier})
//	mux.Handle("/api/notifications/", h)
//
// The handler works whether or not the router has removed the prefix from the
// path. It also serves openapi.yaml, which describes the operations.
package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/internal/near"
)

const (
	// DefaultPrefix is the path of the handler if Config.Prefix is empty.
	DefaultPrefix = "/api/notifications"
	// DefaultMaxBodyBytes is the largest request body if Config.MaxBodyBytes is
	// zero.
	DefaultMaxBodyBytes = 1 << 20
)

// Config holds the settings of a handler. It must say how callers are
// identified: either by Identify alone, or by at least one of Verifier, Secrets
// and Guest.
type Config struct {
	// Prefix is the path at which the handler is mounted. Empty means
	// "/api/notifications", and "/" means none. It must begin with a slash. The
	// router may remove it from the paths of requests, or not.
	Prefix string

	// Verifier checks bearer tokens. Nil accepts none. If a request has a
	// bearer token, only the token counts. If the Verifier has a method
	// Expires(token string) time.Time, as *auth.JWTVerifier has, a stream ends
	// before its token expires.
	Verifier notifications.Verifier

	// Secrets verifies the header notifications-secret, as *auth.Secrets does.
	// It is used for requests without a bearer token. Nil refuses all secrets.
	Secrets notifications.Verifier

	// Guest is the caller of a request that has neither token nor secret. The
	// zero Identity refuses such requests.
	Guest notifications.Identity

	// Identify returns the caller from the host's own session. It excludes the
	// three fields above; nil means that those are used. The zero Identity and
	// errors that match notifications.ErrUnauthenticated are answered with 401,
	// ErrForbidden with 403, any other error with 503. It must be safe for
	// concurrent use.
	Identify func(*http.Request) (notifications.Identity, error)

	// TrustedOrigins are other sites, as "https://host[:port]", whose pages may
	// write with the identity of a browser's user. All other sites are refused
	// (see http.CrossOriginProtection). This concerns only identities that the
	// browser adds itself: a cookie that Identify reads, and the guest.
	TrustedOrigins []string

	// MaxBodyBytes is the largest request body, in bytes. Zero means 1 MiB;
	// negative is an error. A larger body is answered with 413.
	MaxBodyBytes int64

	// RateLimits limits how often callers may do something. The zero value
	// limits nothing.
	RateLimits RateLimits

	// Timeout is how long a request may take, unless it is a stream. After it,
	// the answer is 503. Zero is no limit; negative is an error.
	Timeout time.Duration

	// Streams is how many streams may be open at once, and StreamsPerUser how
	// many of one user. More are answered with 503 and with 429. Zero means
	// 10,000 and 16; negative is an error. Streams need a running
	// notifications.Service.Run, and end when it ends: give its cancel function
	// to http.Server.RegisterOnShutdown, because Shutdown waits for them.
	Streams, StreamsPerUser int

	// TrustedProxies are the networks of proxies whose header X-Forwarded-For
	// says where a request comes from. Without them it comes from the address
	// of the connection.
	TrustedProxies []netip.Prefix

	// Logger receives one record a request at level Info: request id,
	// operation, method, status, duration, caller, the address that the request
	// comes from, and the error or the names of the bad fields. Requests that
	// fail with a 5xx are logged at level Error. Values of fields, tokens and
	// query strings are never logged. Nil discards.
	Logger *slog.Logger
}

// api is the handler behind New.
type api struct {
	svc     *notifications.Service
	prefix  string // empty, or "/…" without a slash at the end
	who     authenticator
	maxBody int64
	answers answers
	rates   *rates
	streams streams
	timeout time.Duration
	proxies []netip.Prefix
	log     *slog.Logger
	router  *mux.Router
}

// New returns the handler. It starts nothing. Its error names every fault of
// the configuration. The handler is safe for concurrent use.
func New(svc *notifications.Service, cfg Config) (http.Handler, error) {
	a, err := newAPI(svc, cfg)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(a.serve), nil
}

func newAPI(svc *notifications.Service, cfg Config) (*api, error) {
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
	if cfg.Timeout < 0 {
		faults = append(faults, errors.New("httpapi: Config.Timeout is negative"))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	who, err := newAuthenticator(cfg)
	if err != nil {
		faults = append(faults, err)
	}
	limits, err := newRates(cfg.RateLimits, cfg.Logger)
	if err != nil {
		faults = append(faults, err)
	}
	open, err := newStreams(cfg)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	a := &api{
		svc: svc, prefix: strings.TrimRight(cfg.Prefix, "/"), who: who,
		maxBody: cfg.MaxBodyBytes, answers: newAnswers(), rates: limits, streams: open, timeout: cfg.Timeout,
		proxies: cfg.TrustedProxies, log: cfg.Logger,
	}
	a.router = a.newRouter()
	return a, nil
}

// newRouter registers the paths of the route table. The prefix and the methods
// are not the router's work: with a subrouter it would answer HEAD and OPTIONS
// wrongly.
func (a *api) newRouter() *mux.Router {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	router.NotFoundHandler = http.HandlerFunc(a.noSuchPath)
	paths := routesByPath()
	// The router takes the first match. In this order a literal segment comes
	// before {id}, because a brace sorts after all letters.
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		router.Handle(path, a.methods(paths[path]))
	}
	return router
}

// noSuchPath says where the API is, and which of its paths the client may have
// meant.
func (a *api) noSuchPath(w http.ResponseWriter, r *http.Request) {
	detail := "there is nothing at this path; the API is at " + a.prefix + "/notifications, and " + a.prefix + "/openapi.yaml describes it"
	var paths []string
	for _, rt := range routes {
		paths = append(paths, rt.path)
	}
	if meant := near.Word(strings.TrimRight(r.URL.Path, "/"), paths); meant != "" {
		detail += "; did you mean " + a.prefix + meant + "?"
	}
	writeProblem(w, wire.Problem{Status: http.StatusNotFound, Detail: detail})
}

// serve handles every request.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.observe(w, r, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		a.router.ServeHTTP(w, withoutPrefix(r, a.prefix))
	})
}

// withoutPrefix removes the prefix from the path, if it is there and ends at
// the boundary of a segment. Some routers have removed it already.
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
