package conformance_test

import (
	"errors"
	"time"

	"github.com/notifications-go/notifications"
)

var scopeCases = []semanticsCase{
	{"scope × resurface=false", func(f *fixture) {
		ordinary := f.postDraft(keeping("ordinary", toJane.And(toOps)))
		f.rewrite(ordinary, keeping("rewritten", toOps.And(toJane)))
		f.refuse(keeping("fewer", toOps), notifications.ErrTargetsDiffer)
		f.refuse(keeping("more", toOps.And(toJane).And(toEveryone)), notifications.ErrTargetsDiffer)
		f.sees(jane, "rewritten")
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane)) // leaves ops to the earlier one
		f.rewrite(ordinary, keeping("to ops", toOps))
		f.rewrite(later, keeping("to jane", toJane))
		f.refuse(keeping("to both", toOps.And(toJane)), notifications.ErrTargetsDiffer)
		f.sees(jane, "to jane", "to ops")
		f.sees(john, "to ops")
	}},
	{"scope × idempotency", func(f *fixture) {
		d := scoped("first", toJane)
		d.IdempotencyKey = "k"
		first := f.postDraft(d)
		f.repeat(first, d)
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane))
		f.repeat(first, d)
		f.sees(jane, "later")
		f.get(jane, later)
	}},
	{"scope × expiry", func(f *fixture) {
		d := scoped("first", toJane.And(toJohn))
		d.Expires = f.Now().Add(time.Hour)
		first := f.postDraft(d)
		f.Advance(time.Minute)
		f.replace(scoped("later", toJane))
		f.Advance(day)
		f.sees(jane, "later") // has no expiry left over
		f.sees(john)
		f.reach(first, 0, "user:john")
		f.replace(scoped("last", toJohn))
		f.reasons(first, "john", notifications.ReasonReplaced, notifications.ReasonExpired)
	}},
	{"scope × schedule", func(f *fixture) {
		f.postDraft(scoped("first", toJane))
		f.replace(scheduled(f.Now().Add(time.Hour), scoped("scheduled", toJane)))
		f.sees(jane) // replaced at once
		f.Advance(2 * time.Hour)
		f.sees(jane, "scheduled")
		never := f.replace(scheduled(f.Now().Add(time.Hour), scoped("never", toJane)))
		f.Advance(time.Minute)
		f.replace(scoped("last", toJane))
		f.Advance(day)
		f.sees(jane, "last")
		f.hidden(jane, never)
	}},
	{"scope × withdraw", func(f *fixture) {
		f.postDraft(scoped("first", toJane.And(toJohn)))
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane))
		f.withdraw(ci, later)
		f.sees(jane) // the first does not come back
		f.sees(john, "first")
		f.Advance(time.Minute)
		f.postDraft(scoped("last", toJane))
		f.withdrawScope(2)
		f.sees(jane)
		f.sees(john)
		f.withdrawScope(0)
		f.postDraft(scoped("anew", toJane))
		f.sees(jane, "anew")
	}},
	{"scope × purge", func(f *fixture) {
		gone := f.postDraft(scoped("gone", toJane))
		f.Advance(time.Minute)
		kept := f.replace(scoped("kept by john", toJane.And(toJohn)))
		f.Advance(time.Minute)
		f.replace(scoped("last", toJane))
		f.purge(0, 1)
		f.reasons(gone, "jane", notifications.ReasonUnknown)
		f.reasons(kept, "john", notifications.ReasonDirect)
		f.sees(jane, "last")
		f.sees(john, "kept by john")
	}},
	{"scope × history", func(f *fixture) {
		f.postDraft(scoped("first", toOps))
		f.Join("guest", "ops", f.Advance(time.Minute))
		h := f.with(groupsSinceJoining)
		h.sees(guest)
		f.replace(scoped("later", toOps))
		h.sees(guest, "later")
	}},
	{"scope × erase", func(f *fixture) {
		first := f.by(john).postDraft(scoped("first", toJane))
		f.erase("john")
		f.sees(jane, "first")
		f.Advance(time.Minute)
		later := f.by(john).postDraft(scoped("later", toJane))
		f.sees(jane, "later", "first")
		f.by(john).rewrite(later, keeping("kept", toJane))
		f.sees(jane, "kept", "first")
		f.get(jane, first)
	}},
	{"scope × poster", func(f *fixture) {
		f.postDraft(scoped("of ci", toJane))
		ofCD := f.by(cd).postDraft(scoped("of cd", toJane))
		f.by(john).postDraft(scoped("of john", toJane))
		other := scoped("of another origin", toJane)
		other.Origin = "other"
		f.postDraft(other)
		f.sees(jane, "of another origin", "of john", "of cd", "of ci")
		f.Advance(time.Minute)
		f.by(john).replace(scoped("of john again", toJane))
		f.sees(jane, "of john again", "of another origin", "of cd", "of ci")
		f.by(cd).rewrite(ofCD, keeping("of cd again", toJane))
		f.sees(jane, "of john again", "of another origin", "of cd again", "of ci")
	}},
}

