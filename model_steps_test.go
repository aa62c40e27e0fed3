package notifications_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"pgregory.net/rapid"
)

// programs are of about 20 steps: first something is posted, then somebody
// joins, then anything happens, and in the end all is explained. They are drawn
// in several pieces, for rapid makes most slices that may be empty very short.
var programs = rapid.Custom(func(t *rapid.T) program {
	p := program{
		groupHistory:  pick(t, "group history", notifications.HistorySinceJoining, notifications.HistoryAll),
		systemHistory: pick(t, "system history", notifications.HistoryRead, notifications.HistorySinceJoining, notifications.HistoryAll),
	}
	posts := rapid.SliceOfN(rapid.Custom(stepPost), 0, 8)
	newcomers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step { return pick(t, "step", stepJoin, stepAccount)(t) }), 0, 4)
	anything := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step { return pick(t, "step", pick(t, "kind", steps...)...)(t) }), 0, 5)
	p.steps = append(posts.Draw(t, "posts"), newcomers.Draw(t, "newcomers")...)
	for range 6 {
		p.steps = append(p.steps, anything.Draw(t, "steps")...)
	}
	p.steps = append(p.steps, explainEach("user:jane"))
	return p
})

// steps are the kinds of steps. What occurs twice is drawn twice as often, and
// of long lists rapid prefers the beginning.
var steps = [][]func(*rapid.T) step{
	{stepPost, stepPost, stepPost, stepPostAgain},
	{stepSetFilter, stepSetIDs, stepMarkRead},
	{stepJoin, stepAccount, stepJoin, stepLeave, stepVanish},
	{stepPost, stepPost, stepPost, stepPostAgain},
	{stepExplain, stepExplain, stepReach, stepGet},
	{stepList, stepList, stepCount, stepTopics},
	{stepAdvance},
	{stepPurge, stepWithdraw, stepErase, stepWithdrawScope},
}

// pick draws one of the values; the first is the simplest.
func pick[V any](t *rapid.T, label string, of ...V) V { return rapid.SampledFrom(of).Draw(t, label) }

// rarely is true one time in sixteen.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 15).Draw(t, label) == 15 }

// nth draws one of the latest posts, seldom one that is none.
func nth(t *rapid.T) int {
	if rarely(t, "none") {
		return -1
	}
	return rapid.IntRange(0, 7).Draw(t, "nth")
}

// villager draws a user. Most of what happens is about one of them, so that it
// comes together.
func villager(t *rapid.T) string {
	return pick(t, "user", "user:jane", "user:jane", "user:john", "user:jane", "user:mary")
}

func reader(t *rapid.T) notifications.Identity {
	if rarely(t, "no reader") {
		return pick(t, "reader", notifications.ServiceAccount("ci"), notifications.User("nobody"))
	}
	return notifications.User(strings.TrimPrefix(villager(t), "user:"))
}

// drawAudience draws whom to post to.
func drawAudience(t *rapid.T) []string {
	anybody := []string{"group:ops", "system", "group:ops", "user:jane", "system", "group:dev", "user:john", "user:mary"}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(anybody), 1, 3, rapid.ID[string]).Draw(t, "to")
}

