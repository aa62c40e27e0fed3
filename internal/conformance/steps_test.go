package conformance_test

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
// joins, then anything happens, some of it in transactions, and in the end all
// is explained. They are drawn in several pieces, for rapid makes most slices
// that may be empty very short.
var programs = rapid.Custom(func(t *rapid.T) program {
	p := program{
		groupHistory:  pick(t, "group history", notifications.HistorySinceJoining, notifications.HistoryAll),
		systemHistory: pick(t, "system history", notifications.HistoryRead, notifications.HistorySinceJoining, notifications.HistoryAll),
		followed:      pick(t, "followed", false, false, false, false, false, false, false, true),
	}
	posts := rapid.SliceOfN(rapid.Custom(stepPost), 0, 8)
	newcomers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step { return pick(t, "step", stepJoin, stepAccount)(t) }), 0, 4)
	p.steps = append(posts.Draw(t, "posts"), newcomers.Draw(t, "newcomers")...)
	piece := rapid.Custom(drawPiece)
	for range 6 {
		p.steps = append(p.steps, piece.Draw(t, "piece")...)
	}
	p.steps = append(p.steps, explainEach("jane"))
	return p
})

// drawPiece draws some steps, perhaps in a transaction.
func drawPiece(t *rapid.T) []step {
	anything := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step { return pick(t, "step", pick(t, "kind", steps...)...)(t) }), 0, 5)
	end, how := pick(t, "transaction", "", "", "", "", "commit", "roll back"), pick(t, "begun by", byGORM, bySQL)
	piece := anything.Draw(t, "steps")
	if end == "" || len(piece) == 0 {
		return piece
	}
	begin := func(*world) action {
		return action{"begin a transaction by " + string(how), func(s subject) (any, error) { return nil, s.Begin(how) }}
	}
	finish := func(*world) action {
		return action{end, func(s subject) (any, error) {
			if end == "commit" {
				return nil, s.Commit()
			}
			return nil, s.Rollback()
		}}
	}
	return slices.Concat([]step{begin}, piece, []step{finish})
}

// steps are the kinds of steps. What occurs twice is drawn twice as often, and
// of long lists rapid prefers the beginning.
var steps = [][]func(*rapid.T) step{
	{stepPost, stepPostMany, stepPost, stepPostAgain},
	{stepSetFilter, stepSetIDs, stepMarkRead},
	{stepJoin, stepAccount, stepJoin, stepLeave, stepVanish},
	{stepPost, stepPost, stepPostMany, stepPostAgain},
	{stepExplain, stepExplain, stepReach, stepGet},
	{stepList, stepList, stepCount, stepTopics},
	{stepAdvance},
	{stepPurge, stepWithdraw, stepPurge, stepErase, stepWithdrawScope},
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

// drawUser draws one of the people. Most of what happens is about one of them,
// so that it comes together.
func drawUser(t *rapid.T) string { return pick(t, "user", "jane", "jane", "john", "jane", "mary") }

func drawGroup(t *rapid.T) string { return pick(t, "group", "ops", "ops", "dev") }

func drawReader(t *rapid.T) notifications.Identity {
	if rarely(t, "no reader") {
		return pick(t, "reader", notifications.ServiceAccount("ci"), notifications.User("nobody"))
	}
	return notifications.User(drawUser(t))
}

// Posting.

// drawAudience draws whom to post to.
func drawAudience(t *rapid.T) []string {
	anybody := []string{"group:ops", system, "group:ops", "user:jane", system, "group:dev", "user:john", "user:mary"}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(anybody), 1, 3, rapid.ID[string]).Draw(t, "to")
}

func drawDraft(t *rapid.T) notifications.Draft {
	return notifications.Draft{
		Origin:         pick(t, "origin", "a", "a", "b"),
		Title:          pick(t, "title", "one", "Two", "three"),
		Message:        pick(t, "message", "", "hello", "HELLO you"),
		Topic:          pick(t, "topic", "", "x", "Y"),
		Severity:       pick(t, "severity", "", notifications.SeverityNormal, notifications.SeverityLow, notifications.SeverityCritical),
		Actions:        pick(t, "actions", nil, nil, []notifications.ActionDraft{{Title: "see", URL: "/see"}}),
		Metadata:       pick(t, "metadata", nil, nil, json.RawMessage(`{"a":1}`)),
		Scope:          pick(t, "scope", "", "s", "s", "t"),
		IdempotencyKey: pick(t, "key", "", "", "", "k", "l", "m", "n"),
	}
}

