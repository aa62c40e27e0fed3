package httpapi_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// call is a valid call of an operation, with invalid variants. {id} is replaced
// by an id.
type call struct {
	operation, method, path, body string
	permissions                   []notifications.Permission // in the order in which they are asked
	wrong                         [][2]string                // path and body
}

// calls has every operation that needs an identity.
var calls = []call{
	{"createNotification", "POST", "/notifications", `{"origin":"o","title":"t"}`,
		[]notifications.Permission{notifications.PermissionCreate, notifications.PermissionCreateSystem},
		[][2]string{{"/notifications", `{`}, {"/notifications", `{"title":1}`}, {"/notifications?x", `{}`}, {"/notifications", `{"origin":"o","title":"t","targetUsers":["x"]}`}}},
	{"getNotifications", "GET", "/notifications", "", list, [][2]string{{"/notifications?x=1", ""}, {"/notifications?cursor=x", ""}, {"/notifications?a;b", ""}}},
	{"getNotificationsCount", "GET", "/notifications/count", "", list, [][2]string{{"/notifications/count?x=1", ""}, {"/notifications/count?topic=" + long, ""}}},
	{"setRead", "PUT", "/notifications/read?read=true&messageId={id}", "", mark, [][2]string{{"/notifications/read", ""}, {"/notifications/read?read=true&messageId=x", ""}}},
	{"setState", "PUT", "/notifications/state", `{"ids":["{id}"],"read":true}`, mark,
		[][2]string{{"/notifications/state", `{`}, {"/notifications/state", `{}`}, {"/notifications/state?x", `{}`}, {"/notifications/state", `{"filter":{"topic":"` + long + `"},"read":true}`}}},
	{"getStatus", "GET", "/notifications/status", "", list, [][2]string{{"/notifications/status?read=true", ""}}},
	{"getTopics", "GET", "/notifications/topics", "", list, [][2]string{{"/notifications/topics?messageScope=x", ""}}},
	{"streamNotifications", "GET", "/notifications/stream", "", list,
		[][2]string{{"/notifications/stream?x=1", ""}, {"/notifications/stream?after=X", ""}, {"/notifications/stream?topic=" + long, ""}}},
	{"withdrawByScope", "POST", "/notifications/withdraw", `{"origin":"o","scope":"s"}`, withdraw,
		[][2]string{{"/notifications/withdraw", `x`}, {"/notifications/withdraw", `{}`}, {"/notifications/withdraw", `{"origin":"o","scope":"` + long + `"}`}}},
	{"getNotification", "GET", "/notifications/{id}", "", list, [][2]string{{"/notifications/x", ""}, {"/notifications/{id}?x=1", ""}}},
	{"withdrawNotification", "DELETE", "/notifications/{id}", "", withdraw, [][2]string{{"/notifications/x", ""}, {"/notifications/{id}?x=1", ""}}},
	{"getReach", "GET", "/notifications/{id}/reach", "", []notifications.Permission{notifications.PermissionReach},
		[][2]string{{"/notifications/x/reach", ""}, {"/notifications/{id}/reach?x=1", ""}}},
}

var (
	list     = []notifications.Permission{notifications.PermissionList}
	mark     = []notifications.Permission{notifications.PermissionUpdateRead}
	withdraw = []notifications.Permission{notifications.PermissionDelete}
	long     = strings.Repeat("x", 256)
)

// send calls an operation with an id.
func (s *server) send(c call, id string, options ...option) answer {
	s.t.Helper()
	if c.body != "" {
		options = append(options, jsonBody(strings.ReplaceAll(c.body, "{id}", id)))
	}
	return s.do(c.method, strings.ReplaceAll(c.path, "{id}", id), options...)
}

func TestCallsAreEveryOperation(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range calls {
		known[c.operation] = true
	}
	for _, item := range document(t).Paths.Map() {
		for _, op := range item.Operations() {
			if public := op.Security != nil && len(*op.Security) == 0; !public && !known[op.OperationID] {
				t.Errorf("%s is not among the calls", op.OperationID)
			}
		}
	}
}

// gate is a policy that records the questions, and denies one permission.
type gate struct {
	mu    sync.Mutex
	asked []notifications.Permission
	deny  notifications.Permission
}

func (g *gate) Decide(_ context.Context, r notifications.Request) (notifications.Decision, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, r.Permission)
	if r.Permission == g.deny {
		return notifications.Deny, nil
	}
	return notifications.Allow, nil
}

// denying makes the gate deny p, and clears its record.
func (g *gate) denying(p notifications.Permission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked, g.deny = nil, p
}

