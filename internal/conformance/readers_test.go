package conformance_test

import (
	"context"
	"errors"

	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
)

// readers follow the streams of a sequence, on all databases.
type readers struct {
	list     []*reader
	services []*service // on which they do
}

// reader is a user who keeps a copy of their inbox by a stream.
type reader struct {
	*follower
	name  string // of the database and the user
	user  string
	w     *world
	names *names
	whole bool         // the watch goes on; else it is cut after each check
	end   func() error // ends the watch that goes on; nil if none does

	belongs  string          // what the directory said when the watch began
	may      map[string]bool // ids that may be told
	alive    map[string]bool // ids of what was not gone after the step before, due or not
	marks    string          // of the user
	marked   bool            // since the last check
	erasures int             // that have been told
	checked  time.Time
}

// newReaders has three readers follow each database, on two instances: one
// whose watch goes on, one whose watch is often cut, and one who is told
// nothing of what is addressed to everybody.
func newReaders(w *world, subjects []subject) (rs readers, err error) {
	for i, s := range subjects {
		s := s.(*service)
		other, err := newService(s.db, w.model)
		if err != nil {
			return rs, err
		}
		for _, instance := range []*service{s, other} {
			if err := instance.run(); err != nil {
				return rs, err
			}
			rs.services = append(rs.services, instance)
		}
		add := func(svc *service, user string, f notifications.SystemFilter) *reader {
			r := &reader{
				follower: newFollower(svc.unbound, user, f), w: w, user: user, names: s.names, may: map[string]bool{},
				name: fmt.Sprintf("%s: the stream of %s", []string{"sqlite", "postgres"}[i], user),
			}
			rs.list = append(rs.list, r)
			return r
		}
		add(s, "jane", notifications.SystemOrNot).whole = true
		add(other, "john", notifications.SystemOrNot).once = 1
		add(other, "mary", notifications.NotSystem)
	}
	return rs, nil
}

func (rs readers) stop() {
	for _, r := range rs.list {
		_ = r.stop() // what it returned has been looked at
	}
	for _, s := range rs.services {
		s.stop()
	}
}

// check is called after each step, and returns how a stream differs from what
// the model says. The streams are asked where now says so.
func (rs readers) check(now bool) string {
	for _, r := range rs.list {
		r.note()
		difference := ""
		if r.belongs != r.membership() {
			difference = r.restart()
		}
		if difference == "" && now && r.follows() {
			difference = r.check()
		}
		if difference != "" {
			return r.name + " " + difference
		}
	}
	return ""
}

// views are what the model shows now, in the transaction and outside of it.
func (r *reader) views() []*model { return []*model{r.w.model, r.committed()} }

func (r *reader) committed() *model { return r.w.model.Others().(*model) }

// note notes what the stream may tell after a step.
func (r *reader) note() {
	var marks strings.Builder
	for _, m := range r.views() {
		for _, p := range m.posts {
			if s, touched := m.states[[2]string{r.user, p.id()}]; touched {
				fmt.Fprintln(&marks, p.id(), s)
			}
			if !m.addressed(r.user, p, notifications.SystemOrNot) {
				continue
			}
			// What was due before this step may have been told before it.
			if !p.gone() || r.alive[p.id()] {
				r.may[p.id()] = true
			}
		}
	}
	r.alive = map[string]bool{}
	for _, p := range r.committed().posts {
		r.alive[p.id()] = !p.gone()
	}
	r.marked = r.marked || marks.String() != r.marks
	r.marks = marks.String()
}

// membership is what the directory says of the user.
func (r *reader) membership() string {
	groups, _ := r.w.Groups(context.Background(), r.user)
	since, _ := r.w.AccountSince(context.Background(), r.user)
	return fmt.Sprint(r.w.known(r.user), groups, since)
}

func (r *reader) follows() bool { return r.w.known(r.user) }

// restart begins anew, as after the EventResync that follows within a minute
// when the groups of a user have changed.
func (r *reader) restart() string {
	if err := r.stop(); err != nil && !errors.Is(err, notifications.ErrForbidden) { // it is, when the user has gone
		return fmt.Sprintf("ended: %v", err)
	}
	r.belongs = r.membership()
	if !r.follows() {
		return ""
	}
	if err := r.begin(context.Background()); err != nil {
		return fmt.Sprintf("has no list: %v", err)
	}
	if _, err := r.catchUp(); err != nil {
		return fmt.Sprintf("does not begin: %v", err)
	}
	r.take()
	r.may = map[string]bool{}
	r.erasures = r.committed().erased[r.user]
	r.forget()
	if r.whole {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.follow(ctx) }()
		r.end = func() error {
			cancel()
			return <-ended
		}
	}
	return ""
}

