package notifications_test

import (
	"errors"
	"time"

	"github.com/notifications-go/notifications"
)

var scopeCases = []semanticsCase{
	{"scope × resurface=false", func(f *fixture) {
		ordinary := f.postDraft(keeping("ordinary", toJane.And(toOps)))
		f.again(keeping("rewritten", toOps.And(toJane)), ordinary)
		f.refused(keeping("fewer", toOps), notifications.ErrTargetsDiffer)
		f.refused(keeping("more", toOps.And(toJane).And(toEveryone)), notifications.ErrTargetsDiffer)
		f.see(jane, "rewritten")
		f.advance(time.Minute)
		later := f.postDraft(about("later", toJane)) // leaves ops to the earlier one
		f.again(keeping("to ops", toOps), ordinary)
		f.again(keeping("to jane", toJane), later)
		f.refused(keeping("to both", toOps.And(toJane)), notifications.ErrTargetsDiffer)
		f.see(jane, "to jane", "to ops")
		f.see(john, "to ops")
	}},
	{"scope × idempotency", func(f *fixture) {
		d := about("first", toJane)
		d.IdempotencyKey = "k"
		first := f.postDraft(d)
		f.again(d, first)
		f.advance(time.Minute)
		later := f.anew(about("later", toJane), first)
		f.again(d, first)
		f.see(jane, "later")
		f.get(jane, later)
	}},
	{"scope × expiry", func(f *fixture) {
		d := about("first", toJane.And(toJohn))
		d.Expires = f.now().Add(time.Hour)
		first := f.postDraft(d)
		f.advance(time.Minute)
		f.postDraft(about("later", toJane))
		f.advance(day)
		f.see(jane, "later") // has no expiry left over
		f.see(john)
		f.reach(first, 0, "user:default/john")
		f.postDraft(about("last", toJohn))
		f.because(first, "default/john", notifications.ReasonReplaced, notifications.ReasonExpired)
	}},
	{"scope × schedule", func(f *fixture) {
		f.postDraft(about("first", toJane))
		scheduled := about("scheduled", toJane)
		scheduled.NotBefore = f.now().Add(time.Hour)
		f.postDraft(scheduled)
		f.see(jane) // replaced at once
		f.advance(2 * time.Hour)
		f.see(jane, "scheduled")
		scheduled.NotBefore = f.now().Add(time.Hour)
		never := f.postDraft(scheduled)
		f.advance(time.Minute)
		f.postDraft(about("last", toJane))
		f.advance(day)
		f.see(jane, "last")
		f.hidden(jane, never)
	}},
	{"scope × withdraw", func(f *fixture) {
		f.postDraft(about("first", toJane.And(toJohn)))
		f.advance(time.Minute)
		later := f.postDraft(about("later", toJane))
		f.withdraw(later)
		f.see(jane) // the first does not come back
		f.see(john, "first")
		f.advance(time.Minute)
		f.postDraft(about("last", toJane))
		f.withdrawScope(2)
		f.see(jane)
		f.see(john)
		f.withdrawScope(0)
		f.postDraft(about("anew", toJane))
		f.see(jane, "anew")
	}},
	{"scope × purge", func(f *fixture) {
		gone, kept := f.postDraft(about("gone", toJane)), ""
		f.advance(time.Minute)
		kept = f.postDraft(about("kept by john", toJane.And(toJohn)))
		f.advance(time.Minute)
		f.postDraft(about("last", toJane))
		f.purge(0, 1)
		f.because(gone, "default/jane", notifications.ReasonUnknown)
		f.because(kept, "default/john", notifications.ReasonDirect)
		f.see(jane, "last")
		f.see(john, "kept by john")
	}},
	{"scope × history", func(f *fixture) {
		f.postDraft(about("first", toOps))
		f.town.join("default/guest", "default/ops", f.advance(time.Minute))
		h := f.with(groupsSinceJoining)
		h.see(guest)
		f.postDraft(about("later", toOps))
		h.see(guest, "later")
	}},
	{"scope × erase", func(f *fixture) {
		first := f.postAs(john, about("first", toJane))
		f.erase("default/john")
		f.see(jane, "first")
		f.advance(time.Minute)
		f.postAs(john, about("later", toJane))
		f.see(jane, "later", "first")
		f.postAs(john, keeping("kept", toJane)) // that of later
		f.see(jane, "kept", "first")
		f.get(jane, first)
	}},
	{"scope × poster", func(f *fixture) {
		f.postDraft(about("of ci", toJane))
		f.postAs(notifications.ServiceAccount("cd"), about("of cd", toJane))
		f.postAs(john, about("of john", toJane))
		other := about("of another origin", toJane)
		other.Origin = "other"
		f.postDraft(other)
		f.see(jane, "of another origin", "of john", "of cd", "of ci")
		f.advance(time.Minute)
		f.postAs(notifications.User("user:Default/JOHN"), about("of john again", toJane))
		f.see(jane, "of john again", "of another origin", "of cd", "of ci")
		f.postAs(notifications.ServiceAccount("cd"), keeping("of cd again", toJane))
		f.see(jane, "of john again", "of another origin", "of cd again", "of ci")
	}},
}

