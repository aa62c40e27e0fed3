package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/notifications-go/notifications"
)

// stamps are rows the library stored, with holes for id and audience. So the
// fill is right whatever columns the tables have.
type stamps struct {
	columns      map[string][]string
	posts        [3][]postStamp // by audienceKind
	read, hidden []pattern      // states; the audience is the user
}

type postStamp struct{ message, delivery []pattern }

// of is the stamp of the message at a place.
func (s *stamps) of(w *world, k audienceKind, place int) postStamp {
	return s.posts[k][w.hash(place, 1)%drafts]
}

// makeStamps posts and marks through the library, takes what that stored, and
// removes it.
func (f *fill) makeStamps(ctx context.Context) (*stamps, error) {
	s := &stamps{columns: make(map[string][]string)}
	for _, table := range []string{messagesTable, deliveriesTable, statesTable} {
		columns, err := f.db.columns(ctx, table)
		if err != nil {
			return nil, err
		}
		s.columns[table] = columns
	}
	user, group := f.world.block(toUser, measuredName), f.world.block(toGroup, groupName)
	post := [...]func(n int) notifications.Draft{
		toGroup:     func(n int) notifications.Draft { return groupDraft(n, group.ref(0)) },
		toEverybody: systemDraft,
		toUser:      func(n int) notifications.Draft { return userDraft(n, user.ref(0)) },
	}
	audience := [...]string{toGroup: group.audience(0), toEverybody: "", toUser: user.audience(0)}
	for kind := range post {
		for n := range drafts {
			stamp, err := f.postStamp(ctx, s, post[kind](n), audience[kind])
			if err != nil {
				return nil, err
			}
			s.posts[kind] = append(s.posts[kind], stamp)
		}
	}
	var err error
	s.read, s.hidden, err = f.stateStamps(ctx, s, user)
	return s, err
}

func (f *fill) postStamp(ctx context.Context, s *stamps, d notifications.Draft, audience string) (postStamp, error) {
	id, err := f.svc.Post(ctx, poster, d)
	if err != nil {
		return postStamp{}, err
	}
	names := []value{idValue(parseUUID(id)), textValue(audience)}
	message, err := f.take(ctx, messagesTable, "id", s.columns[messagesTable], names)
	if err != nil {
		return postStamp{}, err
	}
	delivery, err := f.take(ctx, deliveriesTable, "message_id", s.columns[deliveriesTable], names)
	return postStamp{message, delivery}, err
}

// stateStamps are the states of what was read, and of what was read and
// archived.
func (f *fill) stateStamps(ctx context.Context, s *stamps, b block) (read, hidden []pattern, err error) {
	id, err := f.svc.Post(ctx, poster, userDraft(0, b.ref(0)))
	if err != nil {
		return nil, nil, err
	}
	names := []value{idValue(parseUUID(id)), textValue(b.audience(0))}
	stamp := func(change notifications.StateChange) ([]pattern, error) {
		sel := notifications.Selection{IDs: []string{id}}
		if _, err := f.svc.SetState(ctx, notifications.User(b.ref(0)), sel, change); err != nil {
			return nil, err
		}
		return f.take(ctx, statesTable, "message_id", s.columns[statesTable], names)
	}
	if read, err = stamp(notifications.StateChange{Read: new(true)}); err != nil {
		return nil, nil, err
	}
	if hidden, err = stamp(notifications.StateChange{Read: new(true), Archived: new(true)}); err != nil {
		return nil, nil, err
	}
	_, err = f.take(ctx, messagesTable, "id", s.columns[messagesTable], names)
	if err == nil {
		_, err = f.take(ctx, deliveriesTable, "message_id", s.columns[deliveriesTable], names)
	}
	return read, hidden, err
}

// take makes a stamp of the one row with the id, the first of the names, and
// removes the row.
func (f *fill) take(ctx context.Context, table, key string, columns []string, names []value) ([]pattern, error) {
	where := " FROM " + table + " WHERE " + key + " = " + quoted(names[0].text)
	rows, err := f.db.rows(ctx, "SELECT "+strings.Join(columns, ", ")+where)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("a post to one audience stored %d rows in %s", len(rows), table)
	}
	stamp := make([]pattern, len(columns))
	for i, v := range rows[0] {
		stamp[i] = newPattern(v, names...)
	}
	_, err = f.db.exec(ctx, "DELETE"+where)
	return stamp, err
}

// mark is a message a user did something with.
type mark struct {
	place  int
	hidden bool // read and archived, not only read
}

// marks are those of one user, oldest first.
func (w *world) marks(b block, i int) []mark {
	own := w.places(b, i)
	var marks []mark
	if b.unread {
		for _, place := range own[len(own)-b.hidden:] {
			marks = append(marks, mark{place, true})
		}
		return marks
	}
	if b.measured {
		own = append(own, w.sharedPlaces(b, i)...)
		slices.Sort(own)
	}
	user := b.audience(i)
	for _, place := range own {
		if w.isRead(place, user) {
			marks = append(marks, mark{place, false})
		}
	}
	return marks
}

// sharedPlaces are the messages to everybody and to the groups of a user.
func (w *world) sharedPlaces(b block, i int) []int {
	shared := w.places(w.block(toEverybody, ""), 0)
	groups := w.block(toGroup, groupName)
	in := w.groupsOf(b, i)
	for g := range groups.count {
		if slices.Contains(in, groups.ref(g)) {
			shared = append(shared, w.places(groups, g)...)
		}
	}
	return shared
}
