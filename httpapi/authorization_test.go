package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// kind says what decides whether an operation is allowed.
type kind int

const (
	// posts: services may do it, and users whom the catalog knows.
	posts kind = iota + 1
	// scopes: everybody may do it, over their own posts, of which there are none.
	scopes
	// inbox: users may do it, over what they see.
	inbox
	// seen: users may do it to a notification that they see.
	seen
	// own: the poster may do it; who sees the notification is told that they
	// may not, and to others it does not exist.
	own
)

// kinds has every operation that needs an identity.
var kinds = map[string]kind{
	"createNotification": posts, "withdrawByScope": scopes,
	"getNotifications": inbox, "getNotificationsCount": inbox, "setState": inbox, "getStatus": inbox, "getTopics": inbox, "streamNotifications": inbox,
	"getNotification": seen, "setRead": seen,
	"withdrawNotification": own, "getReach": own,
}

// world has servers over one database, which the callers use.
type world struct {
	*server
	mu                             sync.Mutex
	clock                          time.Time
	open, denying, confused, unlit *server // with a guest; with a policy or a catalog that denies or fails
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// darkCatalog fails.
type darkCatalog struct{ notifications.Catalog }

func (darkCatalog) Groups(context.Context, string) ([]notifications.Membership, error) {
	return nil, errAway
}

func (darkCatalog) Missing(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
	return nil, errAway
}

func newWorld(t *testing.T, db *gorm.DB) *world {
	w := &world{clock: time.Now()}
	with := func(change func(*notifications.Config, *httpapi.Config)) *server {
		return newServer(t, db, func(c *notifications.Config, h *httpapi.Config) { c.Now = w.now; change(c, h) })
	}
	decide := func(d notifications.Decision, err error) *server {
		return with(func(c *notifications.Config, _ *httpapi.Config) {
			c.Policy = policyFunc(func(notifications.Identity, notifications.Permission) (notifications.Decision, error) { return d, err })
		})
	}
	w.server = with(func(*notifications.Config, *httpapi.Config) {}).run()
	w.open = with(func(_ *notifications.Config, h *httpapi.Config) { h.Guest = notifications.User("default/guest") }).run()
	w.denying, w.confused = decide(notifications.Deny, nil), decide(notifications.Allow, errAway)
	w.unlit = with(func(c *notifications.Config, _ *httpapi.Config) { c.Catalog = darkCatalog{c.Catalog} })
	return w
}

// messages are the kinds of notifications. Each posts one of ci and returns its
// id.
var messages = []struct {
	name  string
	sees  string // the callers who see it, by name
	make  func(w *world) string
	exist bool // for its poster
}{
	{"to a user", "member", func(w *world) string { return w.message(`"targetUsers":["default/jane"]`) }, true},
	{"to a group", "member", func(w *world) string { return w.message(`"targetGroups":["default/ops"]`) }, true},
	{"to everybody", "member, former member, other user, guest", func(w *world) string { return w.message(`"severity":"high"`) }, true},
	{"scheduled", "", func(w *world) string {
		return w.message(`"targetGroups":["default/ops"],"notBefore":"` + w.now().Add(time.Hour).UTC().Format(time.RFC3339) + `"`)
	}, true},
	{"expired", "", func(w *world) string {
		id := w.message(`"targetGroups":["default/ops"],"expires":"` + w.now().Add(time.Minute).UTC().Format(time.RFC3339) + `"`)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.clock = w.clock.Add(2 * time.Minute)
		return id
	}, true},
	{"withdrawn", "", func(w *world) string {
		id := w.message(`"targetGroups":["default/ops"]`)
		w.do("DELETE", "/notifications/"+id, as("ci")).want(http.StatusNoContent)
		return id
	}, false},
	{"unknown", "", func(*world) string { return unknown }, false},
}

func (w *world) message(fields string) string {
	return w.post(`{"origin":"o","title":"t","topic":"a secret",` + fields + `}`)
}

// caller is a kind of caller.
type caller struct {
	name    string
	server  func(w *world) *server
	options []option
	// always is the status of every answer, and zero if it depends on the rest.
	always int
	inbox  bool // has one
}

var callers = []caller{
	{name: "nobody", always: http.StatusUnauthorized},
	{name: "expired", options: []option{expiredToken}, always: http.StatusUnauthorized},
	{name: "wrong secret", options: []option{header("notifications-secret", "not the shared secret at all")}, always: http.StatusUnauthorized},
	{name: "denied", server: func(w *world) *server { return w.denying }, options: []option{as(jane)}, always: http.StatusForbidden},
	{name: "denied service", server: func(w *world) *server { return w.denying }, options: []option{as("ci")}, always: http.StatusForbidden},
	{name: "policy failing", server: func(w *world) *server { return w.confused }, options: []option{as(jane)}, always: http.StatusServiceUnavailable},
	{name: "guest", server: func(w *world) *server { return w.open }, inbox: true},
	{name: "member", options: []option{as(jane)}, inbox: true},
	{name: "former member", options: []option{as(john)}, inbox: true},
	{name: "other user", options: []option{as("user:default/u7")}, inbox: true},
	{name: "service", options: []option{as("cron")}},
	{name: "poster", options: []option{as("ci")}},
	{name: "secret holder", options: []option{header("notifications-secret", secret)}},
	{name: "reserved name", options: []option{as("external")}, always: http.StatusUnauthorized},
	{name: "other reserved name", options: []option{as("Backstage-Server")}, always: http.StatusUnauthorized},
	{name: "catalog failing", server: func(w *world) *server { return w.unlit }, options: []option{as(jane)}, inbox: true},
	{name: "removed", options: []option{as("user:default/removed")}, inbox: true},
}

// expiredToken is a token of jane that was valid until an hour ago.
func expiredToken(s *server, r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+s.issuer.ExpiredToken(s.t, jane))
}

