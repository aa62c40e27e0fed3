package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestEveryBadFieldAtOnce: one answer names the fields of a wrong form, those of
// a wrong value, and the targets that do not exist.
func TestEveryBadFieldAtOnce(t *testing.T) {
	eachServer(t, func(s *server) {
		for body, fields := range map[string][]string{
			// The example in openapi.yaml.
			`{"origin":"ci","title":"","actions":[{"title":"Log","url":"ftp://ci/7"}],"targetUsers":["default/jane","default/john","default/nobody"]}`: {
				"title", "actions[0].url", "targetUsers[2]"},
			`{"origin":7,"title":"","titel":"x","actions":[7,{"title":"","url":"/"}],"targetUsers":[null,"x","default/nobody"],"targetGroups":["default/none"]}`: {
				"origin", "targetUsers[0]", "actions[0]", "titel", "title", "actions[1].title", "targetUsers[1]", "targetUsers[2]", "targetGroups[0]"},
			`{"origin":"o","title":"","targetUsers":"default/jane"}`:                         {"targetUsers", "title"},
			`{"origin":"o","title":"","targetUsers":[]}`:                                     {"targetUsers", "title"},
			`{"origin":"o","title":"t","severity":1,"metadata":[],"targetUsers":["nobody"]}`: {"severity", "metadata", "targetUsers[0]"},
			`{"origin":"o","title":"t","targetUsers":null}`:                                  {"targetUsers"},
			`{"origin":"o","title":"t","targetGroups":null}`:                                 {"targetGroups"},
			`{"origin":"","title":"t","targetGroups":null,"targetUsers":["default/none"]}`:   {"targetGroups", "origin", "targetUsers[0]"},
			// A text that is refused, and a field that comes twice, hide nothing.
			`{"origin":"","title":"\u0000","message":"\b","topic":"a","topic":"b","targetUsers":["\ud800","default/none"],"metadata":{"a":"\f"}}`: {
				"title", "message", "topic", "targetUsers[0]", "metadata.a", "origin", "targetUsers[1]"},
		} {
			s.do("POST", "/notifications", as("ci"), jsonBody(body)).problem(http.StatusBadRequest, fields...)
		}
		s.do("POST", "/notifications?x=1", as("ci"), jsonBody(`{"title":""}`)).problem(http.StatusBadRequest, "x", "origin", "title")
		long := strings.Repeat("x", 256)
		for _, tt := range []struct {
			method, path, body string
			fields             []string
		}{
			{"GET", "/notifications?pageSize=x&pagesize=1&cursor=x&containsText=" + long + "&topic=" + long, "",
				[]string{"pageSize", "pagesize", "containsText", "topic", "cursor"}},
			{"GET", "/notifications/count?read=x&containsText=" + long, "", []string{"read", "containsText"}},
			{"GET", "/notifications/status?messageScope=x&read=true", "", []string{"messageScope", "read"}},
			{"PUT", "/notifications/read?messageId=x&raed=true", "", []string{"read", "raed", "messageId"}},
			{"GET", "/notifications/x?y=1", "", []string{"y", "id"}},
			{"PUT", "/notifications/state", `{"filter":{"read":7,"containsText":"` + long + `"},"upTo":"x","read":true}`,
				[]string{"filter.read", "filter.containsText", "upTo"}},
			{"PUT", "/notifications/state", `{"ids":["x"],"upTo":"x","read":7}`, []string{"upTo", "read", "ids[0]"}},
			{"PUT", "/notifications/state", `{"filter":7,"read":true}`, []string{"filter"}},
			{"PUT", "/notifications/state", `{"filtre":{},"read":true}`, []string{"filtre", "ids"}},
			{"POST", "/notifications/withdraw", `{"orign":"x","scope":""}`, []string{"orign", "origin", "scope"}},
		} {
			options := []option{as(jane)}
			if tt.body != "" {
				options = append(options, jsonBody(tt.body))
			}
			s.do(tt.method, tt.path, options...).problem(http.StatusBadRequest, tt.fields...)
		}
		// A cursor is not said to belong to another filter when the filter could
		// not be read.
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		next := s.do("GET", "/notifications?read=false&pageSize=1", as(jane)).header.Get("Link")
		cursor, _, _ := strings.Cut(strings.TrimPrefix(next, "<?cursor="), "&")
		s.do("GET", "/notifications?cursor="+cursor+"&read=no", as(jane)).problem(http.StatusBadRequest, "read")
	})
}

// TestErrorsAreBounded: an answer names 100 bad fields at most, and says how
// many more there are.
func TestErrorsAreBounded(t *testing.T) {
	eachServer(t, func(s *server) {
		many := func(n int, target string) string {
			return `{"origin":"o","title":"t","targetUsers":[` + strings.TrimSuffix(strings.Repeat(target+",", n), ",") + `]}`
		}
		for name, tt := range map[string]struct {
			body string
			more string
		}{
			"empty targets":           {many(340_000, `""`), ""},
			"targets, each once more": {many(150, `""`), "50 more"},
			"targets of a wrong type": {many(150, `7`), "50 more"},
			"a very long target":      {many(1, `"`+strings.Repeat(`\u001f`, 100_000)+`"`), ""},
			"a very long plain one":   {many(1, `"`+strings.Repeat(`<`, 1_000_000)+`"`), ""},
			"unknown fields":          {`{"origin":"o","title":"t"` + numbered(`,"x%d":1`) + `}`, "50 more"},
		} {
			a := s.do("POST", "/notifications", as("ci"), jsonBody(tt.body)).want(http.StatusBadRequest)
			if len(a.body) > 32<<10 {
				t.Errorf("%s: the answer has %d bytes", name, len(a.body))
			}
			if !strings.Contains(a.body, tt.more) {
				t.Errorf("%s: the answer does not say that there are %s: %.300s", name, tt.more, a.body)
			}
		}
		a := s.do("GET", "/notifications?pageSize=1"+numbered("&x%d=1"), as(jane)).want(http.StatusBadRequest)
		if !strings.Contains(a.body, "50 more") {
			t.Errorf("unknown parameters: %.300s", a.body)
		}
	})
}

// numbered returns 150 fields with different names.
func numbered(field string) string {
	var all strings.Builder
	for i := range 150 {
		fmt.Fprintf(&all, field, i)
	}
	return all.String()
}
