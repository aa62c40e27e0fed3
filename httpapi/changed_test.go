package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
	"github.com/notifications-go/notifications/httpapi"
)

// Behaviour that differs from the plugin on purpose: one test for each row of
// the table in docs/from-backstage.md.

func TestChangedReadStateGrantsNoVisibility(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"for jane","targetUsers":["default/jane"]}`)
		hidden := s.do("PUT", "/notifications/read?read=true&messageId="+id, as(john)).problem(http.StatusNotFound)
		unknown := s.do("PUT", "/notifications/read?read=true&messageId=01890000-0000-7000-8000-000000000000", as(john)).problem(http.StatusNotFound)
		if hidden.body != unknown.body {
			t.Errorf("an invisible id answers %s, an unknown one %s", hidden.body, unknown.body)
		}
		s.wantTitles(john, "?messageScope=all")
	})
}

func TestChangedGroupMessagesGoWithTheMembership(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"for ops","targetGroups":["default/ops"]}`)
		s.do("PUT", "/notifications/read?read=true&messageId="+id, as(jane)).want(http.StatusOK)
		s.wantTitles(jane, "", "for ops")
		s.wantTitles("user:default/guest", "")

		s.people("jane: [], guest: [ops]")
		s.wantTitles(jane, "?messageScope=all")
		s.do("PUT", "/notifications/read?read=false&messageId="+id, as(jane)).problem(http.StatusNotFound)
		s.wantTitles("user:default/guest", "", "for ops") // joined later
	})
}

func TestChangedInvalidInputIsNamed(t *testing.T) {
	eachServer(t, func(s *server) {
		a := s.do("POST", "/notifications", as("ci"), jsonBody(`{"title":7,"origin":"","message":"a","actions":[{"title":"x"},{"url":5}],"targetUsers":["default/jane",null]}`))
		a.problem(http.StatusBadRequest, "title", "targetUsers[1]", "actions[1].url", "origin", "actions[0].url", "actions[1].title")
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"title":"","actions":[{"title":"x"}],"targetUsers":["jane","default/nobody"]}`)).
			problem(http.StatusBadRequest, "origin", "title", "actions[0].url", "targetUsers[0]", "targetUsers[1]")
		s.do("GET", "/notifications?pageSize=x&pageNumber=-1&orderBy=id&orderByDirec=up&createdAfter=today&messageScope=mine&read=yes&x=1", as(jane)).
			problem(http.StatusBadRequest, "createdAfter", "messageScope", "read", "orderBy", "orderByDirec", "pageSize", "pageNumber", "x")
	})
}

func TestChangedNobodyIsLetInByDefault(t *testing.T) {
	if _, err := httpapi.New(nil, httpapi.Config{}); err == nil || !strings.Contains(err.Error(), "nobody can be identified") {
		t.Errorf("New without any way to identify a caller: %v", err)
	}
	eachServer(t, func(s *server) {
		for _, request := range [][2]string{{"GET", "/notifications"}, {"GET", "/notifications/count"}, {"POST", "/notifications"}, {"PUT", "/notifications/read"}} {
			a := s.do(request[0], request[1]).problem(http.StatusUnauthorized)
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
		}
	})
}

func TestChangedNothingIsBroadcastByMistake(t *testing.T) {
	eachServer(t, func(s *server) {
		for body, field := range map[string]string{
			`{"origin":"o","title":"t","targetUsers":[]}`:                                  "targetUsers",
			`{"origin":"o","title":"t","targetGroups":[]}`:                                 "targetGroups",
			`{"origin":"o","title":"t","targetUsers":["default/jane"],"targetGroups":[]}`:  "targetGroups",
			`{"origin":"o","title":"t","targetUser":["default/jane"]}`:                     "targetUser",
			`{"origin":"o","title":"t","TargetUsers":["default/jane"]}`:                    "TargetUsers",
			`{"origin":"o","title":"t","targetUsers":"default/jane"}`:                      "targetUsers",
			`{"origin":"o","title":"t","targetUsers":[["default/jane"]]}`:                  "targetUsers[0]",
			`{"origin":"o","title":"t","targetUsers":["default/jane"],"targetUsers":null}`: "targetUsers",
		} {
			s.do("POST", "/notifications", as("ci"), jsonBody(body)).problem(http.StatusBadRequest, field)
		}
		if n := s.count(jane, "?messageScope=all"); n != 0 {
			t.Errorf("%d notifications were stored", n)
		}
	})
}

func TestChangedSystemPostsNeedAPermission(t *testing.T) {
	eachServer(t, func(s *server) {
		s.do("POST", "/notifications", as("ci"), jsonBody(`{"origin":"o","title":"t"}`)).problem(http.StatusForbidden)
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
	}, func(c *notifications.Config, _ *httpapi.Config) {
		c.Policy = policyFunc(func(_ notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
			if p == notifications.PermissionCreateSystem {
				return notifications.Deny, nil
			}
			return notifications.Allow, nil
		})
	})
}

func TestChangedSecretHolderIsAService(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, active := range []string{secret, otherSecret} {
			s.do("POST", "/notifications", header("notifications-secret", active), jsonBody(`{"title":"t","origin":"o"}`)).want(http.StatusOK)
			s.do("GET", "/notifications", header("notifications-secret", active)).problem(http.StatusForbidden)
			s.do("GET", "/notifications/count", header("notifications-secret", active)).problem(http.StatusForbidden)
			s.do("PUT", "/notifications/read?read=true&messageId=01890000-0000-7000-8000-000000000000", header("notifications-secret", active)).problem(http.StatusForbidden)
		}
		for _, wrong := range []string{"", "x", secret + "x", secret[1:], secret + ", " + otherSecret} {
			s.do("POST", "/notifications", header("notifications-secret", wrong), jsonBody(`{"title":"t","origin":"o"}`)).problem(http.StatusUnauthorized)
		}
		s.do("POST", "/notifications", header("notifications-secret", secret), header("notifications-secret", secret), jsonBody(`{"title":"t","origin":"o"}`)).
			problem(http.StatusUnauthorized)
	})
}

func TestChangedSecretHolderCanActAsAUser(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		var items []item
		s.do("GET", "/notifications", header("notifications-secret", secret)).want(http.StatusOK).decode(&items)
		if len(items) != 1 {
			t.Errorf("%d items, want jane's", len(items))
		}
	}, func(_ *notifications.Config, c *httpapi.Config) {
		secrets, err := auth.NewSecrets(notifications.User("Default/Jane"), secret)
		if err != nil {
			t.Fatal(err)
		}
		c.Secrets = secrets
	})
}

func TestChangedTextIsLiteral(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"100% of ÉCLAIRS","targetUsers":["default/jane"]}`)
		s.post(`{"origin":"o","title":"under_score","message":"x","targetUsers":["default/jane"]}`)
		s.wantTitles(jane, "?containsText=%25", "100% of ÉCLAIRS")
		s.wantTitles(jane, "?containsText=_", "under_score")
		s.wantTitles(jane, "?containsText=%C3%A9clairs", "100% of ÉCLAIRS")
		s.wantTitles(jane, "?containsText=%5C")
	})
}

