package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/jwkstest"
	"gorm.io/gorm"
)

const (
	secret      = "a shared secret of 32 characters"
	otherSecret = "the next secret, while rotating."
)

// server is an HTTP server over an empty database. It checks every exchange
// against openapi.yaml.
type server struct {
	close    func() // returns when every request has been served and logged
	t        *testing.T
	url      string // with the prefix
	handler  http.Handler
	client   *http.Client
	svc      *notifications.Service
	db       *gorm.DB
	files    *catalog.Files
	entities string // the file that the catalog reads
	issuer   *jwkstest.Issuer
	tokens   map[string]string // by subject
	router   routers.Router
}

// eachServer runs body with a server over each database.
func eachServer(t *testing.T, body func(*server), configure ...func(*notifications.Config, *httpapi.Config)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) { body(newServer(t, db, configure...)) })
}

func newServer(t *testing.T, db *gorm.DB, configure ...func(*notifications.Config, *httpapi.Config)) *server {
	t.Helper()
	entities := filepath.Join(t.TempDir(), "entities.yaml")
	writeEntities(t, entities, "guest: [], jane: [ops], john: [ops], u7: []")
	files, err := catalog.Load(entities)
	if err != nil {
		t.Fatal(err)
	}
	issuer := jwkstest.New(t)
	verifier, err := auth.NewJWTVerifier(auth.JWTConfig{
		JWKSURL: issuer.JWKSURL, Issuer: jwkstest.Name, Audience: jwkstest.Audience,
	})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := auth.NewSecrets(notifications.Identity{}, secret, otherSecret)
	if err != nil {
		t.Fatal(err)
	}
	cfg := notifications.Config{DB: db, Catalog: files, Policy: notifications.AllowAll{}}
	httpCfg := httpapi.Config{Verifier: verifier, Secrets: secrets}
	for _, change := range configure {
		change(&cfg, &httpCfg)
	}
	svc, err := notifications.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(svc, httpCfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return &server{
		close: srv.Close, t: t, url: srv.URL + httpapi.DefaultPrefix, handler: handler, client: http.DefaultClient, svc: svc, db: db, files: files, entities: entities, issuer: issuer,
		tokens: map[string]string{}, router: documentRouter(t),
	}
}

// run starts Run for the rest of the test, and waits until there are streams.
func (s *server) run() *server {
	s.t.Helper()
	stop := s.runUntil()
	s.t.Cleanup(stop)
	return s
}

// runUntil is run, and returns what ends Run.
func (s *server) runUntil() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.svc.Run(ctx)
	}()
	for err := notifications.ErrUnavailable; errors.Is(err, notifications.ErrUnavailable); {
		for _, err = range s.svc.Watch(s.t.Context(), notifications.User("default/jane"), notifications.WatchQuery{}) {
			break
		}
	}
	return func() {
		cancel()
		<-ended
	}
}

// writeEntities writes a catalog file with the group ops, and with users and
// their groups.
func writeEntities(t *testing.T, path, people string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("kind: Group\nmetadata: {name: ops}\n")
	for person := range strings.SplitSeq(people, ", ") {
		name, groups, _ := strings.Cut(person, ": ")
		fmt.Fprintf(&text, "---\nkind: User\nmetadata: {name: %s}\nspec: {memberOf: %s}\n", name, groups)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// people replaces the users of the catalog.
func (s *server) people(people string) {
	s.t.Helper()
	writeEntities(s.t, s.entities, people)
	if err := s.files.Reload(); err != nil {
		s.t.Fatal(err)
	}
}

// registerEventStream lets the library take the type of streams for a text.
var registerEventStream = sync.OnceFunc(func() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
})

func documentRouter(t *testing.T) routers.Router {
	t.Helper()
	registerEventStream()
	doc, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// option changes a request.
type option func(*server, *http.Request)

// as adds a token with this subject.
func as(subject string) option {
	return func(s *server, r *http.Request) {
		if s.tokens[subject] == "" {
			s.tokens[subject] = s.issuer.Token(s.t, subject)
		}
		r.Header.Set("Authorization", "Bearer "+s.tokens[subject])
	}
}

func header(name, value string) option {
	return func(_ *server, r *http.Request) { r.Header.Add(name, value) }
}

// jsonBody adds a body with the type of JSON, unless another option sets the
// type.
func jsonBody(body string) option {
	return func(_ *server, r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/json")
		}
	}
}

// answer is a response with its body.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request and checks the exchange against the document. Of a stream
// it reads the first event.
func (s *server) do(method, path string, options ...option) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range options {
		o(s, req)
	}
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := readBody(res)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	s.validate(req, sent, res, body)
	return answer{t: s.t, status: res.StatusCode, header: res.Header, body: string(body)}
}

// readBody reads a body, or the first event of a stream.
func readBody(res *http.Response) ([]byte, error) {
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Request.Method == http.MethodHead {
		return io.ReadAll(res.Body)
	}
	var event []byte
	for lines := bufio.NewReader(res.Body); !bytes.HasSuffix(event, []byte("\n\n")); {
		line, err := lines.ReadBytes('\n')
		if event = append(event, line...); err != nil {
			return event, err
		}
	}
	return event, nil
}

