package httpapi_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/httpapi"
)

// The plugin's four operations, as its clients use them.

func TestCreateAndList(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"title": "My message title", "message": "I have nothing to say", "origin": "my-origin",
			"topic": "my topic", "targetUsers": ["default/guest"],
			"actions": [{"title": "my-title", "url": "http://foo.bar"}, {"title": "another action", "url": "https://foo.foo.bar"}]}`)
		items := s.list("user:default/guest", "")
		if len(items) != 1 {
			t.Fatalf("%d items, want 1", len(items))
		}
		n := items[0]
		if n.ID != id || n.Origin != "my-origin" || n.Title != "My message title" || *n.Message != "I have nothing to say" ||
			*n.Topic != "my topic" || n.ReadByUser || n.IsSystem {
			t.Errorf("listed %+v", n)
		}
		if len(n.Actions) != 2 || n.Actions[0].Title != "my-title" || n.Actions[1].URL != "https://foo.foo.bar" {
			t.Errorf("actions %+v", n.Actions)
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(n.Created) {
			t.Errorf("created %q, want RFC 3339, UTC, milliseconds", n.Created)
		}
	})
}

func TestAbsentFields(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"title": "bare", "origin": "o", "message": null, "topic": null, "actions": null, "targetUsers": ["default/jane"]}`)
		body := s.do("GET", "/notifications", as(jane)).want(http.StatusOK).body
		if strings.Contains(body, "message") || strings.Contains(body, "topic") || !strings.Contains(body, `"actions":[]`) {
			t.Errorf("a notification without message, topic and actions is %s", body)
		}
		if empty := s.do("GET", "/notifications", as(john)).want(http.StatusOK).body; strings.TrimSpace(empty) != "[]" {
			t.Errorf("an empty list is %q", empty)
		}
	})
}

// TestEveryCombination lists and counts with every combination of the plugin's
// parameters and of the others. It compares the results with each other and
// with the whole list. Of all combinations of both it takes two for each of the
// plugin's, so that each of the others is used.
func TestEveryCombination(t *testing.T) {
	eachServer(t, func(s *server) {
		for i, to := range []string{`,"targetUsers":["default/jane"]`, `,"targetGroups":["default/ops"]`, ``} {
			for j, text := range []string{"alpha", "Beta", "ALPHA beta"} {
				for k, severity := range []string{"low", "high", "critical"} {
					s.post(fmt.Sprintf(`{"origin":"o%d","title":%q,"message":"m%d%d","topic":"t%d","severity":%q%s}`,
						(j+k)%2, text, i, j, (i+j+k)%3, severity, to))
				}
			}
		}
		for i, n := range s.list(jane, "?messageScope=all&pageSize=100") {
			s.mark(jane, fmt.Sprintf(`{"ids":[%q],"read":%t,"saved":%t,"archived":%t}`, n.ID, i%2 == 0, i%4 < 2, i%3 == 0))
		}
		whole := s.list(jane, "?messageScope=all&archived=all&pageSize=100")
		middle := whole[len(whole)/2].Created
		filters := combinations([]parameter{
			{"containsText", []string{"", "alpha"}}, {"createdAfter", []string{"", middle}},
			{"messageScope", []string{"", "all", "user", "system"}}, {"read", []string{"", "true", "false"}},
		})
		added := combinations([]parameter{
			{"saved", []string{"", "true", "false"}}, {"archived", []string{"all", "", "true", "false"}},
			{"minSeverity", []string{"", "high"}}, {"topic", []string{"", "t1"}}, {"origin", []string{"", "o1"}},
		})
		if len(filters) != 48 || len(added) != 96 {
			t.Fatalf("%d and %d combinations", len(filters), len(added))
		}
		found := 0
		for i, filter := range filters {
			for _, more := range []url.Values{added[i], added[len(added)-1-i]} {
				both := maps.Clone(filter)
				maps.Copy(both, more)
				want := 0
				for _, n := range whole {
					if selects(both, n) {
						want++
					}
				}
				s.checkOrders(both, want)
				found += want
			}
		}
		if found < 96 {
			t.Errorf("all of them together select %d notifications: that shows little", found)
		}
	})
}

// parameter is a parameter with the values to try; empty leaves it out.
type parameter struct {
	name   string
	values []string
}

func combinations(parameters []parameter) []url.Values {
	all := []url.Values{{}}
	for _, p := range parameters {
		var longer []url.Values
		for _, q := range all {
			for _, value := range p.values {
				with := maps.Clone(q)
				if value != "" {
					with.Set(p.name, value)
				}
				longer = append(longer, with)
			}
		}
		all = longer
	}
	return all
}

