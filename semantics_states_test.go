package notifications_test

import (
	"errors"
	"time"

	"github.com/notifications-go/notifications"
)

var stateCases = []semanticsCase{
	{"read × saved", func(f *fixture) {
		id := f.post("a", toJane)
		f.set(jane, ids(id), saved, 1)
		f.marked(jane, id, "saved")
		f.set(jane, ids(id), read, 1)
		f.marked(jane, id, "read saved")
		f.set(jane, ids(id), unsaved, 1)
		f.marked(jane, id, "read")
		f.set(jane, ids(id), saved, 1)
		f.set(jane, ids(id), unread, 1)
		f.marked(jane, id, "saved")
		f.counted(jane, notifications.Status{Unread: 1, Saved: 1})
	}},
	{"read × archived", func(f *fixture) {
		untouched, seen := f.post("untouched", toJane), f.post("seen", toJane)
		f.mark(jane, seen, true)
		f.counted(jane, notifications.Status{Unread: 1, Read: 1})
		f.set(jane, ids(untouched, seen), archived, 2)
		f.counted(jane, notifications.Status{Archived: 2})
		f.marked(jane, untouched, "archived")
		f.marked(jane, seen, "read archived")
		f.mark(jane, seen, false)
		f.mark(jane, untouched, true)
		f.set(jane, ids(untouched, seen), unarchived, 2)
		f.marked(jane, untouched, "read")
		f.marked(jane, seen, "")
	}},
	{"saved × archived", func(f *fixture) {
		id := f.post("a", toJane)
		f.set(jane, ids(id), notifications.StateChange{Saved: new(true), Archived: new(true)}, 1)
		f.expect(jane, notifications.ListQuery{})
		f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{Saved: notifications.Saved}})
		f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{Saved: notifications.Saved, Archived: notifications.ArchivedOrNot}}, "a")
		f.counted(jane, notifications.Status{Archived: 1})
	}},
	{"state × bulk", func(f *fixture) {
		a, b, put := f.post("a", toJane), f.post("b", toOps), f.post("put away", toJane)
		johns := f.post("john's", toJohn)
		f.set(jane, ids(put), archived, 1)
		f.mark(jane, a, true)
		f.set(jane, filter(notifications.Filter{}), read, 1) // b alone
		f.marked(jane, b, "read")
		f.marked(jane, put, "archived")
		f.set(jane, ids(a, b, put, johns), read, 1) // put alone
		f.marked(jane, put, "read archived")
		f.set(jane, filter(notifications.Filter{Archived: notifications.Archived}), unarchived, 1)
		f.marked(john, johns, "")
		f.marked(john, b, "")
	}},
	{"state × scope", func(f *fixture) {
		first := f.postDraft(about("first", toJane))
		f.set(jane, ids(first), allMarks, 1)
		f.advance(time.Minute)
		later := f.anew(about("later", toJane), first)
		f.marked(jane, later, "")
		f.expect(jane, notifications.ListQuery{}, "later")
		f.see(jane, "later")
	}},
	{"state × resurface=false", func(f *fixture) {
		first := f.postDraft(about("first", toJane.And(toJohn)))
		f.set(jane, ids(first), allMarks, 1)
		f.again(keeping("later", toJane.And(toJohn)), first)
		f.marked(jane, first, "read saved archived")
		f.marked(john, first, "")
		f.see(jane, "later")
	}},
	{"state × idempotency", func(f *fixture) {
		id := f.postDraft(keyed("a", toJane))
		f.set(jane, ids(id), allMarks, 1)
		f.again(keyed("a", toJane), id)
		f.marked(jane, id, "read saved archived")
	}},
	{"state × expiry", func(f *fixture) {
		id := f.postDraft(until(f.now().Add(time.Hour), "a", toJane))
		f.set(jane, ids(id), saved, 1)
		f.advance(time.Hour - time.Millisecond)
		f.marked(jane, id, "saved")
		f.advance(time.Millisecond)
		f.hidden(jane, id)
		f.unmarkable(jane, id)
	}},
	{"state × schedule", func(f *fixture) {
		id := f.postDraft(at(f.now().Add(time.Hour), "a", toJane))
		f.advance(time.Hour - time.Millisecond)
		f.unmarkable(jane, id)
		f.advance(time.Millisecond)
		f.marked(jane, id, "")
		f.set(jane, ids(id), saved, 1)
	}},
	{"state × withdraw", func(f *fixture) {
		id := f.post("a", toJane)
		f.set(jane, ids(id), saved, 1)
		f.withdraw(id)
		f.hidden(jane, id)
		f.unmarkable(jane, id)
		f.counted(jane, notifications.Status{})
	}},
	{"state × purge", func(f *fixture) {
		id := f.post("a", toOps)
		f.set(jane, ids(id), saved, 1)
		f.set(john, ids(id), allMarks, 1)
		f.advance(1000 * day)
		f.set(john, ids(id), unsaved, 1)
		f.purge(day, 0)
		f.marked(jane, id, "saved")
		f.marked(john, id, "read archived")
		f.set(jane, ids(id), unsaved, 1)
		f.purge(day, 1)
		f.hidden(john, id)
		f.because(id, "default/john", notifications.ReasonUnknown)
	}},
	{"state × history", func(f *fixture) {
		old := map[string]string{}
		for _, title := range []string{"untouched", "saved", "archived", "unread"} {
			old[title] = f.post(title, toEveryone)
		}
		f.town.open("default/jane", f.advance(day))
		h := f.with(systemRead)
		h.counted(jane, notifications.Status{Read: 4})
		h.set(jane, ids(old["saved"]), saved, 1)
		h.set(jane, ids(old["archived"]), archived, 1)
		h.set(jane, ids(old["unread"]), unread, 1)
		h.marked(jane, old["untouched"], "read")
		h.marked(jane, old["saved"], "read saved")
		h.marked(jane, old["archived"], "read archived")
		h.marked(jane, old["unread"], "")
		h.set(jane, ids(old["unread"]), saved, 1)
		h.marked(jane, old["unread"], "saved")
		h.counted(jane, notifications.Status{Unread: 1, Read: 2, Saved: 2, Archived: 1})
	}},
	{"state × erase", func(f *fixture) {
		his, both := f.post("saved by john", toOps), f.post("saved by both", toOps)
		f.set(john, ids(his, both), allMarks, 2)
		f.set(jane, ids(both), allMarks, 1)
		f.advance(10 * day)
		f.erase("default/john")
		f.marked(john, his, "")
		f.marked(john, both, "")
		f.marked(jane, both, "read saved archived")
		f.purge(day, 1)
		f.see(jane, "saved by both")
	}},
}

