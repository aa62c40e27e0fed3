package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// nasty are values that are likely to cause errors.
var nasty = []string{
	"", " ", "\x00", "%00", "\u0000", "\xff", "\xc0\xaf", "\xed\xa0\x80", "'", `"`, `\`, "';--", "' OR 1=1 --", "$1", "?", "@x", "%", "_", "{}", "[]", "null",
	"true", "TRUE", "1", "0", "-1", "+1", "1e3", "0x10", "1.5", "2147483648", "9223372036854775808", "99999999999999999999999", "NaN",
	"default/jane", "user:default/jane", "group:default/ops", "default/ops", "default/jane\x00", "/", "//", ":", "default/", "/jane", "a/b/c", "..", "../..",
	"2023-10-30T13:48:34.931Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59", "2023-02-30T00:00:00Z", "2023-10-30", "now",
	"01890000-0000-7000-8000-000000000000", "{01890000-0000-7000-8000-000000000000}", "created", "title", "message", "asc", "desc", "user", "system", "all",
	"javascript:alert(1)", "https://x", "http://[::1", "//x", "/x", "\u202e", "\ufeff", "é", "e\u0301", "İ", "ß", "\U0001f389", "\r\nX-Injected: 1",
	strings.Repeat("a", 255), strings.Repeat("é", 256), strings.Repeat("x", 70_000), strings.Repeat("[", 20) + strings.Repeat("]", 20),
}

// TestHostileInput sends generated requests to every operation, on both
// databases. No answer is a 5xx, and both databases give the same answers.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long, and -short was asked for") // make test runs it
	}
	databases := []*server{newServer(t, dbtest.SQLite(t)).run()}
	if pg := dbtest.PostgresIfWanted(t); pg != nil {
		databases = append(databases, newServer(t, pg).run())
	}
	known := make([][]string, len(databases)) // ids
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	accepted := map[string]int{}
	for round := range 3000 {
		if round%50 == 0 { // some of the earlier ones may be withdrawn
			for i, s := range databases {
				known[i] = s.postSome()
			}
		}
		r := hostileRequest(random)
		var first answer
		for i, s := range databases {
			a := s.do(r.method, withIDs(r.path, known[i]), r.all(known[i])...)
			if a.status >= 500 {
				t.Fatalf("seed %d: %+v: %d %s", seed, r, a.status, a.body)
			}
			if a.status < 300 {
				accepted[r.operation]++
			}
			if strings.Contains(strings.ToUpper(a.body), "SQLSTATE") || strings.Contains(a.body, "notification_") {
				t.Errorf("seed %d: %+v leaks: %s", seed, r, a.body)
			}
			a.body = differs.ReplaceAllString(a.body, "…")
			if i == 0 {
				first = a
			} else if a.status != first.status || a.body != first.body {
				t.Fatalf("seed %d: %+v: %d %s on SQLite, %d %s on PostgreSQL", seed, r, first.status, first.body, a.status, a.body)
			}
		}
	}
	for _, c := range calls {
		if accepted[c.operation] == 0 {
			t.Errorf("nothing was accepted by %s: the generator does not get past the first check", c.operation)
		}
	}
}

// differs matches ids, times, positions and pauses, which are different on each
// server.
var differs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|(?m:^(id|retry): .*$)`)

// postSome posts notifications and returns their ids, which replace KNOWN0 and
// so on in generated requests.
func (s *server) postSome() (ids []string) {
	for n, poster := range []string{jane, "ci", jane, "ci", jane} {
		ids = append(ids, s.postAs(poster, fmt.Sprintf(`{"origin":"o","title":"t","topic":"t","scope":"%d","targetGroups":["default/ops"]}`, n)))
	}
	return ids
}

