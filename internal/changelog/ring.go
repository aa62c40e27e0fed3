package changelog

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Kind says what happened. The numbers up to Purged are stored.
type Kind int16

// The kinds of changes.
const (
	Posted Kind = iota + 1
	Rewritten
	Removed
	Erased
	Marked
	Imported
	Settings
	Purged

	// Expired is not stored: a message says itself when it expires.
	Expired Kind = 100
)

// Change is a row of the log, with what streams need to know of its message.
type Change struct {
	// Number is that of the transaction on PostgreSQL, of the row on SQLite,
	// and zero for Expired.
	Number uint64
	Kind   Kind
	// At is when a scheduled message appeared or a message expired, in Unix
	// milliseconds; zero if the change took effect with its commit.
	At        int64
	MessageID string // may be empty
	User      string // who marked or was erased, as an audience
	// Audiences are those whom the change concerns, in addition to User. Nil
	// with an empty User means everybody.
	Audiences []string
	// Left are the audiences that the message still has after Removed.
	Left []string
	// Message is what the message was when the log was read; nil if it is gone.
	Message *Message
}

// Message is what a stream selects by.
type Message struct {
	Severity      int
	Topic, Origin string
	// Due is when a scheduled message appears, in Unix milliseconds; zero if it
	// is not scheduled. Expires is when it expires; zero if it does not.
	Due, Expires int64
}

// Seen reports whether the change was visible at a position.
func (c *Change) Seen(p Position) bool { return p.Seen.Sees(c.Number) && c.At <= p.At.UnixMilli() }

// size returns about how many bytes the change takes.
func (c *Change) size() int {
	n := 200 + len(c.MessageID) + len(c.User)
	if m := c.Message; m != nil {
		n += 64 + len(m.Topic) + len(m.Origin)
	}
	for _, list := range [][]string{c.Audiences, c.Left} {
		for _, a := range list {
			n += 16 + len(a)
		}
	}
	return n
}

// Tick is what became visible between two looks at the log.
type Tick struct {
	// Position is the point after the tick.
	Position Position
	// Changes are sorted by Number.
	Changes []Change

	size int
}

// Since returns the changes that a reader at the position has not seen. It does
// not look at those with smaller numbers than all the unseen ones.
func (t *Tick) Since(p Position) []*Change {
	first := p.Seen.xmin()
	from := sort.Search(len(t.Changes), func(i int) bool { return t.Changes[i].Number >= first })
	var unseen []*Change
	for i := range t.Changes[:from] {
		if c := &t.Changes[i]; c.At > p.At.UnixMilli() {
			unseen = append(unseen, c)
		}
	}
	for i := range t.Changes[from:] {
		if c := &t.Changes[from+i]; !c.Seen(p) {
			unseen = append(unseen, c)
		}
	}
	return unseen
}

// Cursor is a place in a [Ring].
type Cursor struct {
	life uint64 // of the ring, between two calls of Start
	next uint64 // number of the tick
}

// Ring holds the latest ticks, and wakes the readers whom they concern. It is
// safe for concurrent use. [NewRing] makes it.
type Ring struct {
	maxBytes int
	beats    atomic.Uint64

	mu    sync.RWMutex
	life  uint64
	first uint64 // number of ticks[0]
	ticks []*Tick
	bytes int
	// before is the position before ticks[0], now that after the last tick.
	before, now Position
	readers     map[string]map[*Reader]struct{} // by audience
}

// NewRing returns an empty ring that holds ticks of at most so many bytes.
func NewRing(maxBytes int) *Ring {
	return &Ring{maxBytes: maxBytes, readers: map[string]map[*Reader]struct{}{}}
}

// Start empties the ring, which then continues at the position. All cursors are
// lost.
func (r *Ring) Start(at Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.life++
	r.first += uint64(len(r.ticks))
	r.ticks, r.bytes, r.before, r.now = nil, 0, at, at
	r.wakeAll()
}

// Advance adds a tick. Changes must be sorted by number. Without changes only
// the position moves. A tick that is too large for the ring empties it, as Start does.
func (r *Ring) Advance(to Position, changes []Change) {
	t := &Tick{Position: to, Changes: changes}
	for i := range changes {
		t.size += changes[i].size()
	}
	if t.size > r.maxBytes {
		r.Start(to)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = to
	if len(changes) > 0 {
		r.ticks = append(r.ticks, t)
		r.bytes += t.size
		r.evict()
	}
	r.wake(changes)
}

// evict drops the oldest ticks. The caller holds mu.
func (r *Ring) evict() {
	n := 0
	for ; r.bytes > r.maxBytes; n++ {
		r.bytes -= r.ticks[n].size
		r.before = r.ticks[n].Position
		r.ticks[n] = nil
	}
	r.first += uint64(n)
	r.ticks = r.ticks[n:]
}

// wake wakes the readers whom the changes concern, and those who wait for each
// tick. The caller holds mu.
func (r *Ring) wake(changes []Change) {
	for reader := range r.readers[everyTick] {
		reader.wake()
	}
	for i := range changes {
		c := &changes[i]
		if c.User == "" && c.Audiences == nil {
			r.wakeAll()
			return
		}
		for reader := range r.readers[c.User] {
			reader.wake()
		}
		for _, a := range c.Audiences {
			for reader := range r.readers[a] {
				reader.wake()
			}
		}
	}
}

func (r *Ring) wakeAll() {
	for reader := range r.readers[everybody] {
		reader.wake()
	}
}

// Beat wakes all readers, whose [Reader.Beats] has then grown.
func (r *Ring) Beat() {
	r.beats.Add(1)
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.wakeAll()
}

// Now returns the position after the last tick.
func (r *Ring) Now() (Position, Cursor) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now, Cursor{r.life, r.first + uint64(len(r.ticks))}
}

