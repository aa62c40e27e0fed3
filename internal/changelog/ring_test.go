package changelog_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// at returns the position at which all numbers up to n are visible, except some.
func at(n uint64, inProgress ...uint64) changelog.Position {
	return changelog.Position{Epoch: "e", Seen: changelog.Snapshot{Xmax: n + 1, InProgress: inProgress}, At: time.UnixMilli(int64(n))}
}

func to(audience string, numbers ...uint64) (list []changelog.Change) {
	for _, n := range numbers {
		list = append(list, changelog.Change{Number: n, Kind: changelog.Posted, MessageID: strconv.FormatUint(n, 10), Audiences: []string{audience}})
	}
	return list
}

// A reader who stops anywhere and continues from the position sees each change
// once, in whatever order transactions commit.
func TestRingTellsEachChangeOnce(t *testing.T) {
	r := random()
	for range 300 {
		ring := changelog.NewRing(1 << 20)
		ring.Start(at(0))
		told, told2 := map[uint64]int{}, map[uint64]int{}
		position, _ := ring.Now()
		open, last := []uint64{}, uint64(0)
		for range 40 {
			var committed []uint64
			for range r.IntN(4) {
				last++
				open = append(open, last)
			}
			for range r.IntN(len(open) + 1) {
				i := r.IntN(len(open))
				committed = append(committed, open[i])
				open = slices.Delete(open, i, i+1)
			}
			slices.Sort(committed)
			slices.Sort(open)
			ring.Advance(at(last, slices.Clone(open)...), to("a", committed...))
			for _, n := range committed {
				told[n] = 0
			}
			if r.IntN(3) == 0 { // continue from the position, as after a cut connection
				cursor, kept := ring.Find(position)
				if !kept {
					t.Fatal("the position is lost")
				}
				for {
					tick, next, _, kept := ring.Next(cursor)
					if !kept {
						t.Fatal("the cursor is lost")
					}
					if tick == nil {
						break
					}
					for _, c := range tick.Since(position) {
						told2[c.Number]++
					}
					position, cursor = tick.Position, next
				}
			}
		}
		cursor, _ := ring.Find(position)
		for {
			tick, next, _, _ := ring.Next(cursor)
			if tick == nil {
				break
			}
			for _, c := range tick.Since(position) {
				told2[c.Number]++
			}
			position, cursor = tick.Position, next
		}
		for n := range told {
			if told2[n] != 1 {
				t.Fatalf("change %d was told %d times", n, told2[n])
			}
		}
		if len(told2) != len(told) {
			t.Fatalf("%d changes were told, there are %d", len(told2), len(told))
		}
	}
}

// Since must not leave out anything, wherever the first unseen number is.
func TestSince(t *testing.T) {
	r := random()
	for range 5000 {
		var changes []changelog.Change
		for n := range uint64(40) {
			if r.IntN(2) == 0 {
				changes = append(changes, changelog.Change{Number: n, At: r.Int64N(2) * r.Int64N(80)})
			}
		}
		p := changelog.Position{Seen: aSnapshot(r), At: time.UnixMilli(r.Int64N(80))}
		var want, got []uint64
		for i := range changes {
			if !changes[i].Seen(p) {
				want = append(want, changes[i].Number)
			}
		}
		for _, c := range (&changelog.Tick{Changes: changes}).Since(p) {
			got = append(got, c.Number)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("at %s: %v, want %v", p, got, want)
		}
	}
}

func TestRingForgetsTheOldest(t *testing.T) {
	ring := changelog.NewRing(1000)
	ring.Start(at(0))
	_, begin := ring.Now()
	for n := range uint64(20) {
		ring.Advance(at(n+1), to("a", n+1))
	}
	if _, _, _, kept := ring.Next(begin); kept {
		t.Error("the first tick is still there")
	}
	if _, kept := ring.Find(at(3)); kept {
		t.Error("an old position is found")
	}
	c, kept := ring.Find(at(18))
	if !kept {
		t.Fatal("a late position is not found")
	}
	tick, _, _, _ := ring.Next(c)
	if got := tick.Since(at(18)); len(got) != 1 || got[0].Number != 19 {
		t.Errorf("it continues with %+v", got)
	}
	if _, kept := ring.Find(changelog.Position{Epoch: "other", Seen: at(18).Seen, At: at(18).At}); kept {
		t.Error("a position of another epoch is found")
	}
	big := make([]uint64, 50)
	for i := range big {
		big[i] = uint64(21 + i)
	}
	ring.Advance(at(70), to("a", big...))
	if _, _, _, kept := ring.Next(c); kept {
		t.Error("a tick larger than the ring left a hole")
	}
	if now, _ := ring.Now(); now.Seen.Xmax != 71 {
		t.Errorf("now it is %s", now)
	}
}

func TestRingWakesThoseConcerned(t *testing.T) {
	ring := changelog.NewRing(1 << 20)
	ring.Start(at(0))
	a, b := ring.Subscribe([]string{"a", "system"}), ring.Subscribe([]string{"b", "system"})
	woken := func(r *changelog.Reader) bool {
		select {
		case <-r.C:
			return true
		default:
			return false
		}
	}
	check := func(when string, wantA, wantB bool) {
		t.Helper()
		if gotA, gotB := woken(a), woken(b); gotA != wantA || gotB != wantB {
			t.Errorf("%s: a %v, b %v", when, gotA, gotB)
		}
	}
	ring.Advance(at(1), to("a", 1))
	check("to a", true, false)
	ring.Advance(at(2), to("system", 2))
	check("to everybody", true, true)
	ring.Advance(at(3), []changelog.Change{{Number: 3, Kind: changelog.Marked, User: "b"}})
	check("marked by b", false, true)
	ring.Advance(at(4), []changelog.Change{{Number: 4, Kind: changelog.Purged}})
	check("purged", true, true)
	ring.Advance(at(5), nil)
	check("nothing", false, false)
	a.WaitForTicks(true)
	ring.Advance(at(6), nil)
	check("a waits", true, false)
	a.WaitForTicks(false)
	ring.Advance(at(7), nil)
	check("a waits no more", false, false)
	beats := a.Beats()
	ring.Beat()
	check("a beat", true, true)
	if a.Beats() != beats+1 {
		t.Error("the beat is not counted")
	}
	b.Move([]string{"c"})
	ring.Advance(at(8), to("b", 8))
	check("b has moved", false, false)
	if got := ring.Wanted(append(to("c", 9), to("d", 10)...)); !slices.Equal(got, []string{"9"}) {
		t.Errorf("wanted are %v", got)
	}
	a.Close()
	b.Close()
	ring.Start(at(0))
	check("closed", false, false)
}
