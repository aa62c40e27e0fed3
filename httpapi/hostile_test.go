package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// nasty are values that broke something somewhere.
var nasty = []string{
	"", " ", "\x00", "%00", "\u0000", "\xff", "\xc0\xaf", "\xed\xa0\x80", "'", `"`, `\`, "';--", "' OR 1=1 --", "$1", "?", "@x", "%", "_", "{}", "[]", "null",
	"true", "TRUE", "1", "0", "-1", "+1", "1e3", "0x10", "1.5", "2147483648", "9223372036854775808", "99999999999999999999999", "NaN",
	"default/jane", "user:default/jane", "group:default/ops", "default/ops", "default/jane\x00", "/", "//", ":", "default/", "/jane", "a/b/c", "..", "../..",
	"2023-10-30T13:48:34.931Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59", "2023-02-30T00:00:00Z", "2023-10-30", "now",
	"01890000-0000-7000-8000-000000000000", "{01890000-0000-7000-8000-000000000000}", "created", "title", "message", "asc", "desc", "user", "system", "all",
	"javascript:alert(1)", "https://x", "http://[::1", "//x", "/x", "\u202e", "\ufeff", "é", "e\u0301", "İ", "ß", "\U0001f389", "\r\nX-Injected: 1",
	strings.Repeat("a", 255), strings.Repeat("é", 256), strings.Repeat("x", 70_000), strings.Repeat("[", 20) + strings.Repeat("]", 20),
}

// TestHostileInput sends generated nonsense to every operation on both
// databases at once: none is a 5xx, and both give the same answer.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long")
	}
	databases := []*server{newServer(t, dbtest.SQLite(t))}
	if pg := dbtest.PostgresIfWanted(t); pg != nil {
		databases = append(databases, newServer(t, pg))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	accepted := 0
	for range 1500 {
		method, path, options := hostileRequest(random)
		var first answer
		for i, s := range databases {
			a := s.do(method, path, options...)
			if a.status >= 500 {
				t.Fatalf("seed %d: %s %q: %d %s", seed, method, path, a.status, a.body)
			}
			if a.status < 300 {
				accepted++
			}
			if strings.Contains(strings.ToUpper(a.body), "SQLSTATE") || strings.Contains(a.body, "notification_") {
				t.Errorf("seed %d: %s %q leaks: %s", seed, method, path, a.body)
			}
			if i == 0 {
				first = a
			} else if a.status != first.status || (a.status >= 400 && a.body != first.body) {
				t.Errorf("seed %d: %s %q: %d %s on SQLite, %d %s on PostgreSQL", seed, method, path, first.status, first.body, a.status, a.body)
			}
		}
	}
	if accepted == 0 {
		t.Error("nothing was accepted: the generator does not get past the first check")
	}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// hostileRequest is mostly right, so that it gets far before it goes wrong.
func hostileRequest(random *rand.Rand) (method, path string, options []option) {
	options = append(options, as(pick(random, jane, jane, john, "ci", "user:default/nobody", "group:default/ops")))
	switch random.IntN(4) {
	case 0:
		return "POST", "/notifications", append(options, jsonBody(hostileBody(random)))
	case 1:
		path = "/notifications"
	case 2:
		path = "/notifications/count"
	case 3:
		return "PUT", "/notifications/read" + hostileQuery(random, "messageId", "read", "user", "x"), options
	}
	return "GET", path + hostileQuery(random, "pageSize", "pageNumber", "orderBy", "orderByDirec", "containsText", "createdAfter", "messageScope", "read", "cursor", "user", "x"), options
}

// hostileQuery gives up to three of the parameters nasty values.
func hostileQuery(random *rand.Rand, names ...string) string {
	query := "?"
	for range random.IntN(4) {
		value := pick(random, nasty...)
		if len(value) > 1000 {
			value = value[:1000] // more is a 431 of net/http
		}
		query += pick(random, names...) + "=" + pick(random, url.QueryEscape(value), url.QueryEscape(value), url.PathEscape(value)) + pick(random, "&", "&", "&", ";", "&&")
	}
	return query
}

// hostileBody is a good body in which some values, or some bytes, are not.
func hostileBody(random *rand.Rand) string {
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
	body := map[string]any{"origin": "o", "title": "t"}
	for range random.IntN(4) {
		switch name := pick(random, "origin", "title", "message", "topic", "actions", "targetUsers", "targetGroups", "Title", "x", "\x00"); name {
		case "actions":
			body[name] = list(func() any { return pick[any](random, map[string]any{"title": text(), "url": text()}, text()) })
		case "targetUsers", "targetGroups":
			body[name] = list(text)
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
			"containsText=%ff":                       {"containsText"},
			"cursor=":                                {"cursor"},
			"cursor=x":                               {"cursor"},
			"cursor=x&pageNumber=1":                  {"pageNumber"},
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
		s.do("GET", fmt.Sprintf("/notifications?containsText=%s", strings.Repeat("x", 5000)), as(jane)).want(http.StatusOK)
	})
}
