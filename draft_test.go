package notifications_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func TestFieldsAreReturned(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		zone := time.FixedZone("", -5*3600)
		d := notifications.Draft{
			Origin: "ci", Title: "t", To: toJane, Severity: "critical", Link: "https://ci.example/7?a=1&b=<2>#é", Icon: "/icons/é.svg",
			Metadata: json.RawMessage("\t{ \"b\" : 1.0, \"a\":[1E+2,-0],\"\\u00e9\":\"\\u00e9\\/<>& é 🎉\" }\n"),
			Scope:    "build é 7", Expires: f.now().In(zone).Add(time.Hour + 1999*time.Microsecond),
		}
		id := f.postDraft(d)
		plain := f.post("plain", toJane)
		for _, n := range []notifications.Notification{f.get(jane, id), f.list(jane, notifications.ListQuery{}).Items[1]} {
			if n.Severity != "critical" || n.Link != d.Link || n.Icon != d.Icon || string(n.Metadata) != string(d.Metadata) || n.Scope != d.Scope {
				t.Errorf("returned %+v of %+v", n, d)
			}
			if want := f.now().UTC().Add(time.Hour + time.Millisecond); n.Expires != want || !n.Updated.IsZero() || n.Created != f.now().UTC() {
				t.Errorf("expires %v, updated %v, created %v; want %v, zero, %v", n.Expires, n.Updated, n.Created, want, f.now())
			}
		}
		if n := f.get(jane, plain); n.Severity != "normal" || n.Link+n.Icon+n.Scope != "" || n.Metadata != nil || !n.Expires.IsZero() || !n.Updated.IsZero() {
			t.Errorf("without any of it: %+v", n)
		}
	})
}

// TestRewriting: KeepPlace replaces all content, and every order and filter
// uses the new content.
func TestRewriting(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		id := f.postDraft(notifications.Draft{
			Origin: "test", Title: "zebra", Message: "first body", Topic: "first", Severity: "low", Link: "/first", Icon: "first",
			Metadata: json.RawMessage(`{"a":1}`), Actions: []notifications.ActionDraft{{Title: "a", URL: "/a"}}, Scope: "build 7",
			Expires: f.now().Add(time.Hour), To: toJane,
		})
		f.post("middle", toJane)
		created, rewritten := f.now(), f.advance(time.Minute)
		d := keepPlaceDraft("Apple", toJane)
		d.Message, d.Topic, d.Severity, d.Link, d.Icon, d.Metadata = "later body", "later", "high", "/later", "later", json.RawMessage(`{ }`)
		d.Actions = []notifications.ActionDraft{{Title: "b", URL: "/b"}, {Title: "c", URL: "/c"}}
		f.wantSameID(d, id)
		n := f.get(jane, id)
		if n.Created != created || n.Updated != rewritten || n.Title != "Apple" || n.Message != "later body" || n.Topic != "later" || n.Severity != "high" ||
			n.Link != "/later" || n.Icon != "later" || string(n.Metadata) != "{ }" || len(n.Actions) != 2 || n.Actions[0].URL != "/b" || !n.Expires.IsZero() {
			t.Errorf("rewritten: %+v", n)
		}
		f.wantList(jane, notifications.ListQuery{OrderBy: "title", Ascending: true}, "Apple", "middle")
		f.wantList(jane, notifications.ListQuery{OrderBy: "message", Ascending: true}, "Apple", "middle")
		f.wantList(jane, notifications.ListQuery{OrderBy: "topic", Ascending: true}, "Apple", "middle")
		f.wantList(jane, notifications.ListQuery{}, "middle", "Apple")
		for text, want := range map[string][]string{"FIRST": nil, "zebra": nil, "LATER BODY": {"Apple"}, "apple": {"Apple"}} {
			f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Text: text}}, want...)
		}
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{MinSeverity: "high"}}, "Apple")
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Topic: "first"}})

		f.wantSameID(keepPlaceDraft("bare", toJane), id)
		n = f.get(jane, id)
		if n.Message+n.Topic+n.Link+n.Icon != "" || n.Metadata != nil || len(n.Actions) != 0 || n.Severity != "normal" || n.Scope != "build 7" {
			t.Errorf("left over: %+v", n)
		}
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Text: "later"}})
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{MinSeverity: "high"}})
	})
}