// selects reports whether the parameters select an item, independently of the
// server's code.
func selects(q url.Values, n item) bool {
	is := func(name string, value bool) bool { return q.Get(name) == "" || q.Get(name) == fmt.Sprint(value) }
	equal := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
	scope, archived := cmp.Or(q.Get("messageScope"), "user"), cmp.Or(q.Get("archived"), "false")
	return strings.Contains(strings.ToLower(n.Title), q.Get("containsText")) && n.Created > q.Get("createdAfter") &&
		(scope == "all" || n.IsSystem == (scope == "system")) && is("read", n.ReadByUser) && is("saved", n.Saved) &&
		(archived == "all" || fmt.Sprint(n.Archived) == archived) && equal("topic", *n.Topic) && equal("origin", n.Origin) &&
		(q.Get("minSeverity") == "" || n.Severity == "high" || n.Severity == "critical")
}

// checkOrders lists with one filter in every order, and by pages.
func (s *server) checkOrders(filter url.Values, want int) {
	s.t.Helper()
	if got := s.count(jane, "?"+filter.Encode()); got != want {
		s.t.Errorf("count %s = %d, want %d", filter.Encode(), got, want)
	}
	for _, order := range []string{"created", "title"} {
		for _, direction := range []string{"asc", "desc"} {
			q := url.Values{"orderBy": {order}, "orderByDirec": {direction}, "pageSize": {"0"}, "pageNumber": {"0"}}
			for name, values := range filter {
				q[name] = values
			}
			unpaged := s.list(jane, "?"+q.Encode())
			if len(unpaged) != want {
				s.t.Errorf("list %s has %d, want %d", q.Encode(), len(unpaged), want)
			}
			q.Set("pageSize", "2")
			var paged []item
			for page := 1; ; page++ {
				q.Set("pageNumber", fmt.Sprint(page))
				items := s.list(jane, "?"+q.Encode())
				if len(items) == 0 {
					break
				}
				paged = append(paged, items...)
			}
			same := func(a, b item) bool { return a.ID == b.ID }
			if !slices.EqualFunc(paged, unpaged, same) {
				s.t.Errorf("%s: pages %v, whole %v", q.Encode(), paged, unpaged)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	eachServer(t, func(s *server) {
		for i := range 21 {
			s.post(fmt.Sprintf(`{"origin":"o","title":"%02d","targetUsers":["default/jane"]}`, i))
		}
		s.post(`{"origin":"o","title":"system"}`)
		first := s.list(jane, "")
		if len(first) != 20 || first[0].Title != "20" {
			t.Errorf("the default list has %d items from %q, want the 20 newest of the user's own", len(first), first[0].Title)
		}
		s.wantTitles(jane, "?pageNumber=2", "00")
		s.wantTitles(jane, "?pageNumber=3")
		s.wantTitles(jane, "?messageScope=system", "system")
		s.wantTitles(jane, "?containsText=&orderBy=title&orderByDirec=asc&pageSize=1", "00")
		if n := s.count(jane, ""); n != 21 {
			t.Errorf("count = %d, want 21", n)
		}
	})
}

func TestLinks(t *testing.T) {
	eachServer(t, func(s *server) {
		for i := range 5 {
			s.post(fmt.Sprintf(`{"origin":"o","title":"%d %%&=+é","targetUsers":["default/jane"]}`, i))
		}
		follow := regexp.MustCompile(`^<(\?[^>]*cursor=[^>]*)>; rel="next"$`)
		for _, query := range []string{"?pageSize=2&pageNumber=1&containsText=%25%26%3D%2B%C3%A9&user=default/jane", "?pageSize=2&orderBy=title&orderByDirec=asc"} {
			var titles []string
			pages := 0
			for next := query; next != ""; pages++ {
				a := s.do("GET", "/notifications"+next, as(jane)).want(http.StatusOK)
				var items []item
				a.decode(&items)
				for _, n := range items {
					titles = append(titles, n.Title[:1])
				}
				next = ""
				if link := a.header.Get("Link"); link != "" {
					next = follow.FindStringSubmatch(link)[1]
				}
			}
			slices.Sort(titles)
			if pages != 3 || !slices.Equal(titles, []string{"0", "1", "2", "3", "4"}) {
				t.Errorf("%s: %d pages with %q", query, pages, titles)
			}
		}
		if link := s.do("GET", "/notifications?pageSize=5", as(jane)).header.Get("Link"); link != "" {
			t.Errorf("the last page links to %s", link)
		}
		if link := s.do("GET", "/notifications?pageSize=0&pageNumber=0", as(jane)).header.Get("Link"); link != "" {
			t.Errorf("an unpaged list of 5 links to %s", link)
		}
	})
}

// TestUnpagedListStops: a list without paging ends at 10,000 with a link to the
// rest.
func TestUnpagedListStops(t *testing.T) {
	eachServer(t, func(s *server) {
		db := s.db
		each := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) "
		id := "'01890000-0000-7000-8000-0000000' || (10000 + i)"
		if db.Name() == "postgres" {
			id = "(" + id + ")::uuid"
		}
		for _, sql := range []string{
			"INSERT INTO notification_messages (id, origin, title, actions, is_system, origin_key, title_key) " +
				each + "SELECT " + id + ", 'o', 't', '[]', i < 0, 'o', 't' FROM n",
			"INSERT INTO notification_deliveries (audience, message_id) " + each + "SELECT 'user:default/jane', " + id + " FROM n",
		} {
			if db.Name() == "sqlite" {
				sql = strings.Replace(sql, "i < 0", "0", 1)
			}
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		a := s.do("GET", "/notifications?pageSize=0&pageNumber=0", as(jane)).want(http.StatusOK)
		var items []item
		a.decode(&items)
		link := a.header.Get("Link")
		if len(items) != 10_000 || !strings.Contains(link, "pageSize=10000") {
			t.Fatalf("%d items and link %q, want 10,000 and the rest behind the link", len(items), link)
		}
		rest := s.list(jane, link[1:strings.Index(link, ">")])
		if len(rest) != 1 || rest[0].ID != "01890000-0000-7000-8000-000000010001" {
			t.Errorf("the rest is %v, want the oldest one", rest)
		}
	})
}

func TestSetRead(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetGroups":["default/ops"]}`)
		for _, read := range []string{"true", "true", "false", "true"} {
			a := s.do("PUT", "/notifications/read?messageId="+strings.ToUpper(id)+"&read="+read, as(jane)).want(http.StatusOK)
			if a.body != "" {
				t.Errorf("setRead answers %q, want an empty body", a.body)
			}
			if got := s.list(jane, "")[0].ReadByUser; fmt.Sprint(got) != read {
				t.Errorf("readByUser %t after read=%s", got, read)
			}
		}
		s.wantTitles(jane, "?read=true", "t")
		s.wantTitles(jane, "?read=false")
		s.wantTitles(john, "?read=false", "t")
	})
}

func TestUserParameter(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		for _, path := range []string{"/notifications?", "/notifications/count?", "/notifications/read?read=true&messageId=" + id + "&"} {
			method := "GET"
			if strings.Contains(path, "/read") {
				method = "PUT"
			}
			for _, own := range []string{"default/jane", "Default/JANE", "user:default/jane"} {
				s.do(method, path+"user="+own, as(jane)).want(http.StatusOK)
			}
			for _, other := range []string{"default/john", "jane", "group:default/ops"} {
				s.do(method, path+"user="+other, as(jane)).problem(http.StatusForbidden)
			}
			s.do(method, path+"user=", as(jane)).problem(http.StatusBadRequest, "user")
			s.do(method, path+"user=default/jane", as("ci")).problem(http.StatusForbidden)
		}
	})
}

