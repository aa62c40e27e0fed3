package run

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/report"
)

// Operations are the names of all operations.
const Operations = "list, list-cursor, list-page, list-text, unread, status, mark-one, mark-all, post-user, post-many, post-group, post-everyone"

const (
	slowSamples = 64 // of operations that write many rows, at most
	manyTargets = 1000
	pageSize    = 20
)

// reader is users who take turns at asking for what a filter lets through.
type reader struct {
	users  []string
	filter notifications.Filter
	query  string // the filter over HTTP
}

// everything is all that users see.
func everything(users []string) reader {
	return reader{users, notifications.Filter{}, "messageScope=all"}
}

func (r reader) user(i int) string { return r.users[i%len(r.users)] }

// unread is of what the reader reads.
func (r reader) unread() reader {
	r.filter.Read, r.query = notifications.Unread, r.query+"&read=false"
	return r
}

// ask asks the library for a user, at number i.
type ask func(ctx context.Context, svc *notifications.Service, who notifications.Identity, i int) error

// get is an operation that reads. Over HTTP, more follows the filter.
func (r reader) get(name, title, path string, more func(i int) string, do ask) *measure.Operation {
	return &measure.Operation{
		Name: name, Title: title, Period: len(r.users),
		Service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			return "", do(ctx, svc, notifications.User(r.user(i)), i)
		},
		Request: func(i int) measure.Call {
			return measure.Call{User: r.user(i), Method: "GET", Target: "/notifications" + path + "?" + r.query + more(i)}
		},
	}
}

func nothing(int) string { return "" }

// list is a page, which must not be empty: the first, or the one at an offset,
// or the one after each user's cursor.
func (r reader) list(name, title string, offset int, cursors []string) *measure.Operation {
	more := nothing
	if cursors != nil {
		more = func(i int) string { return "&cursor=" + url.QueryEscape(cursors[i%len(cursors)]) }
	} else if offset > 0 {
		more = func(int) string { return fmt.Sprintf("&pageNumber=%d", offset/pageSize+1) }
	}
	return r.get(name, title, "", more, func(ctx context.Context, svc *notifications.Service, who notifications.Identity, i int) error {
		query := notifications.ListQuery{Filter: r.filter, Offset: offset}
		if cursors != nil {
			query.After = cursors[i%len(cursors)]
		}
		page, err := svc.List(ctx, who, query)
		if err == nil && len(page.Items) == 0 {
			err = errors.New("the list is empty")
		}
		return err
	})
}

func (r reader) firstPage() *measure.Operation {
	return r.list(report.List, "list, first page", 0, nil)
}

// reads are all operations that read: also where so many notifications lie
// before, with the cursors there, unless there are none.
func (r reader) reads(offset int, cursors []string) []*measure.Operation {
	ops := []*measure.Operation{r.firstPage()}
	if cursors != nil {
		ops = append(ops,
			r.list(report.ListCursor, fmt.Sprintf("list, %d down by cursor", offset), 0, cursors),
			r.list("list-page", fmt.Sprintf("list, %d down by number", offset), offset, nil))
	}
	searched := r
	searched.filter.Text, searched.query = fill.Searched, r.query+"&containsText="+fill.Searched
	status := func(ctx context.Context, svc *notifications.Service, who notifications.Identity, _ int) error {
		_, err := svc.Status(ctx, who, r.filter.System)
		return err
	}
	return append(ops, searched.list("list-text", "list, text filter", 0, nil), r.unreadCount(), r.get("status", "status", "/status", nothing, status))
}

func (r reader) unreadCount() *measure.Operation {
	r = r.unread()
	count := func(ctx context.Context, svc *notifications.Service, who notifications.Identity, _ int) error {
		n, err := svc.Count(ctx, who, r.filter)
		if err == nil && n == 0 {
			err = errors.New("nothing is unread")
		}
		return err
	}
	return r.get(report.Unread, "unread count", "/count", nothing, count)
}

// target is an unread message of a user.
type target struct{ user, id string }

// markOne marks every target as read, then every target as unread, and so on:
// each time there is something to change.
func markOne(targets []target) *measure.Operation {
	of := func(i int) (target, bool) { return targets[i%len(targets)], i/len(targets)%2 == 0 }
	return &measure.Operation{
		Name: report.MarkOne, Title: "mark one", Period: 2 * len(targets),
		Service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			t, read := of(i)
			return "", svc.MarkRead(ctx, notifications.User(t.user), t.id, read)
		},
		Request: func(i int) measure.Call {
			t, read := of(i)
			return measure.Call{User: t.user, Method: "PUT", Target: fmt.Sprintf("/notifications/read?messageId=%s&read=%t", t.id, read)}
		},
	}
}