// TestSystemAudienceTakenOver: a message that is no longer addressed to
// everybody is no system notification in any respect.
func TestSystemAudienceTakenOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.directory.SetAccount("default/jane", f.now().Add(time.Hour))
		h := f.with(systemRead)
		first := f.postDraft(scopedDraft("first", toEveryone.And(toJane).And(toOps)))
		h.wantMarks(jane, first, "read")
		f.advance(time.Minute)
		f.postDraft(scopedDraft("later", toEveryone))
		h.wantMarks(jane, first, "")
		if h.get(jane, first).System {
			t.Error("it is still said to be addressed to everybody")
		}
		h.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "first")
		h.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read}}, "later")
		h.wantList(guest, notifications.ListQuery{Filter: all}, "later")
		h.wantList(john, notifications.ListQuery{Filter: all}, "later", "first")
		wantConsistent(h, jane)
		h.setState(jane, filter(all), read, 1)
	})
}

// validDraft is a draft that can be posted, after the change.
func validDraft(change func(*notifications.Draft)) notifications.Draft {
	d := notifications.Draft{Origin: "o", Title: "t", To: toJane}
	change(&d)
	return d
}

func withMetadata(object string) notifications.Draft {
	return validDraft(func(d *notifications.Draft) { d.Metadata = json.RawMessage(object) })
}

func nestedObject(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "{}" + strings.Repeat("}", depth-1)
}

func TestFaultsOfDrafts(t *testing.T) {
	t.Parallel()
	f := newClockedFixture(t, dbtest.SQLite(t))
	now := f.now()
	long := strings.Repeat("é", notifications.MaxTitleChars+1)
	type draft = notifications.Draft
	tests := []struct {
		name   string
		d      draft
		fields []string
	}{
		{"severity", validDraft(func(d *draft) { d.Severity = "urgent" }), []string{"Severity"}},
		{"case of severity", validDraft(func(d *draft) { d.Severity = "High" }), []string{"Severity"}},
		{"NUL", validDraft(func(d *draft) { d.Link, d.Icon, d.Scope, d.IdempotencyKey = "/\x00", "i\x00", "s\x00", "k\x00" }),
			[]string{"Link", "Icon", "Scope", "IdempotencyKey"}},
		{"controls", validDraft(func(d *draft) {
			d.Title, d.Message, d.Topic, d.Scope, d.IdempotencyKey = "\x1f", "a\bb", "\v", "\f", "\x01"
		}),
			[]string{"Title", "Topic", "Message", "Scope", "IdempotencyKey"}},
		{"controls in an action and in a ref", validDraft(func(d *draft) {
			d.Actions, d.To = []notifications.ActionDraft{{Title: "\x1b", URL: "/"}}, notifications.Users("default/\x1f")
		}), []string{"Actions[0].Title", "To[0]"}},
		{"metadata, control", withMetadata(`{"a":"x\u001b"}`), []string{"Metadata.a"}},
		{"no UTF-8", validDraft(func(d *draft) { d.Link, d.Icon, d.Scope, d.IdempotencyKey = "/\xff", "\xff", "\xff", "\xff" }),
			[]string{"Link", "Icon", "Scope", "IdempotencyKey"}},
		{"long", validDraft(func(d *draft) { d.Scope, d.IdempotencyKey = long, long }), []string{"Scope", "IdempotencyKey"}},
		{"long URLs", validDraft(func(d *draft) {
			d.Link = "/" + strings.Repeat("x", notifications.MaxURLBytes)
			d.Icon = d.Link
		}), []string{"Link", "Icon"}},
		{"metadata, too large", withMetadata(`{"a":"` + strings.Repeat("x", notifications.MaxMetadataBytes-7) + `"}`), []string{"Metadata"}},
		{"metadata, nothing", withMetadata(""), []string{"Metadata"}},
		{"metadata, null", withMetadata("null"), []string{"Metadata"}},
		{"metadata, array", withMetadata("[]"), []string{"Metadata"}},
		{"metadata, string", withMetadata(`"{}"`), []string{"Metadata"}},
		{"metadata, cut", withMetadata(`{"a":1`), []string{"Metadata"}},
		{"metadata, two", withMetadata(`{}{}`), []string{"Metadata"}},
		{"metadata, key twice", withMetadata(`{"a":1,"\u0061":2}`), []string{"Metadata.a"}},
		{"metadata, inner key twice", withMetadata(`{"b":{"a":1,"a":2}}`), []string{"Metadata.b.a"}},
		{"metadata, NUL", withMetadata(`{"a":"x\u0000"}`), []string{"Metadata.a"}},
		{"metadata, half a pair", withMetadata(`{"a":"\ud83d"}`), []string{"Metadata.a"}},
		{"metadata, no UTF-8", withMetadata("{\"a\":\"\xff\"}"), []string{"Metadata"}},
		{"metadata, deep", withMetadata(nestedObject(16)), []string{"Metadata" + strings.Repeat(".a", 15)}},
		{"resurface without scope", validDraft(func(d *draft) { d.KeepPlace = true }), []string{"KeepPlace"}},
		{"resurface and notBefore", validDraft(func(d *draft) { d.KeepPlace, d.NotBefore = true, now }), []string{"KeepPlace", "NotBefore"}},
		{"expires now", validDraft(func(d *draft) { d.Expires = now }), []string{"Expires"}},
		{"expires in this millisecond", validDraft(func(d *draft) { d.Expires = now.Add(999 * time.Microsecond) }), []string{"Expires"}},
		{"expired", validDraft(func(d *draft) { d.Expires = time.Unix(0, 0) }), []string{"Expires"}},
		{"expires in the year 10000", validDraft(func(d *draft) { d.Expires = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("", -3600)) }), []string{"Expires"}},
		{"far ahead", validDraft(func(d *draft) { d.NotBefore = now.AddDate(1, 0, 0).Add(1) }), []string{"NotBefore"}},
		{"very far ahead", validDraft(func(d *draft) { d.NotBefore = time.Unix(1<<60, 0) }), []string{"NotBefore"}},
		{"all at once", draft{
			Origin: "\x00", Severity: "x", Link: "javascript:x", Icon: "x:y", Metadata: json.RawMessage("x"), Scope: long, IdempotencyKey: long,
			KeepPlace: true, NotBefore: now.AddDate(2, 0, 0), Expires: now,
		}, []string{"Origin", "Title", "Severity", "Link", "Icon", "Metadata", "Scope", "IdempotencyKey", "NotBefore", "To", "Expires", "NotBefore", "Expires"}},
	}
	for _, url := range []string{"javascript:alert(1)", "java\tscript:x", " /x", "https:///path", "http:x", "//evil.example", `/\evil.example`, "data:image/png;base64,AA==", "mdi:bell", "/%zz"} {
		tests = append(tests, struct {
			name   string
			d      draft
			fields []string
		}{"link and icon " + url, validDraft(func(d *draft) { d.Link, d.Icon = url, url }), []string{"Link", "Icon"}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			posted, err := f.Post(t.Context(), ci, tt.d)
			wantFields(t, err, tt.fields...)
			if posted != (notifications.Posted{}) {
				t.Errorf("posted %+v", posted)
			}
		})
	}
	f.wantRows(map[string]int64{"messages": 0, "scopes": 0, "idempotency_keys": 0})
}