func TestETags(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"1","targetUsers":["default/jane"]}`)
		for _, path := range []string{"/notifications?pageSize=1", "/notifications/count"} {
			first := s.do("GET", path, as(jane)).want(http.StatusOK)
			tag := first.header.Get("ETag")
			if !strings.HasPrefix(tag, `W/"`) || first.header.Get("Cache-Control") != "private, no-cache" ||
				first.header.Get("Vary") != "Authorization, Cookie, notifications-secret" {
				t.Errorf("%s: headers %v", path, first.header)
			}
			for _, match := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
				again := s.do("GET", path, as(jane), header("If-None-Match", match)).want(http.StatusNotModified)
				if again.body != "" || again.header.Get("ETag") != tag {
					t.Errorf("%s: 304 with body %q and tag %q", path, again.body, again.header.Get("ETag"))
				}
			}
			s.do("GET", path, as(jane), header("If-None-Match", `"x"`)).want(http.StatusOK)
			s.post(`{"origin":"o","title":"1","targetUsers":["default/jane"]}`)
			s.do("GET", path, as(jane), header("If-None-Match", tag)).want(http.StatusOK)
		}
		// The tag covers the Link: the same page without a next page has
		// another tag.
		items := s.list(jane, "")
		before := s.do("GET", "/notifications?pageSize=1", as(jane)).header.Get("ETag")
		if err := s.db.Exec("DELETE FROM notification_deliveries WHERE message_id <> ?", items[0].ID).Error; err != nil {
			t.Fatal(err)
		}
		s.do("GET", "/notifications?pageSize=1", as(jane), header("If-None-Match", before)).want(http.StatusOK)
	})
}