var keepPlaceCases = []semanticsCase{
	{"resurface=false × idempotency", func(f *fixture) {
		first := f.postDraft(about("first", toJane))
		rewriting := keeping("rewritten", toJane)
		rewriting.IdempotencyKey = "k"
		f.again(rewriting, first)
		f.again(keeping("again", toJane), first)
		f.again(rewriting, first)
		f.see(jane, "again") // the repeated one did nothing
	}},
	{"resurface=false × expiry", func(f *fixture) {
		d := keeping("first", toJane)
		d.Expires = f.now().Add(time.Hour)
		first := f.postDraft(d)
		d.Expires = f.now().Add(3 * time.Hour)
		f.again(d, first)
		f.advance(2 * time.Hour)
		f.see(jane, "first")
		f.again(keeping("without", toJane), first)
		f.advance(2 * time.Hour)
		f.see(jane, "without")
		d.Expires = f.now().Add(time.Hour)
		f.again(d, first)
		f.advance(time.Hour)
		f.see(jane)
		f.anew(keeping("anew", toOps), first) // an ordinary post, also to others
		f.see(jane, "anew")
		f.hidden(jane, first)
	}},
	{"resurface=false × schedule", func(f *fixture) {
		d := keeping("x", toJane)
		for _, when := range []time.Duration{time.Hour, -time.Hour} {
			d.NotBefore = f.now().Add(when)
			_, err := f.Post(f.t.Context(), ci, d)
			wantFields(f.t, err, "notBefore")
		}
		scheduled := about("scheduled", toJane)
		scheduled.NotBefore = f.now().Add(time.Hour)
		id := f.postDraft(scheduled)
		f.again(keeping("rewritten", toJane), id)
		f.see(jane)
		f.advance(time.Hour)
		f.see(jane, "rewritten")
		if n := f.get(jane, id); !n.Created.Equal(scheduled.NotBefore) {
			f.t.Errorf("created %v, want %v", n.Created, scheduled.NotBefore)
		}
	}},
	{"resurface=false × withdraw", func(f *fixture) {
		first := f.postDraft(about("first", toJane))
		f.withdraw(first)
		second := f.anew(keeping("second", toOps), first)
		f.see(jane, "second")
		f.hidden(jane, first)
		f.withdrawScope(1)
		f.anew(keeping("third", toJane), first, second)
		f.see(jane, "third")
	}},
	{"resurface=false × purge", func(f *fixture) {
		first := f.postDraft(about("first", toJane))
		f.advance(10 * day)
		f.again(keeping("rewritten", toJane), first)
		f.purge(11*day, 0)
		f.purge(5*day, 1)
		f.see(jane)
	}},
	{"resurface=false × history", func(f *fixture) {
		first := f.postDraft(about("first", toOps))
		f.town.join("default/guest", "default/ops", f.advance(time.Minute))
		f.advance(time.Minute)
		f.post("second", toOps)
		f.advance(time.Minute)
		f.again(keeping("rewritten", toOps), first)
		f.with(groupsSinceJoining).see(guest, "second")
		f.see(jane, "second", "rewritten")
	}},
	{"resurface=false × erase", func(f *fixture) {
		first := f.postDraft(about("first", toJane.And(toJohn)))
		f.erase("default/john")
		f.refused(keeping("to both", toJane.And(toJohn)), notifications.ErrTargetsDiffer)
		f.again(keeping("to jane", toJane), first)
		f.see(jane, "to jane")
		f.see(john)
	}},
}

