package conformance_test

import (
	"time"

	"github.com/notifications-go/notifications"
)

var stateCases = []semanticsCase{
	{"read × saved", func(f *fixture) {
		id := f.post("a", toJane)
		f.mark(jane, ids(id), saved, 1)
		f.marked(jane, id, "saved")
		f.mark(jane, ids(id), read, 1)
		f.marked(jane, id, "read saved")
		f.mark(jane, ids(id), unsaved, 1)
		f.marked(jane, id, "read")
		f.mark(jane, ids(id), saved, 1)
		f.mark(jane, ids(id), unread, 1)
		f.marked(jane, id, "saved")
		f.status(jane, notifications.Status{Unread: 1, Saved: 1})
	}},
	{"read × archived", func(f *fixture) {
		untouched, seen := f.post("untouched", toJane), f.post("seen", toJane)
		f.mark(jane, ids(seen), read, 1)
		f.status(jane, notifications.Status{Unread: 1, Read: 1})
		f.mark(jane, ids(untouched, seen), archived, 2)
		f.status(jane, notifications.Status{Archived: 2})
		f.marked(jane, untouched, "archived")
		f.marked(jane, seen, "read archived")
		f.mark(jane, ids(seen), unread, 1)
		f.mark(jane, ids(untouched), read, 1)
		f.mark(jane, ids(untouched, seen), unarchived, 2)
		f.marked(jane, untouched, "read")
		f.marked(jane, seen, "")
	}},
	{"saved × archived", func(f *fixture) {
		id := f.post("a", toJane)
		f.mark(jane, ids(id), notifications.StateChange{Saved: new(true), Archived: new(true)}, 1)
		f.lists(jane, notifications.Filter{})
		f.lists(jane, notifications.Filter{Saved: notifications.Saved})
		f.lists(jane, notifications.Filter{Saved: notifications.Saved, Archived: notifications.ArchivedOrNot}, "a")
		f.status(jane, notifications.Status{Archived: 1})
	}},
	{"state × bulk", func(f *fixture) {
		a, b, put := f.post("a", toJane), f.post("b", toOps), f.post("put away", toJane)
		johns := f.post("john's", toJohn)
		f.mark(jane, ids(put), archived, 1)
		f.mark(jane, ids(a), read, 1)
		f.mark(jane, filter(notifications.Filter{}), read, 1) // b alone
		f.marked(jane, b, "read")
		f.marked(jane, put, "archived")
		f.mark(jane, ids(a, b, put, johns), read, 1) // put alone
		f.marked(jane, put, "read archived")
		f.mark(jane, filter(notifications.Filter{Archived: notifications.Archived}), unarchived, 1)
		f.marked(john, johns, "")
		f.marked(john, b, "")
	}},
	{"state × scope", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane))
		f.mark(jane, ids(first), allMarks, 1)
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane))
		f.marked(jane, later, "")
		f.lists(jane, notifications.Filter{}, "later")
		f.sees(jane, "later")
	}},
	{"state × resurface=false", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane.And(toJohn)))
		f.mark(jane, ids(first), allMarks, 1)
		f.rewrite(first, keeping("later", toJane.And(toJohn)))
		f.marked(jane, first, "read saved archived")
		f.marked(john, first, "")
		f.sees(jane, "later")
	}},
	{"state × idempotency", func(f *fixture) {
		id := f.postDraft(keyed(plain("a", toJane)))
		f.mark(jane, ids(id), allMarks, 1)
		f.repeat(id, keyed(plain("a", toJane)))
		f.marked(jane, id, "read saved archived")
	}},
	{"state × expiry", func(f *fixture) {
		id := f.postDraft(expiring(f.Now().Add(time.Hour), plain("a", toJane)))
		f.mark(jane, ids(id), saved, 1)
		f.Advance(time.Hour - time.Millisecond)
		f.marked(jane, id, "saved")
		f.Advance(time.Millisecond)
		f.hidden(jane, id)
		f.unmarkable(jane, id)
	}},
	{"state × schedule", func(f *fixture) {
		id := f.postDraft(scheduled(f.Now().Add(time.Hour), plain("a", toJane)))
		f.Advance(time.Hour - time.Millisecond)
		f.unmarkable(jane, id)
		f.Advance(time.Millisecond)
		f.marked(jane, id, "")
		f.mark(jane, ids(id), saved, 1)
	}},
	{"state × withdraw", func(f *fixture) {
		id := f.post("a", toJane)
		f.mark(jane, ids(id), saved, 1)
		f.withdraw(ci, id)
		f.hidden(jane, id)
		f.unmarkable(jane, id)
		f.status(jane, notifications.Status{})
	}},
	{"state × purge", func(f *fixture) {
		id := f.post("a", toOps)
		f.mark(jane, ids(id), saved, 1)
		f.mark(john, ids(id), allMarks, 1)
		f.Advance(1000 * day)
		f.mark(john, ids(id), unsaved, 1)
		f.purge(day, 0)
		f.marked(jane, id, "saved")
		f.marked(john, id, "read archived")
		f.mark(jane, ids(id), unsaved, 1)
		f.purge(day, 1)
		f.hidden(john, id)
		f.reasons(id, "john", notifications.ReasonUnknown)
	}},
	{"state × history", func(f *fixture) {
		old := map[string]string{}
		for _, title := range []string{"untouched", "saved", "archived", "unread"} {
			old[title] = f.post(title, toEveryone)
		}
		f.SetAccount("jane", f.Advance(day))
		h := f.with(systemRead)
		h.status(jane, notifications.Status{Read: 4})
		h.mark(jane, ids(old["saved"]), saved, 1)
		h.mark(jane, ids(old["archived"]), archived, 1)
		h.mark(jane, ids(old["unread"]), unread, 1)
		h.marked(jane, old["untouched"], "read")
		h.marked(jane, old["saved"], "read saved")
		h.marked(jane, old["archived"], "read archived")
		h.marked(jane, old["unread"], "")
		h.mark(jane, ids(old["unread"]), saved, 1)
		h.marked(jane, old["unread"], "saved")
		h.status(jane, notifications.Status{Unread: 1, Read: 2, Saved: 2, Archived: 1})
	}},
	{"state × erase", func(f *fixture) {
		one, both := f.post("saved by john", toOps), f.post("saved by both", toOps)
		f.mark(john, ids(one, both), allMarks, 2)
		f.mark(jane, ids(both), allMarks, 1)
		f.Advance(10 * day)
		f.erase("john")
		f.marked(john, one, "")
		f.marked(john, both, "")
		f.marked(jane, both, "read saved archived")
		f.purge(day, 1)
		f.sees(jane, "saved by both")
	}},
}

