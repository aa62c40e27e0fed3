package notifications

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/uuid/v5"
)

// Ids are UUIDv7 (RFC 9562, section 5.7). Their first 48 bits are the time of
// creation in Unix milliseconds, so the order of ids is the order of creation.
// A scheduled notification has an id of the time at which it appears.

// maxSetback is how far a clock may go back while ids keep their order. A clock
// that goes back further had been wrong, and ids follow it.
const maxSetback = time.Second

// ids makes ids. Scheduled notifications have a generator of their own: a
// generator never goes back in time, so a later time would carry over to the
// ids that follow.
type ids struct {
	clock     func() time.Time
	scheduled *uuid.Gen

	mu     sync.Mutex
	now    *uuid.Gen
	latest time.Time // that now has seen
}

func newIDs(now func() time.Time) *ids {
	return &ids{clock: now, now: uuid.NewGen(), scheduled: uuid.NewGen()}
}

// at returns the time and the generator for an id of this moment.
func (g *ids) at() (time.Time, *uuid.Gen) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock().Round(0) // what the wall clock says
	switch {
	case now.After(g.latest):
		g.latest = now
	case g.latest.Sub(now) > maxSetback:
		g.latest, g.now = now, uuid.NewGen()
	}
	return g.latest, g.now
}

// message returns the id of a notification that appears at the time due, or now
// if due is zero.
func (g *ids) message(due time.Time) (string, error) {
	if due.IsZero() {
		now, gen := g.at()
		return idText(gen.NewV7AtTime(now))
	}
	return idText(g.scheduled.NewV7AtTime(due))
}

// action returns the random id of an action.
func (g *ids) action() (string, error) { return idText(g.scheduled.NewV4()) }

func idText(id uuid.UUID, err error) (string, error) {
	if err != nil {
		return "", unavailable("random source", err)
	}
	return id.String(), nil
}

// firstID is the smallest id.
const firstID = "00000000-0000-0000-0000-000000000000"

// canonicalLen is the length of an id in canonical form.
const canonicalLen = len(firstID)

// canonicalID returns the canonical form of an id, and reports whether s is an
// id.
func canonicalID(s string) (string, bool) {
	_, err := uuid.FromString(s) // FromString accepts braces, "urn:" and bare digits too
	return strings.ToLower(s), err == nil && len(s) == canonicalLen
}

// parseID returns the canonical form of an id. argument is the name for its
// error.
func parseID(argument, s string) (string, error) {
	id, ok := canonicalID(s)
	if !ok {
		return "", Invalid(argument, "is not a UUID")
	}
	return id, nil
}

// idTime returns the time in a canonical id, and the zero time for any other
// text.
func idTime(id string) time.Time {
	if len(id) != canonicalLen {
		return time.Time{}
	}
	ms, err := strconv.ParseUint(id[:8]+id[9:13], 16, 48)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// firstIDAfter returns the smallest id of the millisecond after t. It returns
// false if t is before 1970: then all ids are later.
func firstIDAfter(t time.Time) (string, bool) {
	last := time.UnixMilli(1<<48 - 2) // in the year 10889: the time in an id has 48 bits
	if t.Before(time.UnixMilli(0)) {
		return "", false
	}
	if t.After(last) {
		t = last
	}
	ms := t.UnixMilli() + 1
	var id uuid.UUID
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id.String(), true
}

// firstIDAt returns the smallest id of the millisecond of t, and firstID for
// the zero time.
func firstIDAt(t time.Time) string {
	if id, bounded := firstIDAfter(t.Add(-time.Millisecond)); bounded && !t.IsZero() {
		return id
	}
	return firstID
}
