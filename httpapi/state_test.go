package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

// Marks, single notifications, topics, withdrawal and reach.

func TestSetStateByIDs(t *testing.T) {
	eachServer(t, func(s *server) {
		one := s.post(`{"origin":"o","title":"1","targetUsers":["default/jane"]}`)
		two := s.post(`{"origin":"o","title":"2","targetGroups":["default/ops"]}`)
		hidden := s.post(`{"origin":"o","title":"3","targetUsers":["default/john"]}`)
		ids := fmt.Sprintf(`{"ids":[%q,%q,%q,%q,%q],`, one, strings.ToUpper(two), hidden, unknown, one)
		for _, step := range []struct {
			change                string
			updated               int
			read, saved, archived bool
		}{
			{`"read":true}`, 2, true, false, false},
			{`"read":true}`, 0, true, false, false},
			{`"read":true,"saved":true,"archived":null}`, 2, true, true, false},
			{`"archived":true,"saved":null,"filter":null,"upTo":null}`, 2, true, true, true},
			{`"read":false,"saved":false,"archived":false}`, 2, false, false, false},
		} {
			if n := s.mark(jane, ids+step.change); n != step.updated {
				t.Errorf("%s updates %d, want %d", step.change, n, step.updated)
			}
			for _, id := range []string{one, two} {
				if n := s.get(jane, id); n.ReadByUser != step.read || n.Saved != step.saved || n.Archived != step.archived {
					t.Errorf("after %s it is %+v", step.change, n)
				}
			}
		}
		if n := s.get(john, two); n.ReadByUser || n.Saved || n.Archived {
			t.Errorf("what jane marked is marked for john: %+v", n)
		}
		s.wantTitles(john, "?read=false", "3", "2")
	})
}

func TestSetStateByFilter(t *testing.T) {
	eachServer(t, func(s *server) {
		var ids []string
		for i := range 4 {
			ids = append(ids, s.post(fmt.Sprintf(`{"origin":"o%d","title":"%d","topic":"t","targetUsers":["default/jane"]}`, i%2, i)))
		}
		s.post(`{"origin":"o0","title":"everybody"}`)
		for _, step := range []struct {
			body    string
			updated int
		}{
			{`{"filter":{},"upTo":"` + unknown + `","read":true}`, 0},
			{`{"filter":{},"upTo":"` + strings.ToUpper(ids[1]) + `","read":true}`, 2},
			{`{"filter":{"read":"true"},"saved":true}`, 2},
			{`{"filter":{"read":false,"saved":"false"},"saved":true}`, 2},
			{`{"filter":{"origin":"o1","containsText":""},"archived":true}`, 2},
			{`{"filter":{"archived":"all","topic":"t"},"read":true}`, 2},
			{`{"filter":{"archived":false},"read":false}`, 2},
			{`{"filter":{"archived":true},"read":false}`, 2},
			{`{"filter":{"messageScope":"system","minSeverity":null},"read":true}`, 1},
			{`{"filter":{"messageScope":"all","archived":"all","createdAfter":"2001-01-01T00:00:00+01:00"},"upTo":"ffffffff-ffff-ffff-ffff-ffffffffffff","read":true}`, 4},
			{`{"filter":{"containsText":"EVERY"},"read":false}`, 0},
			{`{"filter":{"containsText":"EVERY","messageScope":"all"},"read":false}`, 1},
		} {
			if n := s.mark(jane, step.body); n != step.updated {
				t.Errorf("%s updates %d, want %d", step.body, n, step.updated)
			}
		}
		s.wantTitles(jane, "", "2", "0")
		s.wantTitles(jane, "?archived=all&orderByDirec=asc", "0", "1", "2", "3")
	})
}

