package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/notifications-go/notifications"
)

// The operations, in the order of the tables.
const (
	opList         = "list"
	opListCursor   = "list-cursor"
	opListPage     = "list-page"
	opListText     = "list-text"
	opUnread       = "unread"
	opStatus       = "status"
	opMarkOne      = "mark-one"
	opMarkAll      = "mark-all"
	opPostUser     = "post-user"
	opPostMany     = "post-many"
	opPostGroup    = "post-group"
	opPostEveryone = "post-everyone"
)

// phases keep apart what would get in each other's way: posts to everybody
// make every inbox longer.
type phase int

const (
	reading phase = iota
	marking
	posting
)

// operation is one thing that is measured. It is done over and over, with a
// number that tells the times apart; number i and number i+period are the same
// to the database, except that a post gets another id.
type operation struct {
	name, title string
	phase       phase
	period      int
	service     func(ctx context.Context, svc *notifications.Service, i int) (posted string, err error)
	request     func(i int) call
	next        atomic.Int64 // the number of the next time, whoever does it
}

// call is a request to be made over and over. Target begins after the prefix.
type call struct {
	user           string // who asks; empty is the poster
	method, target string
	body           any
}

const (
	slowSamples = 64 // of operations that write many rows, at most
	manyTargets = 1000
	pageSize    = 20
	deepPart    = 0.8 // of an inbox are before the deep page
)

// inboxes are the users that are measured, and what they ask.
type inboxes struct {
	users []string
	scope notifications.Scope
}

// inboxesOf are those of the first users of a block.
func inboxesOf(b block, scope notifications.Scope, samples int) inboxes {
	return inboxes{b.refs()[:min(b.count, samples)], scope}
}

func (in inboxes) user(i int) notifications.Identity {
	return notifications.User(in.users[i%len(in.users)])
}

func (in inboxes) scopeName() string {
	if in.scope == notifications.ScopeAll {
		return "all"
	}
	return "user"
}

// worldOperations are those of one database, each done so many different
// times.
func worldOperations(ctx context.Context, w *world, svc *notifications.Service, samples int) ([]*operation, error) {
	in := inboxesOf(w.block(toUser, measuredName), notifications.ScopeAll, samples)
	deep, err := deepPages(ctx, svc, in)
	if err != nil {
		return nil, err
	}
	marks, err := markTargets(ctx, svc, in, samples)
	if err != nil {
		return nil, err
	}
	all := []*operation{
		listOperation(in, notifications.ReadOrUnread),
		deep.byCursor(in), deep.byPage(in),
		textOperation(in),
		unreadOperation(in),
		statusOperation(in),
		markOneOperation(marks),
		markAllOperation(in),
	}
	return append(all, postOperations(w, samples)...), nil
}

func listOperation(in inboxes, read notifications.ReadFilter) *operation {
	query := url.Values{"messageScope": {in.scopeName()}}
	if read == notifications.Unread {
		query.Set("read", "false")
	}
	return listing(in, opList, "list, first page", query, func(int) notifications.ListQuery {
		return notifications.ListQuery{Filter: notifications.Filter{Scope: in.scope, Read: read}}
	})
}

func textOperation(in inboxes) *operation {
	query := url.Values{"messageScope": {in.scopeName()}, "containsText": {searched}}
	return listing(in, opListText, "list, text filter", query, func(int) notifications.ListQuery {
		return notifications.ListQuery{Filter: notifications.Filter{Scope: in.scope, Text: searched}}
	})
}

// listing is an operation whose requests differ in who asks alone.
func listing(in inboxes, name, title string, query url.Values, ask func(i int) notifications.ListQuery) *operation {
	return &operation{
		name: name, title: title, period: len(in.users),
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			page, err := svc.List(ctx, in.user(i), ask(i))
			return "", nonEmpty(len(page.Items), err)
		},
		request: func(i int) call {
			return call{user: in.users[i%len(in.users)], method: "GET", target: "/notifications?" + query.Encode()}
		},
	}
}

