package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
)

// largestPost is a post that is as long as any on the wire: its characters are
// sent as escapes.
func largestPost(t *testing.T, without ...string) string {
	t.Helper()
	escaped := strings.Repeat("\u2028", notifications.MaxTitleChars)
	link := "/" + strings.Repeat(`"`, notifications.MaxURLBytes-1)
	actions := make([]map[string]string, notifications.MaxActions)
	for i := range actions {
		actions[i] = map[string]string{"title": escaped, "url": link}
	}
	const brackets = len(`{"":""}`)
	draft := map[string]any{
		"origin": escaped, "title": escaped, "topic": escaped, "scope": escaped, "link": link, "icon": link, "actions": actions,
		"message":  strings.Repeat("\n", notifications.MaxMessageBytes),
		"metadata": map[string]string{"": strings.Repeat("x", notifications.MaxMetadataBytes-brackets)},
		"severity": "critical", "expires": "9999-12-31T23:59:59.999Z", "targetUsers": []string{"default/jane"},
	}
	for _, field := range without {
		delete(draft, field)
	}
	body, err := json.Marshal(draft)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestDefaultPageIsNeverCut: 20 of the largest notifications fit on a page.
func TestDefaultPageIsNeverCut(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(largestPost(t))
		one := s.do("GET", "/notifications/"+id, as(jane)).want(http.StatusOK).body
		const atLeast = 2*notifications.MaxMessageBytes + notifications.MaxMetadataBytes + 2*notifications.MaxActions*notifications.MaxURLBytes
		if len(one) < atLeast {
			t.Errorf("the largest notification has %d bytes, want at least %d", len(one), atLeast)
		}
		if size := notifications.DefaultLimit * (len(one) + 1); size > notifications.MaxPageBytes {
			t.Errorf("%d of %d bytes do not fit on a page", notifications.DefaultLimit, len(one))
		}
	})
}

// TestLargePages: a page by number that is too large is refused, and any other
// list is cut and carries Link.
func TestLargePages(t *testing.T) {
	eachServer(t, func(s *server) {
		large := largestPost(t, "scope")
		const posts = 50
		for range posts {
			s.post(large)
		}
		s.do("GET", "/notifications?pageSize=50&pageNumber=1", as(jane)).problem(http.StatusBadRequest, "pageSize")
		s.do("GET", "/notifications?pageSize=49&pageNumber=1&orderBy=title", as(jane)).problem(http.StatusBadRequest, "pageSize")
		s.do("GET", "/notifications?pageSize=20&pageNumber=1", as(jane)).want(http.StatusOK)
		for _, query := range []string{"?pageSize=50", "?pageSize=0&pageNumber=0", "?pageSize=50&orderBy=message"} {
			seen := map[string]bool{}
			for next := query; next != ""; {
				a := s.do("GET", "/notifications"+next, as(jane)).want(http.StatusOK)
				if len(a.body) > notifications.MaxPageBytes {
					t.Errorf("%s has %d bytes", next, len(a.body))
				}
				var items []item
				a.decode(&items)
				for _, n := range items {
					seen[n.ID] = true
				}
				next = strings.TrimSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
			}
			if len(seen) != posts {
				t.Errorf("the pages of %s have %d notifications, want %d", query, len(seen), posts)
			}
		}
	})
}