func stepPost(t *rapid.T) step {
	const day, never = 24 * time.Hour, time.Duration(-1)
	p := posting{
		who: pick(t, "poster", modelPosters...),
		d: notifications.Draft{
			Origin:         pick(t, "origin", "a", "a", "b"),
			Title:          pick(t, "title", "one", "Two", "three"),
			Message:        pick(t, "message", "", "hello", "HELLO you"),
			Topic:          pick(t, "topic", "", "x", "Y"),
			Severity:       pick(t, "severity", "", notifications.SeverityNormal, notifications.SeverityLow, notifications.SeverityCritical),
			Metadata:       pick(t, "metadata", nil, nil, json.RawMessage(`{"a":1}`)),
			Scope:          pick(t, "scope", "", "s", "s", "t"),
			IdempotencyKey: pick(t, "key", "", "", "", "k", "l"),
		},
		to: drawAudience(t),
	}
	// Many posts follow one of the latest, and half of those keep its targets.
	follows, keepPlace, sameTargets := pick(t, "follows", 99, 0, 99, 1, 2), pick(t, "keep place", false, true), pick(t, "same targets", false, true)
	notBefore, expires := never, never
	if pick(t, "scheduled", false, false, false, false, true) {
		notBefore = pick(t, "not before", 2*time.Millisecond, time.Hour, 3*day, 0)
	}
	if pick(t, "expires", false, false, true) {
		expires = pick(t, "expires after", time.Millisecond, 3*time.Millisecond, 2*time.Hour, 4*day)
	}
	fault := ""
	if rarely(t, "fault") {
		fault = pick(t, "fault", "no title", "no targets", "no such group", "not allowed", "expired", "too far ahead", "keeps no place", "keeps no instant")
	}
	return func(w *world) action {
		p, notBefore, expires := p, notBefore, expires
		if earlier := w.nth(follows); follows < len(w.model.posts) && earlier.poster != "" {
			i := slices.IndexFunc(modelPosters, func(who notifications.Identity) bool { return who.String() == earlier.poster })
			p.who, p.d.Origin, p.d.Scope = modelPosters[i], earlier.Origin, earlier.Scope
			if sameTargets {
				p.to = earlier.to
			}
		}
		if p.who.Kind == notifications.KindUser && fault != "not allowed" {
			p.to = slices.DeleteFunc(slices.Clone(p.to), func(a string) bool { return a == "system" })
			p.to = append(p.to, "group:ops")
		}
		p.d.KeepPlace = keepPlace && p.d.Scope != "" && notBefore == never
		switch fault {
		case "no title":
			p.d.Title = ""
		case "no targets":
			p.to = nil
		case "no such group":
			p.to = append(slices.Clone(p.to), "group:nowhere")
		case "expired":
			expires = 0
		case "too far ahead":
			notBefore = 400 * day
		case "keeps no place":
			p.d.KeepPlace, p.d.Scope = true, ""
		case "keeps no instant":
			p.d.KeepPlace, notBefore = true, 0
		}
		w.clock = w.free(w.clock)
		from := ms(w.clock)
		if notBefore != never {
			p.d.NotBefore = w.free(from.Add(notBefore)).Add(tick)
			from = ms(p.d.NotBefore)
		}
		if expires != never {
			p.d.Expires = from.Add(expires + tick)
		}
		w.posted = append(w.posted, p)
		return w.post(p)
	}
}

func (w *world) post(p posting) action {
	return action{fmt.Sprintf("%s posts %s to %s", p.who, text(p.d), text(p.to)), func(s subject) (any, error) { return s.Post(p.who, p.d, p.to) }}
}

func stepPostAgain(t *rapid.T) step {
	n, other := pick(t, "nth", 0, 0, 1, 2), pick(t, "other", "nothing", "nothing", "nothing", "title", "targets", "expiry")
	return func(w *world) action {
		// What has no key is posted anew by stepPost.
		keyed := slices.DeleteFunc(slices.Clone(w.posted), func(p posting) bool { return p.d.IdempotencyKey == "" })
		if n >= len(keyed) {
			return action{}
		}
		p := keyed[len(keyed)-1-n]
		switch other {
		case "title":
			p.d.Title += "!"
		case "targets":
			p.to = append(slices.Clone(p.to), "group:dev") // which may be among them
		case "expiry":
			p.d.Expires = p.d.Expires.Add(time.Millisecond) // of none it makes the year 1
		}
		w.clock = w.free(w.clock)
		if !p.d.NotBefore.IsZero() && !w.model.remembers(p.who.String(), p.d.IdempotencyKey) {
			p.d.NotBefore = w.free(p.d.NotBefore)
		}
		return w.post(p)
	}
}

func stepWithdraw(t *rapid.T) step {
	who, n := pick(t, "who", modelPosters...), nth(t)
	return func(w *world) action {
		id := w.id(n)
		return action{fmt.Sprintf("%s withdraws %s", who, id), func(s subject) (any, error) { return nil, s.Withdraw(who, id) }}
	}
}

func stepWithdrawScope(t *rapid.T) step {
	who, origin, scope := pick(t, "who", modelPosters...), pick(t, "origin", "a", "a", "b"), pick(t, "scope", "s", "s", "t")
	return func(*world) action {
		return action{fmt.Sprintf("%s withdraws scope %s of %s", who, scope, origin), func(s subject) (any, error) { return s.WithdrawScope(who, origin, scope) }}
	}
}

func stepPurge(t *rapid.T) step {
	olderThan, n, offset := pick(t, "older than", 0, -1, -1, time.Hour), nth(t), rapid.IntRange(-1, 1).Draw(t, "offset")
	return func(w *world) action {
		older := olderThan
		if older < 0 { // just as old as one of the posts
			older = max(0, ms(w.clock).Sub(ms(w.about(n, offset))))
		}
		return action{fmt.Sprintf("purge older than %s", older), func(s subject) (any, error) { return nil, s.Purge(older) }}
	}
}