// want returns the status that is right for an operation of a caller on a
// notification.
func (c caller) want(operation string, sees, exists bool) int {
	of := kinds[operation]
	switch {
	case c.always != 0:
		return c.always
	case of == scopes:
		return http.StatusOK
	case c.name == "removed" && of != own:
		return http.StatusForbidden
	case of == posts && c.name != "catalog failing":
		return http.StatusOK
	case operation == "withdrawNotification" && c.name == "poster" && exists:
		return http.StatusNoContent
	case of == own && c.name == "poster" && exists:
		return http.StatusOK
	case of != own && !c.inbox:
		return http.StatusForbidden
	case c.name == "catalog failing":
		return http.StatusServiceUnavailable
	case of == inbox, of == seen && sees:
		return http.StatusOK
	case of == own && sees:
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

// TestAuthorization calls every operation as every kind of caller on every kind
// of notification: what is answered, that nothing else is shown, and that a
// notification that the caller must not see looks like one that does not exist.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		if kinds[c.operation] == 0 {
			t.Fatalf("%s has no row", c.operation)
		}
	}
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t, db)
		for _, c := range calls {
			for _, who := range callers {
				missing := ""
				for i := range messages {
					m := messages[len(messages)-1-i] // the unknown id first
					body := w.try(c, who, m.name, m.make(w), contains(m.sees, who.name), m.exist)
					hidden := !contains(m.sees, who.name) && (who.name != "poster" || !m.exist)
					if m.name == "unknown" {
						missing = body
					} else if k := kinds[c.operation]; (k == seen || k == own) && hidden && body != missing {
						t.Errorf("%s by %s: %s answers %s, an unknown id %s", c.operation, who.name, m.name, body, missing)
					}
				}
			}
		}
	})
}

// contains reports whether a list of names has one.
func contains(list, name string) bool {
	for item := range strings.SplitSeq(list, ", ") {
		if item == name {
			return true
		}
	}
	return false
}

// try calls one operation as one caller and returns the body.
func (w *world) try(c call, who caller, message, id string, sees, exists bool) string {
	s := w.server
	if who.server != nil {
		s = who.server(w)
	}
	if who.name == "former member" {
		w.do("PUT", "/notifications/state", as(john), jsonBody(fmt.Sprintf(`{"ids":[%q],"saved":true}`, id))).want(http.StatusOK)
		w.people("guest: [], jane: [ops], john: [], u7: []")
		defer w.people("guest: [], jane: [ops], john: [ops], u7: []")
	}
	a := s.send(c, id, who.options...)
	if want := who.want(c.operation, sees, exists); a.status != want {
		w.t.Errorf("%s by %s of a notification %s: %d %s, want %d", c.operation, who.name, message, a.status, a.body, want)
	}
	if (a.status >= 300 || !who.inbox) && strings.Contains(a.body, "a secret") {
		w.t.Errorf("%s by %s of a notification %s shows %s", c.operation, who.name, message, a.body)
	}
	if strings.Contains(a.body, id) && !sees && c.operation != "createNotification" {
		w.t.Errorf("%s by %s of a notification %s shows it: %s", c.operation, who.name, message, a.body)
	}
	return a.body
}
