package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// The fields of a post that the plugin does not have.

// A post without new fields is listed as the plugin lists it, followed by the
// new fields that every notification has.
func TestPluginsPostsAreUnchanged(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","message":"m","topic":"x","actions":[{"title":"a","url":"/b"}],"targetUsers":["default/jane"]}`)
		list := s.do("GET", "/notifications", as(jane)).want(http.StatusOK).body
		want := `\[\{"id":"` + id + `","created":"[^"]*","readByUser":false,"isSystem":false,"origin":"o","title":"t","message":"m","topic":"x",` +
			`"actions":\[\{"id":"[^"]*","title":"a","url":"/b"\}\],"severity":"normal","saved":false,"archived":false,"postedBy":"service:ci"\}\]\n`
		if !regexp.MustCompile("^" + want + "$").MatchString(list) {
			t.Errorf("listed as %s\nwant %s", list, want)
		}
		if one := s.do("GET", "/notifications/"+id, as(jane)).want(http.StatusOK).body; "["+strings.TrimSpace(one)+"]\n" != list {
			t.Errorf("alone it is  %s\nin the list %s", one, list)
		}
	})
}

func TestNewFields(t *testing.T) {
	eachServer(t, func(s *server) {
		expires := time.Now().Add(time.Hour).Truncate(time.Second)
		id := s.post(`{"origin":"o","title":"t","severity":"critical","link":"/l?a=1&b=<2>","icon":"fire","metadata":{"a":1},"scope":"s",
			"resurface":true,"expires":"` + expires.In(time.FixedZone("", 5400)).Format(time.RFC3339) + `","notBefore":"2001-01-01T00:00:00Z","targetUsers":["default/jane"]}`)
		n := s.get(jane, id)
		if n.Severity != "critical" || *n.Link != "/l?a=1&b=<2>" || *n.Icon != "fire" || string(n.Metadata) != `{"a":1}` || *n.Scope != "s" || n.Updated != nil {
			t.Errorf("got %+v", n)
		}
		if want := expires.UTC().Format("2006-01-02T15:04:05.000Z"); *n.Expires != want {
			t.Errorf("expires %s, want %s", *n.Expires, want)
		}
		bare := s.post(`{"origin":"o","title":"t","severity":null,"link":null,"icon":null,"metadata":null,"scope":null,
			"resurface":null,"expires":null,"notBefore":null,"targetUsers":["default/jane"]}`)
		body := s.do("GET", "/notifications/"+bare, as(jane)).want(http.StatusOK).body
		if !strings.HasSuffix(body, `"actions":[],"severity":"normal","saved":false,"archived":false,"postedBy":"service:ci"}`+"\n") {
			t.Errorf("null is not absent: %s", body)
		}
	})
}

func TestMetadataByteForByte(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, sent := range []string{
			`{}`, `{ }`, "{\r\n\t\"b\" : 1 ,\n\"a\" : [ 1 , 2 ]\n}", `{"n":1.0,"e":1E+2,"m":-0,"big":12345678901234567890123456789.10}`,
			`{"\u00e9":"\u2028\ud83c\udf89\/<&>","ê":null}`, "{\"x\":\"\u2028<&>\x7f\"}", `{"z":{"y":{"x":[[{"w":true}]]}},"":""}`,
			`{"long":"` + strings.Repeat("x", 16<<10-11) + `"}`,
		} {
			id := s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"],"metadata": ` + sent + ` }`)
			if got := string(s.get(jane, id).Metadata); got != sent {
				t.Errorf("%q is returned as %q", sent, got)
			}
			if got := string(s.list(jane, "?pageSize=1")[0].Metadata); got != sent {
				t.Errorf("%q is listed as %q", sent, got)
			}
		}
	})
}