func TestSetStateFaults(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		named := `{"ids":["` + id + `"]`
		for body, fields := range map[string][]string{
			`{}`:                       {"ids", "read"},
			`{"read":true}`:            {"ids"},
			`{"read":true,"ids":null}`: {"ids"},
			`{"read":true,"ids":[]}`:   {"ids"},
			`{"read":true,"ids":"x"}`:  {"ids"},
			`{"read":true,"ids":["x","` + id + `",""]}`:          {"ids[0]", "ids[2]"},
			`{"read":true,"ids":[null,7]}`:                       {"ids[0]", "ids[1]"},
			named + `}`:                                          {"read"},
			named + `,"read":null}`:                              {"read"},
			named + `,"read":"true"}`:                            {"read"},
			named + `,"read":1,"saved":0,"archived":"all"}`:      {"read", "saved", "archived"},
			named + `,"read":true,"filter":{}}`:                  {"ids"},
			named + `,"read":true,"upTo":"` + id + `"}`:          {"upTo"},
			`{"filter":{}}`:                                      {"read"},
			`{"filter":{},"read":true,"upTo":""}`:                {"upTo"},
			`{"filter":{},"read":true,"upTo":"x"}`:               {"upTo"},
			`{"filter":{},"read":true,"upTo":7}`:                 {"upTo"},
			`{"filter":[],"read":true}`:                          {"filter"},
			`{"filter":"","read":true}`:                          {"filter"},
			`{"filter":{"x":1,"Read":true},"y":2,"read":true}`:   {"filter.x", "filter.Read", "y"},
			`{"filter":{"user":"default/jane"},"read":true}`:     {"filter.user"},
			`{"filter":{"pageSize":1,"cursor":"x"},"read":true}`: {"filter.pageSize", "filter.cursor"},
			`{"filter":{"containsText":7,"createdAfter":"now","messageScope":true,"read":"yes","saved":"all","archived":1,"minSeverity":"HIGH","topic":"","origin":[]},"read":true}`: {
				"filter.containsText", "filter.createdAfter", "filter.messageScope", "filter.read", "filter.saved", "filter.archived", "filter.minSeverity", "filter.topic", "filter.origin",
			},
			`{"filter":{"topic":"` + strings.Repeat("x", 256) + `","origin":"` + strings.Repeat("é", 256) + `"},"upTo":"x"}`: {"filter.topic", "filter.origin", "upTo", "read"},
			`{"filter":{"read":true,"read":true},"read":true}`:                                                               {"filter.read"},
			`[]`: {"body"},
		} {
			s.do("PUT", "/notifications/state", as(jane), jsonBody(body)).problem(http.StatusBadRequest, fields...)
		}
		s.do("PUT", "/notifications/state?user=default/jane", as(jane), jsonBody(named+`,"read":true}`)).problem(http.StatusBadRequest, "user")
		many := `{"read":true,"ids":["` + id + strings.Repeat(`","`+id, 1000) + `"]}`
		s.do("PUT", "/notifications/state", as(jane), jsonBody(many)).problem(http.StatusBadRequest, "ids")
		s.wantTitles(jane, "?read=false", "t")
		if n := s.mark(jane, strings.Replace(many, `"`+id+`",`, "", 1)); n != 1 {
			t.Errorf("1,000 times the same id updates %d", n)
		}
	})
}

func TestBodiesAreReadAlike(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, op := range [][3]string{
			{"PUT", "/notifications/state", `{"filter":{},"read":true}`}, {"POST", "/notifications/withdraw", `{"origin":"o","scope":"s"}`},
		} {
			method, path, body := op[0], op[1], op[2]
			s.do(method, path, as(jane)).problem(http.StatusUnsupportedMediaType)
			s.do(method, path, as(jane), header("Content-Type", "text/plain"), jsonBody(body)).problem(http.StatusUnsupportedMediaType)
			s.do(method, path, as(jane), header("Content-Encoding", "gzip"), jsonBody(body)).problem(http.StatusUnsupportedMediaType)
			s.do(method, path, as(jane), jsonBody(body+strings.Repeat(" ", 1<<20))).problem(http.StatusRequestEntityTooLarge)
			s.do(method, path, as(jane), jsonBody("")).problem(http.StatusBadRequest, "body")
			s.do(method, path, as(jane), jsonBody(body+"{}")).problem(http.StatusBadRequest, "body")
			s.do(method, path+"?x=1", as(jane), jsonBody(body)).problem(http.StatusBadRequest, "x")
			s.do(method, path, as(jane), jsonBody(body)).want(http.StatusOK)
		}
	})
}

