package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// A path without an operation is answered with where the operations are.
func TestNoSuchPath(t *testing.T) {
	t.Parallel()
	s := newServer(t, dbtest.SQLite(t))
	const api = "/api/notifications"
	root := strings.TrimSuffix(s.url, api)
	for path, meant := range map[string]string{
		root + "/": "", root + "/favicon.ico": "", s.url: "", s.url + "/": "", s.url + "/notification": "/notifications", root + "/Notifications": "/notifications",
		s.url + "/notifications/": "/notifications", s.url + "/health": "/healthz", root + "/openapi.yml": "/openapi.yaml", s.url + "/" + long + long: "",
	} {
		s.url = path
		a := s.do("GET", "").problem(http.StatusNotFound)
		if !strings.Contains(a.body, "the API is at "+api+"/notifications, and "+api+"/openapi.yaml describes it") {
			t.Errorf("%s: %s", path, a.body)
		}
		if said := strings.Contains(a.body, "did you mean"); said != (meant != "") || said && !strings.Contains(a.body, "did you mean "+api+meant+"?") {
			t.Errorf("%s: %s, want a mention of %q", path, a.body, meant)
		}
	}
}

func TestNearNames(t *testing.T) {
	t.Parallel()
	s := newServer(t, dbtest.SQLite(t))
	for _, a := range []answer{
		s.do("GET", "/notifications?pagesize=5", as(jane)).problem(http.StatusBadRequest, "pagesize"),
		s.do("GET", "/notifications?page_size=5", as(jane)).problem(http.StatusBadRequest, "page_size"),
	} {
		if !strings.Contains(a.body, "is not a known parameter, did you mean pageSize?") {
			t.Error(a.body)
		}
	}
	a := s.do("POST", "/notifications", as(jane), jsonBody(`{"origin":"o","title":"t","targetUser":["default/jane"]}`)).problem(http.StatusBadRequest, "targetUser")
	if !strings.Contains(a.body, "did you mean targetUsers?") {
		t.Error(a.body)
	}
	a = s.do("PATCH", "/notifications").problem(http.StatusMethodNotAllowed)
	if !strings.Contains(a.body, "it supports GET, HEAD, OPTIONS, POST") {
		t.Error(a.body)
	}
}

// No error is answered with more than 64 KiB, whatever is wrong and how often.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, dbtest.SQLite(t))
	many := func(n int, each func(i int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = each(i)
		}
		return strings.Join(parts, ",")
	}
	hostile := strings.Repeat(`\u2028`, 1000)
	post := `{"origin":"o","title":"t",`
	bodies := []string{
		post + `"targetUsers":[` + many(300_000, func(int) string { return `""` }) + `]}`,
		post + `"targetUsers":[` + many(100_000, func(i int) string { return fmt.Sprint(i) }) + `]}`,
		post + `"targetUsers":[` + many(20_000, func(i int) string { return fmt.Sprintf(`"default/nobody%d"`, i) }) + `]}`,
		post + `"targetUsers":[` + many(900, func(i int) string { return fmt.Sprintf(`"default/%d%s"`, i, long) }) + `]}`,
		post + many(50_000, func(i int) string { return fmt.Sprintf(`"x%d":0`, i) }) + `}`,
		post + many(100, func(i int) string { return fmt.Sprintf(`"%s%d":0`, hostile, i) }) + `}`,
		post + `"` + hostile + `":` + strings.Repeat(`{"`+hostile+`":`, 14) + `[1,1` + strings.Repeat(`}`, 14) + `}`,
		post + `"metadata":` + strings.Repeat(`{"`+hostile+`":`, 14) + `{"a":0,"a":1}` + strings.Repeat(`}`, 14) + `}`,
		post + `"actions":[` + many(100_000, func(int) string { return `{}` }) + `]}`,
		post + `"severity":"` + hostile + `","link":"` + hostile + `:` + hostile + `"}`,
		`{"ids":[` + many(100_000, func(i int) string { return fmt.Sprintf(`"%d"`, i) }) + `],"read":true}`,
		`{"filter":{` + many(50_000, func(i int) string { return fmt.Sprintf(`"x%d":0`, i) }) + `},"read":true}`,
	}
	bounded := func(what string, a answer) {
		t.Helper()
		if a.status < 400 || a.status >= 500 || len(a.body) > 64<<10 {
			t.Errorf("%.60s… is answered with %d and %d bytes", what, a.status, len(a.body))
		}
	}
	for _, body := range bodies {
		for _, c := range calls {
			if c.body != "" {
				bounded(body, s.do(c.method, c.path, as(jane), jsonBody(body)))
			}
		}
	}
	for _, query := range []string{
		strings.ReplaceAll(many(20_000, func(i int) string { return fmt.Sprintf("x%d", i) }), ",", "&"), strings.Repeat("%E2%80%A8", 10_000),
		"pageSize=" + strings.Repeat("%E2%80%A8", 10_000), strings.Repeat("pageSize&", 10_000), strings.Repeat("%zz&", 10_000), "cursor=" + strings.Repeat("x", 100_000),
	} {
		for _, c := range calls {
			if path, _, _ := strings.Cut(c.path, "?"); c.body == "" {
				bounded(query, s.do(c.method, strings.ReplaceAll(path, "{id}", unknown)+"?"+query, as(jane)))
			}
		}
	}
	for _, path := range []string{"/" + strings.Repeat("x/", 50_000), "/notifications/" + strings.Repeat("%E2%80%A8", 10_000), "/notifications/" + long + "/" + long} {
		bounded(path, s.do("GET", path, as(jane)))
	}
}