// drafting makes an attempt at present, of the poster, or of anybody if that is
// nil.
type drafting func(w *world, as *notifications.Identity) attempt

// drawDrafting draws a new post. Many follow one of the latest, and half of
// those keep its targets.
func drawDrafting(t *rapid.T) drafting {
	who, d, to := pick(t, "poster", posters...), drawDraft(t), drawAudience(t)
	follows, keepPlace, sameTargets := pick(t, "follows", 99, 0, 99, 1, 2), pick(t, "keep place", false, true), pick(t, "same targets", false, true)
	times := drawTimes(t)
	fault := ""
	if rarely(t, "fault") {
		fault = pick(t, "fault", "not allowed", "no such group", "no title", "no targets", "expired", "too far ahead", "keeps no place", "keeps no instant")
	}
	return func(w *world, as *notifications.Identity) attempt {
		a, to, times := attempt{who, d}, to, times
		if as != nil {
			a.who = *as
		}
		if earlier := w.nth(follows); follows < len(w.model.posts) && earlier.poster != "" && (as == nil || as.String() == earlier.poster) {
			i := slices.IndexFunc(posters, func(who notifications.Identity) bool { return who.String() == earlier.poster })
			a.who, a.d.Origin, a.d.Scope = posters[i], earlier.Origin, earlier.Scope
			if sameTargets {
				to = earlier.audiences
			}
		}
		if a.who.Kind == notifications.KindUser {
			to = slices.DeleteFunc(slices.Clone(to), func(a string) bool { return a == system })
			to = append(to, "group:ops")
		}
		a.d.KeepPlace = keepPlace && a.d.Scope != "" && times.notBefore == never
		switch fault {
		case "not allowed": // to users
			to = append(slices.Clone(to), system)
		case "no title":
			a.d.Title = ""
		case "no targets":
			to = nil
		case "no such group":
			to = append(slices.Clone(to), "group:nowhere")
		case "expired":
			times.expires = 0
		case "too far ahead":
			times.notBefore = 400 * day
		case "keeps no place":
			a.d.KeepPlace, a.d.Scope = true, ""
		case "keeps no instant":
			a.d.KeepPlace, times.notBefore = true, 0
		}
		a.d.To = audience(to)
		times.set(w, &a.d)
		return a
	}
}

const (
	day   = 24 * time.Hour
	never = time.Duration(-1)
)

// times are when a draft appears, and how much later it expires.
type times struct{ notBefore, expires time.Duration }

func drawTimes(t *rapid.T) times {
	drawn := times{never, never}
	if pick(t, "scheduled", false, false, false, false, true) {
		drawn.notBefore = pick(t, "not before", 2*time.Millisecond, time.Hour, 3*day, 0)
	}
	if pick(t, "expires", false, false, true) {
		drawn.expires = pick(t, "expires after", time.Millisecond, 3*time.Millisecond, 2*time.Hour, 4*day)
	}
	return drawn
}

// set gives the times to a draft, at an instant of its own if it is scheduled.
func (t times) set(w *world, d *notifications.Draft) {
	from := ms(w.Now())
	if t.notBefore != never {
		if t.notBefore > 0 {
			from = w.free(from.Add(t.notBefore))
			w.taken = append(w.taken, from)
		}
		d.NotBefore = from.Add(tick)
	}
	if t.expires != never {
		d.Expires = from.Add(t.expires + tick)
	}
}