func stepErase(t *rapid.T) step {
	user := villager(t)
	return func(*world) action {
		return action{"erase " + user, func(s subject) (any, error) { return nil, s.EraseUser(user) }}
	}
}

func stepMarkRead(t *rapid.T) step {
	who, n, read := reader(t), nth(t), pick(t, "read", true, false)
	return func(w *world) action {
		id := w.id(n)
		return action{fmt.Sprintf("%s marks %s read %t", who, id, read), func(s subject) (any, error) { return nil, s.MarkRead(who, id, read) }}
	}
}

func drawChange(t *rapid.T) notifications.StateChange {
	mark := func(label string) *bool { return pick(t, label, nil, nil, new(true), new(true), new(false)) }
	c := notifications.StateChange{Read: mark("read"), Saved: mark("saved"), Archived: mark("archived")}
	if c == (notifications.StateChange{}) && !rarely(t, "no change") {
		c.Read = new(true)
	}
	return c
}

func stepSetIDs(t *rapid.T) step {
	who, ns, change := reader(t), []int{nth(t), nth(t), nth(t)}, drawChange(t)
	upTo := rarely(t, "up to")
	return func(w *world) action {
		var sel notifications.Selection
		for _, n := range ns {
			sel.IDs = append(sel.IDs, w.id(n))
		}
		if upTo { // which goes with a filter only
			sel.UpTo = w.id(0)
		}
		return setState(who, sel, change)
	}
}

func stepSetFilter(t *rapid.T) step {
	who, filter, change := reader(t), drawFilter(t), drawChange(t)
	bounded, upTo := pick(t, "bounded", false, true), nth(t)
	return func(w *world) action {
		sel := notifications.Selection{Filter: new(filter(w))}
		if bounded {
			sel.UpTo = w.id(upTo)
		}
		return setState(who, sel, change)
	}
}

func setState(who notifications.Identity, sel notifications.Selection, change notifications.StateChange) action {
	return action{fmt.Sprintf("%s marks %s %s", who, text(sel), text(change)), func(s subject) (any, error) { return s.SetState(who, sel, change) }}
}

// drawFilter draws a filter that asks for not more than two things beside the
// scope, or it would mostly select nothing.
func drawFilter(t *rapid.T) func(w *world) notifications.Filter {
	f := notifications.Filter{
		Scope:    pick(t, "scope", notifications.SystemOrNot, notifications.SystemOrNot, notifications.NotSystem, notifications.System),
		Archived: notifications.ArchivedOrNot,
	}
	if rarely(t, "odd scope") {
		f.Scope = notifications.SystemOrNot + 1
	}
	after := false
	for range 2 {
		switch pick(t, "asks for", "nothing", "nothing", "read", "saved", "archived", "archived", "severity", "topic", "origin", "text", "after") {
		case "read":
			f.Read = pick(t, "read", notifications.Read, notifications.Unread)
		case "saved":
			f.Saved = pick(t, "saved", notifications.Saved, notifications.NotSaved)
		case "archived":
			f.Archived = pick(t, "archived", notifications.NotArchived, notifications.NotArchived, notifications.Archived)
		case "severity":
			f.MinSeverity = pick(t, "severity", notifications.SeverityNormal, notifications.SeverityHigh)
		case "topic":
			f.Topic = "x"
		case "origin":
			f.Origin = "a"
		case "text":
			f.Text = pick(t, "text", "O", "hello")
		case "after":
			after = true
		}
	}
	n, offset := nth(t), rapid.IntRange(-1, 0).Draw(t, "offset")
	return func(w *world) notifications.Filter {
		f := f
		if after {
			f.CreatedAfter = w.about(n, offset)
		}
		return f
	}
}

// stepJoin puts a user into a group, with a date that is unknown, now, or close
// to a post.
func stepJoin(t *rapid.T) step {
	user, group, since := villager(t), pick(t, "group", "group:ops", "group:ops", "group:dev"), drawSince(t)
	return func(w *world) action {
		at := since(w)
		w.members[[2]string{user, group}], w.left[user] = at, false
		return action{fmt.Sprintf("%s is in %s since %s", user, group, text(at)), nil}
	}
}

func drawSince(t *rapid.T) func(*world) time.Time {
	how, n, offset := pick(t, "since", "post", "now", "post", "unknown"), nth(t), rapid.IntRange(-1, 1).Draw(t, "offset")
	return func(w *world) time.Time {
		switch how {
		case "unknown":
			return time.Time{}
		case "now":
			return w.clock
		default:
			return w.about(n, offset)
		}
	}
}