// validate checks every answer and every accepted request against openapi.yaml.
// A request that the document does not describe must not be accepted.
func (s *server) validate(req *http.Request, sent []byte, res *http.Response, body []byte) {
	s.t.Helper()
	described := req.Clone(s.t.Context())
	described.URL.Scheme, described.URL.Host = "", ""
	described.Body = io.NopCloser(bytes.NewReader(sent))
	if described.Method == http.MethodHead {
		described.Method = http.MethodGet
	}
	route, pathParams, err := s.router.FindRoute(described)
	if err != nil {
		if res.StatusCode < 400 && req.Method != http.MethodOptions {
			s.t.Errorf("%s %s is answered with %d and is not in openapi.yaml: %v", req.Method, req.URL.Path, res.StatusCode, err)
		}
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: described, PathParams: pathParams, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true},
	}
	if res.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(s.t.Context(), input); err != nil {
			s.t.Errorf("%s %s is accepted against openapi.yaml: %v", req.Method, req.URL, err)
		}
	}
	output := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: res.StatusCode, Header: res.Header, Options: input.Options,
		Body: io.NopCloser(bytes.NewReader(body)),
	}
	if req.Method == http.MethodHead || res.StatusCode == http.StatusNotModified {
		return // the answer has no body
	}
	if err := openapi3filter.ValidateResponse(s.t.Context(), output); err != nil {
		s.t.Errorf("%s %s: the answer %d is not as in openapi.yaml: %v\n%s", req.Method, req.URL, res.StatusCode, err, body)
	}
}

// want checks the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// decode decodes the body, which must be JSON.
func (a answer) decode(v any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%v in %q", err, a.body)
	}
}

type problemBody struct {
	Type, Title, Detail string
	Status              int
	Errors              []struct{ Field, Detail string }
}

// problem checks that the answer is a problem with this status and exactly
// these bad fields.
func (a answer) problem(status int, fields ...string) answer {
	a.t.Helper()
	a.want(status)
	var p problemBody
	a.decode(&p)
	var got []string
	for _, e := range p.Errors {
		got = append(got, e.Field)
	}
	if a.header.Get("Content-Type") != "application/problem+json" || p.Status != status || p.Title != http.StatusText(status) || !slices.Equal(got, fields) {
		a.t.Errorf("problem %s with fields %q, want %d with %q", a.body, got, status, fields)
	}
	return a
}

type item struct {
	ID, Created, Origin, Title        string
	Message, Topic, Link, Icon, Scope *string
	ReadByUser, IsSystem              bool
	Actions                           []struct{ ID, Title, URL string }
	Severity                          string
	Saved, Archived                   bool
	Metadata                          json.RawMessage
	Updated, Expires                  *string
}

// post posts as a service and returns the id.
func (s *server) post(body string) string {
	s.t.Helper()
	return s.postAs("ci", body)
}

func (s *server) postAs(who, body string) string {
	s.t.Helper()
	var created struct{ MessageID, Msgid string }
	a := s.do("POST", "/notifications", as(who), jsonBody(body)).want(http.StatusOK)
	a.decode(&created)
	if created.MessageID == "" || created.MessageID != created.Msgid {
		s.t.Fatalf("created %s, want the id under both names", a.body)
	}
	return created.MessageID
}

func (s *server) list(who, query string) []item {
	s.t.Helper()
	var items []item
	s.do("GET", "/notifications"+query, as(who)).want(http.StatusOK).decode(&items)
	return items
}

// wantTitles checks the titles of a list, in order.
func (s *server) wantTitles(who, query string, titles ...string) {
	s.t.Helper()
	var got []string
	for _, n := range s.list(who, query) {
		got = append(got, n.Title)
	}
	if !slices.Equal(got, titles) {
		s.t.Errorf("%s lists %s: %q, want %q", who, query, got, titles)
	}
}

func (s *server) get(who, id string) (n item) {
	s.t.Helper()
	s.do("GET", "/notifications/"+id, as(who)).want(http.StatusOK).decode(&n)
	return n
}

// mark sends a body to setState and returns how many it changed.
func (s *server) mark(who, body string) int {
	s.t.Helper()
	var answer struct{ Updated *int }
	a := s.do("PUT", "/notifications/state", as(who), jsonBody(body)).want(http.StatusOK)
	a.decode(&answer)
	if answer.Updated == nil {
		s.t.Fatalf("setState answers %s", a.body)
	}
	return *answer.Updated
}

func (s *server) count(who, query string) int {
	s.t.Helper()
	var body struct{ Count *int }
	a := s.do("GET", "/notifications/count"+query, as(who)).want(http.StatusOK)
	a.decode(&body)
	if body.Count == nil {
		s.t.Fatalf("count answers %s", a.body)
	}
	return *body.Count
}

const (
	jane = "user:default/jane"
	john = "user:default/john"
	// unknown is an id that no notification has.
	unknown = "01890000-0000-7000-8000-000000000000"
)

// policyFunc is a policy made of a function.
type policyFunc func(notifications.Identity, notifications.Permission) (notifications.Decision, error)

func (f policyFunc) Decide(_ context.Context, r notifications.Request) (notifications.Decision, error) {
	return f(r.Who, r.Permission)
}

var errAway = errors.New("secret internals: connection refused")