var keepPlaceCases = []semanticsCase{
	{"resurface=false × idempotency", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane))
		rewriting := keeping("rewritten", toJane)
		rewriting.IdempotencyKey = "k"
		f.rewrite(first, rewriting)
		f.rewrite(first, keeping("again", toJane))
		f.repeat(first, rewriting)
		f.sees(jane, "again") // the repeated one did nothing
	}},
	{"resurface=false × expiry", func(f *fixture) {
		d := keeping("first", toJane)
		d.Expires = f.Now().Add(time.Hour)
		first := f.postDraft(d)
		d.Expires = f.Now().Add(3 * time.Hour)
		f.rewrite(first, d)
		f.Advance(2 * time.Hour)
		f.sees(jane, "first")
		f.rewrite(first, keeping("without", toJane))
		f.Advance(2 * time.Hour)
		f.sees(jane, "without")
		d.Expires = f.Now().Add(time.Hour)
		f.rewrite(first, d)
		f.Advance(time.Hour)
		f.sees(jane)
		f.postDraft(keeping("anew", toOps)) // an ordinary post, also to others
		f.sees(jane, "anew")
		f.hidden(jane, first)
	}},
	{"resurface=false × schedule", func(f *fixture) {
		d := keeping("x", toJane)
		for _, when := range []time.Duration{time.Hour, -time.Hour} {
			d.NotBefore = f.Now().Add(when)
			f.invalid(d, "NotBefore")
		}
		appears := f.Now().Add(time.Hour)
		id := f.postDraft(scheduled(appears, scoped("scheduled", toJane)))
		f.rewrite(id, keeping("rewritten", toJane))
		f.sees(jane)
		f.Advance(time.Hour)
		f.sees(jane, "rewritten")
		f.created(jane, id, appears)
	}},
	{"resurface=false × withdraw", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane))
		f.withdraw(ci, first)
		f.postDraft(keeping("second", toOps))
		f.sees(jane, "second")
		f.hidden(jane, first)
		f.withdrawScope(1)
		f.postDraft(keeping("third", toJane))
		f.sees(jane, "third")
	}},
	{"resurface=false × purge", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane))
		f.Advance(10 * day)
		f.rewrite(first, keeping("rewritten", toJane))
		f.purge(11*day, 0)
		f.purge(5*day, 1)
		f.sees(jane)
	}},
	{"resurface=false × history", func(f *fixture) {
		first := f.postDraft(scoped("first", toOps))
		f.Join("guest", "ops", f.Advance(time.Minute))
		f.Advance(time.Minute)
		f.post("second", toOps)
		f.Advance(time.Minute)
		f.rewrite(first, keeping("rewritten", toOps))
		f.with(groupsSinceJoining).sees(guest, "second")
		f.sees(jane, "second", "rewritten")
	}},
	{"resurface=false × erase", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane.And(toJohn)))
		f.erase("john")
		f.refuse(keeping("to both", toJane.And(toJohn)), notifications.ErrTargetsDiffer)
		f.rewrite(first, keeping("to jane", toJane))
		f.sees(jane, "to jane")
		f.sees(john)
	}},
}

