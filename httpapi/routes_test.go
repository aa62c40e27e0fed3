package httpapi

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"
)

// TestRoutesAreTheDocuments: the route table and openapi.yaml have the same
// operations, and agree on which need an identity.
func TestRoutesAreTheDocuments(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	type operation struct {
		method, path string
		public       bool
	}
	inDocument := map[string]operation{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			public := op.Security != nil && len(*op.Security) == 0
			inDocument[op.OperationID] = operation{method, path, public}
		}
	}
	inTable := map[string]operation{}
	for _, rt := range routes {
		inTable[rt.operationID] = operation{rt.method, rt.path, rt.public}
		if rt.public != (rt.permission == "") {
			t.Errorf("%s: public is %t, permission %q", rt.operationID, rt.public, rt.permission)
		}
	}
	if !maps.Equal(inDocument, inTable) {
		t.Errorf("openapi.yaml has %v\nthe table has %v", inDocument, inTable)
	}
}

// A literal path is never taken for an id, in any order of the routes.
func TestLiteralPathsComeFirst(t *testing.T) {
	t.Parallel()
	literal := 0
	for range 100 {
		router := (&api{}).newRouter()
		for path := range routesByPath() {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if strings.Contains(path, "{") {
				r = httptest.NewRequest(http.MethodGet, strings.ReplaceAll(path, "{id}", "x"), nil)
			} else {
				literal++
			}
			var match mux.RouteMatch
			if !router.Match(r, &match) || match.Route == nil {
				t.Fatalf("%s has no route", path)
			}
			if got, err := match.Route.GetPathTemplate(); got != path || err != nil {
				t.Fatalf("%s is served as %s (%v)", path, got, err)
			}
		}
	}
	if literal < 100*8 {
		t.Errorf("only %d literal paths were tried", literal)
	}
}

func TestWithoutPrefix(t *testing.T) {
	t.Parallel()
	tests := []struct{ prefix, target, path, escaped string }{
		{"/api/n", "/api/n/notifications", "/notifications", "/notifications"},
		{"/api/n", "/notifications", "/notifications", "/notifications"},
		{"/api/n", "/api/n", "/", "/"},
		{"/api/n", "/api/n/", "/", "/"},
		{"/api/n", "/api/notifications", "/api/notifications", "/api/notifications"}, // not at the boundary of a segment
		{"/api/n", "/api/n/api/n/x", "/api/n/x", "/api/n/x"},                         // removed once
		{"/api/n", "/api/n/a%2Fb", "/a/b", "/a%2Fb"},
		{"/api/n", "/api%2Fn/a", "/a", "/a"},
		{"", "/notifications", "/notifications", "/notifications"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, tt.target, nil)
		got := withoutPrefix(r, tt.prefix).URL
		if got.Path != tt.path || got.EscapedPath() != tt.escaped {
			t.Errorf("withoutPrefix(%s, %q) = %s (%s), want %s (%s)", tt.target, tt.prefix, got.Path, got.EscapedPath(), tt.path, tt.escaped)
		}
		if r.URL.EscapedPath() != tt.target {
			t.Errorf("the request of the host was changed to %s", r.URL)
		}
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	want := time.Date(2023, 10, 30, 13, 48, 34, 931_000_000, time.UTC)
	for s, valid := range map[string]bool{
		"2023-10-30T13:48:34.931Z": true, "2023-10-30t13:48:34.931z": true, "2023-10-30T14:48:34.931+01:00": true,
		"2023-10-30T13:48:34.931000000Z": true, "2023-10-30T13:48:34,931Z": false, "2023-10-30T13:48:34.931": false,
		"2023-10-30 13:48:34.931Z": false, "2023-10-30T13:48Z": false, "1698673714931": false, "2023-13-30T13:48:34.931Z": false,
	} {
		q := &params{values: url.Values{"at": {s}}}
		at := q.instant("at")
		if got := q.err() == nil; got != valid || (valid && !at.Equal(want)) {
			t.Errorf("instant(%s) = %v, %v; want valid %t", s, at, q.err(), valid)
		}
	}
}

// Every operation that needs an identity has a rate limit.
func TestEveryOperationHasAClass(t *testing.T) {
	t.Parallel()
	for _, rt := range routes {
		if _, known := classes[rt.permission]; !known && !rt.public {
			t.Errorf("%s: its permission %q has no class", rt.operationID, rt.permission)
		}
	}
}