var idempotencyCases = []semanticsCase{
	{"idempotency × expiry", func(f *fixture) {
		d := keyed("a", toJane)
		d.Expires = f.now().Add(time.Hour)
		id := f.postDraft(d)
		f.advance(2 * time.Hour)
		f.again(d, id)
		f.see(jane)
	}},
	{"idempotency × schedule", func(f *fixture) {
		d := keyed("a", toJane)
		d.NotBefore = f.now().Add(time.Hour)
		id := f.postDraft(d)
		f.again(d, id)
		f.see(jane)
		f.advance(2 * time.Hour)
		f.again(d, id)
		f.see(jane, "a")
	}},
	{"idempotency × withdraw", func(f *fixture) {
		id := f.postDraft(keyed("a", toJane))
		f.withdraw(id)
		f.again(keyed("a", toJane), id)
		f.see(jane)
	}},
	{"idempotency × purge", func(f *fixture) {
		id := f.postDraft(keyed("a", toJane))
		f.withdraw(id)
		f.purge(0, 1)
		f.again(keyed("a", toJane), id)
		f.advance(notifications.DefaultIdempotencyWindow - time.Millisecond)
		f.purge(0, 0)
		f.again(keyed("a", toJane), id)
		f.advance(time.Millisecond)
		second := f.anew(keyed("a", toJane), id) // though nobody purged
		f.advance(notifications.DefaultIdempotencyWindow)
		f.purge(0, 0) // the key alone
		f.anew(keyed("other content", toJane), id, second)
		f.see(jane, "other content", "a")
	}},
	{"idempotency × erase", func(f *fixture) {
		id := f.postAs(john, keyed("a", toJane))
		ofCI := f.postDraft(keyed("b", toJane))
		f.advance(time.Minute)
		f.erase("default/john")
		if again := f.postAs(john, keyed("a", toJane)); again == id {
			f.t.Error("the key of an erased user is still remembered")
		}
		f.again(keyed("b", toJane), ofCI)
		f.see(jane, "a", "b", "a")
	}},
	{"idempotency × catalog", func(f *fixture) {
		f.town.open("default/mary", time.Time{})
		d := keyed("a", toJane.And(notifications.Users("default/mary")))
		id := f.postDraft(d)
		f.town.remove("default/mary")
		f.again(d, id)
		d.IdempotencyKey = "another"
		_, err := f.Post(f.t.Context(), ci, d)
		wantFields(f.t, err, "targetUsers[1]")
		f.see(jane, "a")
	}},
}

var timeCases = []semanticsCase{
	{"expiry × schedule", func(f *fixture) {
		d := at(f.now().Add(time.Hour), "a", toJane)
		for _, after := range []time.Duration{-time.Minute, 0, time.Microsecond} {
			d.Expires = d.NotBefore.Add(after)
			_, err := f.Post(f.t.Context(), ci, d)
			wantFields(f.t, err, "expires")
		}
		d.Expires = d.NotBefore.Add(time.Millisecond)
		f.postDraft(d)
		f.advance(time.Hour)
		f.see(jane, "a")
	}},
	{"expiry × withdraw", func(f *fixture) {
		id := f.postDraft(until(f.now().Add(time.Hour), "a", toJane))
		f.advance(2 * time.Hour)
		f.withdraw(id)
		f.because(id, "default/jane", notifications.ReasonWithdrawn, notifications.ReasonExpired)
	}},
	{"expiry × purge", func(f *fixture) {
		id := f.postDraft(until(f.now().Add(time.Hour), "a", toJane))
		f.set(jane, ids(id), saved, 1)
		f.purge(0, 0)
		f.advance(time.Hour)
		f.purge(0, 1)
		f.because(id, "default/jane", notifications.ReasonUnknown)
	}},
	{"schedule × withdraw", func(f *fixture) {
		id := f.postDraft(at(f.now().Add(time.Hour), "a", toJane))
		f.withdraw(id)
		f.advance(2 * time.Hour)
		f.see(jane)
		f.hidden(jane, id)
	}},
	{"schedule × purge", func(f *fixture) {
		f.postDraft(at(f.now().Add(10*day), "a", toJane))
		f.advance(9 * day)
		f.purge(day, 0)
		f.advance(3 * day)
		f.purge(5*day, 0)
		f.see(jane, "a")
		f.advance(4 * day)
		f.purge(5*day, 1)
		f.see(jane)
	}},
	{"schedule × history", func(f *fixture) {
		f.postDraft(at(f.now().Add(time.Hour), "scheduled", toOps))
		f.town.join("default/guest", "default/ops", f.advance(time.Minute))
		f.town.join("default/mary", "default/ops", f.now().Add(2*time.Hour))
		f.town.open("default/mary", time.Time{})
		f.advance(day)
		h := f.with(groupsSinceJoining)
		h.see(guest, "scheduled")
		h.see(notifications.User("default/mary"))
	}},
	{"schedule × created", func(f *fixture) {
		appears := f.now().Add(time.Hour)
		id := f.postDraft(at(appears, "scheduled", toJane))
		f.post("before", toJane)
		f.advance(2 * time.Hour)
		f.post("after", toJane)
		f.expect(jane, notifications.ListQuery{}, "after", "scheduled", "before")
		if n := f.get(jane, id); !n.Created.Equal(appears) {
			f.t.Errorf("created %v, want %v", n.Created, appears)
		}
		f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{CreatedAfter: appears}}, "after")
		f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{CreatedAfter: appears.Add(-time.Millisecond)}}, "after", "scheduled")
		page := f.list(jane, notifications.ListQuery{Limit: 1})
		f.expect(jane, notifications.ListQuery{Limit: 1, After: page.Next}, "scheduled")
	}},
}