func stepLeave(t *rapid.T) step {
	user, group := villager(t), pick(t, "group", "group:ops", "group:ops", "group:dev")
	return func(w *world) action {
		if _, member := w.members[[2]string{user, group}]; !member {
			return action{}
		}
		delete(w.members, [2]string{user, group})
		return action{fmt.Sprintf("%s leaves %s", user, group), nil}
	}
}

func stepAccount(t *rapid.T) step {
	user, since := villager(t), drawSince(t)
	return func(w *world) action {
		w.accounts[user] = since(w)
		return action{fmt.Sprintf("%s has an account since %s", user, text(w.accounts[user])), nil}
	}
}

// stepVanish takes a user out of the catalog, or brings him back.
func stepVanish(t *rapid.T) step {
	user := villager(t)
	return func(w *world) action {
		w.left[user] = !w.left[user]
		return action{fmt.Sprintf("%s is not in the catalog: %t", user, w.left[user]), nil}
	}
}

// stepAdvance moves the clock on, best to where something is about to happen.
func stepAdvance(t *rapid.T) step {
	by := pick(t, "by", 0, 0, 0, 0, time.Millisecond, time.Hour, 24*time.Hour, 8*24*time.Hour)
	n, offset := rapid.IntRange(0, 5).Draw(t, "event"), rapid.IntRange(-2, 1).Draw(t, "offset")
	fraction := pick(t, "fraction", 0, 100*time.Microsecond)
	return func(w *world) action {
		to := w.clock.Add(by)
		if events := w.events(); by == 0 && len(events) > 0 {
			to = ms(events[n%len(events)]).Add(time.Duration(offset)*time.Millisecond + fraction)
		}
		if !to.After(w.clock) {
			return action{}
		}
		w.clock = to
		return action{"the clock moves on", nil}
	}
}

func stepList(t *rapid.T) step {
	who, filter := reader(t), drawFilter(t)
	q := notifications.ListQuery{
		OrderBy: pick(t, "order", "", notifications.OrderCreated, notifications.OrderTitle, notifications.OrderMessage,
			notifications.OrderTopic, notifications.OrderOrigin),
		Ascending: pick(t, "ascending", false, true),
		Limit:     rapid.IntRange(1, 3).Draw(t, "limit"),
		Offset:    pick(t, "by cursor or offset", 0, 0, 1),
	}
	return func(w *world) action {
		q := q
		q.Filter = filter(w)
		return action{fmt.Sprintf("%s lists %s", who, text(q)), func(s subject) (any, error) { return s.List(who, q) }}
	}
}

func stepCount(t *rapid.T) step {
	who, filter := reader(t), drawFilter(t)
	return func(w *world) action {
		f := filter(w)
		return action{fmt.Sprintf("%s counts %s", who, text(f)), func(s subject) (any, error) { return s.Count(who, f) }}
	}
}

func stepTopics(t *rapid.T) step {
	who, scope := reader(t), pick(t, "scope", notifications.SystemOrNot, notifications.NotSystem, notifications.System)
	return func(*world) action {
		return action{fmt.Sprintf("%s asks for topics of scope %d", who, scope), func(s subject) (any, error) { return s.Topics(who, scope) }}
	}
}

// each asks the same of all posts there ever were, and of one that never was.
func (w *world) each(ask func(s subject, id string) (any, error)) func(subject) (any, error) {
	return func(s subject) (any, error) {
		answers := []string{"of 0: " + answer(ask(s, "0"))}
		for _, p := range w.model.posts {
			answers = append(answers, "of "+p.id+": "+answer(ask(s, p.id)))
		}
		return strings.Join(answers, "\n\t"), nil
	}
}

func stepGet(t *rapid.T) step {
	who := reader(t)
	return func(w *world) action {
		return action{fmt.Sprintf("%s gets each", who), w.each(func(s subject, id string) (any, error) { return s.Get(who, id) })}
	}
}

func stepReach(t *rapid.T) step {
	who := pick(t, "who", modelPosters...)
	return func(w *world) action {
		return action{fmt.Sprintf("%s asks for the reach of each", who), w.each(func(s subject, id string) (any, error) { return s.Reach(who, id) })}
	}
}

func stepExplain(t *rapid.T) step {
	if rarely(t, "nobody") {
		return explainEach("user:nobody")
	}
	return explainEach(villager(t))
}

func explainEach(user string) step {
	return func(w *world) action {
		return action{fmt.Sprintf("explain each to %s", user), w.each(func(s subject, id string) (any, error) { return s.Explain(id, user) })}
	}
}
