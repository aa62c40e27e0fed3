package main

import (
	"fmt"
	"strings"

	"github.com/notifications-go/notifications"
)

// drafts is how many different texts there are.
const drafts = 64

// searched is the text that list with a text filter looks for: one message in
// sixteen has it.
const searched = "rollback"

var (
	origins = []string{"ci", "deploy", "pager", "billing", "security", "calendar", "reviews", "backup"}
	topics  = []string{"", "builds", "releases", "incidents", "invoices", "audits", "meetings", "pull-requests"}
	things  = []string{"payments", "search", "checkout", "ledger", "identity", "catalog", "gateway", "reports"}
)

// draft is one of the texts, of a length and with the extras that are usual.
func draft(n int, to notifications.Audience) notifications.Draft {
	n %= drafts
	thing := things[n%len(things)]
	d := notifications.Draft{
		Origin: origins[n/len(things)%len(origins)],
		Title:  fmt.Sprintf("Build %d of %s has finished", 1000+n, thing),
		Message: fmt.Sprintf("The pipeline of %s ended after %d minutes. ", thing, 3+n%40) +
			strings.Repeat("See the log for what each step did and how long it took. ", 1+n%4),
		Topic: topics[n%len(topics)],
		To:    to,
	}
	if n%16 == 5 {
		d.Title = fmt.Sprintf("A %s of %s was needed", strings.ToUpper(searched), thing)
	}
	if n%2 == 0 {
		d.Actions = []notifications.ActionDraft{{Title: "Open", URL: fmt.Sprintf("https://ci.example/%s/%d", thing, n)}}
	}
	return d
}

// userDraft, groupDraft and systemDraft address one of the texts.
func userDraft(n int, refs ...string) notifications.Draft {
	return draft(n, notifications.Users(refs...))
}
func groupDraft(n int, ref string) notifications.Draft { return draft(n, notifications.Groups(ref)) }
func systemDraft(n int) notifications.Draft            { return draft(n, notifications.Everyone()) }