func TestFieldFaults(t *testing.T) {
	eachServer(t, func(s *server) {
		for body, fields := range map[string][]string{
			`"severity":""`:                      {"severity"},
			`"severity":"HIGH"`:                  {"severity"},
			`"severity":1`:                       {"severity"},
			`"link":"javascript:alert(1)"`:       {"link"},
			`"link":["/x"]`:                      {"link"},
			`"icon":"//evil.example/x.png"`:      {"icon"},
			`"metadata":[]`:                      {"metadata"},
			`"metadata":"{}"`:                    {"metadata"},
			`"metadata":7`:                       {"metadata"},
			`"metadata":{"a":{"b":1,"b":2}}`:     {"metadata.a.b"},
			`"metadata":{"a":{"b":"\u0000"}}`:    {"metadata.a.b"},
			`"metadata":{"a":[{"\ud800":1}]}`:    {"metadata.a[0]"},
			`"metadata":{"A":1,"a":2}`:           {"metadata.a"},
			`"scope":7`:                          {"scope"},
			`"resurface":"false"`:                {"resurface"},
			`"resurface":false`:                  {"resurface"},
			`"resurface":false,"scope":""`:       {"resurface"},
			`"expires":""`:                       {"expires"},
			`"expires":1700000000`:               {"expires"},
			`"expires":"2001-01-01T00:00:00Z"`:   {"expires"},
			`"expires":"0001-01-01T00:00:00Z"`:   {"expires"},
			`"expires":"2001-01-01"`:             {"expires"},
			`"notBefore":"soon"`:                 {"notBefore"},
			`"notBefore":"9000-01-01T00:00:00Z"`: {"notBefore"},
			`"notBefore":"0001-01-01T00:00:00Z","scope":"s","resurface":false`: {"notBefore"},
			`"expires":"9999-12-31T23:59:59-01:00"`:                            {"expires"},
			`"severity":"x","link":"x:y","expires":"z","resurface":1`:          {"severity", "resurface", "expires", "link"},
			`"link":"x:y","icon":"x:y","metadata":{"a":{"a":1,"A":1}}`:         {"metadata.a.A", "link", "icon"},
			`"Metadata":{}`:        {"Metadata"},
			`"idempotencyKey":"x"`: {"idempotencyKey"},
			`"scope":"` + strings.Repeat("é", 256) + `","link":"` + strings.Repeat("x", 2049) + `"`: {"link", "scope"},
			`"metadata":{"long":"` + strings.Repeat("x", 16<<10-10) + `"}`:                          {"metadata"},
			`"metadata":` + strings.Repeat(`{"a":`, 16) + `1` + strings.Repeat(`}`, 16):             {"metadata" + strings.Repeat(".a", 15)},
		} {
			s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t","targetUsers":["default/jane"],`+body+`}`)).
				problem(http.StatusBadRequest, fields...)
		}
		if a := s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t","metadata":[1]}`)); !strings.Contains(a.body, "must be a JSON object") {
			t.Errorf("metadata that is no object: %s", a.body)
		}
		if n := s.count(jane, "?messageScope=all"); n != 0 {
			t.Errorf("%d notifications were stored", n)
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	eachServer(t, func(s *server) {
		body := `{"origin":"o","title":"t","targetUsers":["default/jane"]}`
		post := func(who, key, body string) answer {
			return s.do("POST", "/notifications", as(who), header("Idempotency-Key", key), jsonBody(body))
		}
		first := post("ci", "k", body).want(http.StatusOK).body
		if again := post("ci", "k", `{"title":"t", "origin":"o","severity":"normal","targetUsers":["user:Default/Jane"]}`).want(http.StatusOK).body; again != first {
			t.Errorf("again it answers %s, the first time %s", again, first)
		}
		reused := post("ci", "k", strings.Replace(body, `"t"`, `"u"`, 1)).problem(http.StatusConflict)
		if !strings.Contains(reused.body, "Idempotency-Key") {
			t.Errorf("other content: %s", reused.body)
		}
		for who, key := range map[string]string{"other": "k", "ci": `"k"`, jane: "k"} {
			if got := post(who, key, body).want(http.StatusOK).body; got == first {
				t.Errorf("key %s of %s answers with that of another", key, who)
			}
		}
		post("ci", strings.Repeat("~", 255), body).want(http.StatusOK)
		if n := s.count(jane, ""); n != 5 {
			t.Errorf("%d notifications, want 5", n)
		}
		for _, bad := range []string{"", strings.Repeat("x", 256), "é", "a\tb", "\xff"} {
			post("ci", bad, body).problem(http.StatusBadRequest, "Idempotency-Key")
		}
		s.do("POST", "/notifications", as("ci"), header("Idempotency-Key", "a"), header("Idempotency-Key", "a"), jsonBody(body)).
			problem(http.StatusBadRequest, "Idempotency-Key")
		post("ci", "", `{"title":7}`).problem(http.StatusBadRequest, "Idempotency-Key", "title", "origin")
		s.do("POST", "/notifications", header("Idempotency-Key", ""), jsonBody(body)).problem(http.StatusUnauthorized)
	})
}

func TestScopes(t *testing.T) {
	eachServer(t, func(s *server) {
		const to = `,"scope":"s","targetUsers":["default/jane"]`
		first := s.post(`{"origin":"o","title":"1"` + to + `}`)
		s.mark(jane, `{"ids":["`+first+`"],"read":true,"saved":true}`)
		kept := s.post(`{"origin":"o","title":"2","resurface":false` + to + `}`)
		if n := s.get(jane, kept); kept != first || n.Title != "2" || !n.ReadByUser || !n.Saved || n.Updated == nil {
			t.Errorf("kept in its place it is %+v", n)
		}
		differ := s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"3","scope":"s","resurface":false,"targetUsers":["default/john"]}`)).
			problem(http.StatusConflict)
		if !strings.Contains(differ.body, "targets") {
			t.Errorf("other targets: %s", differ.body)
		}
		s.wantTitles(jane, "", "2")
		s.wantTitles(john, "")
		above := s.post(`{"origin":"o","title":"4"` + to + `}`)
		s.wantTitles(jane, "?read=false", "4")
		s.wantTitles(jane, "", "4")
		if above == first {
			t.Error("what comes up again has kept its id")
		}
	})
}

func TestScheduledAndExpired(t *testing.T) {
	eachServer(t, func(s *server) {
		later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		id := s.post(`{"origin":"o","title":"later","notBefore":"` + later + `","targetUsers":["default/jane"]}`)
		s.wantTitles(jane, "")
		s.do("GET", "/notifications/"+id, as(jane)).problem(http.StatusNotFound)
		s.do("DELETE", "/notifications/"+id, as("ci")).want(http.StatusNoContent)
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t","notBefore":"`+later+`","expires":"`+later+`"}`)).
			problem(http.StatusBadRequest, "expires")
		soon := time.Now().Add(20 * time.Millisecond)
		short := s.post(`{"origin":"o","title":"short","expires":"` + time.Now().Add(time.Hour).Format(time.RFC3339Nano) + `","targetUsers":["default/jane"]}`)
		s.wantTitles(jane, "", "short")
		if err := s.db.Exec("UPDATE notification_deliveries SET expires_at = ? WHERE message_id = ?", soon.Add(-time.Hour).UnixMilli(), short).Error; err != nil {
			t.Fatal(err)
		}
		s.wantTitles(jane, "")
	})
}

