package notificationstest_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

var john = notifications.User("john")

func wantFailure(t *testing.T, got string, lines ...string) {
	t.Helper()
	if want := strings.Join(lines, "\n"); got != want {
		t.Errorf("it fails with\n%s\nwant\n%s", got, want)
	}
}

func TestRequirePosted(t *testing.T) {
	t.Parallel()
	svc := notificationstest.New(t)
	post(t, svc, "first", notifications.Users("jane"))
	post(t, svc, "second", notifications.Everyone())
	post(t, svc, "second", notifications.Users("jane"))

	found := notificationstest.RequirePosted(t, svc, jane,
		notifications.Notification{Origin: "shop", Title: "second", System: true}, notifications.Notification{Title: "first"}, notifications.Notification{})
	if len(found) != 3 || !found[0].System || found[1].Title != "first" || found[2].Title != "second" || found[2].System {
		t.Errorf("found %+v", found)
	}
	notificationstest.RequirePosted(t, svc, jane)

	second := notifications.Notification{Title: "second"}
	for name, test := range map[string]struct {
		who  notifications.Identity
		want []notifications.Notification
		says []string
	}{
		"another title": {jane, []notifications.Notification{second, {Title: "third", Topic: "orders"}, {Origin: "shop"}}, []string{
			"user:jane sees no notification with", `	title "third", topic "orders"`,
			"but", `	title "second", origin "shop" (found)`, `	title "second", origin "shop" (found)`, `	title "first", origin "shop"`,
		}},
		"once too few": {john, []notifications.Notification{second, second}, []string{
			"user:john sees no notification with", `	title "second"`, "but", `	title "second" (found)`,
		}},
		"one too few": {john, []notifications.Notification{{}, {}}, []string{
			"user:john sees no notification with", `	anything`, "but", `	title "second" (found)`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, failureOf(func(t testing.TB) { notificationstest.RequirePosted(t, svc, test.who, test.want...) }), test.says...)
		})
	}
	wantFailure(t, failureOf(func(t testing.TB) {
		notificationstest.RequirePosted(t, notificationstest.New(t), jane, second)
	}), "user:jane sees no notification with", `	title "second"`, "but none at all")
	wantFailure(t, failureOf(func(t testing.TB) { notificationstest.RequirePosted(t, svc, shop, second) }),
		"list the notifications of service:shop: notifications: not allowed: service:shop has no inbox")
}

func TestRequireNotPosted(t *testing.T) {
	t.Parallel()
	svc := notificationstest.New(t)
	notificationstest.RequireNotPosted(t, svc, jane)
	post(t, svc, "first", notifications.Users("jane"))
	post(t, svc, "second", notifications.Users("jane"))
	notificationstest.RequireNotPosted(t, svc, john)
	notificationstest.RequireNotPosted(t, svc, jane, notifications.Notification{Title: "third"}, notifications.Notification{Title: "first", Topic: "orders"})
	wantFailure(t, failureOf(func(t testing.TB) {
		notificationstest.RequireNotPosted(t, svc, jane, notifications.Notification{Title: "third"}, notifications.Notification{Title: "first"})
	}), "user:jane sees what must not be posted:", `	title "first"`)
	wantFailure(t, failureOf(func(t testing.TB) { notificationstest.RequireNotPosted(t, svc, jane) }),
		"user:jane sees what must not be posted:", `	title "second"`, `	title "first"`)
}

// fullDraft has a value in every field but those that exclude each other.
func fullDraft(now time.Time) notifications.Draft {
	return notifications.Draft{
		Origin: "ci", Title: "full", Message: "text", Topic: "builds", Severity: notifications.SeverityHigh, Link: "/builds/7", Icon: "bell",
		Actions: []notifications.ActionDraft{{Title: "Open", URL: "/open"}}, Metadata: []byte(`{"build":7}`), Scope: "build-7",
		KeepPlace: true, Expires: now.Add(time.Hour), IdempotencyKey: "k", To: notifications.Everyone().And(notifications.Users("jane")),
	}
}

