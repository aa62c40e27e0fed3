package changelog

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Position is a point in the log of changes.
type Position struct {
	// Epoch identifies the database and its history. Positions of two epochs
	// cannot be compared. It has lower-case letters and digits.
	Epoch string
	// Seen is what had been committed.
	Seen Snapshot
	// At is the time, in milliseconds: what was scheduled for later had not
	// appeared yet.
	At time.Time
	// Nonce is that of the last tick before, and may be empty. It has lower-case letters and
	// digits. The tick is missing in a database that was restored to an earlier
	// state.
	Nonce string
}

// MaxPositionBytes limits the text of a position. One with 64 transactions in
// progress, each less than a million after the one before, is shorter.
const MaxPositionBytes = 512

const (
	maxNameBytes = 32 // of Epoch and Nonce
	base         = 36 // of numbers
)

var errPosition = errors.New("it is not a position")

// String returns the position as "epoch.snapshot.time.nonce". Numbers are to
// base 36. The snapshot is its Xmax, then for each number in progress, the last
// one first, the distance to the number before it, joined by "-".
func (p Position) String() string {
	b := make([]byte, 0, 80)
	b = append(append(b, p.Epoch...), '.')
	b = strconv.AppendUint(b, p.Seen.Xmax, base)
	before := p.Seen.Xmax
	for _, n := range slices.Backward(p.Seen.InProgress) {
		b = strconv.AppendUint(append(b, '-'), before-n, base)
		before = n
	}
	b = strconv.AppendInt(append(b, '.'), p.At.UnixMilli(), base)
	return string(append(append(b, '.'), p.Nonce...))
}

// ParsePosition reads a text that [Position.String] returned. It accepts no
// other text.
func ParsePosition(text string) (Position, error) {
	parts := strings.Split(text, ".")
	if len(text) > MaxPositionBytes || len(parts) != 4 || !isName(parts[0]) || !isName(parts[3]) && parts[3] != "" {
		return Position{}, errPosition
	}
	seen, err := parseCompact(parts[1])
	if err != nil {
		return Position{}, err
	}
	ms, err := strconv.ParseUint(parts[2], base, 53)
	if err != nil {
		return Position{}, errPosition
	}
	p := Position{Epoch: parts[0], Seen: seen, At: time.UnixMilli(int64(ms)).UTC(), Nonce: parts[3]}
	if p.String() != text { // leading zeros, upper case, "+"
		return Position{}, errPosition
	}
	return p, nil
}

// Within returns a position on the way from another one to p, between two
// changes with the numbers last and next: all that p sees up to last has been
// seen. It is the position from if there is none between.
func (p Position) Within(from Position, last, next uint64) Position {
	if last == next {
		return from
	}
	seen := Snapshot{Xmax: min(p.Seen.Xmax, last+1)}
	for _, n := range p.Seen.InProgress {
		if n <= last {
			seen.InProgress = append(seen.InProgress, n)
		}
	}
	if !seen.Includes(from.Seen) {
		return from
	}
	between := from // what appeared or expired since is told again
	between.Seen = seen
	return between
}

func parseCompact(text string) (Snapshot, error) {
	var s Snapshot
	before := uint64(0)
	for i, number := range strings.Split(text, "-") {
		n, err := strconv.ParseUint(number, base, 63)
		switch {
		case err != nil:
			return s, errPosition
		case i == 0:
			s.Xmax, before = n, n
			continue
		case n == 0 || n > before || i > maxInProgress:
			return s, errPosition
		}
		before -= n
		s.InProgress = append(s.InProgress, before)
	}
	slices.Reverse(s.InProgress)
	return s, nil
}

func isName(s string) bool {
	if s == "" || len(s) > maxNameBytes {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