func TestLimitsOfDrafts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		full := strings.Repeat("é", notifications.MaxTitleChars)
		f.postDraft(validDraft(func(d *notifications.Draft) {
			d.Title, d.Scope, d.IdempotencyKey = "full", full, full
			d.Link = "/" + strings.Repeat("x", notifications.MaxURLBytes-1)
			d.Icon = d.Link
			d.Metadata = json.RawMessage(`{"a":"` + strings.Repeat("x", notifications.MaxMetadataBytes-8) + `"}`)
			d.Expires = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
		}))
		f.postDraft(withMetadata(nestedObject(15)))
		n := f.list(jane, notifications.ListQuery{Limit: 2}).Items[1]
		if n.Scope != full || len(n.Link) != notifications.MaxURLBytes || len(n.Metadata) != notifications.MaxMetadataBytes || n.Expires.Year() != 9999 {
			t.Errorf("returned %+v", n)
		}
		f.postDraft(validDraft(func(d *notifications.Draft) { d.Title, d.Expires = "a moment", f.now().Add(time.Millisecond) }))
		f.postDraft(validDraft(func(d *notifications.Draft) { d.Title, d.NotBefore = "in a year", f.now().AddDate(1, 0, 0) }))
		f.wantList(jane, notifications.ListQuery{}, "a moment", "t", "full")
		f.advance(366 * day)
		f.wantList(jane, notifications.ListQuery{}, "in a year", "t", "full")
	})
}

// TestNotBeforeNow: a notification whose NotBefore is not in the future appears
// at once, as one without NotBefore.
func TestNotBeforeNow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		for i, when := range []time.Time{f.now().Add(-1000 * day), time.Unix(-1<<40, 0), f.now(), f.now().Add(999 * time.Microsecond)} {
			id := f.postDraft(scheduledDraft(when, fmt.Sprint(i), toJane))
			if n := f.get(jane, id); n.Created != f.now().UTC() {
				t.Errorf("notBefore %v: created %v, want now", when, n.Created)
			}
		}
		f.wantVisible(jane, "3", "2", "1", "0")
	})
}

