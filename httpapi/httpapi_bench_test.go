package httpapi_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/jwkstest"
)

// BenchmarkHandler measures whole requests with logging and with tokens that
// were verified before. The benchmarks of the library compare the databases.
func BenchmarkHandler(b *testing.B) {
	h, issuer := newBenchHandler(b)
	user, service := issuer.Token(b, jane), issuer.Token(b, "ci")
	const build = `{"origin":"ci","title":"Build 4711 failed","message":"3 of 812 tests failed on main","topic":"builds","severity":"high",` +
		`"link":"/builds/4711","actions":[{"title":"Log","url":"/builds/4711/log"}],"targetUsers":["default/jane"]}`
	post := newBenchRequest(h, "POST", "/notifications", service, build)
	var id string
	for range 50 {
		_, rest, _ := strings.Cut(post.send(b, http.StatusOK), `"messageId":"`)
		id, _, _ = strings.Cut(rest, `"`)
	}
	for _, bc := range []struct {
		name, method, path, token, body string
		status                          int
	}{
		{"list", "GET", "/notifications?messageScope=all", user, "", http.StatusOK},
		{"list filtered", "GET", "/notifications?containsText=FAILED&read=false&minSeverity=normal&pageNumber=2&pageSize=10", user, "", http.StatusOK},
		{"count", "GET", "/notifications/count?read=false", user, "", http.StatusOK},
		{"status", "GET", "/notifications/status", user, "", http.StatusOK},
		{"get", "GET", "/notifications/" + id, user, "", http.StatusOK},
		{"set read", "PUT", "/notifications/read?messageId=" + id + "&read=true", user, "", http.StatusOK},
		{"set state", "PUT", "/notifications/state", user, `{"ids":["` + id + `"],"saved":true}`, http.StatusOK},
		{"post", "POST", "/notifications", service, build, http.StatusOK},
		{"refused", "POST", "/notifications", service, `{"origin":"ci"}`, http.StatusBadRequest},
	} {
		b.Run(bc.name, func(b *testing.B) {
			request := newBenchRequest(h, bc.method, bc.path, bc.token, bc.body)
			request.send(b, bc.status)
			b.ReportAllocs()
			for b.Loop() {
				request.send(b, bc.status)
			}
		})
	}
}

func newBenchHandler(b *testing.B) (http.Handler, *jwkstest.Issuer) {
	b.Helper()
	const org = "kind: Group\nmetadata: {name: ops}\n---\nkind: User\nmetadata: {name: jane}\nspec: {memberOf: [ops]}\n"
	files, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(org)}}, "org.yaml")
	if err != nil {
		b.Fatal(err)
	}
	issuer := jwkstest.New(b)
	verifier, err := auth.NewJWTVerifier(auth.JWTConfig{
		JWKSURL: issuer.JWKSURL, Issuer: jwkstest.Name, Audience: jwkstest.Audience,
	})
	if err != nil {
		b.Fatal(err)
	}
	svc, err := notifications.New(notifications.Config{DB: dbtest.SQLite(b), Catalog: files, Policy: notifications.Authenticated{}})
	if err != nil {
		b.Fatal(err)
	}
	if err := svc.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	h, err := httpapi.New(svc, httpapi.Config{Verifier: verifier, Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	return h, issuer
}

// benchRequest is a request that is sent repeatedly.
type benchRequest struct {
	*http.Request
	handler http.Handler
	text    string
	body    *strings.Reader
}

func newBenchRequest(h http.Handler, method, path, token, body string) *benchRequest {
	reader := strings.NewReader(body)
	r := httptest.NewRequest(method, httpapi.DefaultPrefix+path, reader)
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return &benchRequest{r, h, body, reader}
}

// send returns the body of the answer.
func (r *benchRequest) send(b *testing.B, status int) string {
	b.Helper()
	r.body.Reset(r.text)
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, r.Request)
	if answer.Code != status {
		b.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}