var idempotencyCases = []semanticsCase{
	{"idempotency × expiry", func(f *fixture) {
		d := keyed(plain("a", toJane))
		d.Expires = f.Now().Add(time.Hour)
		id := f.postDraft(d)
		f.Advance(2 * time.Hour)
		f.repeat(id, d)
		f.sees(jane)
	}},
	{"idempotency × schedule", func(f *fixture) {
		d := keyed(plain("a", toJane))
		d.NotBefore = f.Now().Add(time.Hour)
		id := f.postDraft(d)
		f.repeat(id, d)
		f.sees(jane)
		f.Advance(2 * time.Hour)
		f.repeat(id, d)
		f.sees(jane, "a")
	}},
	{"idempotency × withdraw", func(f *fixture) {
		id := f.postDraft(keyed(plain("a", toJane)))
		f.withdraw(ci, id)
		f.repeat(id, keyed(plain("a", toJane)))
		f.sees(jane)
	}},
	{"idempotency × purge", func(f *fixture) {
		id := f.postDraft(keyed(plain("a", toJane)))
		f.withdraw(ci, id)
		f.purge(0, 1)
		f.repeat(id, keyed(plain("a", toJane)))
		f.Advance(notifications.DefaultIdempotencyWindow - time.Millisecond)
		f.purge(0, 0)
		f.repeat(id, keyed(plain("a", toJane)))
		f.Advance(time.Millisecond)
		f.postDraft(keyed(plain("a", toJane))) // though nobody purged
		f.Advance(notifications.DefaultIdempotencyWindow)
		f.purge(0, 0) // the key alone
		f.postDraft(keyed(plain("other content", toJane)))
		f.sees(jane, "other content", "a")
	}},
	{"idempotency × erase", func(f *fixture) {
		f.by(john).postDraft(keyed(plain("a", toJane)))
		ofCI := f.postDraft(keyed(plain("b", toJane)))
		f.Advance(time.Minute)
		f.erase("john")
		f.by(john).postDraft(keyed(plain("a", toJane)))
		f.repeat(ofCI, keyed(plain("b", toJane)))
		f.sees(jane, "a", "b", "a")
	}},
	{"idempotency × catalog", func(f *fixture) {
		f.SetAccount("mary", time.Time{})
		d := keyed(plain("a", toJane.And(notifications.Users("mary"))))
		id := f.postDraft(d)
		f.RemoveUser("mary")
		f.repeat(id, d)
		d.IdempotencyKey = "another"
		f.invalid(d, "To[1]")
		f.sees(jane, "a")
	}},
}

var timeCases = []semanticsCase{
	{"expiry × schedule", func(f *fixture) {
		d := scheduled(f.Now().Add(time.Hour), plain("a", toJane))
		for _, after := range []time.Duration{-time.Minute, 0, time.Microsecond} {
			d.Expires = d.NotBefore.Add(after)
			f.invalid(d, "Expires")
		}
		d.Expires = d.NotBefore.Add(time.Millisecond)
		f.postDraft(d)
		f.Advance(time.Hour)
		f.sees(jane, "a")
	}},
	{"expiry × withdraw", func(f *fixture) {
		id := f.postDraft(expiring(f.Now().Add(time.Hour), plain("a", toJane)))
		f.Advance(2 * time.Hour)
		f.withdraw(ci, id)
		f.reasons(id, "jane", notifications.ReasonWithdrawn, notifications.ReasonExpired)
	}},
	{"expiry × purge", func(f *fixture) {
		id := f.postDraft(expiring(f.Now().Add(time.Hour), plain("a", toJane)))
		f.mark(jane, ids(id), saved, 1)
		f.purge(0, 0)
		f.Advance(time.Hour)
		f.purge(0, 1)
		f.reasons(id, "jane", notifications.ReasonUnknown)
	}},
	{"schedule × withdraw", func(f *fixture) {
		id := f.postDraft(scheduled(f.Now().Add(time.Hour), plain("a", toJane)))
		f.withdraw(ci, id)
		f.Advance(2 * time.Hour)
		f.sees(jane)
		f.hidden(jane, id)
	}},
	{"schedule × purge", func(f *fixture) {
		f.postDraft(scheduled(f.Now().Add(10*day), plain("a", toJane)))
		f.Advance(9 * day)
		f.purge(day, 0)
		f.Advance(3 * day)
		f.purge(5*day, 0)
		f.sees(jane, "a")
		f.Advance(4 * day)
		f.purge(5*day, 1)
		f.sees(jane)
	}},
	{"schedule × history", func(f *fixture) {
		f.postDraft(scheduled(f.Now().Add(time.Hour), plain("scheduled", toOps)))
		f.Join("guest", "ops", f.Advance(time.Minute))
		f.Join("mary", "ops", f.Now().Add(2*time.Hour))
		f.SetAccount("mary", time.Time{})
		f.Advance(day)
		h := f.with(groupsSinceJoining)
		h.sees(guest, "scheduled")
		h.sees(notifications.User("mary"))
	}},
	{"schedule × created", func(f *fixture) {
		appears := f.Now().Add(time.Hour)
		id := f.postDraft(scheduled(appears, plain("scheduled", toJane)))
		f.post("before", toJane)
		f.Advance(2 * time.Hour)
		f.post("after", toJane)
		f.sees(jane, "after", "scheduled", "before") // by cursors
		f.created(jane, id, appears)
		f.lists(jane, notifications.Filter{CreatedAfter: appears}, "after")
		f.lists(jane, notifications.Filter{CreatedAfter: appears.Add(-time.Millisecond)}, "after", "scheduled")
	}},
}