// nonEmpty makes sure that a list that is measured lists something.
func nonEmpty(items int, err error) error {
	if err == nil && items == 0 {
		err = fmt.Errorf("the list is empty")
	}
	return err
}

// deep is where the deep pages are.
type deep struct {
	offset  int
	cursors []string
}

func deepPages(ctx context.Context, svc *notifications.Service, in inboxes) (deep, error) {
	n, err := svc.Count(ctx, in.user(0), notifications.Filter{Scope: in.scope})
	if err != nil {
		return deep{}, err
	}
	pages := min(int(float64(n)*deepPart)/pageSize, notifications.MaxLimit/pageSize)
	d := deep{offset: max(1, pages) * pageSize}
	for i := range in.users {
		page, err := svc.List(ctx, in.user(i), notifications.ListQuery{
			Filter: notifications.Filter{Scope: in.scope}, Limit: d.offset,
		})
		if err != nil {
			return deep{}, err
		}
		if page.Next == "" {
			return deep{}, usagef("--visible: the users see %d messages, too few for a deep page", n)
		}
		d.cursors = append(d.cursors, page.Next)
	}
	return d, nil
}

func (d deep) byCursor(in inboxes) *operation {
	op := listing(in, opListCursor, fmt.Sprintf("list, %d down by cursor", d.offset), nil, func(i int) notifications.ListQuery {
		return notifications.ListQuery{Filter: notifications.Filter{Scope: in.scope}, After: d.cursors[i%len(d.cursors)]}
	})
	op.request = func(i int) call {
		query := url.Values{"messageScope": {in.scopeName()}, "cursor": {d.cursors[i%len(d.cursors)]}}
		return call{user: in.users[i%len(in.users)], method: "GET", target: "/notifications?" + query.Encode()}
	}
	return op
}

func (d deep) byPage(in inboxes) *operation {
	query := url.Values{"messageScope": {in.scopeName()}, "pageNumber": {strconv.Itoa(d.offset/pageSize + 1)}}
	return listing(in, opListPage, fmt.Sprintf("list, %d down by number", d.offset), query, func(int) notifications.ListQuery {
		return notifications.ListQuery{Filter: notifications.Filter{Scope: in.scope}, Offset: d.offset}
	})
}

func unreadOperation(in inboxes) *operation {
	return &operation{
		name: opUnread, title: "unread count", period: len(in.users),
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			n, err := svc.Count(ctx, in.user(i), notifications.Filter{Scope: in.scope, Read: notifications.Unread})
			return "", nonEmpty(int(n), err)
		},
		request: func(i int) call {
			return call{
				user: in.users[i%len(in.users)], method: "GET",
				target: "/notifications/count?read=false&messageScope=" + in.scopeName(),
			}
		},
	}
}

func statusOperation(in inboxes) *operation {
	return &operation{
		name: opStatus, title: "status", period: len(in.users),
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			_, err := svc.Status(ctx, in.user(i), in.scope)
			return "", err
		},
		request: func(i int) call {
			return call{
				user: in.users[i%len(in.users)], method: "GET",
				target: "/notifications/status?messageScope=" + in.scopeName(),
			}
		},
	}
}

// markTarget is an unread message of a user.
type markTarget struct{ user, id string }

func markTargets(ctx context.Context, svc *notifications.Service, in inboxes, samples int) ([]markTarget, error) {
	var targets []markTarget
	each := (samples + len(in.users) - 1) / len(in.users)
	for i, user := range in.users {
		page, err := svc.List(ctx, in.user(i), notifications.ListQuery{
			Filter: notifications.Filter{Read: notifications.Unread}, Limit: each,
		})
		if err != nil {
			return nil, err
		}
		for _, n := range page.Items {
			targets = append(targets, markTarget{user, n.ID})
		}
	}
	if len(targets) == 0 {
		return nil, usagef("--read-fraction: the users have read everything, there is nothing to mark")
	}
	return targets, nil
}