var goneCases = []semanticsCase{
	{"withdraw × purge", func(f *fixture) {
		id := f.post("a", toJane)
		f.set(jane, ids(id), saved, 1)
		f.withdraw(id)
		f.because(id, "default/jane", notifications.ReasonWithdrawn, notifications.ReasonSaved)
		f.purge(0, 1)
		f.because(id, "default/jane", notifications.ReasonUnknown)
		if err := f.Withdraw(f.t.Context(), ci, id); !errors.Is(err, notifications.ErrNotFound) {
			f.t.Errorf("withdrawing what is purged: %v, want ErrNotFound", err)
		}
	}},
	{"withdraw × erase", func(f *fixture) {
		toBoth := f.postAs(john, notifications.Draft{Origin: "o", Title: "to both", To: toJane.And(toOps)})
		alone := f.postAs(john, notifications.Draft{Origin: "o", Title: "to jane", To: toJane})
		f.erase("default/john")
		mere := f.with(withoutDeleteAny)
		if err := mere.Withdraw(f.t.Context(), john, toBoth); !errors.Is(err, notifications.ErrForbidden) {
			f.t.Errorf("withdrawing what he sees: %v, want ErrForbidden", err)
		}
		if err := mere.Withdraw(f.t.Context(), john, alone); !errors.Is(err, notifications.ErrNotFound) {
			f.t.Errorf("withdrawing what he does not see: %v, want ErrNotFound", err)
		}
		f.see(jane, "to jane", "to both")
		f.withdraw(alone)
		f.withdraw(toBoth)
		f.see(jane)
	}},
	{"history × purge", func(f *fixture) {
		kept, gone := f.post("kept", toOps), f.post("gone", toOps)
		f.town.join("default/guest", "default/ops", f.advance(time.Minute))
		f.set(jane, ids(kept), saved, 1)
		f.advance(10 * day)
		h := f.with(groupsSinceJoining)
		h.see(guest)
		h.purge(0, 0)
		f.see(john, "gone", "kept")
		h.purge(day, 1)
		f.see(john, "kept")
		h.see(guest)
		f.hidden(jane, gone)
	}},
	{"erase × groups", func(f *fixture) {
		his := f.post("to him", toJohn)
		shared := f.post("to him and jane", toJohn.And(toJane))
		f.post("to his group", toOps)
		f.post("to everybody", toEveryone)
		f.erase("default/john")
		f.see(john, "to everybody", "to his group")
		f.see(jane, "to everybody", "to his group", "to him and jane")
		f.reach(shared, 0, "user:default/jane")
		f.because(his, "default/john", notifications.ReasonUnknown)
	}},
	{"reach × scope", func(f *fixture) {
		first := f.postDraft(about("first", toJane.And(toJohn).And(toOps)))
		f.reach(first, 0, "group:default/ops", "user:default/jane", "user:default/john")
		f.advance(time.Minute)
		later := f.postDraft(about("later", toJane.And(toOps)))
		f.reach(first, 0, "user:default/john")
		f.reach(later, 0, "group:default/ops", "user:default/jane")
	}},
	{"reach × withdraw", func(f *fixture) {
		id := f.post("a", toJane)
		f.withdraw(id)
		for _, who := range []notifications.Identity{ci, jane, notifications.ServiceAccount("cd")} {
			if _, err := f.Reach(f.t.Context(), who, id); !errors.Is(err, notifications.ErrNotFound) {
				f.t.Errorf("Reach by %s: %v, want ErrNotFound", who, err)
			}
		}
	}},
	{"reach × expiry", func(f *fixture) {
		id := f.postDraft(until(f.now().Add(time.Hour), "a", toJane))
		f.mark(jane, id, true)
		f.advance(day)
		f.hidden(jane, id)
		f.reach(id, 1, "user:default/jane")
	}},
	{"reach × erase", func(f *fixture) {
		id := f.post("a", toOps)
		f.mark(jane, id, true)
		f.mark(john, id, true)
		f.reach(id, 2, "group:default/ops")
		f.erase("default/john")
		f.reach(id, 1, "group:default/ops")
	}},
}

// postAs posts as somebody else than ci.
func (f *fixture) postAs(who notifications.Identity, d notifications.Draft) string {
	f.t.Helper()
	id, err := f.Post(f.t.Context(), who, d)
	if err != nil {
		f.t.Fatalf("Post(%s, %+v): %v", who, d, err)
	}
	return id
}
