package conformance_test

import (
	"slices"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
)

// Those who take part. The directory has the people, and the groups ops and dev.
var (
	people  = []string{"jane", "john", "mary"}
	posters = []notifications.Identity{notifications.ServiceAccount("ci"), notifications.User("jane"), admin}
)

// everything selects all that a reader can see, archived or not.
var everything = notifications.Filter{Archived: notifications.ArchivedOrNot}

// start is not on a millisecond.
var start = time.Date(2026, 1, 1, 0, 0, 0, 100_000, time.UTC)

// tick is added to the times given to the services, and must not matter.
const tick = 900 * time.Microsecond

// world is one sequence under way. The directory and the clock are those of all
// subjects, and change between the questions only.
type world struct {
	*notificationstest.Directory
	*notificationstest.Clock
	model  *model
	posted []attempt   // what was tried to be posted, good or bad
	taken  []time.Time // the instants of what a step is about to schedule
}

// attempt is a draft and who posts it.
type attempt struct {
	who notifications.Identity
	d   notifications.Draft
}

func newWorld(groupHistory, systemHistory notifications.History) *world {
	w := &world{Directory: new(notificationstest.Directory), Clock: notificationstest.NewClock(start)}
	w.SetUser("jane", "ops", "dev")
	w.SetUser("john", "ops")
	w.SetUser("mary", "dev")
	w.model = newModel(w.Directory, w.Clock)
	w.model.groupHistory, w.model.systemHistory = groupHistory, systemHistory
	return w
}

func newModel(d *notificationstest.Directory, c *notificationstest.Clock) *model {
	return &model{
		memory:    &memory{states: map[[2]string]marks{}, keys: map[[2]string]answer{}, erased: map[string]int{}},
		directory: d, clock: c.Now,
	}
}

// moveTo moves the clock on to a time that is not before now.
func (w *world) moveTo(at time.Time) { w.Advance(at.Sub(w.Now())) }

// nth is the nth of the posts, counted round: the latest first, and those that
// are over after all others. It is nil for a negative n, and where there is
// none.
func (w *world) nth(n int) *post {
	if n < 0 || len(w.model.posts) == 0 {
		return nil
	}
	var current, over []*post
	for _, p := range slices.Backward(w.model.posts) {
		if p.gone() || w.model.expired(p) {
			over = append(over, p)
		} else {
			current = append(current, p)
		}
	}
	return append(current, over...)[n%len(w.model.posts)]
}

// id is the id of the nth post, or "0", which is of none.
func (w *world) id(n int) string {
	if p := w.nth(n); p != nil {
		return p.id()
	}
	return "0"
}

// about is an instant close to the creation of the nth post.
func (w *world) about(n, offset int) time.Time {
	at := w.Now()
	if p := w.nth(n); p != nil {
		at = p.created
	}
	return ms(at).Add(time.Duration(offset)*time.Millisecond + tick)
}

// free is the first millisecond from at on of which there is no post. The order
// of two posts is only known if they are made at one time, or appear at two.
func (w *world) free(at time.Time) time.Time {
	for slices.ContainsFunc(w.model.posts, func(p *post) bool { return p.created.Equal(ms(at)) }) ||
		slices.ContainsFunc(w.taken, ms(at).Equal) {
		at = at.Add(time.Millisecond)
	}
	return at
}

// events are the instants at which something happens by itself, in order.
func (w *world) events() []time.Time {
	var list []time.Time
	for _, p := range w.model.posts {
		list = append(list, p.created, p.Expires)
	}
	for _, a := range w.model.keys {
		list = append(list, a.forgotten)
	}
	list = slices.DeleteFunc(list, func(at time.Time) bool { return !at.After(w.Now()) })
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// known reports whether the directory has the user.
func (w *world) known(user string) bool { return w.model.knows(notifications.UserRef(user)) }

// member reports whether the user is in the group.
func (w *world) member(user, group string) bool {
	_, member := w.model.belongs(user, "group:"+group)
	return member
}

// audience is the audience of stored names.
func audience(stored []string) (to notifications.Audience) {
	for _, name := range stored {
		switch kind, name, _ := strings.Cut(name, ":"); kind {
		case "user":
			to = to.And(notifications.Users(name))
		case "group":
			to = to.And(notifications.Groups(name))
		default:
			to = to.And(notifications.Everyone())
		}
	}
	return to
}