// markOneOperation marks every target as read, then every target as unread,
// and so on: each time there is something to change.
func markOneOperation(targets []markTarget) *operation {
	of := func(i int) (markTarget, bool) { return targets[i%len(targets)], i/len(targets)%2 == 0 }
	return &operation{
		name: opMarkOne, title: "mark one", phase: marking, period: 2 * len(targets),
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			t, read := of(i)
			return "", svc.MarkRead(ctx, notifications.User(t.user), t.id, read)
		},
		request: func(i int) call {
			t, read := of(i)
			return call{user: t.user, method: "PUT", target: fmt.Sprintf("/notifications/read?messageId=%s&read=%t", t.id, read)}
		},
	}
}

// markAllOperation marks whole inboxes as read, then as unread, and so on.
func markAllOperation(in inboxes) *operation {
	in.users = in.users[:min(len(in.users), slowSamples)]
	isRead := func(i int) bool { return i/len(in.users)%2 == 0 }
	return &operation{
		name: opMarkAll, title: "mark all", phase: marking, period: 2 * len(in.users),
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			all := notifications.Selection{Filter: &notifications.Filter{Scope: in.scope}}
			_, err := svc.SetState(ctx, in.user(i), all, notifications.StateChange{Read: new(isRead(i))})
			return "", err
		},
		request: func(i int) call {
			body := map[string]any{"filter": map[string]string{"messageScope": in.scopeName()}, "read": isRead(i)}
			return call{user: in.users[i%len(in.users)], method: "PUT", target: "/notifications/state", body: body}
		},
	}
}

// postOperations post to users and groups that are not measured.
func postOperations(w *world, samples int) []*operation {
	users, groups := w.block(toUser, userName), w.block(toGroup, spareName)
	many := min(manyTargets, users.count)
	recipients := func(i, n int) []string {
		refs := make([]string, n)
		first := int(w.hash(i, 2) % uint64(users.count))
		for k := range refs {
			refs[k] = users.ref((first + k) % users.count)
		}
		return refs
	}
	post := func(name, title string, make func(i int) notifications.Draft, targets func(i int) map[string]any) *operation {
		return &operation{
			name: name, title: title, phase: posting, period: samples,
			service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
				return svc.Post(ctx, poster, make(i))
			},
			request: func(i int) call {
				return call{method: "POST", target: "/notifications", body: draftBody(make(i), targets(i))}
			},
		}
	}
	toUsers := func(name, title string, n, period int) *operation {
		op := post(name, title,
			func(i int) notifications.Draft { return userDraft(i, recipients(i, n)...) },
			func(i int) map[string]any { return map[string]any{"targetUsers": recipients(i, n)} })
		op.period = period
		return op
	}
	group := func(i int) string { return groups.ref(i % groups.count) }
	return []*operation{
		toUsers(opPostUser, "post to 1 user", 1, samples),
		toUsers(opPostMany, fmt.Sprintf("post to %d users", many), many, min(samples, slowSamples)),
		post(opPostGroup, "post to a group",
			func(i int) notifications.Draft { return groupDraft(i, group(i)) },
			func(i int) map[string]any { return map[string]any{"targetGroups": []string{group(i)}} }),
		post(opPostEveryone, "post to everybody", systemDraft, func(int) map[string]any { return map[string]any{} }),
	}
}

// draftBody is a draft as JSON has it.
func draftBody(d notifications.Draft, body map[string]any) map[string]any {
	body["origin"], body["title"], body["message"] = d.Origin, d.Title, d.Message
	if d.Topic != "" {
		body["topic"] = d.Topic
	}
	if len(d.Actions) > 0 {
		var actions []map[string]string
		for _, a := range d.Actions {
			actions = append(actions, map[string]string{"title": a.Title, "url": a.URL})
		}
		body["actions"] = actions
	}
	return body
}

func encoded(body any) []byte {
	if body == nil {
		return nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of texts and booleans
	}
	return b
}