// TestScheduledPostsKeepTheOrder: scheduled posts do not change the order of
// others, or of each other.
func TestScheduledPostsKeepTheOrder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		start := f.now()
		for _, hours := range []int{5, 1, 3, 1, 4} {
			when := start.Add(time.Duration(hours) * time.Hour)
			id := f.postDraft(scheduledDraft(when, fmt.Sprint("in ", hours), toJane))
			f.post("now", toJane)
			f.setState(jane, ids(id), read, 0)
		}
		f.wantVisible(jane, slices.Repeat([]string{"now"}, 5)...)
		f.advance(day)
		f.wantVisible(jane, append([]string{"in 5", "in 4", "in 3", "in 1", "in 1"}, slices.Repeat([]string{"now"}, 5)...)...)
		for _, n := range f.list(jane, notifications.ListQuery{}).Items {
			var hours int
			if _, err := fmt.Sscanf(n.Title, "in %d", &hours); err == nil && n.Created != start.Add(time.Duration(hours)*time.Hour).UTC() {
				t.Errorf("%s: created %v", n.Title, n.Created)
			}
		}
	})
}

// TestKeysAndContent: which drafts count as the same content, and which do not.
func TestKeysAndContent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		d := notifications.Draft{
			Origin: "o", Title: "t", Message: "m", Topic: "x", Link: "/l", Icon: "i", Metadata: json.RawMessage(`{"a":1.0,"b":[]}`),
			Scope: "s", Expires: f.now().Add(day), NotBefore: f.now().Add(time.Hour), IdempotencyKey: "k",
			To: notifications.Users("default/jane", "default/john").And(notifications.Groups("default/ops")),
		}
		id := f.postDraft(d)
		for name, same := range map[string]func(d *notifications.Draft){
			"as it was":         func(*notifications.Draft) {},
			"default severity":  func(d *notifications.Draft) { d.Severity = "normal" },
			"no actions":        func(d *notifications.Draft) { d.Actions = []notifications.ActionDraft{} },
			"white space":       func(d *notifications.Draft) { d.Metadata = json.RawMessage("{ \"a\":1.0,\n\"b\": [ ] }") },
			"times":             func(d *notifications.Draft) { d.Expires = d.Expires.In(time.FixedZone("", 3600)).Add(time.Microsecond) },
			"order of targets":  func(d *notifications.Draft) { d.To = notifications.Groups("default/ops").And(toJohn).And(toJane) },
			"targets, repeated": func(d *notifications.Draft) { d.To = d.To.And(d.To).And(notifications.Users("user:Default/JANE")) },
		} {
			again := d
			same(&again)
			if got, err := f.Post(t.Context(), ci, again); got != (notifications.Posted{ID: id, Repeated: true}) || err != nil {
				t.Errorf("%s: %+v, %v; want %s", name, got, err, id)
			}
		}
		for name, change := range map[string]func(d *notifications.Draft){
			"origin":     func(d *notifications.Draft) { d.Origin = "O" },
			"title":      func(d *notifications.Draft) { d.Title = "T" },
			"message":    func(d *notifications.Draft) { d.Message = "" },
			"topic":      func(d *notifications.Draft) { d.Topic = "" },
			"swapped":    func(d *notifications.Draft) { d.Message, d.Topic = d.Topic, d.Message },
			"severity":   func(d *notifications.Draft) { d.Severity = "low" },
			"link":       func(d *notifications.Draft) { d.Link = "/L" },
			"icon":       func(d *notifications.Draft) { d.Icon = "" },
			"metadata":   func(d *notifications.Draft) { d.Metadata = json.RawMessage(`{"a":1.00,"b":[]}`) },
			"none":       func(d *notifications.Draft) { d.Metadata = nil },
			"actions":    func(d *notifications.Draft) { d.Actions = []notifications.ActionDraft{{Title: "a", URL: "/a"}} },
			"scope":      func(d *notifications.Draft) { d.Scope = "S" },
			"resurface":  func(d *notifications.Draft) { d.KeepPlace, d.NotBefore = true, time.Time{} },
			"expires":    func(d *notifications.Draft) { d.Expires = d.Expires.Add(time.Millisecond) },
			"not before": func(d *notifications.Draft) { d.NotBefore = d.NotBefore.Add(time.Millisecond) },
			"fewer":      func(d *notifications.Draft) { d.To = toJane.And(toJohn) },
			"everyone":   func(d *notifications.Draft) { d.To = d.To.And(toEveryone) },
		} {
			other := d
			change(&other)
			f.t.Run(name, func(t *testing.T) {
				(&fixture{Service: f.Service, t: t}).wantRefused(other, notifications.ErrKeyReused)
			})
		}
		// Keys belong to a poster and are compared byte for byte
		for _, who := range []notifications.Identity{john, notifications.ServiceAccount("cd")} {
			if got := f.postAs(who, d); got == id {
				t.Errorf("%s is answered with the id of ci", who)
			}
		}
		f.wantNewID(withKey("K", d), id)
		if a, b := f.postAs(jane, d), f.postAs(notifications.User("user:Default/JANE"), d); a != b {
			t.Errorf("one user, spelt in two ways, is answered with %s and %s", a, b)
		}
	})
}