// drawAgain draws an earlier attempt with an idempotency key, perhaps with
// other content. It reports false if there is none.
func drawAgain(t *rapid.T) func(w *world, as *notifications.Identity) (attempt, bool) {
	n, other := pick(t, "nth", 0, 0, 1, 2), pick(t, "other", "nothing", "nothing", "nothing", "title", "targets", "expiry")
	return func(w *world, as *notifications.Identity) (attempt, bool) {
		keyed := slices.DeleteFunc(slices.Clone(w.posted), func(a attempt) bool {
			return a.d.IdempotencyKey == "" || as != nil && a.who != *as
		})
		if n >= len(keyed) {
			return attempt{}, false
		}
		a := keyed[len(keyed)-1-n]
		switch other {
		case "title":
			a.d.Title += "!"
		case "targets":
			a.d.To = a.d.To.And(notifications.Groups("dev")) // which may be among them
		case "expiry":
			a.d.Expires = a.d.Expires.Add(time.Millisecond) // of none it makes the year 1
		}
		if _, remembered := w.model.remembered(a.who.String(), a.d.IdempotencyKey); !a.d.NotBefore.IsZero() && !remembered {
			a.d.NotBefore = w.free(a.d.NotBefore)
			w.taken = append(w.taken, ms(a.d.NotBefore))
		}
		return a, true
	}
}

// beforePosting moves the clock to an instant of which there is no post.
func (w *world) beforePosting() {
	w.taken = nil
	w.moveTo(w.free(w.Now()))
	w.taken = append(w.taken, ms(w.Now()))
}

func stepPost(t *rapid.T) step {
	draft := drawDrafting(t)
	return func(w *world) action {
		w.beforePosting()
		a := draft(w, nil)
		w.posted = append(w.posted, a)
		return postOne(a)
	}
}

// What has no key is posted anew by stepPost.
func stepPostAgain(t *rapid.T) step {
	again := drawAgain(t)
	return func(w *world) action {
		w.beforePosting()
		a, some := again(w, nil)
		if !some {
			return action{}
		}
		return postOne(a)
	}
}

func postOne(a attempt) action {
	return action{fmt.Sprintf("%s posts %s", a.who, text(a.d)), func(s subject) (any, error) { return s.Post(a.who, a.d) }}
}

// stepPostMany posts several at once, most of them new.
func stepPostMany(t *rapid.T) step {
	draft := rapid.Custom(func(t *rapid.T) drafting {
		fresh, again, repeat := drawDrafting(t), drawAgain(t), pick(t, "again", false, false, true)
		return func(w *world, as *notifications.Identity) attempt {
			if a, some := again(w, as); repeat && some {
				return a
			}
			return fresh(w, as)
		}
	})
	drafts := rapid.SliceOfN(draft, 1, 4).Draw(t, "drafts")
	alike, toEverybody := rarely(t, "alike"), rarely(t, "to everybody")
	if rarely(t, "none") {
		drafts = nil
	}
	return func(w *world) action {
		w.beforePosting()
		who, list := admin, make([]notifications.Draft, len(drafts))
		for i, draft := range drafts {
			as := &who
			if i == 0 {
				as = nil
			}
			a := draft(w, as)
			if !alike {
				key := a.d.IdempotencyKey
				if a.d = unlike(list[:i], a.d); a.d.IdempotencyKey != key && !a.d.NotBefore.IsZero() {
					a.d.NotBefore = w.free(a.d.NotBefore) // it repeats nothing now
					w.taken = append(w.taken, ms(a.d.NotBefore))
				}
			}
			if toEverybody && i == len(drafts)-1 { // which users are not allowed
				a.d.To = a.d.To.And(notifications.Everyone())
			}
			who, list[i] = a.who, a.d
			w.posted = append(w.posted, a)
		}
		return action{fmt.Sprintf("%s posts at once %s", who, text(list)), func(s subject) (any, error) { return s.PostMany(who, list) }}
	}
}

// unlike takes from a draft what one of the others has too, and must not have.
func unlike(others []notifications.Draft, d notifications.Draft) notifications.Draft {
	for _, other := range others {
		if d.IdempotencyKey == other.IdempotencyKey {
			d.IdempotencyKey = ""
		}
		if d.Scope == other.Scope && d.Origin == other.Origin {
			d.Scope, d.KeepPlace = "", false
		}
	}
	return d
}

// Withdrawing and cleaning up.

func stepWithdraw(t *rapid.T) step {
	who, n := pick(t, "who", posters...), nth(t)
	return func(w *world) action {
		id := w.id(n)
		return action{fmt.Sprintf("%s withdraws %s", who, id), func(s subject) (any, error) { return nil, s.Withdraw(who, id) }}
	}
}