func (r *reader) stop() (err error) {
	if r.end != nil {
		err, r.end = r.end(), nil
	}
	return err
}

// forget forgets what has been told. Of a watch that goes on, something may
// still come.
func (r *reader) forget() {
	if !r.whole {
		r.may, r.erasures = map[string]bool{}, r.committed().erased[r.user]
	}
	r.note()
	r.marked, r.checked = false, r.w.Now()
}

// check waits until all has been told, and returns how the copy, the count or an
// event differs from what the model says.
func (r *reader) check() string {
	differs, events := "", []notifications.Event(nil)
	if r.whole {
		differs, events = r.settled()
	} else {
		status, err := r.catchUp()
		if err != nil {
			return fmt.Sprintf("ended: %v", err)
		}
		want, _ := r.committed().Status(r.who, r.f)
		if status != want {
			return fmt.Sprintf("counts %s, want %s", text(status), text(want))
		}
		differs, events = r.differs()
	}
	if differs != "" {
		return differs
	}
	for _, e := range events {
		if wrong := r.wrong(e); wrong != "" {
			return "tells " + wrong
		}
	}
	r.forget()
	return ""
}

// settled waits until the copy of a watch that goes on is right.
func (r *reader) settled() (differs string, events []notifications.Event) {
	r.svc.Ring()
	for patience := time.After(patience); ; {
		differs, more := r.differs()
		if events = append(events, more...); differs == "" {
			return "", events
		}
		select {
		case <-r.changed:
		case <-patience:
			return differs, events
		}
	}
}

// differs returns how the copy differs from what the user sees.
func (r *reader) differs() (difference string, events []notifications.Event) {
	events, shown := r.take()
	var got, want []string
	for _, n := range shown {
		if n = r.translated(n); !r.purged(n.ID) {
			got = append(got, text(n))
		}
	}
	list, err := r.committed().All(r.who, notifications.Filter{System: r.f, Archived: notifications.ArchivedOrNot})
	if err != nil {
		return err.Error(), events
	}
	for _, n := range list {
		n.PostedBy, n.Scope = "", ""
		want = append(want, text(n))
	}
	slices.Sort(got)
	slices.Sort(want)
	if slices.Equal(got, want) {
		return "", events
	}
	lacks := func(in, of []string) []string {
		return slices.DeleteFunc(slices.Clone(of), func(s string) bool { return slices.Contains(in, s) })
	}
	return fmt.Sprintf("shows\n\t%s\nmodel:\n\t%s", strings.Join(lacks(want, got), "\n\t"), strings.Join(lacks(got, want), "\n\t")), events
}

// translated is a notification as the model has it, without what erasing its
// poster changes: no stream tells of that.
func (r *reader) translated(n notifications.Notification) notifications.Notification {
	n.Actions = slices.Clone(n.Actions)
	n = r.names.shown(n)[0]
	n.PostedBy, n.Scope = "", ""
	return n
}

// purged reports whether a post is gone for its age alone, of which streams
// tell only the count.
func (r *reader) purged(id string) bool {
	return slices.ContainsFunc(r.committed().posts, func(p *post) bool { return p.id() == id && p.old })
}

// wrong returns an event that must not come, in words.
func (r *reader) wrong(e notifications.Event) string {
	var ids []string
	may := r.may
	switch e.Kind {
	case notifications.EventNotification:
		ids = []string{e.Notification.ID}
	case notifications.EventRemoved:
		// It may be told of a scheduled one that never appeared: the log says so
		// before it was due, and the tailer may look after that.
	case notifications.EventState:
		ids = e.IDs
		if !r.marked && !r.whole {
			return "marks, though there are no new ones"
		}
	case notifications.EventResync:
		erased := e.Reason == notifications.ResyncMembership && r.erasures != r.committed().erased[r.user]
		if late := r.w.Now().Sub(r.checked) > 15*time.Minute; !erased && !late {
			return "resync " + e.Reason
		}
	case notifications.EventHello:
		if late := r.w.Now().Sub(r.checked) > 15*time.Minute; !e.Resumed && r.end == nil && !late {
			return "hello, and does not continue"
		}
	}
	for _, id := range ids {
		if id := r.names.name[id]; !may[id] {
			return fmt.Sprintf("%s of %q, which the user could not see", e.Kind, id)
		}
	}
	return ""
}