// TestRequirePostedKnowsEveryField of a notification: one that has it is found
// beside a plain one, which alone is not enough.
func TestRequirePostedKnowsEveryField(t *testing.T) {
	t.Parallel()
	clock := notificationstest.NewClock(time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC))
	svc, plainOnly := notificationstest.NewWith(t, notifications.Config{Now: clock.Now}), notificationstest.New(t)
	draft := fullDraft(clock.Now())
	for draft.IdempotencyKey = ""; clock.Advance(time.Second).Second() <= 2; { // the second time it is updated
		if _, err := svc.Post(t.Context(), shop, draft); err != nil {
			t.Fatal(err)
		}
	}
	full := notificationstest.RequirePosted(t, svc, jane, notifications.Notification{Title: "full"})[0]
	change := notifications.StateChange{Read: new(true), Saved: new(true), Archived: new(true)}
	if _, err := svc.SetState(t.Context(), jane, notifications.ByIDs(full.ID), change); err != nil {
		t.Fatal(err)
	}
	full = notificationstest.RequirePosted(t, svc, jane, notifications.Notification{Title: "full"})[0]
	clock.Advance(time.Second)
	for _, s := range []*notifications.Service{svc, plainOnly} {
		plain := notifications.Draft{Origin: "shop", Title: "plain", To: notifications.Users("jane")}
		if _, err := s.Post(t.Context(), notifications.ServiceAccount("another"), plain); err != nil {
			t.Fatal(err)
		}
	}

	for i := range reflect.TypeFor[notifications.Notification]().NumField() {
		field := reflect.TypeFor[notifications.Notification]().Field(i).Name
		value := reflect.ValueOf(full).Field(i)
		if value.IsZero() {
			t.Errorf("%s is zero: the test says nothing about it", field)
		}
		var want notifications.Notification
		reflect.ValueOf(&want).Elem().Field(i).Set(value)
		if got := notificationstest.RequirePosted(t, svc, jane, want)[0].Title; got != "full" {
			t.Errorf("by its %s is found the %s notification", field, got)
		}
		if failureOf(func(t testing.TB) { notificationstest.RequirePosted(t, plainOnly, jane, want) }) == "" {
			t.Errorf("a notification with another %s is found", field)
		}
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	ctx, r, away := t.Context(), new(notificationstest.Recorder), errors.New("away")
	r.RequireNotPosted(t)
	welcome := notifications.Draft{Origin: "shop", Title: "Welcome", To: notifications.Users("jane"), Actions: []notifications.ActionDraft{{Title: "Open", URL: "/"}}}
	first, err := r.Post(ctx, shop, welcome)
	if err != nil {
		t.Fatal(err)
	}
	welcome.Actions[0].URL = "/changed later"
	many, err := r.PostMany(ctx, jane, []notifications.Draft{{Title: "One"}, {Title: "Two"}})
	if err != nil || len(many) != 2 {
		t.Fatal(many, err)
	}
	if first.ID >= many[0].ID || many[0].ID >= many[1].ID {
		t.Errorf("ids %s, %+v", first.ID, many)
	}

	r.Fail(away)
	_, errAway := r.Post(ctx, shop, welcome)
	r.Fail(nil)
	_, errNobody := r.Post(ctx, notifications.Identity{}, welcome)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, errCancelled := r.Post(cancelled, shop, welcome)
	if !errors.Is(errAway, away) || !errors.Is(errNobody, notifications.ErrUnauthenticated) ||
		!errors.Is(errCancelled, notifications.ErrUnavailable) || !errors.Is(errCancelled, context.Canceled) {
		t.Errorf("away: %v, of nobody: %v, cancelled: %v", errAway, errNobody, errCancelled)
	}
	if posts := r.Posts(); len(posts) != 3 || posts[0].Draft.Actions[0].URL != "/" || posts[2].Who != jane {
		t.Errorf("recorded %+v", posts)
	}

	found := r.RequirePosted(t, notifications.Draft{Title: "Two"}, notifications.Draft{Severity: notifications.SeverityNormal})
	if found[0].ID != many[1].ID || found[1].ID != first.ID || found[1].Who != shop {
		t.Errorf("found %+v", found)
	}
	r.RequireNotPosted(t, notifications.Draft{Title: "Welcome", To: notifications.Groups("jane")})
	wantFailure(t, failureOf(func(t testing.TB) {
		r.RequirePosted(t, notifications.Draft{Title: "Welcome", To: notifications.Users("john"), Message: strings.Repeat("é", 121)})
	}),
		"the Recorder has no notification with", `	title "Welcome", to "user:john", message "`+strings.Repeat("é", 120)+`…"`,
		"but", `	title "Welcome", to "user:jane"`, `	title "One"`, `	title "Two"`)
	wantFailure(t, failureOf(func(t testing.TB) { r.RequireNotPosted(t, notifications.Draft{Title: "One"}) }),
		"the Recorder has what must not be posted:", `	title "One"`)
}

// TestRecorderKnowsEveryField of a draft, as TestRequirePostedKnowsEveryField.
func TestRecorderKnowsEveryField(t *testing.T) {
	t.Parallel()
	plain := notifications.Draft{Title: "plain", Origin: "o"}
	full := fullDraft(time.Now())
	full.NotBefore = time.Now()
	both, plainOnly := new(notificationstest.Recorder), new(notificationstest.Recorder)
	_, err := both.PostMany(t.Context(), shop, []notifications.Draft{plain, full})
	if _, err := plainOnly.Post(t.Context(), shop, plain); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[notifications.Draft]().NumField() {
		field := reflect.TypeFor[notifications.Draft]().Field(i).Name
		value := reflect.ValueOf(full).Field(i)
		if value.IsZero() {
			t.Errorf("%s is zero: the test says nothing about it", field)
		}
		var want notifications.Draft
		reflect.ValueOf(&want).Elem().Field(i).Set(value)
		if got := both.RequirePosted(t, want)[0].Draft.Title; got != "full" {
			t.Errorf("by its %s is found the %s draft", field, got)
		}
		if failureOf(func(t testing.TB) { plainOnly.RequirePosted(t, want) }) == "" {
			t.Errorf("a draft with another %s is found", field)
		}
	}
}