func TestGetNotification(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetGroups":["default/ops"]}`)
		first := s.do("GET", "/notifications/"+id, as(jane)).want(http.StatusOK)
		tag := first.header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) || first.header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("headers %v", first.header)
		}
		s.do("GET", "/notifications/"+id, as(jane), header("If-None-Match", tag)).want(http.StatusNotModified)
		head := s.do("HEAD", "/notifications/"+id, as(jane)).want(http.StatusOK)
		if head.header.Get("ETag") != tag || head.body != "" {
			t.Errorf("HEAD answers %v %q", head.header, head.body)
		}
		for _, same := range []string{strings.ToUpper(id), "%" + fmt.Sprintf("%x", id[0]) + id[1:]} {
			if got := s.do("GET", "/notifications/"+same, as(jane)).want(http.StatusOK).body; got != first.body {
				t.Errorf("%s answers %s", same, got)
			}
		}
		hidden := s.do("GET", "/notifications/"+id, as("user:default/u7")).problem(http.StatusNotFound)
		absent := s.do("GET", "/notifications/"+unknown, as("user:default/u7")).problem(http.StatusNotFound)
		if hidden.body != absent.body {
			t.Errorf("an invisible id answers %s, an unknown one %s", hidden.body, absent.body)
		}
		s.mark(jane, `{"ids":["`+id+`"],"archived":true}`)
		if !s.get(jane, id).Archived {
			t.Error("it is not archived")
		}
		s.do("GET", "/notifications/"+id+"?user=default/jane", as(jane)).problem(http.StatusBadRequest, "user")
	})
}

// A path may contain any text in place of an id.
func TestPathsOfNotifications(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, id := range []string{
			"x", "%2F", "a%2Fb", "%00", "%ff", "%25", "%2e%2e", "..", ".", "~", "{id}", "%7Bid%7D", "c%6Funt", "Count", ":", ";", "*", "+", "%20", "%0A",
			"{" + unknown + "}", "urn:uuid:" + unknown, strings.ReplaceAll(unknown, "-", ""), unknown + "%00", unknown[1:], strings.Repeat("x", 5000),
		} {
			for _, op := range [][2]string{{"GET", ""}, {"HEAD", ""}, {"DELETE", ""}, {"GET", "/reach"}} {
				a := s.do(op[0], "/notifications/"+id+op[1], as(jane)).want(http.StatusBadRequest)
				if op[0] != "HEAD" {
					a.problem(http.StatusBadRequest, "id")
				}
				s.do(op[0], "/notifications/"+id+op[1]).want(http.StatusUnauthorized)
			}
			s.do("PUT", "/notifications/"+id, as(jane)).problem(http.StatusMethodNotAllowed)
		}
		for _, path := range []string{
			"/notifications/", "/notifications/count/", "/notifications/state/", "/notifications//reach", "/notifications/" + unknown + "/",
			"/notifications/" + unknown + "/other", "/notifications/" + unknown + "/reach/", "/notifications/" + unknown + "/reach/x", "/notifications/x%2Freach/y",
		} {
			for _, method := range []string{"GET", "DELETE", "PUT", "OPTIONS"} {
				s.do(method, path, as(jane)).problem(http.StatusNotFound)
			}
		}
	})
}

func TestStatusAndTopics(t *testing.T) {
	eachServer(t, func(s *server) {
		expect := func(path, want string) {
			t.Helper()
			if got := strings.TrimSpace(s.do("GET", path, as(jane)).want(http.StatusOK).body); got != want {
				t.Errorf("%s answers %s\nwant %s", path, got, want)
			}
		}
		expect("/notifications/status", `{"unread":0,"read":0,"saved":0,"archived":0}`)
		expect("/notifications/topics", `{"topics":[],"origins":[]}`)
		var ids []string
		for i, topic := range []string{"b", "a", "b", ""} {
			ids = append(ids, s.post(fmt.Sprintf(`{"origin":"o%d","title":"t","topic":%q,"targetUsers":["default/jane"]}`, i%2, topic)))
		}
		s.post(`{"origin":"<it>","title":"t","topic":"all"}`)
		s.mark(jane, `{"ids":["`+ids[0]+`"],"read":true,"saved":true}`)
		s.mark(jane, `{"ids":["`+ids[1]+`"],"archived":true}`)
		expect("/notifications/status", `{"unread":2,"read":1,"saved":1,"archived":1}`)
		expect("/notifications/status?messageScope=user&user=default/jane", `{"unread":2,"read":1,"saved":1,"archived":1}`)
		expect("/notifications/status?messageScope=system", `{"unread":1,"read":0,"saved":0,"archived":0}`)
		expect("/notifications/status?messageScope=all", `{"unread":3,"read":1,"saved":1,"archived":1}`)
		expect("/notifications/topics", `{"topics":[{"topic":"b","unread":1,"total":2}],"origins":[{"origin":"o0","unread":1,"total":2},{"origin":"o1","unread":1,"total":1}]}`)
		expect("/notifications/topics?messageScope=system", `{"topics":[{"topic":"all","unread":1,"total":1}],"origins":[{"origin":"<it>","unread":1,"total":1}]}`)
		for _, path := range []string{"/notifications/status", "/notifications/topics"} {
			s.do("GET", path+"?user=default/john", as(jane)).problem(http.StatusForbidden)
			s.do("GET", path+"?user=default/jane", as("ci")).problem(http.StatusForbidden)
			s.do("GET", path+"?user=", as(jane)).problem(http.StatusBadRequest, "user")
			s.do("GET", path+"?messageScope=&read=true", as(jane)).problem(http.StatusBadRequest, "messageScope", "read")
			s.do("HEAD", path, as(jane)).want(http.StatusOK)
		}
	})
}