func stepWithdrawScope(t *rapid.T) step {
	who := pick(t, "who", posters...)
	key := notifications.ScopeKey{Origin: pick(t, "origin", "a", "a", "b"), Scope: pick(t, "scope", "s", "s", "t")}
	return func(*world) action {
		return action{fmt.Sprintf("%s withdraws %s", who, text(key)), func(s subject) (any, error) { return s.WithdrawScope(who, key) }}
	}
}

func stepPurge(t *rapid.T) step {
	olderThan, n, offset := pick(t, "older than", -1, 0, -1, time.Hour), nth(t), rapid.IntRange(-1, 1).Draw(t, "offset")
	return func(w *world) action {
		older := olderThan
		if older < 0 { // just as old as one of the posts
			older = max(0, ms(w.Now()).Sub(ms(w.about(n, offset))))
		}
		return action{fmt.Sprintf("purge older than %s", older), func(s subject) (any, error) { return s.Purge(older) }}
	}
}

func stepErase(t *rapid.T) step {
	user := drawUser(t)
	return func(*world) action {
		return action{"erase " + user, func(s subject) (any, error) { return nil, s.EraseUser(user) }}
	}
}

// Marking.

func stepMarkRead(t *rapid.T) step {
	who, n, read := drawReader(t), nth(t), pick(t, "read", true, false)
	return func(w *world) action {
		id := w.id(n)
		return action{fmt.Sprintf("%s marks %s read %t", who, id, read), func(s subject) (any, error) { return nil, s.MarkRead(who, id, read) }}
	}
}

func drawChange(t *rapid.T) notifications.StateChange {
	mark := func(label string) *bool { return pick(t, label, nil, new(true), nil, new(true), new(false)) }
	c := notifications.StateChange{Read: mark("read"), Saved: mark("saved"), Archived: mark("archived")}
	if c == (notifications.StateChange{}) && !rarely(t, "no change") {
		c.Read = new(true)
	}
	return c
}

func stepSetIDs(t *rapid.T) step {
	who, ns, change := drawReader(t), []int{nth(t), nth(t), nth(t)}, drawChange(t)
	if rarely(t, "no ids") {
		ns = nil
	}
	return func(w *world) action {
		var sel selection
		for _, n := range ns {
			sel.IDs = append(sel.IDs, w.id(n))
		}
		return setState(who, sel, change)
	}
}

func stepSetFilter(t *rapid.T) step {
	who, filter, change := drawReader(t), drawFilter(t), drawChange(t)
	bounded, upTo := pick(t, "bounded", false, true), nth(t)
	return func(w *world) action {
		sel := selection{Filter: new(filter(w))}
		if bounded {
			sel.UpTo = w.id(upTo)
		}
		return setState(who, sel, change)
	}
}

func setState(who notifications.Identity, sel selection, change notifications.StateChange) action {
	return action{fmt.Sprintf("%s marks %s %s", who, text(sel), text(change)), func(s subject) (any, error) { return s.SetState(who, sel, change) }}
}

