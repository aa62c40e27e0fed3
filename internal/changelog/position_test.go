package changelog_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// random returns a generator that begins alike in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func aSnapshot(r *rand.Rand) (s changelog.Snapshot) {
	n := r.Uint64N(40)
	for range r.IntN(6) {
		s.InProgress = append(s.InProgress, n)
		n += 1 + r.Uint64N(9)
	}
	s.Xmax = n
	return s
}

func TestPositionsAreReadBack(t *testing.T) {
	r := random()
	for range 1000 {
		p := changelog.Position{
			Epoch: strconv.FormatUint(r.Uint64(), 36), Seen: aSnapshot(r),
			At: time.UnixMilli(r.Int64N(1 << 48)).UTC(), Nonce: strconv.FormatUint(r.Uint64N(2), 36),
		}
		if r.IntN(10) == 0 {
			p.Nonce = ""
		}
		back, err := changelog.ParsePosition(p.String())
		if err != nil || back.String() != p.String() || !back.Seen.Equal(p.Seen) || !back.At.Equal(p.At) || back.Epoch != p.Epoch || back.Nonce != p.Nonce {
			t.Fatalf("%s: %+v, %v", p, back, err)
		}
	}
}

func TestParsePositionRefuses(t *testing.T) {
	for _, text := range []string{
		"", ".", "...", "a.1.1", "a.1.1.b.c", "A.1.1.b", "a.1.1.B", ".1.1.b", "a..1.b", "a.1..b", "a.-1.1.b", "a.1.-1.b", "a.01.1.b", "a.+1.1.b",
		"a.1-0.1.b", "a.1-2.1.b", "a.1-.1.b", "a.zzzzzzzzzzzzzz.1.b", "a.1.zzzzzzzzzzz.b", "a.1.1.b\n", "a.1.1." + strings.Repeat("b", 33),
		"a." + strings.Repeat("1-", 600) + "1.1.b", "a.zz" + strings.Repeat("-1", 65) + ".1.b", "é.1.1.b",
	} {
		if p, err := changelog.ParsePosition(text); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add("a.zz-1-2.1.b")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := changelog.ParsePosition(text); err == nil && p.String() != text {
			t.Errorf("%q is read as %q", text, p)
		}
	})
}

func TestSnapshots(t *testing.T) {
	r, included := random(), 0
	for range 20_000 {
		a, b := aSnapshot(r), aSnapshot(r)
		back, err := changelog.ParseSnapshot(a.String())
		if err != nil || !back.Equal(a) {
			t.Fatalf("%s is read as %s: %v", a, back, err)
		}
		if a.Includes(b) {
			included++
			for n := range uint64(100) {
				if b.Sees(n) && !a.Sees(n) {
					t.Fatalf("%s includes %s, which alone sees %d", a, b, n)
				}
			}
		}
		if !a.Includes(a) {
			t.Fatalf("%s does not include itself", a)
		}
	}
	if included < 1000 {
		t.Errorf("only %d of the snapshots include another", included)
	}
}

// More transactions in progress than a position has room for make it older,
// never newer.
func TestManyInProgress(t *testing.T) {
	var text strings.Builder
	for n := 1000; n < 5000; n += 20 {
		if n > 1000 {
			text.WriteString(",")
		}
		text.WriteString(strconv.Itoa(n))
	}
	s, err := changelog.ParseSnapshot("1000:5001:" + text.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.InProgress) != 64 || s.Xmax != 1000+64*20 || s.Sees(1000) || !s.Sees(1001) || s.Sees(s.Xmax) || !s.Sees(s.Xmax-1) {
		t.Errorf("it is %s", s)
	}
	p := changelog.Position{Epoch: strings.Repeat("e", 16), Seen: s, At: time.Now(), Nonce: strings.Repeat("n", 12)}
	if n := len(p.String()); n > 200 {
		t.Errorf("the position has %d bytes", n)
	}
}

func TestParseSnapshotRefuses(t *testing.T) {
	for _, text := range []string{"", "1:2", "1:2:3:4", "1:x:", "1:2:x", "1:-2:", "1:2:,"} {
		if s, err := changelog.ParseSnapshot(text); err == nil {
			t.Errorf("%q is %s", text, s)
		}
	}
}