var bulkCases = []semanticsCase{
	{"bulk × scope", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane))
		seen := f.post("seen", toJane)
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane))
		f.mark(jane, upTo(first), read, 0)
		f.mark(jane, upTo(seen), read, 1)
		f.marked(jane, later, "")
		f.mark(jane, upTo(later), read, 1)
	}},
	{"bulk × schedule", func(f *fixture) {
		id := f.postDraft(scheduled(f.Now().Add(time.Hour), plain("scheduled", toJane)))
		f.Advance(time.Minute)
		before := f.post("before", toJane)
		f.Advance(time.Hour)
		f.mark(jane, upTo(before), read, 1)
		f.marked(jane, id, "")
		f.mark(jane, upTo(id), read, 1)
	}},
	{"bulk × history", func(f *fixture) {
		old, group := f.post("old", toEveryone), f.post("to the group", notifications.Groups("empty"))
		f.SetAccount("jane", f.Advance(day))
		f.Join("jane", "empty", f.Now())
		f.post("new", toEveryone)
		every := filter(notifications.Filter{})
		h := f.with(systemRead, groupsSinceJoining)
		h.mark(jane, every, read, 1)
		h.hidden(jane, group)
		f.marked(jane, old, "") // where it does not count as read, nothing was marked
		f.marked(jane, group, "")
		f.with(systemSinceJoining).mark(jane, every, saved, 2) // what is new, and the group's
		f.marked(jane, old, "")
		h.mark(jane, every, unread, 2) // old too, which counts as read
		h.marked(jane, old, "")
	}},
}
