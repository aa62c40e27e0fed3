// Package changelog holds the parts of the log of changes that need no
// database: snapshots, positions, and the changes of the last minutes in memory.
package changelog

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Snapshot says which transactions are visible, as PostgreSQL's pg_snapshot
// does (PostgreSQL's manual, section 9.27.8). On SQLite, where transactions
// commit in the order of their numbers, nothing is in progress. The zero
// Snapshot sees nothing.
type Snapshot struct {
	// Xmax is the first number that is not visible.
	Xmax uint64
	// InProgress are the numbers before Xmax that are not visible, sorted.
	InProgress []uint64
}

// UpTo returns the snapshot in which all numbers up to n are visible.
func UpTo(n uint64) Snapshot { return Snapshot{Xmax: n + 1} }

// maxInProgress limits the length of a Snapshot.
const maxInProgress = 64

var errSnapshot = errors.New("it is not a snapshot")

// ParseSnapshot reads a pg_snapshot, "xmin:xmax:xip,xip". A snapshot with more
// than 64 transactions in progress keeps the 64 oldest, and sees nothing from
// the 65th on: a reader who continues there gets some changes twice, and misses
// none.
func ParseSnapshot(text string) (Snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Snapshot{}, errSnapshot
	}
	xmax, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return Snapshot{}, errSnapshot
	}
	s := Snapshot{Xmax: xmax}
	if parts[2] != "" {
		for number := range strings.SplitSeq(parts[2], ",") {
			n, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				return Snapshot{}, errSnapshot
			}
			s.InProgress = append(s.InProgress, n)
		}
	}
	slices.Sort(s.InProgress)
	return s.bounded(), nil
}

func (s Snapshot) bounded() Snapshot {
	if len(s.InProgress) > maxInProgress {
		s.Xmax = s.InProgress[maxInProgress]
		s.InProgress = s.InProgress[:maxInProgress:maxInProgress]
	}
	return s
}

// Without returns the snapshot in which n is not visible.
func (s Snapshot) Without(n uint64) Snapshot {
	if !s.Sees(n) {
		return s
	}
	i, _ := slices.BinarySearch(s.InProgress, n)
	s.InProgress = slices.Insert(slices.Clone(s.InProgress), i, n)
	return s.bounded()
}

// String returns the snapshot as PostgreSQL writes it.
func (s Snapshot) String() string {
	b := strconv.AppendUint(nil, s.xmin(), 10)
	b = strconv.AppendUint(append(b, ':'), s.Xmax, 10)
	b = append(b, ':')
	for i, n := range s.InProgress {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, n, 10)
	}
	return string(b)
}

// xmin returns the first number that may be invisible.
func (s Snapshot) xmin() uint64 {
	if len(s.InProgress) > 0 {
		return s.InProgress[0]
	}
	return s.Xmax
}

// Sees reports whether a transaction is visible.
func (s Snapshot) Sees(n uint64) bool {
	if n >= s.Xmax {
		return false
	}
	_, inProgress := slices.BinarySearch(s.InProgress, n)
	return !inProgress
}

// Includes reports whether everything that the other snapshot sees is visible in
// this one. It may be false if the two differ only in transactions that wrote
// nothing.
func (s Snapshot) Includes(other Snapshot) bool {
	if s.Xmax < other.Xmax {
		return false
	}
	for _, n := range s.InProgress {
		if other.Sees(n) {
			return false
		}
	}
	return true
}

// Equal reports whether both see the same.
func (s Snapshot) Equal(other Snapshot) bool {
	return s.Xmax == other.Xmax && slices.Equal(s.InProgress, other.InProgress)
}