func TestNewFilters(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, severity := range []string{"low", "normal", "high", "critical"} {
			s.post(fmt.Sprintf(`{"origin":"o-%[1]s","title":%[1]q,"topic":"T","severity":%[1]q,"targetUsers":["default/jane"]}`, severity))
		}
		s.mark(jane, `{"filter":{"minSeverity":"critical"},"archived":true}`)
		s.mark(jane, `{"filter":{"origin":"o-low"},"saved":true}`)
		const reverse = "&orderByDirec=asc"
		s.wantTitles(jane, "?"+reverse[1:], "low", "normal", "high")
		s.wantTitles(jane, "?archived=false"+reverse, "low", "normal", "high")
		s.wantTitles(jane, "?archived=true", "critical")
		s.wantTitles(jane, "?archived=all"+reverse, "low", "normal", "high", "critical")
		s.wantTitles(jane, "?saved=true", "low")
		s.wantTitles(jane, "?saved=false"+reverse, "normal", "high")
		s.wantTitles(jane, "?minSeverity=low"+reverse, "low", "normal", "high")
		s.wantTitles(jane, "?minSeverity=high&archived=all"+reverse, "high", "critical")
		s.wantTitles(jane, "?topic=T"+reverse, "low", "normal", "high")
		s.wantTitles(jane, "?topic=t")
		s.wantTitles(jane, "?origin=o-high", "high")
		s.wantTitles(jane, "?origin=o-")
		if n := s.count(jane, "?minSeverity=normal&archived=all&topic=T&saved=false"); n != 3 {
			t.Errorf("count = %d, want 3", n)
		}
		for query, field := range map[string]string{
			"saved=": "saved", "saved=all": "saved", "saved=1": "saved", "archived=": "archived", "archived=True": "archived", "minSeverity=": "minSeverity",
			"minSeverity=HIGH": "minSeverity", "topic=": "topic", "origin=": "origin", "topic=%00": "topic", "origin=%ff": "origin", "topic=a&topic=a": "topic",
			"topic=" + strings.Repeat("x", 256): "topic", "origin=" + strings.Repeat("x", 256): "origin",
		} {
			s.do("GET", "/notifications?"+query, as(jane)).problem(http.StatusBadRequest, field)
			s.do("GET", "/notifications/count?"+query, as(jane)).problem(http.StatusBadRequest, field)
		}
		s.wantTitles(jane, "?topic="+strings.Repeat("%C3%A9", 255))
	})
}