// Every answer that shows a mark has another ETag when the mark changes.
func TestETagsFollowStates(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","topic":"t","targetUsers":["default/jane"]}`)
		s.post(`{"origin":"o","title":"t","topic":"t","targetUsers":["default/jane"]}`)
		for _, tt := range []struct {
			change string
			paths  []string
		}{
			{`"read":true`, []string{"", "/" + id, "/status", "/topics", "/count?read=true"}},
			{`"saved":true`, []string{"", "/" + id, "/status", "/count?saved=true"}},
			{`"archived":true`, []string{"", "?archived=all", "/" + id, "/status", "/topics", "/count"}},
			{`"read":false`, []string{"?archived=true", "/" + id}},
			{`"archived":false`, []string{"", "/" + id, "/status", "/topics", "/count?archived=true"}},
		} {
			tags := map[string]string{}
			for _, path := range tt.paths {
				tags[path] = s.do("GET", "/notifications"+path, as(jane)).want(http.StatusOK).header.Get("ETag")
				s.do("GET", "/notifications"+path, as(jane), header("If-None-Match", tags[path])).want(http.StatusNotModified)
			}
			s.mark(jane, `{"ids":["`+id+`"],`+tt.change+`}`)
			for path, tag := range tags {
				if a := s.do("GET", "/notifications"+path, as(jane), header("If-None-Match", tag)); a.status != http.StatusOK {
					t.Errorf("after %s %s answers %d", tt.change, path, a.status)
				}
			}
		}
	})
}

func TestWithdraw(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetGroups":["default/ops"],"targetUsers":["default/u7"]}`)
		s.do("DELETE", "/notifications/"+id+"?x=1", as("ci")).problem(http.StatusBadRequest, "x")
		s.do("DELETE", "/notifications/"+id, as(jane)).problem(http.StatusForbidden)
		s.wantTitles(jane, "", "t")
		invisible := s.do("DELETE", "/notifications/"+id, as("user:default/guest")).problem(http.StatusNotFound)
		gone := s.do("DELETE", "/notifications/"+strings.ToUpper(id), as("ci")).want(http.StatusNoContent)
		if gone.body != "" || gone.header.Get("Content-Type") != "" {
			t.Errorf("answers %q of type %q", gone.body, gone.header.Get("Content-Type"))
		}
		s.wantTitles(jane, "?archived=all")
		for who, wanted := range map[string]string{"ci": id, jane: id, john: unknown, "cron": unknown} {
			if a := s.do("DELETE", "/notifications/"+wanted, as(who)).problem(http.StatusNotFound); a.body != invisible.body {
				t.Errorf("%s is answered %s, for an invisible one it is %s", who, a.body, invisible.body)
			}
		}
		// PermissionDeleteAny is tested below.
		other := s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		s.do("DELETE", "/notifications/"+other, as("user:default/admin")).want(http.StatusNoContent)
		s.do("DELETE", "/notifications/"+other, as("user:default/admin")).problem(http.StatusNotFound)
	}, func(c *notifications.Config, _ *httpapi.Config) {
		c.Policy = policyFunc(func(who notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
			if p == notifications.PermissionDeleteAny && who.Name != "default/admin" {
				return notifications.Deny, nil
			}
			return notifications.Allow, nil
		})
	})
}

