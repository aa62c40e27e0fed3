package conformance_test

import (
	"time"

	"github.com/notifications-go/notifications"
)

var seenCases = []semanticsCase{
	{"seen × scope", func(f *fixture) {
		f.postDraft(scoped("first", toJane))
		other := f.post("other", toJane)
		look := f.look(jane)
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane))
		f.mark(jane, seen(look), read, 1)
		f.marked(jane, other, "read")
		f.marked(jane, later, "")
		f.mark(jane, seen(f.look(jane)), read, 1)
	}},
	{"seen × resurface=false", func(f *fixture) {
		id := f.postDraft(keeping("first", toJane))
		look := f.look(jane)
		f.rewrite(id, keeping("later", toJane))
		f.mark(jane, seen(look), read, 0)
		f.mark(jane, seen(f.look(jane)), read, 1)
	}},
	{"seen × schedule", func(f *fixture) {
		id := f.postDraft(scheduled(f.Now().Add(time.Minute), plain("scheduled", toJane)))
		before := f.post("before", toJane)
		look := f.look(jane)
		f.Advance(time.Minute)
		f.mark(jane, seen(look), read, 1)
		f.marked(jane, before, "read")
		f.marked(jane, id, "")
		f.mark(jane, seen(f.look(jane)), read, 1)
	}},
	{"seen × expiry", func(f *fixture) {
		f.postDraft(expiring(f.Now().Add(time.Minute), plain("short", toJane)))
		f.post("long", toJane)
		look := f.look(jane)
		f.Advance(time.Minute)
		f.mark(jane, seen(look), read, 1)
	}},
	{"seen × history", func(f *fixture) {
		f.post("old", toEveryone)
		f.post("to the group", toOps)
		f.SetAccount("guest", f.Advance(time.Minute))
		f.Join("guest", "ops", f.Now())
		f.post("new", toOps)
		h := f.with(systemRead, groupsSinceJoining)
		look := h.look(guest)
		f.post("unseen", toOps)
		h.mark(guest, seen(look), read, 1)
		h.mark(guest, seen(look), unread, 2) // old too, which counts as read
	}},
	{"seen × idempotency", func(f *fixture) {
		id := f.postDraft(keyed(plain("a", toJane)))
		look := f.look(jane)
		f.repeat(id, keyed(plain("a", toJane)))
		f.mark(jane, seen(look), read, 1)
	}},
}