// Each operation asks for its permissions and no others, and only then reports
// invalid input.
func TestPermissions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var g gate
		s := newServer(t, db, func(c *notifications.Config, _ *httpapi.Config) { c.Policy = &g }).run()
		for _, c := range calls {
			id := s.postAs(jane, `{"origin":"o","title":"t","targetUsers":["default/jane"]}`)
			for _, p := range c.permissions {
				g.denying(p)
				denied := s.send(c, id, as(jane)).problem(http.StatusForbidden)
				for _, in := range c.wrong {
					wrong := call{method: c.method, path: in[0], body: in[1]}
					if p == c.permissions[0] {
						if a := s.send(wrong, id, as(jane)).problem(http.StatusForbidden); a.body != denied.body {
							t.Errorf("%s answers %s to %q, and %s otherwise", c.operation, a.body, in, denied.body)
						}
					}
					stranger := s.send(wrong, id).problem(http.StatusUnauthorized)
					if a := s.send(c, id); a.body != stranger.body {
						t.Errorf("%s answers a stranger %s to %q, and %s otherwise", c.operation, stranger.body, in, a.body)
					}
				}
			}
			g.denying("")
			for _, in := range c.wrong {
				s.send(call{method: c.method, path: in[0], body: in[1]}, id, as(jane)).want(http.StatusBadRequest)
			}
			g.denying("")
			if a := s.send(c, id, as(jane)); a.status >= 300 {
				t.Errorf("%s answers %d %s", c.operation, a.status, a.body)
			}
			if !slices.Equal(g.asked, c.permissions) {
				t.Errorf("%s asks for %v, want %v", c.operation, g.asked, c.permissions)
			}
		}
	})
}

// TestMatrix calls every operation as every caller, on posts of jane and of the
// service ci to the group ops. jane and john are members. No caller sees or
// changes the notifications of others.
func TestMatrix(t *testing.T) {
	// The status for each caller.
	type row struct {
		jane, john, stranger, ci, otherService, guest, nobody int
	}
	const ok, gone, no, none, who = http.StatusOK, http.StatusNoContent, http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized
	want := map[string]struct{ ofJane, ofCI row }{
		"createNotification":    both(row{ok, ok, ok, ok, ok, ok, who}),
		"getNotifications":      both(row{ok, ok, ok, no, no, ok, who}),
		"getNotificationsCount": both(row{ok, ok, ok, no, no, ok, who}),
		"setRead":               both(row{ok, ok, none, no, no, none, who}),
		"setState":              both(row{ok, ok, ok, no, no, ok, who}),
		"getStatus":             both(row{ok, ok, ok, no, no, ok, who}),
		"getTopics":             both(row{ok, ok, ok, no, no, ok, who}),
		"streamNotifications":   both(row{ok, ok, ok, no, no, ok, who}),
		"withdrawByScope":       both(row{ok, ok, ok, ok, ok, ok, who}),
		"getNotification":       both(row{ok, ok, none, no, no, none, who}),
		"withdrawNotification":  {row{gone, no, none, none, none, none, who}, row{no, no, none, gone, none, none, who}},
		"getReach":              {row{ok, no, none, none, none, none, who}, row{no, no, none, ok, none, none, who}},
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		s := newServer(t, db).run()
		open := newServer(t, db, func(_ *notifications.Config, c *httpapi.Config) { c.Guest = notifications.User("default/guest") }).run()
		for _, c := range calls {
			for owner, statuses := range map[string]row{jane: want[c.operation].ofJane, "ci": want[c.operation].ofCI} {
				for _, p := range []struct {
					name    string
					server  *server
					options []option
					status  int
				}{
					{jane, s, []option{as(jane)}, statuses.jane}, {john, s, []option{as(john)}, statuses.john},
					{"a stranger", s, []option{as("user:default/u7")}, statuses.stranger},
					{"ci", s, []option{as("ci")}, statuses.ci}, {"another service", s, []option{as("cron")}, statuses.otherService},
					{"a guest", open, nil, statuses.guest}, {"nobody", s, nil, statuses.nobody},
				} {
					id := s.postAs(owner, `{"origin":"o","title":"t","topic":"for ops","scope":"s","targetGroups":["default/ops"]}`)
					before := s.do("GET", "/notifications/"+id, as(john)).want(ok).body
					a := p.server.send(c, id, p.options...)
					if a.status != p.status {
						t.Errorf("%s of what %s posted, by %s: %d %s, want %d", c.operation, owner, p.name, a.status, a.body, p.status)
					}
					if p.name != jane && p.name != john && strings.Contains(a.body, "for ops") {
						t.Errorf("%s shows %s %s", c.operation, p.name, a.body)
					}
					if a.status == none {
						if absent := p.server.send(c, unknown, p.options...); absent.status != none || absent.body != a.body {
							t.Errorf("%s by %s: an unknown id answers %d %s, an invisible one %s", c.operation, p.name, absent.status, absent.body, a.body)
						}
					}
					withdrawn := a.status < 300 && (c.operation == "withdrawNotification" || c.operation == "withdrawByScope" && p.name == owner)
					marked := p.name == john && (c.operation == "setRead" || c.operation == "setState")
					after := s.do("GET", "/notifications/"+id, as(john))
					if withdrawn != (after.status == none) || !withdrawn && marked == (after.body == before) {
						t.Errorf("%s by %s of what %s posted: john has %s afterwards, had %s", c.operation, p.name, owner, after.body, before)
					}
				}
			}
		}
	})
}

// both is the same result for posts of jane and of ci.
func both[T any](r T) (w struct{ ofJane, ofCI T }) {
	w.ofJane, w.ofCI = r, r
	return w
}
