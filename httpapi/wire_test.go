package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/notifications-go/notifications/api"
)

// The server accepts bodies of package api with a value in every field, and its
// answers return the values.
func TestBodiesOfPackageAPI(t *testing.T) {
	eachServer(t, func(s *server) {
		hour := api.Time{Time: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)}
		post := api.CreateBody{
			Origin: "ci", Title: "<t>", Message: "m", Actions: []api.CreateAction{{Title: "a", URL: "/a"}}, Topic: "builds",
			TargetUsers: []string{"default/jane"}, TargetGroups: []string{"default/ops"}, Severity: api.SeverityHigh, Link: "/l", Icon: "i",
			Metadata: json.RawMessage(`{"a":[1]}`), Scope: "s", Resurface: new(true), Expires: hour, NotBefore: api.Time{Time: time.UnixMilli(0)},
		}
		var created api.Created
		s.do("POST", "/notifications", as("ci"), body(t, post)).want(http.StatusOK).decode(&created)

		filter := api.StateFilter{
			ContainsText: "M", CreatedAfter: api.Time{Time: time.UnixMilli(0)}, MessageScope: api.MessageScopeUser, Read: new(false), Saved: new(false),
			Archived: api.NotArchived, MinSeverity: api.SeverityNormal, Topic: "builds", Origin: "ci",
		}
		for _, state := range []api.StateBody{
			{Filter: &filter, UpTo: created.MessageID, Read: new(true), Saved: new(true), Archived: new(true)},
			{IDs: []string{created.MessageID}, Archived: new(false)},
		} {
			var updated api.Updated
			if s.do("PUT", "/notifications/state", as(jane), body(t, state)).want(http.StatusOK).decode(&updated); updated.Updated != 1 {
				t.Errorf("%+v has updated %d", state, updated.Updated)
			}
		}
		for _, v := range []reflect.Value{reflect.ValueOf(post), reflect.ValueOf(filter)} {
			for i := range v.NumField() {
				if v.Field(i).IsZero() {
					t.Errorf("%s of %s has no value here", v.Type().Field(i).Name, v.Type())
				}
			}
		}

		var n api.Notification
		s.do("GET", "/notifications/"+created.MessageID, as(jane)).want(http.StatusOK).decode(&n)
		want := api.Notification{
			ID: created.MessageID, Created: n.Created, ReadByUser: true, Origin: "ci", Title: "<t>", Message: "m", Topic: "builds",
			Actions: n.Actions, Severity: api.SeverityHigh, Saved: true, Link: "/l", Icon: "i", Metadata: post.Metadata, Scope: "s", Expires: hour,
			PostedBy: "service:ci",
		}
		if !reflect.DeepEqual(n, want) || len(n.Actions) != 1 || n.Actions[0].Title != "a" || n.Actions[0].URL != "/a" {
			t.Errorf("got  %+v\nwant %+v", n, want)
		}
		var withdrawn api.Withdrawn
		s.do("POST", "/notifications/withdraw", as("ci"), body(t, api.WithdrawBody{Origin: "ci", Scope: "s"})).want(http.StatusOK).decode(&withdrawn)
		if withdrawn.Withdrawn != 1 {
			t.Errorf("%d are withdrawn", withdrawn.Withdrawn)
		}
	})
}

// body sends a body of package api.
func body(t *testing.T, v any) option {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return jsonBody(string(encoded))
}