// TestFaultsAreBounded: too many targets are refused before the catalog looks
// at any, and an error names 100 fields at most.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	asked := 0
	f.directory.SetUser("default/jane")
	counting := f.with(func(cfg *notifications.Config) { cfg.Catalog = countingCatalog{cfg.Catalog, &asked} })
	_, err := counting.Post(t.Context(), ci, draft("x", notifications.Users(make([]string, 340_000)...)))
	wantFields(t, err, "To")
	many := slices.Repeat([]string{"default/jane"}, 340_000)
	_, err = counting.Post(t.Context(), ci, draft("x", notifications.Users(many...)))
	wantFields(t, err, "To")
	if asked != 0 {
		t.Errorf("the catalog was asked about %d names", asked)
	}
	if _, err := counting.Post(t.Context(), ci, draft("x", notifications.Users(many[:2*notifications.MaxTargets]...))); err != nil {
		t.Errorf("one user many times: %v", err)
	}
	_, err = f.Post(t.Context(), ci, draft("x", notifications.Users(make([]string, 150)...)))
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 100 || !strings.Contains(invalid.Fields[99].Reason, "50 more") {
		t.Errorf("150 faults: %v", err)
	}
	_, err = f.Post(t.Context(), ci, draft("x", notifications.Users("default/"+strings.Repeat("x", 1<<20))))
	if wantFields(t, err, "To[0]"); len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// countingCatalog counts the names it is asked about.
type countingCatalog struct {
	notifications.Catalog
	asked *int
}

func (c countingCatalog) Canonical(kind notifications.Kind, name string) (string, error) {
	*c.asked++
	return c.Catalog.Canonical(kind, name)
}

// TestCheck: Check returns the error of a post, and stores nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	if err := f.Check(t.Context(), ci, draft("x", toJane)); err != nil {
		t.Error(err)
	}
	wantFields(t, f.Check(t.Context(), ci, draft("", notifications.Users("default/nobody"))), "Title", "To[0]")
	denied := f.with(func(cfg *notifications.Config) {
		cfg.Policy = policyFunc(func(notifications.Identity, notifications.Permission) (notifications.Decision, error) {
			return notifications.Deny, nil
		})
	})
	if err := denied.Check(t.Context(), ci, draft("", toJane)); !errors.Is(err, notifications.ErrForbidden) {
		t.Errorf("without the permission: %v", err)
	}
	f.wantList(jane, notifications.ListQuery{})
}

// TestPosters: readers see who posted, until that user is erased. A user whom
// the catalog does not know cannot post.
func TestPosters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.directory.SetUser("default/gone")
		gone := notifications.User("User:Default/Gone")
		for who, want := range map[notifications.Identity]string{ci: "service:ci", gone: "user:default/gone"} {
			posted, err := f.Post(t.Context(), who, draft("x", toJane))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := f.Get(t.Context(), jane, posted.ID); err != nil || n.PostedBy != want {
				t.Errorf("posted by %q, %v; want %q", n.PostedBy, err, want)
			}
		}
		f.directory.RemoveUser("default/gone")
		for name, post := range map[string]func() error{
			"Post": func() error { _, err := f.Post(t.Context(), gone, draft("x", toEveryone)); return err },
			"PostMany": func() error {
				_, err := f.PostMany(t.Context(), gone, []notifications.Draft{draft("x", toJane)})
				return err
			},
			"Check": func() error { return f.Check(t.Context(), gone, draft("", toJane)) },
		} {
			if err := post(); !errors.Is(err, notifications.ErrForbidden) {
				t.Errorf("%s by a user who is gone: %v", name, err)
			}
		}
		if _, err := f.EraseUser(t.Context(), ci, "default/gone"); err != nil {
			t.Fatal(err)
		}
		for _, n := range f.list(jane, notifications.ListQuery{}).Items {
			if n.PostedBy != "" && n.PostedBy != "service:ci" {
				t.Errorf("still posted by %q", n.PostedBy)
			}
		}
	})
}