var streamCases = []semanticsCase{
	{"stream × notification", func(f *fixture) {
		j, g := f.follow(jane), f.follow(guest)
		f.post("to ops", toOps)
		f.post("to john", toJohn)
		j.tells("new to ops")
		g.tells()
		f.post("to all", toEveryone)
		f.post("to jane", toJane)
		j.tells("new to all", "new to jane")
		g.tells("new to all")
		j.tells()
	}},
	{"stream × scope", func(f *fixture) {
		j, o, g := f.follow(jane), f.follow(john), f.follow(guest)
		f.postDraft(scoped("first", toJane.And(toJohn).And(toOps)))
		j.tells("new first")
		o.tells("new first")
		f.Advance(time.Minute)
		f.replace(scoped("later", toJane))
		j.tells("new later") // the first still reaches her, by ops
		o.tells()
		f.Advance(time.Minute)
		f.replace(scoped("last", toOps.And(toJane)))
		j.tells("removed first", "removed later", "new last")
		o.tells("new last") // the first still reaches them
		g.tells()
		both := scoped("to both", toJane.And(toEveryone))
		both.Scope = "another"
		f.postDraft(both)
		j.tells("new to both")
		both.Title, both.To = "to all", toEveryone
		f.Advance(time.Minute)
		f.replace(both)
		j.tells("new to both", "new to all") // it is hers alone now
	}},
	{"stream × resurface=false", func(f *fixture) {
		j, o := f.follow(jane), f.follow(john)
		id := f.postDraft(keeping("first", toOps))
		j.tells("new first")
		o.tells("new first")
		f.mark(jane, ids(id), allMarks, 1)
		j.tells("marks")
		f.rewrite(id, keeping("second", toOps))
		j.tells("new second")
		o.tells("new second")
		f.marked(jane, id, "read saved archived")
	}},
	{"stream × schedule", func(f *fixture) {
		j := f.follow(jane)
		f.postDraft(scheduled(f.Now().Add(time.Minute), plain("a", toJane)))
		gone := f.postDraft(scheduled(f.Now().Add(time.Minute+time.Second), plain("withdrawn before", toJane)))
		f.postDraft(scheduled(f.Now().Add(time.Minute+2*time.Second), scoped("replaced before", toJane)))
		j.tells()
		f.withdraw(ci, gone)
		f.replace(scheduled(f.Now().Add(10*time.Minute), scoped("later", toJane)))
		f.Advance(time.Minute - time.Millisecond)
		j.tells()
		f.Advance(time.Millisecond)
		j.tells("new a")
		f.Advance(2 * time.Minute)
		j.tells()
		f.Advance(7 * time.Minute)
		j.tells("new later")
	}},
	{"stream × expiry", func(f *fixture) {
		j, o := f.follow(jane), f.follow(john)
		f.postDraft(expiring(f.Now().Add(time.Minute), plain("short", toJane)))
		moved := expiring(f.Now().Add(time.Minute), keeping("moved", toOps))
		id := f.postDraft(moved)
		moved.Expires = f.Now().Add(5 * time.Minute)
		f.rewrite(id, moved)
		j.tells("new short", "new moved")
		o.tells("new moved")
		f.Advance(time.Minute - time.Millisecond)
		j.tells()
		f.Advance(time.Millisecond)
		j.tells("removed short")
		o.tells()
		f.Advance(4 * time.Minute)
		j.tells("removed moved")
		o.tells("removed moved")
		part := expiring(f.Now().Add(time.Minute), scoped("to both", toJane.And(toOps)))
		part.Scope = "another"
		f.postDraft(part)
		j.tells("new to both")
		f.Advance(time.Minute) // it expires, and at once another takes a part of its audiences
		part.Title, part.To, part.Expires = "in its place", toOps, time.Time{}
		f.replace(part)
		j.tells("removed to both", "new in its place")
	}},
	{"stream × withdraw", func(f *fixture) {
		j, o, g := f.follow(jane), f.follow(john), f.follow(guest)
		a, b := f.post("a", toOps), f.postDraft(scoped("b", toJane))
		j.tells("new a", "new b")
		o.tells("new a")
		f.mark(jane, ids(a), saved, 1)
		j.tells("marks")
		f.withdraw(ci, a)
		f.withdrawScope(1)
		f.hidden(jane, b)
		j.tells("removed a", "removed b")
		o.tells("removed a")
		g.tells()
	}},
	{"stream × state", func(f *fixture) {
		id := f.post("a", toOps)
		j, o := f.follow(jane), f.follow(john)
		f.mark(jane, ids(id), read, 1)
		j.tells("marks")
		o.tells()
		f.mark(jane, ids(id), read, 0)
		j.tells()
	}},
	{"stream × bulk", func(f *fixture) {
		f.post("a", toOps)
		f.post("b", toJane)
		f.post("c", toEveryone)
		j, o := f.follow(jane), f.follow(john)
		f.mark(jane, filter(everything), allMarks, 3)
		j.tells("marks")
		o.tells()
		f.mark(jane, filter(everything), allMarks, 0)
		j.tells()
	}},
	{"stream × idempotency", func(f *fixture) {
		j := f.follow(jane)
		id := f.postDraft(keyed(plain("a", toJane)))
		j.tells("new a")
		f.repeat(id, keyed(plain("a", toJane)))
		j.tells()
	}},
	{"stream × history", func(f *fixture) {
		old, all := f.postDraft(keeping("old", toOps)), f.post("old to all", toEveryone)
		f.SetAccount("guest", f.Advance(time.Minute))
		f.Join("guest", "ops", f.Now())
		h := f.with(groupsSinceJoining, systemSinceJoining)
		g, j := h.follow(guest), h.follow(jane)
		f.rewrite(old, keeping("rewritten", toOps))
		g.tells()
		j.tells("new rewritten")
		f.withdraw(ci, old)
		f.withdraw(ci, all)
		g.tells()
		j.tells("removed rewritten", "removed old to all")
		f.post("new", toOps)
		g.tells("new new")
	}},
	{"stream × membership", func(f *fixture) {
		f.post("before", toOps)
		f.Join("guest", "ops", f.Now())
		f.Leave("jane", "ops")
		g, j := f.follow(guest), f.follow(jane) // as after having read all again
		f.post("to ops", toOps)
		g.tells("new to ops")
		j.tells()
	}},
	{"stream × erase", func(f *fixture) {
		f.post("alone", toJohn)
		f.post("shared", toJohn.And(toJane))
		f.by(john).postDraft(plain("of john", toJane))
		j, o := f.follow(jane), f.follow(john)
		f.erase("john")
		j.tells()
		o.tells("resync " + notifications.ResyncMembership)
		f.erase("john") // there is nothing any more
		o.tells()
	}},
	{"stream × purge", func(f *fixture) {
		j := f.follow(jane)
		f.post("old", toJane)
		gone := f.post("withdrawn", toJane)
		f.Advance(time.Minute)
		f.postDraft(expiring(f.Now().Add(time.Minute), plain("short", toJane)))
		j.tells("new old", "new short", "new withdrawn")
		f.withdraw(ci, gone)
		j.tells("removed withdrawn")
		f.Advance(time.Minute)
		j.tells("removed short")
		f.purge(0, 2)
		j.tells()
		f.purge(time.Minute, 1)
		j.tells() // the count is that without it
	}},
}
