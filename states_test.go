package notifications_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func TestMarksOfManyKinds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		a, b, c := f.post("a", toJane), f.post("b", toOps), f.post("c", toEveryone)
		f.setState(jane, ids(a, strings.ToUpper(b), c, a), read, 3) // each once, in any form of its id
		f.setState(jane, ids(a, b, c), read, 0)
		f.setState(jane, ids(a, b), notifications.StateChange{Read: new(true), Saved: new(true)}, 2)
		f.setState(jane, ids(a, b, c), notifications.StateChange{Read: new(false), Saved: new(true), Archived: new(false)}, 3)
		f.wantMarks(jane, a, "saved")
		f.wantMarks(jane, c, "saved")
		f.setState(jane, ids(a), notifications.StateChange{Read: new(true), Saved: new(false), Archived: new(true)}, 1)
		f.wantMarks(jane, a, "read archived")
		f.setState(jane, ids(b), notifications.StateChange{Read: new(false), Archived: new(false)}, 0)
		f.wantMarks(john, b, "")
		f.wantStatus(john, notifications.Status{Unread: 2})

		// Removing a mark that a notification never had writes no state.
		d := f.post("d", toJane)
		f.setState(jane, ids(d), notifications.StateChange{Read: new(false), Saved: new(false), Archived: new(false)}, 0)
		f.setState(jane, ids("01890000-0000-7000-8000-000000000000"), read, 0)
		f.wantRows(map[string]int64{"states": 3})
	})
}

func TestUpTo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		var list []string
		for i := range 5 {
			list = append(list, f.post(fmt.Sprint(i), []notifications.Audience{toJane, toOps}[i%2]))
		}
		f.setState(jane, upTo("00000000-0000-7000-8000-000000000000"), read, 0)
		f.setState(jane, upTo(strings.ToUpper(list[1])), read, 2)
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "4", "3", "2")
		f.setState(jane, upTo("ffffffff-ffff-7fff-bfff-ffffffffffff"), archived, 5) // the id need not exist
	})
}

func TestFaultsOfSetState(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	id := f.post("a", toJane)
	many := slices.Repeat([]string{id}, notifications.MaxSelectedIDs)
	for _, tt := range []struct {
		name   string
		sel    notifications.Selection
		change notifications.StateChange
		fields []string
	}{
		{"nothing", notifications.Selection{}, notifications.StateChange{}, []string{"IDs", "change"}},
		{"no ids", ids(), read, []string{"IDs"}},
		{"many", ids(append(many, id)...), read, []string{"IDs"}},
		{"no id", ids(id, "x", id, "{"+id+"}"), read, []string{"IDs[1]", "IDs[3]"}},
		{"up to", notifications.ByFilterUpTo(all, "x"), read, []string{"UpTo"}},
		{"up to nothing", notifications.ByFilterUpTo(all, ""), read, []string{"UpTo"}},
		{"filter", filter(notifications.Filter{Text: "\xff", Saved: 9, Archived: -1, MinSeverity: "x"}), read,
			[]string{"Filter.Text", "Filter.Saved", "Filter.Archived", "Filter.MinSeverity"}},
		{"no change", ids(id), notifications.StateChange{}, []string{"change"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := f.SetState(t.Context(), jane, tt.sel, tt.change)
			wantFields(t, err, tt.fields...)
			if n != 0 {
				t.Errorf("%d changed", n)
			}
		})
	}
	f.wantMarks(jane, id, "")
	f.setState(jane, ids(many...), read, 1)
}

// sample is a notification as the test posted and marked it.
type sample struct {
	notifications.Notification
	toUser bool // to jane or jane's group, perhaps to everybody too
}

