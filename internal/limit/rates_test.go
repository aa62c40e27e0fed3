package limit

import (
	"strconv"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	t.Parallel()
	r := NewRates(2, 3, 10)
	now := time.Now()
	take := func(key string, want time.Duration, wantFirst bool) {
		t.Helper()
		if wait, first := r.Take(key, now); wait != want || first != wantFirst {
			t.Errorf("%s has to wait %v (first: %t), want %v (%t)", key, wait, first, want, wantFirst)
		}
	}
	for range 3 {
		if wait := r.Wait("a", now); wait != 0 {
			t.Errorf("the next token of a takes %v", wait)
		}
		take("a", 0, false)
	}
	take("a", time.Second/2, true)
	take("a", time.Second/2, false)
	if wait := r.Wait("a", now); wait != time.Second/2 {
		t.Errorf("the next token of a takes %v", wait)
	}
	take("b", 0, false)
	now = now.Add(time.Second / 2)
	take("a", 0, false)
	take("a", time.Second/2, true)
	now = now.Add(time.Hour)
	for range 3 {
		take("a", 0, false)
	}
	take("a", time.Second/2, true)
}

func TestNoRates(t *testing.T) {
	t.Parallel()
	none := NewRates(0, 0, 10)
	for range 100 {
		if wait, _ := none.Take("a", time.Now()); wait != 0 || none.Wait("a", time.Now()) != 0 {
			t.Fatalf("no rates let a wait %v", wait)
		}
	}
	slow := NewRates(0.1, 0, 10) // a burst of one
	now := time.Now()
	if wait, _ := slow.Take("a", now); wait != 0 {
		t.Errorf("the first waits %v", wait)
	}
	if wait, _ := slow.Take("a", now); wait != 10*time.Second {
		t.Errorf("the second waits %v", wait)
	}
}

// What cost more is paid by waiting.
func TestCharge(t *testing.T) {
	t.Parallel()
	r, now := NewRates(2, 10, 10), time.Now()
	r.Charge("a", 4, now)
	for range 6 {
		if wait, _ := r.Take("a", now); wait != 0 {
			t.Fatalf("tokens that are left wait %v", wait)
		}
	}
	r.Charge("a", 3, now)
	if wait, _ := r.Take("a", now); wait != 2*time.Second {
		t.Errorf("after a charge of three too many it waits %v", wait)
	}
	r.Charge("b", 1000, now)
	if wait := r.Wait("b", now); wait != time.Second/2 {
		t.Errorf("after the largest charge it waits %v", wait)
	}
	(*Rates)(nil).Charge("a", 1, now)
}

// The number of keys is bounded, and the one that was away for longest goes.
func TestRatesForget(t *testing.T) {
	t.Parallel()
	r, now := NewRates(1, 1, 10), time.Now()
	r.Take("busy", now)
	for i := range 1000 {
		r.Take(strconv.Itoa(i), now)
		if wait, _ := r.Take("busy", now); wait == 0 {
			t.Fatalf("the busy key is forgotten after %d others", i)
		}
	}
	if len(r.byKey) != 10 || r.recent.Len() != 10 {
		t.Errorf("%d keys are known in a list of %d", len(r.byKey), r.recent.Len())
	}
	if wait := r.Wait("0", now); wait != 0 {
		t.Errorf("a forgotten key waits %v", wait)
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	s := NewRecent(10)
	for n := range uint64(1000) {
		s.Add(n)
		if !s.Has(n) || n >= 10 && !s.Has(n-9) || n >= 20 && s.Has(n-20) {
			t.Fatalf("after %d: has %t %t %t", n, s.Has(n), s.Has(n-9), s.Has(n-20))
		}
	}
	s.Remove(999)
	s.Remove(995)
	if s.Has(999) || s.Has(995) || !s.Has(998) || len(s.new)+len(s.old) > 20 {
		t.Errorf("after removals: %v %v", s.new, s.old)
	}
}