// drawFilter draws a filter that asks for not more than two things beside the
// audience, or it would mostly select nothing.
func drawFilter(t *rapid.T) func(w *world) notifications.Filter {
	f := notifications.Filter{
		System:   pick(t, "system", notifications.SystemOrNot, notifications.SystemOrNot, notifications.NotSystem, notifications.System),
		Archived: notifications.ArchivedOrNot,
	}
	if rarely(t, "invalid") {
		f.System = notifications.System + 1
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

// The directory and the clock.

// stepJoin puts a user into a group, with a date that is unknown, now, or close
// to a post.
func stepJoin(t *rapid.T) step {
	user, group, since := drawUser(t), drawGroup(t), drawSince(t)
	return func(w *world) action {
		at := since(w)
		w.Join(user, group, at)
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
			return w.Now()
		default:
			return w.about(n, offset)
		}
	}
}

func stepLeave(t *rapid.T) step {
	user, group := drawUser(t), drawGroup(t)
	return func(w *world) action {
		if !w.member(user, group) {
			return action{}
		}
		w.Leave(user, group)
		return action{fmt.Sprintf("%s leaves %s", user, group), nil}
	}
}

func stepAccount(t *rapid.T) step {
	user, since := drawUser(t), drawSince(t)
	return func(w *world) action {
		at := since(w)
		w.SetAccount(user, at)
		return action{fmt.Sprintf("%s has an account since %s", user, text(at)), nil}
	}
}

// stepVanish takes a user out of the directory, or brings them back, into one
// group.
func stepVanish(t *rapid.T) step {
	user, group := drawUser(t), drawGroup(t)
	return func(w *world) action {
		if !w.known(user) {
			w.SetUser(user, group)
			return action{fmt.Sprintf("%s comes back to %s", user, group), nil}
		}
		w.RemoveUser(user)
		return action{user + " is not in the directory any more", nil}
	}
}

// stepAdvance moves the clock on, best to where something is about to happen.
func stepAdvance(t *rapid.T) step {
	by := pick(t, "by", 0, 0, 0, 0, time.Millisecond, time.Hour, day, 8*day)
	n, offset := rapid.IntRange(0, 5).Draw(t, "event"), rapid.IntRange(-2, 1).Draw(t, "offset")
	fraction := pick(t, "fraction", 0, 100*time.Microsecond)
	return func(w *world) action {
		to := w.Now().Add(by)
		if events := w.events(); by == 0 && len(events) > 0 {
			to = ms(events[n%len(events)]).Add(time.Duration(offset)*time.Millisecond + fraction)
		}
		if !to.After(w.Now()) {
			return action{}
		}
		w.moveTo(to)
		return action{"the clock moves on", nil}
	}
}

// Reading.

func stepList(t *rapid.T) step {
	who, filter := drawReader(t), drawFilter(t)
	how := pick(t, "how", "by cursor", "by offset", "by cursor", "all")
	q := notifications.ListQuery{
		OrderBy: pick(t, "order", "", notifications.OrderCreated, notifications.OrderTitle, notifications.OrderMessage,
			notifications.OrderTopic, notifications.OrderOrigin),
		Ascending: pick(t, "ascending", false, true),
		Limit:     rapid.IntRange(1, 3).Draw(t, "limit"),
	}
	if how == "by offset" {
		q.Offset = 1
	}
	return func(w *world) action {
		q := q
		q.Filter = filter(w)
		if how == "all" {
			return action{fmt.Sprintf("%s lists all %s", who, text(q.Filter)), func(s subject) (any, error) { return s.All(who, q.Filter) }}
		}
		return action{fmt.Sprintf("%s lists %s", who, text(q)), func(s subject) (any, error) { return s.List(who, q) }}
	}
}

func stepCount(t *rapid.T) step {
	who, filter := drawReader(t), drawFilter(t)
	return func(w *world) action {
		f := filter(w)
		return action{fmt.Sprintf("%s counts %s", who, text(f)), func(s subject) (any, error) { return s.Count(who, f) }}
	}
}

func stepTopics(t *rapid.T) step {
	who, f := drawReader(t), pick(t, "filter", notifications.SystemOrNot, notifications.NotSystem, notifications.System)
	return func(*world) action {
		return action{fmt.Sprintf("%s asks for topics of filter %d", who, f), func(s subject) (any, error) { return s.Topics(who, f) }}
	}
}

// each asks the same of all posts there ever were, and of one that never was.
func (w *world) each(ask func(s subject, id string) (any, error)) func(subject) (any, error) {
	return func(s subject) (any, error) {
		answers := []string{"of 0: " + result(ask(s, "0"))}
		for _, p := range w.model.posts {
			answers = append(answers, "of "+p.id()+": "+result(ask(s, p.id())))
		}
		return strings.Join(answers, "\n\t"), nil
	}
}

func stepGet(t *rapid.T) step {
	who := drawReader(t)
	return func(w *world) action {
		return action{fmt.Sprintf("%s gets each", who), w.each(func(s subject, id string) (any, error) { return s.Get(who, id) })}
	}
}

func stepReach(t *rapid.T) step {
	who := pick(t, "who", posters...)
	return func(w *world) action {
		return action{fmt.Sprintf("%s asks for the reach of each", who), w.each(func(s subject, id string) (any, error) { return s.Reach(who, id) })}
	}
}

func stepExplain(t *rapid.T) step {
	if rarely(t, "nobody") {
		return explainEach("nobody")
	}
	return explainEach(drawUser(t))
}

func explainEach(user string) step {
	return func(w *world) action {
		return action{"explain each to " + user, w.each(func(s subject, id string) (any, error) {
			return s.Explain(notifications.ExplainQuery{ID: id, User: user})
		})}
	}
}
