package main

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/uuid/v5"

	"github.com/notifications-go/notifications/internal/gogc"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		sorted []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0, 7},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{1, 2}, 0.5, 1},
		{[]time.Duration{1, 2, 3}, 0.5, 2},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 1, 100},
	} {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile %v of %d values is %d, want %d", c.p, len(c.sorted), got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median of three is %v", got)
	}
	if got := median([]float64{4, 1, 2, 9}); got != 3 {
		t.Errorf("median of four is %v", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of none is %v", got)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	oldID, newID := idValue(uuid.Must(uuid.NewV7())), idValue(uuid.Must(uuid.NewV7()))
	old, other := []value{oldID, textValue("user:a")}, []value{newID, textValue("user:longer")}
	nothing := (*string)(nil)
	for _, c := range []struct {
		v, want any
		holes   int
	}{
		{oldID.text, newID.text, 1},
		{&oldID.text, newID.text, 1},
		{oldID.raw, newID.raw, 1},
		{uuid.UUID(oldID.raw), newID.raw, 1},
		{`["user:a","` + oldID.text + `","user:a"]`, `["user:longer","` + newID.text + `","user:longer"]`, 3},
		{[]byte("x" + oldID.text), []byte("x" + newID.text), 1},
		{"user:b", "user:b", 0},
		{"", "", 0},
		{[]byte("ab"), []byte("ab"), 0},
		{[16]byte{1}, [16]byte{1}, 0},
		{int64(7), int64(7), 0},
		{nil, nil, 0},
		{nothing, nil, 0},
	} {
		p := newPattern(c.v, old...)
		if got := p.with(other); !reflect.DeepEqual(got, c.want) || len(p.holes) != c.holes {
			t.Errorf("%#v becomes %#v with %d holes, want %#v with %d", c.v, got, len(p.holes), c.want, c.holes)
		}
	}
	p := newPattern("anything", textValue(""))
	if got := p.with([]value{textValue("x")}); got != "anything" {
		t.Errorf("a value without a text was found in %q", got)
	}
}

func TestWorld(t *testing.T) {
	t.Parallel()
	for _, messages := range []int{420, 421, 512, 1009} {
		s := smallSpec()
		s.Messages = messages
		w, err := newWorld(s)
		if err != nil {
			t.Fatal(err)
		}
		if last := w.blocks[len(w.blocks)-1]; last.start+last.messages() != messages {
			t.Errorf("the blocks have %d messages, want %d", last.start+last.messages(), messages)
		}
		seen := make([]bool, messages)
		for _, b := range w.blocks {
			for i := range b.count {
				places := w.places(b, i)
				if !slices.IsSorted(places) {
					t.Errorf("places of %s are not sorted", b.audience(i))
				}
				for _, place := range places {
					if j := w.messageAt(place); w.place(j) != place || b.audienceOf(j) != i {
						t.Fatalf("place %d is message %d of audience %d, want %d", place, j, b.audienceOf(j), i)
					}
					if seen[place] {
						t.Fatalf("place %d is taken twice", place)
					}
					seen[place] = true
				}
			}
		}
		if slices.Contains(seen, false) {
			t.Error("a place is not taken")
		}
		for place := range messages - 1 {
			if w.id(place).String() >= w.id(place+1).String() {
				t.Fatalf("the id at %d is not smaller than the next", place)
			}
		}
		if last := w.id(messages - 1); last.String() >= fillEnd().String() || last.Version() != uuid.V7 || last.Variant() != uuid.VariantRFC9562 {
			t.Errorf("the last id is %s", last)
		}
	}
}

// The same seed fills the same, another seed does not.
func TestSeed(t *testing.T) {
	t.Parallel()
	ids := func(seed uint64) (all []string, read int) {
		s := smallSpec()
		s.Seed = seed
		w, err := newWorld(s)
		if err != nil {
			t.Fatal(err)
		}
		for place := range s.Messages {
			all = append(all, w.id(place).String())
			if w.isRead(place, "user:bench/measured-000001") {
				read++
			}
		}
		return all, read
	}
	one, read := ids(1)
	again, _ := ids(1)
	other, _ := ids(2)
	if !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Error("the ids do not depend on the seed alone")
	}
	if read < 150 || read > 270 {
		t.Errorf("%d of 420 are read, about half were asked for", read)
	}
}

func TestMeasuredUsers(t *testing.T) {
	t.Parallel()
	for messages, want := range map[int]int{10_000: 42, 1_000_000: 1000, 1600: 1} {
		o, err := parseOptions([]string{"--database=sqlite:x"})
		if err != nil {
			t.Fatal(err)
		}
		if got := o.sized(messages).Measured; got != want {
			t.Errorf("of %d messages %d users are measured, want %d", messages, got, want)
		}
	}
}

func TestPromises(t *testing.T) {
	t.Parallel()
	r := &report{Database: postgresName, Results: []operationResult{
		{Operation: opPostUser, Contenders: []contenderResult{
			{Name: serviceName, Alone: 2}, {Name: httpName, ToFloor: &spread{Median: 0.49}},
		}},
		{Operation: opPostEveryone, Contenders: []contenderResult{{Name: serviceName, Alone: 3}}},
	}, Curves: []curvePoint{
		{curveRows, 10, operationResult{Operation: opList, Title: "list", Contenders: []contenderResult{{Name: serviceName, P50: 1}}}},
		{curveRows, 99, operationResult{Operation: opList, Title: "list", Contenders: []contenderResult{{Name: serviceName, P50: 1.31}}}},
	}}
	want := []string{
		"- p50 of list by the service with 99 messages over that with 10: 1.31 (at most 1.3: NOT MET)",
		"- post to one over HTTP, to the floor: 0.49 (at least 0.5: NOT MET)",
		"- a post to everybody over a post to one, alone: 1.50 (at most 1.5: met)",
	}
	if got := r.promises(); !slices.Equal(got, want) {
		t.Errorf("promises:\n%s", strings.Join(got, "\n"))
	}
	r.Database = sqliteName
	r.Results[0].Contenders[0].ToFloor = &spread{Median: 5}
	if got := strings.Join(r.promises(), "\n"); !strings.Contains(got, "single writer: 5.00 (at least 5: met)") || strings.Contains(got, "over HTTP") {
		t.Errorf("on SQLite:\n%s", got)
	}
}

// What is compared with an older file does not make up what that lacks.
func TestMachine(t *testing.T) {
	t.Parallel()
	r := newReport(plan{})
	if got, want := r.machine(), fmt.Sprintf("%s, %d processors, GOGC=%s", runtime.Version(), runtime.NumCPU(), gogc.Get()); got != want {
		t.Errorf("the machine is %q, want %q", got, want)
	}
	if got := (&report{Go: "go1.26", Processors: 2}).machine(); got != "go1.26, 2 processors" {
		t.Errorf("the machine of an older file is %q", got)
	}
}