// samples stores notifications of every kind, with every combination of jane's
// marks.
func (f *fixture) samples() []sample {
	f.t.Helper()
	severities := []notifications.Severity{"", "low", "normal", "high", "critical"}
	list := make([]sample, 40)
	for i := range list {
		d := notifications.Draft{
			Origin: []string{"ci", "CI", "shop"}[i%3], Title: fmt.Sprintf("%02d", i), Topic: []string{"", "build", "Build"}[i/3%3],
			Severity: severities[i%5], To: []notifications.Audience{toJane, toEveryone, toOps, toEveryone.And(toJane)}[i%4],
		}
		change := notifications.StateChange{Read: new(i*5%13 < 6), Saved: new(i*7%11 < 5), Archived: new(i*3%17 > 10)}
		s := sample{toUser: i%4 != 1}
		s.ID, s.Title, s.Origin, s.Topic = f.postDraft(d), d.Title, d.Origin, d.Topic
		s.Severity, s.System = cmp.Or(d.Severity, "normal"), i%2 == 1
		s.Read, s.Saved, s.Archived = *change.Read, *change.Saved, *change.Archived
		if _, err := f.SetState(f.t.Context(), jane, ids(s.ID), change); err != nil {
			f.t.Fatal(err)
		}
		list[i] = s
	}
	return list
}

// selects reports whether jane's filter selects a sample, independently of the
// library's code.
func selects(f notifications.Filter, s sample) bool {
	rank := []notifications.Severity{"low", "normal", "high", "critical"}
	return (f.System == notifications.SystemOrNot || f.System == notifications.System && s.System || f.System == notifications.NotSystem && s.toUser) &&
		(f.Read == notifications.ReadOrUnread || s.Read == (f.Read == notifications.Read)) &&
		(f.Saved == notifications.SavedOrNot || s.Saved == (f.Saved == notifications.Saved)) &&
		(f.Archived == notifications.ArchivedOrNot || s.Archived == (f.Archived == notifications.Archived)) &&
		(f.MinSeverity == "" || slices.Index(rank, s.Severity) >= slices.Index(rank, f.MinSeverity)) &&
		(f.Topic == "" || s.Topic == f.Topic) && (f.Origin == "" || s.Origin == f.Origin) && strings.Contains(s.Title, f.Text)
}

// stateFilters returns all combinations of filters by marks.
func stateFilters() []notifications.Filter {
	var list []notifications.Filter
	for _, read := range []notifications.ReadFilter{notifications.ReadOrUnread, notifications.Unread, notifications.Read} {
		for _, saved := range []notifications.SavedFilter{notifications.SavedOrNot, notifications.Saved, notifications.NotSaved} {
			for _, archived := range []notifications.ArchivedFilter{notifications.NotArchived, notifications.Archived, notifications.ArchivedOrNot} {
				list = append(list, notifications.Filter{Read: read, Saved: saved, Archived: archived})
			}
		}
	}
	return list
}

// TestFilters tries every combination of filters, and compares list and count
// with the result of selects.
func TestFilters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		list := f.samples()
		slices.Reverse(list) // newest first
		check := func(filter notifications.Filter) {
			t.Helper()
			var want []string
			for _, s := range list {
				if selects(filter, s) {
					want = append(want, s.Title)
				}
			}
			f.wantList(jane, notifications.ListQuery{Filter: filter, Limit: 100}, want...)
		}
		for _, filter := range stateFilters() {
			for _, filter.System = range []notifications.SystemFilter{notifications.NotSystem, notifications.System, notifications.SystemOrNot} {
				check(filter)
			}
			for _, filter.MinSeverity = range []notifications.Severity{"", "low", "normal", "high", "critical"} {
				for _, filter.Topic = range []string{"", "build", "BUILD"} { // compared byte for byte
					for _, filter.Origin = range []string{"", "ci"} {
						check(filter)
					}
				}
			}
			filter.Text = "3"
			check(filter)
		}
		wantConsistent(f, jane)
	})
}

