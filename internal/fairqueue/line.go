// Package fairqueue says whose turn is next, so that callers who ask for much do
// not keep others waiting.
package fairqueue

import "time"

// Line lets callers wait, and gives the next turn to the caller who has used
// least of late: start-time fair queueing (Goyal, Vin and Cheng, 1996). A caller
// who was away saves nothing up, and when nobody waits all is forgotten. A
// caller's own turns come in order. The zero Line is empty. It is not safe for
// concurrent use.
type Line[T comparable] struct {
	clock   time.Duration // the start of the latest turn; it counts what is used, and not the time
	latest  time.Duration // no caller's next turn starts later
	callers map[string]*inLine[T]
	length  int
	arrived uint64 // all that ever waited
	sweepAt int    // number of callers at which those who are away are forgotten
}

// inLine is a caller with what waits for a turn. Its next turn starts at start,
// or at the clock if that is later.
type inLine[T any] struct {
	start   time.Duration
	working int           // turns that have begun
	mean    time.Duration // of its turns; the latest counts an eighth
	waiting []place[T]
}

type place[T any] struct {
	value  T
	number uint64 // in the order of arrival
}

// Least is what a turn counts as at least. So one caller's many short turns do
// not pass for less than another's few.
const Least = 2 * time.Millisecond

// Len returns how many wait.
func (l *Line[T]) Len() int { return l.length }

// Waiting returns how many of one caller wait.
func (l *Line[T]) Waiting(key string) int {
	if c := l.callers[key]; c != nil {
		return len(c.waiting)
	}
	return 0
}

// Join adds to the end of the caller's own line.
func (l *Line[T]) Join(key string, value T) {
	c := l.caller(key)
	l.arrived++
	c.waiting = append(c.waiting, place[T]{value, l.arrived})
	l.length++
}

// Leave takes out what waits, and reports whether it waited.
func (l *Line[T]) Leave(key string, value T) bool {
	c := l.callers[key]
	if c == nil {
		return false
	}
	for i, p := range c.waiting {
		if p.value == value {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			l.length--
			return true
		}
	}
	return false
}

// Next takes out what is next, and begins its caller's turn. It reports false if
// nothing waits; then there is room for everybody, and what was used does not
// count any more.
func (l *Line[T]) Next() (next T, ok bool) {
	if l.length == 0 {
		l.clock = l.latest
		return next, false
	}
	var first *inLine[T]
	var key string
	for k, c := range l.callers {
		if len(c.waiting) > 0 && (first == nil || l.before(c, first)) {
			key, first = k, c
		}
	}
	next = first.waiting[0].value
	first.waiting = append(first.waiting[:0], first.waiting[1:]...)
	l.length--
	l.Begin(key)
	return next, true
}

func (l *Line[T]) before(a, b *inLine[T]) bool {
	if first, second := max(a.start, l.clock), max(b.start, l.clock); first != second {
		return first < second
	}
	return a.waiting[0].number < b.waiting[0].number
}

// Begin begins a turn of a caller who need not wait.
func (l *Line[T]) Begin(key string) {
	c := l.caller(key)
	l.clock = max(l.clock, c.start)
	c.start = l.clock + Least
	l.latest = max(l.latest, c.start)
	c.working++
}

// End ends a turn that began, and counts what it has used.
func (l *Line[T]) End(key string, used time.Duration) {
	c := l.caller(key)
	c.start += max(used-Least, 0)
	l.latest = max(l.latest, c.start)
	c.working--
	c.mean += (used - c.mean) / 8
}

// Mean returns how much the caller's latest turns used; zero if it is unknown.
func (l *Line[T]) Mean(key string) time.Duration {
	if c := l.callers[key]; c != nil {
		return c.mean
	}
	return 0
}

// caller returns a caller. Of many it forgets those who are where a new one
// would be.
func (l *Line[T]) caller(key string) *inLine[T] {
	const few = 100
	if c := l.callers[key]; c != nil {
		return c
	}
	if len(l.callers) >= max(few, l.sweepAt) {
		for k, c := range l.callers {
			if len(c.waiting)+c.working == 0 && c.start <= l.clock {
				delete(l.callers, k)
			}
		}
		l.sweepAt = 2 * len(l.callers)
	}
	c := new(inLine[T])
	if l.callers == nil {
		l.callers = map[string]*inLine[T]{}
	}
	l.callers[key] = c
	return c
}
