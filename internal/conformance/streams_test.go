package conformance_test

import (
	"context"
	"maps"
	"slices"

	"github.com/notifications-go/notifications"
)

// stream is what a user is told of their inbox.
type stream interface {
	// Next returns what has been told since the last call, in words, in any
	// order and each once, and the last count: "new a", "removed a", "marks",
	// "resync erased". A title stands for the notification.
	Next() (told []string, status notifications.Status, err error)
}

// forecast is the stream of the model: it tells how what the user sees differs
// from before. That is all that a stream has to tell, whatever happened between.
type forecast struct {
	*model
	user   string
	shown  map[string]forecasted // by id
	erased int
}

// forecasted is a notification as it was told.
type forecasted struct {
	post  *post
	title string
	words string // of all but the marks
	marks marks
}

func (m *model) Follow(user string) (stream, error) {
	s := &forecast{model: m, user: user}
	s.shown, s.erased = s.sight(), m.erased[user]
	return s, nil
}

// sight is what the user sees.
func (s *forecast) sight() map[string]forecasted {
	now := map[string]forecasted{}
	for _, p := range s.posts {
		if s.sees(s.user, p, notifications.SystemOrNot) {
			n := s.notification(s.user, p)
			n.Read, n.Saved, n.Archived, n.PostedBy, n.Scope = false, false, false, "", ""
			now[p.id()] = forecasted{p, p.Title, text(n), s.marksOf(s.user, p)}
		}
	}
	return now
}

func (s *forecast) Next() (told []string, status notifications.Status, err error) {
	before := s.shown
	s.shown = s.sight()
	if status, err = s.Status(notifications.User(s.user), notifications.SystemOrNot); err != nil {
		return nil, status, err
	}
	if s.erased != s.memory.erased[s.user] {
		s.erased = s.memory.erased[s.user]
		return []string{"resync " + notifications.ResyncMembership}, status, nil
	}
	all := map[string]bool{}
	for id, n := range s.shown {
		was, known := before[id]
		switch {
		case !known || was.words != n.words:
			all["new "+n.title] = true
		case was.marks != n.marks:
			all["marks"] = true
		}
	}
	for id, was := range before {
		if _, still := s.shown[id]; !still && !was.post.old {
			all["removed "+was.title] = true
		}
	}
	return slices.Collect(maps.Keys(all)), status, nil
}

// following is the stream of a service.
type following struct {
	*follower
	*names
	titles map[string]string // of all that was ever shown, gone if it was removed
}

const gone = ""

func newFollowing(l *follower, n *names) (*following, error) {
	s := &following{l, n, map[string]string{}}
	if err := l.begin(context.Background()); err != nil {
		return nil, err
	}
	_, err := l.catchUp()
	_, shown := l.take()
	for _, n := range shown {
		s.titles[n.ID] = n.Title
	}
	return s, err
}

func (s *following) Next() (told []string, status notifications.Status, err error) {
	if status, err = s.catchUp(); err != nil {
		return nil, status, err
	}
	events, _ := s.take()
	all := map[string]bool{}
	for _, e := range events {
		switch e.Kind {
		case notifications.EventNotification:
			all["new "+e.Notification.Title] = true
			s.titles[e.Notification.ID] = e.Notification.Title
		case notifications.EventRemoved:
			if title, known := s.titles[e.ID]; !known {
				all["removed what was never shown: "+s.name[e.ID]] = true
			} else if title != gone {
				all["removed "+title] = true
			}
			s.titles[e.ID] = gone // it may be told again
		case notifications.EventState:
			all["marks"] = true
		case notifications.EventResync:
			all["resync "+e.Reason] = true
		}
	}
	return slices.Collect(maps.Keys(all)), status, nil
}
