package limit

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates is a token bucket for each key. It remembers a bounded number of keys
// and forgets those that it has not seen for longest. A nil Rates allows
// everything. It is safe for concurrent use.
type Rates struct {
	perSecond rate.Limit
	burst     int
	most      int

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent list.List // of *bucket, the latest first
}

type bucket struct {
	key     string
	tokens  *rate.Limiter
	refused bool // the last request was
}

// NewRates returns Rates with perSecond on average and burst at once, for most
// keys. It is nil if perSecond is zero. A burst of zero means a second's worth,
// at least one.
func NewRates(perSecond float64, burst, most int) *Rates {
	if perSecond == 0 {
		return nil
	}
	if burst == 0 {
		burst = max(1, int(math.Ceil(perSecond)))
	}
	return &Rates{perSecond: rate.Limit(perSecond), burst: burst, most: most, byKey: map[string]*list.Element{}}
}

// Take takes a token of the key. If there is none it returns how long the next
// one takes, and whether this is the first refusal after a success.
func (r *Rates) Take(key string, now time.Time) (wait time.Duration, first bool) {
	if r == nil {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.bucket(key)
	if b.tokens.AllowN(now, 1) {
		b.refused = false
		return 0, false
	}
	first, b.refused = !b.refused, true
	return r.wait(b, now), first
}

// Charge takes n more tokens of the key for something that cost more than
// others, and never waits: the key pays by waiting for its next token. It takes
// at most a burst.
func (r *Rates) Charge(key string, n int, now time.Time) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bucket(key).tokens.ReserveN(now, min(n, r.burst))
}

// Wait returns how long the next token of the key takes, and takes none.
func (r *Rates) Wait(key string, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	place, known := r.byKey[key]
	if !known {
		return 0
	}
	return r.wait(place.Value.(*bucket), now)
}

func (r *Rates) wait(b *bucket, now time.Time) time.Duration {
	missing := 1 - b.tokens.TokensAt(now)
	return time.Duration(math.Ceil(max(missing, 0) / float64(r.perSecond) * float64(time.Second)))
}

// bucket returns the key's bucket, and makes room for a new one. The caller
// holds mu.
func (r *Rates) bucket(key string) *bucket {
	if place, known := r.byKey[key]; known {
		r.recent.MoveToFront(place)
		return place.Value.(*bucket)
	}
	if len(r.byKey) >= r.most {
		oldest := r.recent.Back()
		r.recent.Remove(oldest)
		delete(r.byKey, oldest.Value.(*bucket).key)
	}
	b := &bucket{key: key, tokens: rate.NewLimiter(r.perSecond, r.burst)}
	r.byKey[key] = r.recent.PushFront(b)
	return b
}

// Recent is a bounded set of numbers that forgets the oldest. It is safe for
// concurrent use.
type Recent struct {
	most int

	mu       sync.Mutex
	new, old map[uint64]struct{} // old was new, until that was full
}

// NewRecent returns a set that holds at least the latest most numbers, and at
// most twice as many.
func NewRecent(most int) *Recent { return &Recent{most: most, new: map[uint64]struct{}{}} }

// Add adds a number.
func (s *Recent) Add(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.new) >= s.most {
		s.old, s.new = s.new, map[uint64]struct{}{}
	}
	s.new[n] = struct{}{}
}

// Remove removes a number.
func (s *Recent) Remove(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.new, n)
	delete(s.old, n)
}

// Has reports whether the set has a number.
func (s *Recent) Has(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, isNew := s.new[n]
	_, isOld := s.old[n]
	return isNew || isOld
}