var bulkCases = []semanticsCase{
	{"bulk × scope", func(f *fixture) {
		first := f.postDraft(about("first", toJane))
		seen := f.post("seen", toJane)
		f.advance(time.Minute)
		later := f.postDraft(about("later", toJane))
		f.set(jane, upTo(first), read, 0)
		f.set(jane, upTo(seen), read, 1)
		f.marked(jane, later, "")
		f.set(jane, upTo(later), read, 1)
	}},
	{"bulk × schedule", func(f *fixture) {
		scheduled := f.postDraft(at(f.now().Add(time.Hour), "scheduled", toJane))
		f.advance(time.Minute)
		before := f.post("before", toJane)
		f.advance(time.Hour)
		f.set(jane, upTo(before), read, 1)
		f.marked(jane, scheduled, "")
		f.set(jane, upTo(scheduled), read, 1)
	}},
	{"bulk × history", func(f *fixture) {
		old, group := f.post("old", toEveryone), f.post("to the group", notifications.Groups("default/empty"))
		f.town.open("default/jane", f.advance(day))
		f.town.join("default/jane", "default/empty", f.now())
		f.post("new", toEveryone)
		every := filter(notifications.Filter{})
		h := f.with(func(cfg *notifications.Config) { systemRead(cfg); groupsSinceJoining(cfg) })
		h.set(jane, every, read, 1)
		h.hidden(jane, group)
		f.marked(jane, old, "") // to a service that counts otherwise, nothing was marked
		f.marked(jane, group, "")
		f.with(systemSinceJoining).set(jane, every, saved, 2) // what is new, and the group's
		f.marked(jane, old, "")
		h.set(jane, every, unread, 2) // old too, which counts as read
		h.marked(jane, old, "")
	}},
}

// unmarkable checks that who can mark the notification neither by its id nor
// by a filter.
func (f *fixture) unmarkable(who notifications.Identity, id string) {
	f.t.Helper()
	for _, to := range []bool{true, false} {
		if err := f.MarkRead(f.t.Context(), who, id, to); !errors.Is(err, notifications.ErrNotFound) {
			f.t.Errorf("MarkRead(%s, %s, %t): %v, want ErrNotFound", who, id, to, err)
		}
		change := notifications.StateChange{Read: &to, Saved: &to, Archived: &to}
		f.set(who, ids(id), change, 0)
		f.set(who, filter(everything), change, 0)
	}
}