var goneCases = []semanticsCase{
	{"withdraw × purge", func(f *fixture) {
		id := f.post("a", toJane)
		f.mark(jane, ids(id), saved, 1)
		f.withdraw(ci, id)
		f.reasons(id, "jane", notifications.ReasonWithdrawn, notifications.ReasonSaved)
		f.purge(0, 1)
		f.reasons(id, "jane", notifications.ReasonUnknown)
		f.cannotWithdraw(ci, id, notifications.ErrNotFound)
	}},
	{"withdraw × erase", func(f *fixture) {
		toBoth := f.by(john).postDraft(plain("to both", toJane.And(toOps)))
		alone := f.by(john).postDraft(plain("to jane", toJane))
		f.erase("john")
		f.cannotWithdraw(john, toBoth, notifications.ErrForbidden) // john sees it, by the group
		f.cannotWithdraw(john, alone, notifications.ErrNotFound)
		f.sees(jane, "to jane", "to both")
		f.withdraw(admin, alone)
		f.withdraw(admin, toBoth)
		f.sees(jane)
	}},
	{"history × purge", func(f *fixture) {
		kept, gone := f.post("kept", toOps), f.post("gone", toOps)
		f.Join("guest", "ops", f.Advance(time.Minute))
		f.mark(jane, ids(kept), saved, 1)
		f.Advance(10 * day)
		h := f.with(groupsSinceJoining)
		h.sees(guest)
		h.purge(0, 0)
		f.sees(john, "gone", "kept")
		h.purge(day, 1)
		f.sees(john, "kept")
		h.sees(guest)
		f.hidden(jane, gone)
	}},
	{"erase × groups", func(f *fixture) {
		alone := f.post("to john", toJohn)
		shared := f.post("to john and jane", toJohn.And(toJane))
		f.post("to ops", toOps)
		f.post("to everybody", toEveryone)
		f.erase("john")
		f.sees(john, "to everybody", "to ops")
		f.sees(jane, "to everybody", "to ops", "to john and jane")
		f.reach(shared, 0, "user:jane")
		f.reasons(alone, "john", notifications.ReasonUnknown)
	}},
	{"reach × scope", func(f *fixture) {
		first := f.postDraft(scoped("first", toJane.And(toJohn).And(toOps)))
		f.reach(first, 0, "group:ops", "user:jane", "user:john")
		f.Advance(time.Minute)
		later := f.replace(scoped("later", toJane.And(toOps)))
		f.reach(first, 0, "user:john")
		f.reach(later, 0, "group:ops", "user:jane")
	}},
	{"reach × withdraw", func(f *fixture) {
		id := f.post("a", toJane)
		f.withdraw(ci, id)
		for _, who := range []notifications.Identity{ci, jane, cd} {
			if _, err := f.Reach(who, id); !errors.Is(err, notifications.ErrNotFound) {
				f.t.Errorf("%s asks for the reach: %v, want ErrNotFound", who, err)
			}
		}
	}},
	{"reach × expiry", func(f *fixture) {
		id := f.postDraft(expiring(f.Now().Add(time.Hour), plain("a", toJane)))
		f.mark(jane, ids(id), read, 1)
		f.Advance(day)
		f.hidden(jane, id)
		f.reach(id, 1, "user:jane")
	}},
	{"reach × erase", func(f *fixture) {
		id := f.post("a", toOps)
		f.mark(jane, ids(id), read, 1)
		f.mark(john, ids(id), read, 1)
		f.reach(id, 2, "group:ops")
		f.erase("john")
		f.reach(id, 1, "group:ops")
	}},
}
