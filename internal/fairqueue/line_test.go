package fairqueue

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// Those who take as much as each other get as many turns.
func TestShares(t *testing.T) {
	t.Parallel()
	var l Line[int]
	got := map[string]int{}
	for n := range 300 {
		l.Join("many", n)
		l.Join("dear", n)
		l.Join("short", n)
	}
	for range 120 {
		before := map[string]int{"many": l.Waiting("many"), "dear": l.Waiting("dear"), "short": l.Waiting("short")}
		l.Next()
		for key, n := range before {
			if l.Waiting(key) == n {
				continue
			}
			got[key]++
			l.End(key, map[string]time.Duration{"many": Least, "dear": 4 * Least, "short": 0}[key])
		}
	}
	if got["many"] < 52 || got["short"] < 52 || got["dear"] < 12 || got["dear"] > 15 {
		t.Errorf("turns: %v", got)
	}
}

// The callers that a line knows are bounded, and those who used much are kept.
func TestLineForgets(t *testing.T) {
	t.Parallel()
	var l Line[int]
	for n := range 10_000 {
		key := strconv.Itoa(n)
		l.Join(key, n)
		l.Next()
		l.End(key, time.Millisecond)
		l.Next() // nobody waits
	}
	if n := len(l.callers); n > 101 {
		t.Errorf("%d callers are known", n)
	}
	if l.Leave("nobody", 1) || l.Waiting("nobody") != 0 || l.Mean("nobody") != 0 {
		t.Error("somebody unknown waits")
	}
}

// A caller's own turns come in order, also after some have left.
func TestLineIsInOrder(t *testing.T) {
	t.Parallel()
	var l Line[int]
	for n := range 5 {
		l.Join("a", n)
	}
	if !l.Leave("a", 2) || l.Leave("a", 2) {
		t.Error("one that waits can leave once")
	}
	var got []int
	for {
		n, ok := l.Next()
		if !ok {
			break
		}
		got = append(got, n)
	}
	if !slices.Equal(got, []int{0, 1, 3, 4}) {
		t.Errorf("in order: %v", got)
	}
}
