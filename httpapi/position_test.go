package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"
)

// Lists, counts and the status have a position, of a 304 too, which no ETag
// depends on. A mark by filter takes it as seen.
func TestPositions(t *testing.T) {
	eachServer(t, func(s *server) {
		const name = "Notifications-Position"
		one := s.post(`{"origin":"o","title":"1","targetUsers":["default/jane"]}`)
		var at string
		for _, path := range []string{"/notifications", "/notifications/count", "/notifications/status"} {
			first := s.do("GET", path, as(jane)).want(http.StatusOK)
			s.post(`{"origin":"o","title":"to john","targetUsers":["default/john"]}`)
			again := s.do("GET", path, as(jane), header("If-None-Match", first.header.Get("ETag"))).want(http.StatusNotModified)
			if before, after := first.header.Get(name), again.header.Get(name); before == "" || after == "" || before == after {
				t.Errorf("%s is at %q, after another change at %q", path, before, after)
			}
			at = again.header.Get(name)
		}
		two := s.post(`{"origin":"o","title":"2","targetUsers":["default/jane"]}`)
		seen := func(position string) string {
			return fmt.Sprintf(`{"filter":{},"seen":%q,"read":true}`, position)
		}
		if n := s.mark(jane, seen(at)); n != 1 || !s.get(jane, one).ReadByUser || s.get(jane, two).ReadByUser {
			t.Errorf("%d were marked, not only what was seen", n)
		}
		for body, field := range map[string]string{
			seen("x"):                                                             "seen",
			`{"filter":{},"seen":"","read":true}`:                                 "seen",
			`{"filter":{},"seen":7,"read":true}`:                                  "seen",
			`{"filter":{},"seen":"É","read":true}`:                                "seen",
			`{"ids":["` + one + `"],"seen":"` + at + `","read":false}`:            "seen",
			`{"filter":{},"seen":"` + at + `","upTo":"` + one + `","read":false}`: "upTo",
			`{"filter":{},"seen":"` + at + `","seen":"` + at + `","read":false}`:  "seen",
			`{"filter":{"seen":"` + at + `"},"read":false}`:                       "filter.seen",
		} {
			s.do("PUT", "/notifications/state", as(jane), jsonBody(body)).problem(http.StatusBadRequest, field)
		}
		for _, foreign := range []string{"a" + at, "0.1.0.", "0.zzzzzzzzzzz.1.b"} {
			s.do("PUT", "/notifications/state", as(jane), jsonBody(seen(foreign))).problem(http.StatusConflict)
		}
		if s.get(jane, two).ReadByUser {
			t.Error("a refused position marked something")
		}
	})
}