// TestLinksKeepTheFilter follows the links of a list with every filter.
func TestLinksKeepTheFilter(t *testing.T) {
	eachServer(t, func(s *server) {
		for i := range 5 {
			s.post(fmt.Sprintf(`{"origin":"o+&","title":"%d","topic":"t é","severity":"high","targetUsers":["default/jane"]}`, i))
			s.post(`{"origin":"other","title":"other","targetUsers":["default/jane"]}`)
		}
		s.mark(jane, `{"filter":{"origin":"o+&"},"saved":true,"archived":true}`)
		query := "?" + url.Values{"saved": {"true"}, "archived": {"true"}, "minSeverity": {"high"}, "topic": {"t é"}, "origin": {"o+&"}, "pageSize": {"2"}}.Encode()
		var titles []string
		for next := query; next != ""; {
			a := s.do("GET", "/notifications"+next, as(jane)).want(http.StatusOK)
			var items []item
			a.decode(&items)
			for _, n := range items {
				titles = append(titles, n.Title)
			}
			_, next, _ = strings.Cut(a.header.Get("Link"), "<")
			next, _, _ = strings.Cut(next, ">")
			if cursor := strings.Index(next, "cursor="); cursor >= 0 && len(titles) == 2 {
				s.do("GET", "/notifications?pageSize=2&"+strings.SplitN(next[cursor:], "&", 2)[0], as(jane)).problem(http.StatusBadRequest, "cursor")
			}
		}
		if !slices.Equal(titles, []string{"4", "3", "2", "1", "0"}) {
			t.Errorf("the pages have %q", titles)
		}
	})
}

// openapi.yaml describes every field of the answers.
func TestAnswersAreDescribed(t *testing.T) {
	t.Parallel()
	described := document(t).Components.Schemas["Notification"].Value.Properties
	var n map[string]json.RawMessage
	s := newServer(t, dbtest.SQLite(t))
	id := s.post(`{"origin":"o","title":"t","message":"m","topic":"t","severity":"low","link":"/","icon":"i","metadata":{},"scope":"s","targetUsers":["default/jane"]}`)
	s.post(`{"origin":"o","title":"t","message":"m","topic":"t","severity":"low","link":"/","icon":"i","metadata":{},"scope":"s","resurface":false,"expires":"` +
		time.Now().Add(time.Hour).Format(time.RFC3339) + `","targetUsers":["default/jane"]}`)
	s.do("GET", "/notifications/"+id, as(jane)).want(http.StatusOK).decode(&n)
	for name := range n {
		if described[name] == nil {
			t.Errorf("openapi.yaml has no %s", name)
		}
	}
	if len(n) != len(described) {
		t.Errorf("%d fields of %d are there: %v", len(n), len(described), n)
	}
}