// Find returns the cursor of the first tick with a change that may be unseen at
// the position. It returns false if that tick is not in the ring any more.
func (r *Ring) Find(p Position) (Cursor, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if p.Epoch != r.now.Epoch || !p.Includes(r.before) {
		return Cursor{}, false
	}
	n := sort.Search(len(r.ticks), func(i int) bool { return !p.Includes(r.ticks[i].Position) })
	return Cursor{r.life, r.first + uint64(n)}, true
}

// Includes reports whether all that was seen at the other position, and in its
// time, was seen at this one.
func (p Position) Includes(other Position) bool {
	return p.Seen.Includes(other.Seen) && !p.At.Before(other.At)
}

// Next returns the tick at the cursor, or nil and the position of now if there
// is none yet. It returns false if the ring does not have it any more.
func (r *Ring) Next(c Cursor) (t *Tick, after Cursor, now Position, kept bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case c.life != r.life || c.next < r.first:
		return nil, c, r.now, false
	case c.next == r.first+uint64(len(r.ticks)):
		return nil, c, r.now, true
	}
	return r.ticks[c.next-r.first], Cursor{c.life, c.next + 1}, r.now, true
}

// Wanted returns the ids of the messages that were posted or rewritten for
// somebody who reads the ring.
func (r *Ring) Wanted(changes []Change) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var ids []string
	for i := range changes {
		c := &changes[i]
		listens := func(a string) bool { return len(r.readers[a]) > 0 }
		if (c.Kind == Posted || c.Kind == Rewritten) && slices.ContainsFunc(c.Audiences, listens) {
			ids = append(ids, c.MessageID)
		}
	}
	return ids
}

// Names that no audience has.
const (
	everybody = "\x00everybody"
	everyTick = "\x00tick"
)

// Reader waits for changes that concern some audiences. Its methods are for one
// goroutine.
type Reader struct {
	// C receives a value when there is something to look at.
	C chan struct{}

	ring      *Ring
	audiences []string
	waits     bool
}

// Subscribe returns a reader for the audiences. Close it.
func (r *Ring) Subscribe(audiences []string) *Reader {
	reader := &Reader{C: make(chan struct{}, 1), ring: r, audiences: audiences}
	r.mu.Lock()
	defer r.mu.Unlock()
	reader.join(everybody)
	for _, a := range audiences {
		reader.join(a)
	}
	return reader
}

// Move replaces the audiences.
func (reader *Reader) Move(audiences []string) {
	reader.ring.mu.Lock()
	defer reader.ring.mu.Unlock()
	for _, a := range reader.audiences {
		reader.leave(a)
	}
	for _, a := range audiences {
		reader.join(a)
	}
	reader.audiences = audiences
}

// WaitForTicks wakes the reader at each tick, or no more.
func (reader *Reader) WaitForTicks(wait bool) {
	if reader.waits == wait {
		return
	}
	reader.ring.mu.Lock()
	defer reader.ring.mu.Unlock()
	if reader.waits = wait; wait {
		reader.join(everyTick)
	} else {
		reader.leave(everyTick)
	}
}

// Close ends the subscription.
func (reader *Reader) Close() {
	reader.ring.mu.Lock()
	defer reader.ring.mu.Unlock()
	for _, a := range append(slices.Clip(reader.audiences), everybody, everyTick) {
		reader.leave(a)
	}
}

// Beats returns the number of calls of [Ring.Beat].
func (reader *Reader) Beats() uint64 { return reader.ring.beats.Load() }

// Wake makes the reader look.
func (reader *Reader) Wake() { reader.wake() }

func (reader *Reader) wake() {
	select {
	case reader.C <- struct{}{}:
	default:
	}
}

// join and leave are called with the ring's mu held.
func (reader *Reader) join(audience string) {
	readers := reader.ring.readers
	if readers[audience] == nil {
		readers[audience] = map[*Reader]struct{}{}
	}
	readers[audience][reader] = struct{}{}
}

func (reader *Reader) leave(audience string) {
	readers := reader.ring.readers
	delete(readers[audience], reader)
	if len(readers[audience]) == 0 {
		delete(readers, audience)
	}
}