func TestChangedTiesAreBroken(t *testing.T) {
	eachServer(t, func(s *server) {
		for range 50 {
			s.post(`{"origin":"o","title":"the same","topic":"t","targetUsers":["default/jane"]}`)
		}
		for _, order := range []string{"title", "message", "topic", "origin", "created"} {
			seen := map[string]bool{}
			for page := 1; page <= 8; page++ {
				for _, n := range s.list(jane, fmt.Sprintf("?pageSize=7&pageNumber=%d&orderBy=%s", page, order)) {
					seen[n.ID] = true
				}
			}
			if len(seen) != 50 {
				t.Errorf("by %s: %d distinct of 50", order, len(seen))
			}
		}
	})
}

func TestChangedTargetsAreASet(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"once","targetUsers":["default/jane","Default/Jane","user:default/jane"],"targetGroups":["default/ops","default/ops"]}`)
		s.wantTitles(jane, "", "once")
		if n := s.count(jane, ""); n != 1 {
			t.Errorf("count = %d, want 1", n)
		}
	})
}

func TestChangedFirstMarksAtOnce(t *testing.T) {
	eachServer(t, func(s *server) {
		id := s.post(`{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
		as(jane)(s, &http.Request{Header: http.Header{}}) // makes the token once
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s.do("PUT", "/notifications/read?read=true&messageId="+id, as(jane)).want(http.StatusOK)
			})
		}
		wg.Wait()
		s.wantTitles(jane, "?read=true", "t")
	})
}

func TestChangedAuthenticationComesFirst(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, body := range []string{`{`, `{"title":"t"}`, strings.Repeat(" ", 2<<20)} {
			s.do("POST", "/notifications", jsonBody(body)).problem(http.StatusUnauthorized)
			s.do("POST", "/notifications", jsonBody(body), header("Authorization", "Bearer x")).problem(http.StatusUnauthorized)
			s.do("POST", "/notifications", jsonBody(body), as("denied")).problem(http.StatusForbidden)
		}
		s.do("POST", "/notifications", as("denied"), header("Content-Type", "text/plain"), jsonBody(`x`)).problem(http.StatusForbidden)
		s.do("POST", "/notifications", as("denied"), jsonBody(`{"origin":"o","title":"t","targetUsers":["default/nobody"]}`)).problem(http.StatusForbidden)
		s.do("GET", "/notifications?nonsense=1", as("denied")).problem(http.StatusForbidden)
		s.do("GET", "/notifications?nonsense=1").problem(http.StatusUnauthorized)
	}, func(c *notifications.Config, _ *httpapi.Config) {
		c.Policy = policyFunc(func(who notifications.Identity, _ notifications.Permission) (notifications.Decision, error) {
			if who.Name == "denied" {
				return notifications.Deny, nil
			}
			return notifications.Allow, nil
		})
	})
}

func TestChangedRefsAreFolded(t *testing.T) {
	eachServer(t, func(s *server) {
		s.post(`{"origin":"o","title":"t","targetUsers":["default/U7"]}`)
		s.wantTitles("user:default/u7", "", "t")
		s.wantTitles("user:Default/U7", "", "t")
	})
}

func TestChangedTokenAndSecretAreEitherEnough(t *testing.T) {
	eachServer(t, func(s *server) {
		body := jsonBody(`{"origin":"o","title":"t"}`)
		s.do("POST", "/notifications", as("ci"), body).want(http.StatusOK)
		s.do("POST", "/notifications", header("notifications-secret", secret), body).want(http.StatusOK)
		s.do("POST", "/notifications", as("ci"), header("notifications-secret", "wrong"), body).want(http.StatusOK)
		s.do("POST", "/notifications", header("Authorization", "Bearer bad"), header("notifications-secret", secret), body).problem(http.StatusUnauthorized)
		for _, bad := range []string{"", "Bearer", "Bearer ", "Basic eDp5", "bad"} {
			s.do("POST", "/notifications", header("Authorization", bad), header("notifications-secret", secret), body).problem(http.StatusUnauthorized)
		}
	})
}