// wantConsistent checks that the reader's status, topics and counts agree.
func wantConsistent(f *fixture, who notifications.Identity) {
	f.t.Helper()
	count := func(filter notifications.Filter) int64 {
		n, err := f.Count(f.t.Context(), who, filter)
		if err != nil {
			f.t.Error(err)
		}
		return n
	}
	for _, scope := range []notifications.SystemFilter{notifications.NotSystem, notifications.System, notifications.SystemOrNot} {
		want := notifications.Status{
			Unread:   count(notifications.Filter{System: scope, Read: notifications.Unread}),
			Read:     count(notifications.Filter{System: scope, Read: notifications.Read}),
			Saved:    count(notifications.Filter{System: scope, Saved: notifications.Saved}),
			Archived: count(notifications.Filter{System: scope, Archived: notifications.Archived}),
		}
		got, err := f.Status(f.t.Context(), who, scope)
		got.Position = ""
		if err != nil || got != want {
			f.t.Errorf("Status(%s, %d) = %+v, %v; counts say %+v", who, scope, got, err, want)
		}
		topics, err := f.Topics(f.t.Context(), who, scope)
		if err != nil {
			f.t.Error(err)
		}
		for _, topic := range topics.Topics {
			filter := notifications.Filter{System: scope, Topic: topic.Name}
			total := count(filter)
			filter.Read = notifications.Unread
			if want := (notifications.TopicCount{Name: topic.Name, Unread: count(filter), Total: total}); topic != want {
				f.t.Errorf("topic %+v, counts say %+v", topic, want)
			}
		}
		var unread, total int64
		for _, origin := range topics.Origins {
			unread, total = unread+origin.Unread, total+origin.Total
		}
		if unread != want.Unread || total != want.Unread+want.Read {
			f.t.Errorf("origins have %d unread of %d, status is %+v", unread, total, want)
		}
	}
}

// TestMarkByFilter: a filter marks exactly the notifications that its list
// shows.
func TestMarkByFilter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.samples()
		for _, chosen := range []notifications.Filter{
			{MinSeverity: "high"}, {Topic: "build"}, {Origin: "shop", Archived: notifications.ArchivedOrNot}, {Saved: notifications.Saved},
			{Archived: notifications.Archived, System: notifications.System}, {Text: "1"},
		} {
			before := f.list(jane, notifications.ListQuery{Filter: withArchived, Limit: 100}).Items
			listed := idsOf(f.list(jane, notifications.ListQuery{Filter: chosen, Limit: 100}).Items)
			var changes int64
			for i, n := range before {
				if slices.Contains(listed, n.ID) && (n.Read || !n.Saved) {
					changes++
				}
				if slices.Contains(listed, n.ID) {
					before[i].Read, before[i].Saved = false, true
				}
			}
			if changes == 0 {
				t.Fatalf("%+v selects nothing to change", chosen)
			}
			f.setState(jane, filter(chosen), notifications.StateChange{Read: new(false), Saved: new(true)}, changes)
			after := f.list(jane, notifications.ListQuery{Filter: withArchived, Limit: 100}).Items
			if fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("marking %+v left\n%+v, want\n%+v", chosen, after, before)
			}
		}
		wantConsistent(f, jane)
	})
}

// TestPagesOfFilters follows cursors, with filters and with scheduled posts.
func TestPagesOfFilters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		for i := range 40 {
			d := notifications.Draft{
				Origin: "o", Title: fmt.Sprint(i % 5), Topic: []string{"x", "y"}[i%2], Severity: []notifications.Severity{"low", "high", "critical"}[i%3], To: toOps,
			}
			if i%4 == 0 {
				d.NotBefore = f.now().Add(time.Duration(i%16) * time.Hour)
			}
			f.setState(jane, ids(f.postDraft(d)), notifications.StateChange{Archived: new(i%8 == 1)}, map[bool]int64{true: 1}[i%8 == 1])
			f.advance(time.Minute)
		}
		f.advance(6 * time.Hour) // some have appeared
		for _, filter := range []notifications.Filter{
			{}, {MinSeverity: "high"}, {Topic: "x"}, {Origin: "o", Topic: "y", MinSeverity: "critical"},
			{Archived: notifications.ArchivedOrNot, Topic: "y"}, {Saved: notifications.NotSaved, MinSeverity: "high"},
		} {
			for _, order := range []notifications.Order{"created", "title", "message"} {
				for _, ascending := range []bool{false, true} {
					q := notifications.ListQuery{Filter: filter, OrderBy: order, Ascending: ascending, Limit: 100}
					whole := f.list(jane, q).Items
					if len(whole) < 5 {
						t.Fatalf("%+v selects %d", filter, len(whole))
					}
					for _, n := range whole {
						if n.Created.After(f.now()) {
							t.Errorf("%s is seen before its time", n.Title)
						}
					}
					q.Limit = 3
					if pages := f.walk(jane, q); !slices.Equal(pages, idsOf(whole)) {
						t.Errorf("%+v by %s: pages %v, whole %v", filter, order, pages, idsOf(whole))
					}
				}
			}
		}

		// A notification that appears between two pages neither repeats nor
		// hides another.
		q := notifications.ListQuery{Limit: 10, Ascending: true}
		first := f.list(jane, q)
		f.advance(day)
		q.After = first.Next
		rest := f.walk(jane, q)
		both := append(idsOf(first.Items), rest...)
		q = notifications.ListQuery{Limit: 100, Ascending: true}
		whole := idsOf(f.list(jane, q).Items)
		for _, id := range both {
			if !slices.Contains(whole, id) {
				t.Errorf("%s is on a page and not in the list", id)
			}
		}
		if slices.Sort(both); len(slices.Compact(both)) != len(both) || !slices.Contains(both, whole[len(whole)-1]) {
			t.Errorf("pages hold %v, whole %v", both, whole)
		}
	})
}

