package notificationstest

import (
	"testing"

	"github.com/notifications-go/notifications"
)

// RequirePosted ends the test unless who sees, for each of want, a notification
// that is as it says. It returns them in the order of want.
//
// Of want, only the fields that are not zero count: {Title: "Welcome"} is any
// notification of that title, and {Title: "Welcome", System: true} one that is
// addressed to everybody. Of its actions the titles and URLs count. Each takes
// the newest notification that those before it have left, so two that are alike
// need two. Archived notifications count as well.
//
// It lists as who, so the policy and the catalog must let them.
func RequirePosted(t testing.TB, svc *notifications.Service, who notifications.Identity, want ...notifications.Notification) []notifications.Notification {
	t.Helper()
	seen := inboxOf(t, svc, who)
	found, failure := find(describeAll(seen), describeAll(want))
	if failure != "" {
		t.Fatalf("%s sees %s", who, failure)
	}
	matched := make([]notifications.Notification, len(found))
	for i, j := range found {
		matched[i] = seen[j]
	}
	return matched
}

// RequireNotPosted ends the test if who sees a notification that is as one of
// unwanted says, by the rules of [RequirePosted]; without unwanted, if who sees
// any.
func RequireNotPosted(t testing.TB, svc *notifications.Service, who notifications.Identity, unwanted ...notifications.Notification) {
	t.Helper()
	if failure := findNone(describeAll(inboxOf(t, svc, who)), describeAll(unwanted)); failure != "" {
		t.Fatalf("%s sees %s", who, failure)
	}
}

// inboxOf is all that who sees, newest first.
func inboxOf(t testing.TB, svc *notifications.Service, who notifications.Identity) (seen []notifications.Notification) {
	t.Helper()
	for n, err := range svc.All(t.Context(), who, notifications.Filter{Archived: notifications.ArchivedOrNot}) {
		if err != nil {
			t.Fatalf("list the notifications of %s: %v", who, err)
		}
		seen = append(seen, n)
	}
	return seen
}

func describeAll(list []notifications.Notification) []description {
	all := make([]description, len(list))
	for i, n := range list {
		all[i] = describe(n)
	}
	return all
}

// describe names the fields of a notification that are not zero.
func describe(n notifications.Notification) description {
	draft := notifications.Draft{
		Origin: n.Origin, Title: n.Title, Message: n.Message, Topic: n.Topic, Severity: n.Severity,
		Link: n.Link, Icon: n.Icon, Metadata: n.Metadata, Scope: n.Scope, Expires: n.Expires,
	}
	for _, a := range n.Actions {
		draft.Actions = append(draft.Actions, notifications.ActionDraft{Title: a.Title, URL: a.URL})
	}
	d := describeDraft(draft)
	d.flag("system", n.System)
	d.flag("read", n.Read)
	d.flag("saved", n.Saved)
	d.flag("archived", n.Archived)
	d.instant("created", n.Created)
	d.instant("updated", n.Updated)
	d.text("id", n.ID)
	d.text("posted by", n.PostedBy)
	return d
}