func TestWithdrawByScope(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, to := range []string{"jane", "john"} {
			s.post(`{"origin":"o","title":"t","scope":"s","targetUsers":["default/` + to + `"]}`)
		}
		s.post(`{"origin":"o","title":"other","scope":"S","targetUsers":["default/jane"]}`)
		withdraw := func(who, body string) string {
			t.Helper()
			return strings.TrimSpace(s.do("POST", "/notifications/withdraw", as(who), jsonBody(body)).want(http.StatusOK).body)
		}
		for _, tt := range [][3]string{
			{"cron", `{"origin":"o","scope":"s"}`, "0"}, {jane, `{"origin":"o","scope":"s"}`, "0"}, {"ci", `{"origin":"O","scope":"s"}`, "0"},
			{"ci", `{"origin":"o","scope":"s"}`, "2"}, {"ci", `{"origin":"o","scope":"s"}`, "0"},
		} {
			if got := withdraw(tt[0], tt[1]); got != `{"withdrawn":`+tt[2]+`}` {
				t.Errorf("%s %s: %s, want %s", tt[0], tt[1], got, tt[2])
			}
		}
		s.wantTitles(jane, "", "other")
		s.wantTitles(john, "")
		for body, fields := range map[string][]string{
			`{}`: {"origin", "scope"}, `{"origin":"","scope":null}`: {"origin", "scope"}, `{"origin":7,"scope":[]}`: {"origin", "scope"},
			`{"origin":"o","scope":"s","x":1}`: {"x"}, `{"origin":"o","scope":"` + strings.Repeat("x", 256) + `"}`: {"scope"}, `{"Origin":"o","scope":"s"}`: {"Origin", "origin"},
		} {
			s.do("POST", "/notifications/withdraw", as("ci"), jsonBody(body)).problem(http.StatusBadRequest, fields...)
		}
		s.do("POST", "/notifications/withdraw?user=default/jane", as(jane), jsonBody(`{"origin":"o","scope":"s"}`)).problem(http.StatusBadRequest, "user")
	})
}

// sized is a catalog that knows the size of some groups.
type sized struct{ notifications.Catalog }

func (sized) Size(_ context.Context, group string) (int, bool, error) {
	return map[string]int{"": 0, "default/ops": 2}[group], true, nil
}

func TestReach(t *testing.T) {
	body := `{"origin":"o","title":"t","targetGroups":["default/ops"],"targetUsers":["default/john"]}`
	check := func(want string) func(*server) {
		return func(s *server) {
			id := s.post(body)
			s.mark(jane, `{"ids":["`+id+`"],"read":true,"saved":true}`)
			s.mark(john, `{"ids":["`+id+`"],"read":true,"archived":true}`)
			if got := strings.TrimSpace(s.do("GET", "/notifications/"+id+"/reach", as("ci")).want(http.StatusOK).body); got != want {
				s.t.Errorf("reach is %s, want %s", got, want)
			}
			s.do("GET", "/notifications/"+id+"/reach", as(jane)).problem(http.StatusForbidden)
			invisible := s.do("GET", "/notifications/"+id+"/reach", as("user:default/u7")).problem(http.StatusNotFound)
			absent := s.do("GET", "/notifications/"+unknown+"/reach", as("ci")).problem(http.StatusNotFound)
			if invisible.body != absent.body {
				s.t.Errorf("an invisible id answers %s, an unknown one %s", invisible.body, absent.body)
			}
			s.do("GET", "/notifications/"+id+"/reach?x=1", as("ci")).problem(http.StatusBadRequest, "x")
			everybody := s.post(`{"origin":"o","title":"t"}`)
			var reach struct{ Audiences []map[string]json.RawMessage }
			s.do("GET", "/notifications/"+everybody+"/reach", as("ci")).want(http.StatusOK).decode(&reach)
			known := strings.Contains(want, `"size":2`)
			if size, there := reach.Audiences[0]["size"]; string(reach.Audiences[0]["audience"]) != `"system"` || there != known || known && string(size) != "0" {
				s.t.Errorf("a post to everybody reaches %s", reach.Audiences)
			}
		}
	}
	t.Run("sizes unknown", func(t *testing.T) {
		eachServer(t, check(`{"audiences":[{"audience":"group:default/ops"},{"audience":"user:default/john","size":1}],"delivered":2,"read":2,"saved":1,"archived":1}`),
			func(c *notifications.Config, _ *httpapi.Config) {
				c.Catalog = struct{ notifications.Catalog }{c.Catalog}
			})
	})
	t.Run("sizes known", func(t *testing.T) {
		eachServer(t, check(`{"audiences":[{"audience":"group:default/ops","size":2},{"audience":"user:default/john","size":1}],"delivered":2,"read":2,"saved":1,"archived":1}`),
			func(c *notifications.Config, _ *httpapi.Config) { c.Catalog = sized{c.Catalog} })
	})
}
