package notifications

import (
	"slices"
	"strconv"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// SystemFilter selects notifications by whether they are addressed to
// everybody.
type SystemFilter int

// The system filters. The zero SystemFilter selects both.
const (
	SystemOrNot SystemFilter = iota
	// NotSystem: addressed to the reader or to a group of the reader.
	NotSystem
	// System: addressed to everybody.
	System
)

// ReadFilter selects notifications by whether the reader marked them as read.
type ReadFilter int

// The read filters. The zero ReadFilter selects both.
const (
	ReadOrUnread ReadFilter = iota
	Unread
	Read
)

// SavedFilter selects notifications by whether the reader saved them.
type SavedFilter int

// The saved filters. The zero SavedFilter selects both.
const (
	SavedOrNot SavedFilter = iota
	Saved
	NotSaved
)

// ArchivedFilter selects notifications by whether the reader archived them.
type ArchivedFilter int

// The archived filters. The zero ArchivedFilter leaves archived ones out.
const (
	NotArchived ArchivedFilter = iota
	Archived
	ArchivedOrNot
)

// Filter selects among the notifications a reader can see. The zero Filter
// selects everything addressed to the reader, to their groups and to everybody,
// except archived notifications.
type Filter struct {
	// Text must occur in the title or the message, regardless of case. All
	// characters are literal; up to 255. Empty selects all. A search takes 2
	// seconds at most, then the error is [ErrUnavailable]. If two searches of
	// the reader do not end in that time, the error of a third is [ErrTooMany].
	// In a transaction of the host neither limit applies.
	Text string
	// CreatedAfter selects notifications created later than this, to the
	// millisecond. Zero selects all.
	CreatedAfter time.Time
	// System selects by audience; Read, Saved and Archived by the reader's
	// marks. The zero values leave out archived notifications and nothing else.
	System   SystemFilter
	Read     ReadFilter
	Saved    SavedFilter
	Archived ArchivedFilter
	// MinSeverity selects this severity and higher ones. Empty selects all.
	MinSeverity Severity
	// Topic and Origin are compared byte for byte. Empty selects all.
	Topic, Origin string
}

// Check returns the [*InvalidError] that a verb would return for the filter, and
// nil for a valid one.
func (f Filter) Check() error {
	var bad faults
	f.check("", &bad)
	return bad.err()
}

// check reports every fault of the filter. field is the prefix of the names of
// its fields.
func (f Filter) check(field string, into *faults) {
	into.text(field+"Text", f.Text, false, MaxSearchChars)
	if f.System < SystemOrNot || f.System > System {
		into.add(field+"System", "must be SystemOrNot, NotSystem or System")
	}
	if f.Read < ReadOrUnread || f.Read > Read {
		into.add(field+"Read", "must be ReadOrUnread, Unread or Read")
	}
	if f.Saved < SavedOrNot || f.Saved > NotSaved {
		into.add(field+"Saved", "must be SavedOrNot, Saved or NotSaved")
	}
	if f.Archived < NotArchived || f.Archived > ArchivedOrNot {
		into.add(field+"Archived", "must be NotArchived, Archived or ArchivedOrNot")
	}
	into.severity(field+"MinSeverity", f.MinSeverity)
	into.text(field+"Topic", f.Topic, false, MaxTitleChars)
	into.text(field+"Origin", f.Origin, false, MaxTitleChars)
}

// MaxSelectedIDs is how many ids [ByIDs] can name.
const MaxSelectedIDs = 1000

// Selection says which notifications [Service.SetState] marks. [ByIDs],
// [ByFilter], [ByFilterSeen] and [ByFilterUpTo] make one; the zero Selection is
// invalid. A Selection never changes and is safe for concurrent use.
type Selection struct {
	ids      []string
	filter   Filter
	upTo     string
	seen     Position
	byFilter bool
	bounded  bool // by upTo
	exact    bool // by seen
}

// ByIDs selects notifications by id, archived ones too: 1 to 1,000. SetState
// ignores ids of notifications that the reader cannot see.
func ByIDs(ids ...string) Selection { return Selection{ids: slices.Clone(ids)} }

// ByFilter selects the notifications that a list with this filter would show at
// the time of the call. These may include some that the reader has not looked
// at yet; [ByFilterSeen] leaves those out.
func ByFilter(f Filter) Selection { return Selection{filter: f, byFilter: true} }

// ByFilterSeen selects the notifications that a list with this filter would
// show, except for those that were posted or rewritten after a position, or were
// not due then: it marks exactly what the reader has seen. seen is the Position
// of the page that the reader has looked at, even if it showed only some of what
// the filter selects. [ErrPosition] means that it is too old.
func ByFilterSeen(f Filter, seen Position) Selection {
	return Selection{filter: f, byFilter: true, seen: seen, exact: true}
}

// ByFilterUpTo selects the notifications that a list with this filter would
// show, up to the id newest. That notification need not exist any more. This is
// a bound only: a notification may get its id before the reader looks, and
// appear afterwards, for instance when the transaction of a host commits.
// [ByFilterSeen] leaves those out too.
func ByFilterUpTo(f Filter, newest string) Selection {
	return Selection{filter: f, byFilter: true, upTo: newest, bounded: true}
}

// selection says which deliveries to a reader are selected.
type selection struct {
	Filter
	// ids, unless nil, are the only messages selected.
	ids []string
	// upTo, unless empty, is the largest id selected.
	upTo string
	// seen, unless nil, leaves out what is not visible at this position.
	seen *changelog.Position
}

// only selects one message in any state.
func only(id string) selection {
	return selection{Filter: Filter{Archived: ArchivedOrNot}, ids: []string{id}}
}

// Check returns the [*InvalidError] that SetState would return for the selection,
// and nil for a valid one.
func (sel Selection) Check() error {
	var bad faults
	sel.prepared(&bad)
	return bad.err()
}

// prepared checks a Selection and brings its ids into canonical form.
func (sel Selection) prepared(into *faults) selection {
	if sel.byFilter {
		sel.filter.check("Filter.", into)
		chosen := selection{Filter: sel.filter}
		if sel.bounded {
			id, ok := canonicalID(sel.upTo)
			if !ok {
				into.add("UpTo", "is not a UUID")
			}
			chosen.upTo = id
		}
		if sel.exact {
			seen, err := changelog.ParsePosition(string(sel.seen))
			if err != nil {
				into.add("Seen", "is not a position this service handed out")
			}
			chosen.seen = &seen
		}
		return chosen
	}
	chosen := selection{Filter: Filter{Archived: ArchivedOrNot}, ids: make([]string, len(sel.ids))}
	if len(sel.ids) == 0 {
		into.add("IDs", "nothing is selected: give ids or a filter")
		return chosen
	}
	if len(sel.ids) > MaxSelectedIDs {
		into.add("IDs", "has %d entries, the limit is %d", len(sel.ids), MaxSelectedIDs)
		return chosen
	}
	for i, id := range sel.ids {
		canonical, ok := canonicalID(id)
		if !ok {
			into.add("IDs["+strconv.Itoa(i)+"]", "is not a UUID")
		}
		chosen.ids[i] = canonical
	}
	slices.Sort(chosen.ids)
	chosen.ids = slices.Compact(chosen.ids)
	return chosen
}