// markAll marks whole inboxes as read, then as unread, and so on.
func (r reader) markAll() *measure.Operation {
	r.users = r.users[:min(len(r.users), slowSamples)]
	isRead := func(i int) bool { return i/len(r.users)%2 == 0 }
	return &measure.Operation{
		Name: "mark-all", Title: "mark all", Period: 2 * len(r.users),
		Service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			all := notifications.ByFilter(r.filter)
			_, err := svc.SetState(ctx, notifications.User(r.user(i)), all, notifications.StateChange{Read: new(isRead(i))})
			return "", err
		},
		Request: func(i int) measure.Call {
			body := map[string]any{"filter": map[string]string{"messageScope": "all"}, "read": isRead(i)}
			return measure.Call{User: r.user(i), Method: "PUT", Target: "/notifications/state", Body: body}
		},
	}
}

// targets are whom a message is for; none is everybody.
type targets struct{ users, groups []string }

// post is as many different posts as there are in a period.
func post(name, title string, period int, to func(i int) targets) *measure.Operation {
	return &measure.Operation{
		Name: name, Title: title, Period: period,
		Service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			audience := notifications.Everyone()
			if to := to(i); to.users != nil {
				audience = notifications.Users(to.users...)
			} else if to.groups != nil {
				audience = notifications.Groups(to.groups...)
			}
			posted, err := svc.Post(ctx, fill.Poster, fill.Draft(i, audience))
			return posted.ID, err
		},
		Request: func(i int) measure.Call {
			d, to := fill.Draft(i, notifications.Everyone()), to(i)
			body := map[string]any{"origin": d.Origin, "title": d.Title, "message": d.Message}
			for field, refs := range map[string][]string{"targetUsers": to.users, "targetGroups": to.groups} {
				if refs != nil {
					body[field] = refs
				}
			}
			if d.Topic != "" {
				body["topic"] = d.Topic
			}
			for _, a := range d.Actions {
				body["actions"] = []map[string]string{{"title": a.Title, "url": a.URL}}
			}
			return measure.Call{Method: "POST", Target: "/notifications", Body: body}
		},
	}
}

// posts are to users who are not measured, to groups and to everybody.
func posts(w *fill.World, samples int) []*measure.Operation {
	users, groups := w.UserNames(fill.Others), w.GroupNames()
	many := min(manyTargets, len(users))
	to := func(n int) func(i int) targets {
		return func(i int) (t targets) {
			first := w.Random(len(users), i)
			for k := range n {
				t.users = append(t.users, users[(first+k)%len(users)])
			}
			return t
		}
	}
	return []*measure.Operation{
		post(report.PostUser, "post to 1 user", samples, to(1)),
		post(report.PostMany, fmt.Sprintf("post to %d users", many), min(samples, slowSamples), to(many)),
		post("post-group", "post to a group", samples, func(i int) targets { return targets{groups: groups[i%len(groups):][:1]} }),
		post(report.PostEveryone, "post to everybody", samples, func(int) targets { return targets{} }),
	}
}

// all are all operations, in the three phases in which they are measured: posts
// to everybody make every inbox longer.
func all(ctx context.Context, w *fill.World, svc *notifications.Service, samples int) (phases [3][]*measure.Operation, err error) {
	users := w.UserNames(fill.Measured)
	r := everything(users[:min(len(users), samples)])
	offset := min(max(1, (w.Visible+w.System)*4/5/pageSize)*pageSize, notifications.MaxLimit) // in the last fifth of an inbox
	var cursors []string
	for _, user := range r.users {
		page, err := svc.List(ctx, notifications.User(user), notifications.ListQuery{Filter: r.filter, Limit: offset})
		if err != nil {
			return phases, err
		}
		cursors = append(cursors, page.Next)
	}
	unread, err := unreadMessages(ctx, svc, r.unread(), samples)
	if err != nil {
		return phases, err
	}
	return [...][]*measure.Operation{r.reads(offset, cursors), {markOne(unread), r.markAll()}, posts(w, samples)}, nil
}

// unreadMessages are so many, of all users alike.
func unreadMessages(ctx context.Context, svc *notifications.Service, r reader, samples int) (targets []target, err error) {
	each := (samples + len(r.users) - 1) / len(r.users)
	for _, user := range r.users {
		page, err := svc.List(ctx, notifications.User(user), notifications.ListQuery{Filter: r.filter, Limit: each})
		if err != nil {
			return nil, err
		}
		for _, n := range page.Items {
			targets = append(targets, target{user, n.ID})
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("the users have read everything, there is nothing to mark")
	}
	return targets, nil
}
