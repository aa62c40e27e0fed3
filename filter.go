package notifications

import (
	"slices"
	"strconv"
	"time"
)

// SystemFilter selects notifications by whether they are addressed to
// everybody.
type SystemFilter int

// The system filters. The zero SystemFilter selects both.
const (
	SystemOrNot SystemFilter = iota
	// NotSystem: addressed to the reader or to one of the reader's groups.
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
// selects everything addressed to the reader, to the reader's groups and to
// everybody, without what the reader archived.
type Filter struct {
	// Text must occur in title or message, regardless of case. It is literal:
	// no character has a special meaning. Empty selects all.
	Text string
	// CreatedAfter selects what was created strictly later, to the
	// millisecond. Zero selects all.
	CreatedAfter time.Time
	// System, Read, Saved and Archived select by audience and by the reader's
	// marks. Their zero values leave out what is archived and nothing else.
	System   SystemFilter
	Read     ReadFilter
	Saved    SavedFilter
	Archived ArchivedFilter
	// MinSeverity selects this severity and those above it. Empty selects all.
	MinSeverity Severity
	// Topic and Origin must be equal, byte for byte. Empty selects all.
	Topic, Origin string
}

// check reports every fault of the filter; field is what stands before the
// names of its fields.
func (f Filter) check(field string, into *faults) {
	into.text(field+"Text", f.Text, false, 0)
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

// Selection says which notifications [Service.SetState] marks. It is made by
// [ByIDs], [ByFilter] or [ByFilterUpTo]; the zero Selection is invalid.
type Selection struct {
	ids      []string
	filter   Filter
	upTo     string
	byFilter bool
	bounded  bool // by upTo
}

// ByIDs selects the named notifications, archived ones too, 1,000 at most.
// Those the reader cannot see are passed over.
func ByIDs(ids ...string) Selection { return Selection{ids: slices.Clone(ids)} }

// ByFilter selects what a list with this filter shows at the moment of the
// mark, also what the reader has not seen yet: see [ByFilterUpTo].
func ByFilter(f Filter) Selection { return Selection{filter: f, byFilter: true} }

// ByFilterUpTo selects what a list with this filter shows, up to the
// notification newest, the newest the reader has seen. What has a later id is
// left alone. The notification need not exist any more.
func ByFilterUpTo(f Filter, newest string) Selection {
	return Selection{filter: f, byFilter: true, upTo: newest, bounded: true}
}

// selection is which of the deliveries to a reader are meant.
type selection struct {
	Filter
	// ids, unless nil, are the only messages meant.
	ids []string
	// upTo, unless empty, is the largest id meant.
	upTo string
}

// only selects one message, whatever its state.
func only(id string) selection {
	return selection{Filter: Filter{Archived: ArchivedOrNot}, ids: []string{id}}
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