// TestCursorsBelongToTheirFilter: a cursor is refused if any field of the
// filter differs.
func TestCursorsBelongToTheirFilter(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	for range 3 {
		f.postDraft(notifications.Draft{Origin: "o", Title: "t", Topic: "x", Severity: "high", To: toJane})
	}
	base := notifications.Filter{MinSeverity: "high", Topic: "x", Origin: "o", Saved: notifications.NotSaved}
	next := f.list(jane, notifications.ListQuery{Filter: base, Limit: 1}).Next
	if next == "" {
		t.Fatal("there is no second page")
	}
	for name, change := range map[string]func(*notifications.Filter){
		"minSeverity": func(f *notifications.Filter) { f.MinSeverity = "normal" },
		"topic":       func(f *notifications.Filter) { f.Topic = "X" },
		"no topic":    func(f *notifications.Filter) { f.Topic = "" },
		"origin":      func(f *notifications.Filter) { f.Origin = "O" },
		"swapped":     func(f *notifications.Filter) { f.Topic, f.Origin = f.Origin, f.Topic },
		"joined":      func(f *notifications.Filter) { f.Topic, f.Origin = "xo", "" },
		"saved":       func(f *notifications.Filter) { f.Saved = notifications.SavedOrNot },
		"archived":    func(f *notifications.Filter) { f.Archived = notifications.ArchivedOrNot },
		"read":        func(f *notifications.Filter) { f.Read = notifications.Unread },
		"system":      func(f *notifications.Filter) { f.System = notifications.NotSystem },
		"text":        func(f *notifications.Filter) { f.Text = "t" },
		"after":       func(f *notifications.Filter) { f.CreatedAfter = time.UnixMilli(0) },
	} {
		other := base
		change(&other)
		_, err := f.List(t.Context(), jane, notifications.ListQuery{Filter: other, Limit: 1, After: next})
		t.Run(name, func(t *testing.T) { wantFields(t, err, "After") })
	}
	f.wantList(jane, notifications.ListQuery{Filter: base, Limit: 2, After: next}, "t", "t")
}

func TestFaultsOfFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	long := strings.Repeat("é", notifications.MaxTitleChars+1)
	for _, tt := range []struct {
		filter notifications.Filter
		fields []string
	}{
		{notifications.Filter{Saved: -1}, []string{"Saved"}},
		{notifications.Filter{Saved: 3}, []string{"Saved"}},
		{notifications.Filter{Archived: -1}, []string{"Archived"}},
		{notifications.Filter{Archived: 3}, []string{"Archived"}},
		{notifications.Filter{MinSeverity: "High"}, []string{"MinSeverity"}},
		{notifications.Filter{Topic: long, Origin: long}, []string{"Topic", "Origin"}},
		{notifications.Filter{Topic: "\x00", Origin: "\xff", MinSeverity: "x", Saved: 9, Archived: 9, System: -1},
			[]string{"System", "Saved", "Archived", "MinSeverity", "Topic", "Origin"}},
	} {
		_, err := f.List(t.Context(), jane, notifications.ListQuery{Filter: tt.filter})
		wantFields(t, err, tt.fields...)
		_, err = f.Count(t.Context(), jane, tt.filter)
		wantFields(t, err, tt.fields...)
	}
	_, err := f.Status(t.Context(), jane, 3)
	wantFields(t, err, "System")
	_, err = f.Topics(t.Context(), jane, -1)
	wantFields(t, err, "System")
	f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Topic: long[2:], Origin: long[2:]}})
}