func TestHeadAndMethods(t *testing.T) {
	eachServer(t, func(s *server) {
		get := s.do("GET", "/notifications", as(jane)).want(http.StatusOK)
		head := s.do("HEAD", "/notifications", as(jane)).want(http.StatusOK)
		if head.body != "" || head.header.Get("ETag") != get.header.Get("ETag") || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("HEAD answers %v, GET %v", head.header, get.header)
		}
		for path, allow := range map[string]string{
			"/notifications": "GET, HEAD, OPTIONS, POST", "/notifications/count": "GET, HEAD, OPTIONS", "/notifications/read": "OPTIONS, PUT",
			"/notifications/state": "OPTIONS, PUT", "/notifications/status": "GET, HEAD, OPTIONS", "/notifications/topics": "GET, HEAD, OPTIONS",
			"/notifications/stream":   "GET, HEAD, OPTIONS",
			"/notifications/withdraw": "OPTIONS, POST", "/notifications/" + unknown: "DELETE, GET, HEAD, OPTIONS",
			"/notifications/" + unknown + "/reach": "GET, HEAD, OPTIONS",
		} {
			if got := s.do("PATCH", path).problem(http.StatusMethodNotAllowed).header.Get("Allow"); got != allow {
				t.Errorf("PATCH %s: Allow %q, want %q", path, got, allow)
			}
			if !strings.Contains(allow, "DELETE") { // no operation on an id
				s.do("DELETE", path, as(jane)).problem(http.StatusMethodNotAllowed)
			}
			if !strings.Contains(allow, "GET") {
				s.do("GET", path, as(jane)).problem(http.StatusMethodNotAllowed)
			}
			if got := s.do("OPTIONS", path).want(http.StatusNoContent).header.Get("Allow"); got != allow {
				t.Errorf("OPTIONS %s: Allow %q, want %q", path, got, allow)
			}
		}
		for _, path := range []string{"", "/", "/notifications/", "/notifications//count", "/Notifications", "/notifications/../notifications/count", "/notifications/%2e%2e/count"} {
			s.do("GET", path, as(jane)).problem(http.StatusNotFound)
		}
	})
}

func TestPublicPaths(t *testing.T) {
	eachServer(t, func(s *server) {
		s.do("GET", "/healthz").want(http.StatusOK)
		s.do("GET", "/readyz").want(http.StatusOK)
		if doc := s.do("GET", "/openapi.yaml").want(http.StatusOK); doc.body != string(httpapi.OpenAPI) {
			t.Errorf("openapi.yaml is served as %.60q…", doc.body)
		}
		if err := s.db.Exec("DROP TABLE notification_states").Error; err != nil {
			t.Fatal(err)
		}
		s.do("GET", "/healthz").want(http.StatusOK)
		s.do("GET", "/readyz").problem(http.StatusServiceUnavailable)
	})
}

func TestRequestID(t *testing.T) {
	eachServer(t, func(s *server) {
		if id := s.do("GET", "/healthz").header.Get("X-Request-Id"); len(id) < 16 {
			t.Errorf("X-Request-Id %q", id)
		}
		if id := s.do("GET", "/healthz", header("X-Request-Id", "from-the-proxy")).header.Get("X-Request-Id"); id != "from-the-proxy" {
			t.Errorf("X-Request-Id %q, want the proxy's", id)
		}
		for _, bad := range []string{strings.Repeat("x", 129), "a b", "é"} {
			if id := s.do("GET", "/healthz", header("X-Request-Id", bad)).header.Get("X-Request-Id"); id == bad || id == "" {
				t.Errorf("X-Request-Id %q is taken over as %q", bad, id)
			}
		}
	})
}

func TestCreatedAfterWithOffsets(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		created, err := time.Parse(time.RFC3339, s.list(jane, "")[0].Created)
		if err != nil {
			t.Fatal(err)
		}
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 14*3600), time.FixedZone("", -12*3600)} {
			at := func(d time.Duration) string {
				return "?createdAfter=" + url.QueryEscape(created.Add(d).In(zone).Format(time.RFC3339Nano))
			}
			s.wantTitles(jane, at(0))
			s.wantTitles(jane, at(-time.Millisecond), "t")
			s.wantTitles(jane, at(-time.Nanosecond), "t")
		}
	})
}