func withIDs(s string, ids []string) string {
	for i, id := range ids {
		s = strings.ReplaceAll(s, fmt.Sprintf("KNOWN%d", i), id)
	}
	return s
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// hostile is a generated request.
type hostile struct {
	operation, method, path, body string
	options                       []option
}

func (r hostile) all(ids []string) []option {
	if r.body == "" {
		return r.options
	}
	return append(slices.Clone(r.options), jsonBody(withIDs(r.body, ids)))
}

// hostileRequest is mostly valid, so that it passes the first checks.
func hostileRequest(random *rand.Rand) hostile {
	c := pick(random, calls...)
	r := hostile{operation: c.operation, method: c.method, path: strings.Split(c.path, "?")[0]}
	r.options = append(r.options, as(pick(random, jane, jane, john, "ci", "ci", "user:default/nobody", "group:default/ops")))
	filter := []string{"containsText", "createdAfter", "messageScope", "read", "saved", "archived", "minSeverity", "topic", "origin"}
	list := append([]string{"pageSize", "pageNumber", "orderBy", "orderByDirec", "cursor", "user", "x"}, filter...)
	switch r.operation {
	case "createNotification":
		r.body = hostileBody(random, map[string]any{"origin": "o", "title": "t"}, "origin", "title", "message", "topic", "actions", "targetUsers", "targetGroups",
			"severity", "link", "icon", "metadata", "scope", "resurface", "expires", "notBefore", "Title", "x", "\x00")
		if key := pick(random, append([]string{"k", "k2"}, nasty...)...); random.IntN(3) == 0 && !strings.ContainsFunc(key, unicode.IsControl) {
			r.options = append(r.options, header("Idempotency-Key", key))
		}
	case "setState":
		good := pick(random, map[string]any{"ids": []any{"KNOWN0", unknown}, "read": true}, map[string]any{"filter": map[string]any{}, "upTo": "KNOWN4", "archived": true},
			map[string]any{"ids": []any{"KNOWN1", "KNOWN2"}, "saved": false}, map[string]any{"filter": map[string]any{"messageScope": "all"}, "read": false})
		r.body = hostileBody(random, good, append(filter, "ids", "filter", "filter", "upTo", "x")...)
	case "withdrawByScope":
		r.body = hostileBody(random, map[string]any{"origin": "o", "scope": pick(random, "0", "1", "2", "s")}, "origin", "scope", "x")
	case "setRead":
		r.path += hostileQuery(random, "messageId", "read", "user", "x") + pick(random, "", "&messageId=KNOWN0&read=true")
	case "getNotifications":
		r.path += hostileQuery(random, list...)
	case "getNotificationsCount":
		r.path += hostileQuery(random, append(filter, "user", "x")...)
	case "getStatus", "getTopics":
		r.path += hostileQuery(random, "messageScope", "user", "x")
	case "streamNotifications":
		r.path += hostileQuery(random, "messageScope", "minSeverity", "topic", "origin", "after", "user", "x")
		if after := pick(random, nasty...); random.IntN(3) == 0 && !strings.ContainsFunc(after, unicode.IsControl) {
			r.options = append(r.options, header("Last-Event-ID", after))
		}
	default: // has an id
		id := pick(random, "KNOWN0", "KNOWN1", "KNOWN2", "KNOWN3", "KNOWN4", url.PathEscape(cut(pick(random, nasty...))))
		r.path = strings.ReplaceAll(r.path, "{id}", id) + pick(random, "", "", "", hostileQuery(random, "user", "x"))
	}
	return r
}

// cut limits a text to the length of a request line. net/http answers more with
// 431.
func cut(s string) string { return s[:min(len(s), 1000)] }

// hostileQuery gives nasty values to up to three of the parameters.
func hostileQuery(random *rand.Rand, names ...string) string {
	query := "?"
	for range random.IntN(4) {
		value := cut(pick(random, nasty...))
		query += pick(random, names...) + "=" + pick(random, url.QueryEscape(value), url.QueryEscape(value), url.PathEscape(value)) + pick(random, "&", "&", "&", ";", "&&")
	}
	return query
}

// hostileBody replaces values of a valid body, or some of its bytes, by nasty
// ones.
func hostileBody(random *rand.Rand, good map[string]any, fields ...string) string {
	text := func() any {
		return pick[any](random, pick(random, nasty...), pick(random, nasty...), "t", "t", "t", nil, 7, 1.5e300, true, []any{}, map[string]any{})
	}
	list := func(entry func() any) any {
		entries := make([]any, random.IntN(4))
		for i := range entries {
			entries[i] = entry()
		}
		return pick[any](random, entries, entries, entries, nil, "x", map[string]any{"0": "x"})
	}
	object := func() any {
		members := map[string]any{}
		for range random.IntN(3) {
			members[pick(random, append(fields, nasty...)...)] = text()
		}
		return pick[any](random, members, members, members, text())
	}
	body := maps.Clone(good)
	for range random.IntN(4) {
		switch name := pick(random, fields...); name {
		case "actions":
			body[name] = list(func() any { return pick[any](random, map[string]any{"title": text(), "url": text()}, text()) })
		case "targetUsers", "targetGroups":
			body[name] = list(text)
		case "ids":
			body[name] = list(func() any { return pick[any](random, "KNOWN0", "KNOWN3", unknown, text()) })
		case "filter", "metadata":
			body[name] = object()
		case "severity", "minSeverity":
			body[name] = pick[any](random, "low", "critical", text())
		case "resurface", "read", "saved", "archived":
			body[name] = pick[any](random, true, false, text())
		case "upTo":
			body[name] = pick[any](random, "KNOWN2", unknown, text())
		default:
			body[name] = text()
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	s := string(encoded)
	for range random.IntN(3) {
		at := random.IntN(len(s) + 1)
		s = pick(random, s, s, s[:at], s[:at]+pick(random, nasty...)+s[at:], s[:at]+`\ud800`+s[at:], s+s, s+" ", "["+s+"]")
	}
	return s
}

func TestHostileBodies(t *testing.T) {
	eachServer(t, func(s *server) {
		good := `{"origin":"o","title":"t","targetUsers":["default/jane"]`
		for body, field := range map[string]string{
			``:                                  "body",
			`[]`:                                "body",
			`"x"`:                               "body",
			`null`:                              "body",
			good:                                "body",
			good + `}}`:                         "body",
			good + `} {}`:                       "body",
			good + `,"title":"u"}`:              "title",
			good + `,"\u0074itle":"u"}`:         "title",
			good + `,"TITLE":"u"}`:              "TITLE",
			good + `,"message":"\u0000"}`:       "message",
			good + `,"message":"\ud800"}`:       "message",
			good + `,"message":"\udc00\ud800"}`: "message",
			good + ",\"message\":\"\xff\"}":     "body",
			good + ",\"message\":\"\x00\"}":     "body",
			good + `,"actions":{}}`:             "actions",
			good + `,"actions":[null]}`:         "actions[0]",
			good + `,"actions":[{"title":"x","url":"/","id":"1"}]}`:                                "actions[0].id",
			good + `,"topic":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`:           "",
			good + `,"topic":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`: "",
		} {
			a := s.do("POST", "/notifications", as("ci"), jsonBody(body)).want(http.StatusBadRequest)
			if field != "" {
				a.problem(http.StatusBadRequest, field)
			}
		}
		s.do("POST", "/notifications", as("ci"), jsonBody(good+`,"message":"`+strings.Repeat("x", 1<<20)+`"}`)).problem(http.StatusRequestEntityTooLarge)
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonx", ";"} {
			s.do("POST", "/notifications", as("ci"), header("Content-Type", kind), jsonBody(good+`}`)).problem(http.StatusUnsupportedMediaType)
		}
		s.do("POST", "/notifications", as("ci"), header("Content-Encoding", "gzip"), jsonBody(good+`}`)).problem(http.StatusUnsupportedMediaType)
		s.do("POST", "/notifications", as("ci"), header("Content-Type", "Application/JSON; charset=UTF-8"), jsonBody(good+`}`)).want(http.StatusOK)
		if n := s.count(jane, "?messageScope=all"); n != 1 {
			t.Errorf("%d notifications were stored, want the last one", n)
		}
	})
}

func TestHostileQueries(t *testing.T) {
	eachServer(t, func(s *server) {
		for query, fields := range map[string][]string{
			"pageSize=0":                             {"pageSize"},
			"pageNumber=0":                           {"pageNumber"},
			"pageSize=10001":                         {"pageSize"},
			"pageSize=10000&pageNumber=100001":       {"pageNumber"},
			"pageNumber=99999999999999999999":        {"pageNumber"},
			"pageSize=":                              {"pageSize"},
			"pageSize=1&pageSize=2":                  {"pageSize"},
			"read=True":                              {"read"},
			"read=":                                  {"read"},
			"messageScope=":                          {"messageScope"},
			"orderBy=":                               {"orderBy"},
			"orderBy=id":                             {"orderBy"},
			"orderByDirec=ASC":                       {"orderByDirec"},
			"createdAfter=":                          {"createdAfter"},
			"createdAfter=2023-10-30":                {"createdAfter"},
			"createdAfter=2023-10-30T00:00:00":       {"createdAfter"},
			"createdAfter=2023-10-30T00:00:00+01:00": {"createdAfter"}, // the + is a space
			"containsText=%00":                       {"containsText"},
			"containsText=%1F&topic=%08":             {"containsText", "topic"},
			"containsText=%ff":                       {"containsText"},
			"cursor=":                                {"cursor"},
			"cursor=x":                               {"cursor"},
			"cursor=x&pageNumber=1":                  {"pageNumber", "cursor"},
			"limit=1":                                {"limit"},
			"PageSize=1":                             {"PageSize"},
			"a;b":                                    {"query"},
			"%zz":                                    {"query"},
		} {
			s.do("GET", "/notifications?"+query, as(jane)).problem(http.StatusBadRequest, fields...)
		}
		for query, fields := range map[string][]string{
			"":                      {"messageId", "read"},
			"messageId=x&read=true": {"messageId"},
			"messageId=&read=x":     {"messageId", "read"},
			"messageId=01890000-0000-7000-8000-000000000000&read=true&read=true":                                      {"read"},
			"messageId=01890000-0000-7000-8000-000000000000&messageId=01890000-0000-7000-8000-000000000000&read=true": {"messageId"},
		} {
			s.do("PUT", "/notifications/read?"+query, as(jane)).problem(http.StatusBadRequest, fields...)
		}
		s.do("POST", "/notifications?user=default/jane", as("ci"), jsonBody(`{"origin":"o","title":"t"}`)).problem(http.StatusBadRequest, "user")
		s.do("GET", "/notifications/count?pageSize=1", as(jane)).problem(http.StatusBadRequest, "pageSize")
		s.do("GET", "/notifications?pageSize=10000&pageNumber=100000", as(jane)).want(http.StatusOK)
		s.do("GET", fmt.Sprintf("/notifications?containsText=%s", strings.Repeat("é", 255)), as(jane)).want(http.StatusOK)
		s.do("GET", fmt.Sprintf("/notifications?containsText=%s", strings.Repeat("é", 256)), as(jane)).problem(http.StatusBadRequest, "containsText")
	})
}
