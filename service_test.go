package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

func TestPostAndList(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		before := time.Now().UTC().Truncate(time.Millisecond)
		id := f.postDraft(notifications.Draft{
			Origin: "ci", Title: "Build 7 is done", Message: "All <green>\n& \"fine\" é 🎉", Topic: "builds",
			Actions: []notifications.ActionDraft{
				{Title: "Open", URL: "https://ci.example/7?a=1&b=<2>"},
				{Title: "Log", URL: "/log/7"},
			},
			To: notifications.Users("default/jane"),
		})
		items := f.list(jane, notifications.ListQuery{}).Items
		if len(items) != 1 {
			t.Fatalf("%d items, want 1", len(items))
		}
		n := items[0]
		if n.ID != id || n.Origin != "ci" || n.Title != "Build 7 is done" || n.Message != "All <green>\n& \"fine\" é 🎉" ||
			n.Topic != "builds" || n.Read || n.System {
			t.Errorf("listed %+v", n)
		}
		if n.Created.Before(before) || n.Created.After(time.Now()) || n.Created.Location() != time.UTC ||
			!n.Created.Equal(n.Created.Truncate(time.Millisecond)) {
			t.Errorf("created %v, want now, in UTC, to the millisecond", n.Created)
		}
		if len(n.Actions) != 2 || n.Actions[0].Title != "Open" || n.Actions[0].URL != "https://ci.example/7?a=1&b=<2>" ||
			n.Actions[1].URL != "/log/7" || n.Actions[0].ID == n.Actions[1].ID || n.Actions[0].ID == "" {
			t.Errorf("actions %+v", n.Actions)
		}
		f.wantList(john, notifications.ListQuery{Filter: all})
	})
}

func TestVisibilityFollowsMembership(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("to ops", notifications.Groups("default/ops"))
		f.post("to dev and jane", notifications.Groups("default/dev").And(notifications.Users("default/jane", "user:Default/JANE")))
		f.post("to all", notifications.Everyone())

		f.wantList(jane, notifications.ListQuery{Filter: personal}, "to dev and jane", "to ops")
		f.wantList(john, notifications.ListQuery{Filter: personal}, "to ops")
		f.wantList(guest, notifications.ListQuery{Filter: personal})
		f.wantList(guest, notifications.ListQuery{Filter: all}, "to all")
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{System: notifications.System}}, "to all")
		f.wantList(jane, notifications.ListQuery{Filter: all}, "to all", "to dev and jane", "to ops")

		f.mark(john, id, true) // the mark must not keep it visible
		f.directory.SetUser("default/john")
		f.directory.SetUser("default/guest", "default/ops")
		f.wantList(john, notifications.ListQuery{Filter: all}, "to all")
		f.wantList(guest, notifications.ListQuery{Filter: personal}, "to ops")
		if err := f.MarkRead(t.Context(), john, id, false); !errors.Is(err, notifications.ErrNotFound) {
			t.Errorf("marking what left with the membership: %v, want ErrNotFound", err)
		}
	})
}

func TestSystemAndUserAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.post("both", notifications.Everyone().And(notifications.Users("default/jane")))
		for _, who := range []notifications.Identity{jane, john} {
			f.wantList(who, notifications.ListQuery{Filter: all}, "both")
		}
		f.wantList(jane, notifications.ListQuery{Filter: personal}, "both")
		f.wantList(john, notifications.ListQuery{Filter: personal})
	})
}

func TestReadStateIsTheReadersOwn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("to ops", notifications.Groups("default/ops"))
		unread := notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}
		read := notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read}}

		f.wantList(jane, unread, "to ops")
		f.wantList(jane, read)
		f.mark(jane, id, true)
		f.mark(jane, strings.ToUpper(id), true) // again, in upper case
		f.wantList(jane, unread)
		f.wantList(jane, read, "to ops")
		f.wantList(john, unread, "to ops")
		if !f.list(jane, read).Items[0].Read {
			t.Error("Read is false after marking as read")
		}
		f.mark(jane, id, false)
		f.wantList(jane, unread, "to ops")
		f.wantList(jane, read)

		fresh := f.post("marked unread first", notifications.Groups("default/ops"))
		f.mark(jane, fresh, false)
		f.wantList(jane, unread, "marked unread first", "to ops")
	})
}

func TestMarkReadTellsNothingAboutOthers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		hidden := f.post("to john", notifications.Users("default/john"))
		unknown := "01890000-0000-7000-8000-000000000000"
		errHidden := f.MarkRead(t.Context(), jane, hidden, true)
		errUnknown := f.MarkRead(t.Context(), jane, unknown, true)
		if !errors.Is(errHidden, notifications.ErrNotFound) || errHidden.Error() != errUnknown.Error() {
			t.Errorf("hidden: %v, unknown: %v; want the same ErrNotFound", errHidden, errUnknown)
		}
		f.wantList(jane, notifications.ListQuery{Filter: all})
		f.wantList(john, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "to john")
		for _, id := range []string{"", "7", "{" + hidden + "}", "urn:uuid:" + hidden, strings.ReplaceAll(hidden, "-", ""), hidden + "\x00"} {
			wantFields(t, f.MarkRead(t.Context(), jane, id, true), "id")
		}
	})
}

func TestFirstMarksAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("once", notifications.Users("default/jane"))
		concurrently(t, 16, func(int) error { return f.MarkRead(t.Context(), jane, id, true) })
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read}}, "once")
	})
}

func TestPostsAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		concurrently(t, 64, func(i int) error {
			_, err := f.Post(t.Context(), ci, notifications.Draft{Origin: "o", Title: fmt.Sprint(i), To: notifications.Groups("default/ops")})
			return err
		})
		n, err := f.Count(t.Context(), john, notifications.Filter{})
		if err != nil || n != 64 {
			t.Errorf("Count = %d, %v; want 64", n, err)
		}
	})
}

func concurrently(t testing.TB, n int, do func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := do(i); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestTextFilter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		to := notifications.Users("default/jane")
		f.post("100% of ÉCLAIRS", to)
		f.post("under_score", to)
		f.post(`back\slash 'quote' "double" ?`, to)
		f.post("ΟΔΟΣ", to)
		f.postDraft(notifications.Draft{Origin: "o", Title: "plain", Message: "E\u0301clair in the body", To: to})
		tests := []struct {
			text   string
			titles []string
		}{
			{"", []string{"plain", "ΟΔΟΣ", `back\slash 'quote' "double" ?`, "under_score", "100% of ÉCLAIRS"}},
			{"éclair", []string{"plain", "100% of ÉCLAIRS"}},
			{"%", []string{"100% of ÉCLAIRS"}},
			{"_", []string{"under_score"}},
			{"R_S", []string{"under_score"}},
			{"r%s", nil},
			{`\S`, []string{`back\slash 'quote' "double" ?`}},
			{`'QUOTE' "double" ?`, []string{`back\slash 'quote' "double" ?`}},
			{"οδος", []string{"ΟΔΟΣ"}},
			{"plainE", nil}, // a text does not match across title and message
			{"IN THE BODY", []string{"plain"}},
			{"test", nil}, // the origin is not searched
		}
		for _, tt := range tests {
			f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Text: tt.text}}, tt.titles...)
		}
	})
}

func TestCreatedAfter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		to := notifications.Users("default/jane")
		f.post("first", to)
		first := f.list(jane, notifications.ListQuery{}).Items[0].Created
		for time.Now().UnixMilli() <= first.UnixMilli()+1 {
			runtime.Gosched() // until ids have another millisecond
		}
		f.post("second", to)
		after := func(at time.Time) notifications.ListQuery {
			return notifications.ListQuery{Filter: notifications.Filter{CreatedAfter: at}}
		}
		f.wantList(jane, after(first), "second")
		f.wantList(jane, after(first.Add(time.Microsecond)), "second")
		f.wantList(jane, after(first.In(time.FixedZone("", 5*3600))), "second")
		f.wantList(jane, after(first.Add(-time.Microsecond)), "second", "first")
		f.wantList(jane, after(first.Add(-time.Millisecond)), "second", "first")
		f.wantList(jane, after(time.Now().Add(time.Hour)))
		f.wantList(jane, after(time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)), "second", "first")
		f.wantList(jane, after(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)))
		f.wantList(jane, after(time.Unix(1<<60, 0)))
	})
}

// TestPagesPartition walks through the pages of every order in three ways. Each
// way finds every notification once, although titles repeat.
func TestPagesPartition(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		var ids []string
		for i := range 60 {
			d := notifications.Draft{
				Origin: []string{"b", "A", "c"}[i%3], Title: []string{"tie", "TIE", "other", "é", "z"}[i%5],
				To: []notifications.Audience{notifications.Users("default/jane"), notifications.Groups("default/ops", "default/dev"), notifications.Everyone()}[i%3],
			}
			if i%4 != 0 {
				d.Topic = []string{"x", "Y"}[i%2]
			}
			if i%3 != 0 {
				d.Message = strings.Repeat("m", 254+i%3) + fmt.Sprint(i)
			}
			ids = append(ids, f.postDraft(d))
		}
		slices.Sort(ids)
		for _, order := range []notifications.Order{"", "title", "message", "topic", "origin"} {
			for _, ascending := range []bool{false, true} {
				q := notifications.ListQuery{Filter: all, OrderBy: order, Ascending: ascending, Limit: 100}
				whole := f.list(jane, q)
				if got := sortedIDs(whole.Items); !slices.Equal(got, ids) || whole.Next != "" {
					t.Fatalf("%s: the whole list has %d of %d, next %q", order, len(got), len(ids), whole.Next)
				}
				q.Limit = 7
				if byCursor := f.walk(jane, q); !slices.Equal(byCursor, idsOf(whole.Items)) {
					t.Errorf("%q ascending=%t: by cursor %v, whole %v", order, ascending, byCursor, idsOf(whole.Items))
				}
				var byOffset []string
				for ; ; q.Offset += q.Limit {
					page := f.list(jane, q)
					if len(page.Items) == 0 {
						break
					}
					byOffset = append(byOffset, idsOf(page.Items)...)
				}
				if !slices.Equal(byOffset, idsOf(whole.Items)) {
					t.Errorf("%q ascending=%t: by offset %v, whole %v", order, ascending, byOffset, idsOf(whole.Items))
				}
			}
		}
	})
}

// walk returns the ids of all pages, following the cursors.
func (f *fixture) walk(who notifications.Identity, q notifications.ListQuery) []string {
	f.t.Helper()
	var ids []string
	for {
		page := f.list(who, q)
		ids = append(ids, idsOf(page.Items)...)
		if page.Next == "" {
			return ids
		}
		if len(page.Items) != q.Limit {
			f.t.Fatalf("a page of %d before the last, want %d", len(page.Items), q.Limit)
		}
		q.After = page.Next
	}
}

func idsOf(items []notifications.Notification) []string {
	ids := make([]string, len(items))
	for i, n := range items {
		ids[i] = n.ID
	}
	return ids
}

func sortedIDs(items []notifications.Notification) []string {
	ids := idsOf(items)
	slices.Sort(ids)
	return ids
}

func TestOrders(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		to := notifications.Users("default/jane")
		for _, d := range []notifications.Draft{
			{Origin: "o", Title: "b", Topic: "Zulu"},
			{Origin: "N", Title: "A"},
			{Origin: "m", Title: "_", Topic: "alpha", Message: "x"},
			{Origin: "o", Title: "é", Topic: "alpha", Message: "W"},
			{Origin: "o", Title: "Z"},
		} {
			d.To = to
			f.postDraft(d)
		}
		tests := []struct {
			order     notifications.Order
			ascending bool
			titles    []string
		}{
			{"", false, []string{"Z", "é", "_", "A", "b"}},
			{"created", true, []string{"b", "A", "_", "é", "Z"}},
			{"title", true, []string{"_", "A", "b", "Z", "é"}}, // by code point after folding: _ < a
			{"title", false, []string{"é", "Z", "b", "A", "_"}},
			{"topic", true, []string{"_", "é", "b", "A", "Z"}}, // absent texts come last
			{"topic", false, []string{"b", "é", "_", "Z", "A"}},
			{"message", true, []string{"é", "_", "b", "A", "Z"}},
			{"origin", true, []string{"_", "A", "b", "é", "Z"}},
		}
		for _, tt := range tests {
			f.wantList(jane, notifications.ListQuery{OrderBy: tt.order, Ascending: tt.ascending}, tt.titles...)
		}
	})
}

func TestCursorSurvivesItsRow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		for i := range 4 {
			f.post(fmt.Sprint(i), notifications.Users("default/jane"))
		}
		for _, order := range []notifications.Order{"created", "title"} {
			page := f.list(jane, notifications.ListQuery{OrderBy: order, Limit: 2})
			last := page.Items[1]
			for _, table := range []string{"deliveries WHERE message_id", "messages WHERE id"} {
				if err := db.Exec("DELETE FROM notification_"+table+" = ?", last.ID).Error; err != nil {
					t.Fatal(err)
				}
			}
			rest := f.walk(jane, notifications.ListQuery{OrderBy: order, Limit: 2, After: page.Next})
			if slices.Contains(rest, last.ID) || slices.Contains(rest, page.Items[0].ID) || len(rest) == 0 {
				t.Errorf("%s: after the row is gone, the rest is %v", order, rest)
			}
		}
	})
}

func TestInvalidQueries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		for range 3 {
			f.post("x", notifications.Users("default/jane"))
		}
		next := f.list(jane, notifications.ListQuery{Limit: 1}).Next
		type query = notifications.ListQuery
		tests := []struct {
			name   string
			q      query
			fields []string
		}{
			{"order", query{OrderBy: "title; DROP TABLE notification_messages"}, []string{"OrderBy"}},
			{"limit", query{Limit: -1}, []string{"Limit"}},
			{"limit too big", query{Limit: 10_001}, []string{"Limit"}},
			{"offset", query{Offset: -1}, []string{"Offset"}},
			{"offset too big", query{Offset: 1_000_000_001}, []string{"Offset"}},
			{"several", query{Limit: -1, OrderBy: "x", Filter: notifications.Filter{Text: "a\x00", System: 9, Read: 9}},
				[]string{"Text", "System", "Read", "OrderBy", "Limit"}},
			{"text", query{Filter: notifications.Filter{Text: "\xff"}}, []string{"Text"}},
			{"no cursor", query{After: "x!"}, []string{"After"}},
			{"cursor with NUL", query{After: "eyJxIjoiIiwiayI6IlwwMDAwIn0"}, []string{"After"}},
			{"cursor cut", query{After: next[:len(next)-4]}, []string{"After"}},
			{"cursor of another order", query{After: next, OrderBy: "title"}, []string{"After"}},
			{"cursor of another direction", query{After: next, Ascending: true}, []string{"After"}},
			{"cursor of another filter", query{After: next, Filter: personal}, []string{"After"}},
			{"cursor and offset", query{After: next, Offset: 1}, []string{"After"}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := f.List(t.Context(), jane, tt.q)
				wantFields(t, err, tt.fields...)
			})
		}
		_, err := f.Count(t.Context(), jane, notifications.Filter{Text: "\x00", Read: -1})
		wantFields(t, err, "Text", "Read")
	})
}

func TestInvalidDrafts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	valid := func(change func(*notifications.Draft)) notifications.Draft {
		d := notifications.Draft{Origin: "o", Title: "t", To: notifications.Users("default/jane")}
		change(&d)
		return d
	}
	action := func(title, url string) notifications.Draft {
		return valid(func(d *notifications.Draft) { d.Actions = []notifications.ActionDraft{{Title: title, URL: url}} })
	}
	manyUsers := make([]string, notifications.MaxTargets+1)
	for i := range manyUsers {
		manyUsers[i] = fmt.Sprintf("default/u%d", i)
	}
	tests := []struct {
		name   string
		d      notifications.Draft
		fields []string
	}{
		{"zero", notifications.Draft{}, []string{"Origin", "Title", "To"}},
		{"long", valid(func(d *notifications.Draft) {
			d.Title, d.Topic = strings.Repeat("é", 256), strings.Repeat("x", 256)
			d.Message = strings.Repeat("x", notifications.MaxMessageBytes+1)
		}), []string{"Title", "Topic", "Message"}},
		{"bytes", valid(func(d *notifications.Draft) { d.Title, d.Origin, d.Message = "\xff", "a\x00", "\xc0\xaf" }),
			[]string{"Origin", "Title", "Message"}},
		{"actions", valid(func(d *notifications.Draft) { d.Actions = make([]notifications.ActionDraft, 17) }), []string{"Actions"}},
		{"empty action", action("", ""), []string{"Actions[0].Title", "Actions[0].URL"}},
		{"scheme", action("x", "javascript:alert(1)"), []string{"Actions[0].URL"}},
		{"hidden scheme", action("x", "java\tscript:alert(1)"), []string{"Actions[0].URL"}},
		{"leading space", action("x", " javascript:alert(1)"), []string{"Actions[0].URL"}},
		{"no host", action("x", "https:///path"), []string{"Actions[0].URL"}},
		{"opaque", action("x", "http:example.com"), []string{"Actions[0].URL"}},
		{"network path", action("x", "//evil.example"), []string{"Actions[0].URL"}},
		{"backslash", action("x", `/\evil.example`), []string{"Actions[0].URL"}},
		{"long url", action("x", "/"+strings.Repeat("x", notifications.MaxURLBytes)), []string{"Actions[0].URL"}},
		{"form of a ref", valid(func(d *notifications.Draft) { d.To = notifications.Users("default/jane", "ja ne") }), []string{"To[1]"}},
		{"unknown", valid(func(d *notifications.Draft) {
			d.To = notifications.Users("default/nobody", "default/jane").And(notifications.Groups("default/none"))
		}), []string{"To[0]", "To[2]"}},
		{"kinds do not mix", valid(func(d *notifications.Draft) { d.To = notifications.Groups("default/jane") }), []string{"To[0]"}},
		{"NUL in a ref", valid(func(d *notifications.Draft) { d.To = notifications.Users("default/\x00", "\xff/x", "") }),
			[]string{"To[0]", "To[1]", "To[2]"}},
		{"many", valid(func(d *notifications.Draft) { d.To = notifications.Users(manyUsers...) }), []string{"To"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.Post(t.Context(), ci, tt.d)
			wantFields(t, err, tt.fields...)
		})
	}
	f.wantList(jane, notifications.ListQuery{Filter: all}) // nothing was stored

	repeated := slices.Repeat([]string{"default/jane"}, 5000)
	f.postDraft(valid(func(d *notifications.Draft) { d.To = notifications.Users(repeated...) }))
	f.postDraft(valid(func(d *notifications.Draft) {
		d.Title, d.Message = strings.Repeat("é", 255), strings.Repeat("x", notifications.MaxMessageBytes)
	}))
	f.wantList(jane, notifications.ListQuery{OrderBy: "message"}, strings.Repeat("é", 255), "t")
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		if err := f.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.List(cancelled, jane, notifications.ListQuery{}); !errors.Is(err, context.Canceled) {
			t.Errorf("List of a cancelled caller: %v, want context.Canceled underneath", err)
		}
		if err := db.Exec("DROP TABLE notification_states").Error; err != nil {
			t.Fatal(err)
		}
		if err := f.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("Ready without tables: %v, want ErrUnavailable", err)
		}
		if _, err := f.List(t.Context(), jane, notifications.ListQuery{}); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("List without tables: %v, want ErrUnavailable", err)
		}
	})
}

func TestPostTx(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		if err := db.Exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)").Error; err != nil {
			t.Fatal(err)
		}
		rollBack := errors.New("roll back")
		order := func(id int, fail error) error {
			return db.Transaction(func(tx *gorm.DB) error {
				if err := tx.Exec("INSERT INTO orders VALUES (?)", id).Error; err != nil {
					return err
				}
				_, err := f.WithTx(tx).Post(t.Context(), ci, notifications.Draft{
					Origin: "shop", Title: fmt.Sprint("order ", id), To: notifications.Groups("default/ops", "default/dev"),
				})
				return errors.Join(err, fail)
			})
		}
		if err := order(1, nil); err != nil {
			t.Fatal(err)
		}
		if err := order(2, rollBack); !errors.Is(err, rollBack) {
			t.Fatal(err)
		}
		f.wantList(jane, notifications.ListQuery{}, "order 1")

		// A refused draft leaves the transaction usable.
		err := db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(t.Context(), ci, notifications.Draft{Origin: "shop", Title: "x", To: notifications.Users("default/none")})
			wantFields(t, err, "To[0]")
			return tx.Exec("INSERT INTO orders VALUES (3)").Error
		})
		if err != nil {
			t.Fatal(err)
		}
		var orders []int
		if err := db.Raw("SELECT id FROM orders ORDER BY id").Scan(&orders).Error; err != nil || !slices.Equal(orders, []int{1, 3}) {
			t.Errorf("orders %v, %v; want 1 and 3", orders, err)
		}
	})
}

// TestTaintedHandle: conditions that the host set on its handle have no effect.
func TestTaintedHandle(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db.Where("1 = 0").Limit(1).Table("nonsense").Order("nonsense"))
		f.post("x", notifications.Users("default/jane"))
		f.post("y", notifications.Users("default/jane"))
		f.wantList(jane, notifications.ListQuery{}, "y", "x")
	})
}

// TestHostsConfiguration: the settings of the host's GORM do not change the
// library's queries.
func TestHostsConfiguration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		hosts, err := gorm.Open(db.Dialector, &gorm.Config{
			PrepareStmt: true, TranslateError: true, QueryFields: true, CreateBatchSize: 1, FullSaveAssociations: true,
			DisableNestedTransaction: true, AllowGlobalUpdate: true,
			NamingStrategy: schema.NamingStrategy{TablePrefix: "host.", SingularTable: true, NoLowerCase: true},
			NowFunc:        func() time.Time { return time.Unix(0, 0) },
		})
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, hosts)
		for i := range 10 { // after five executions PostgreSQL may use a generic plan
			id := f.post(fmt.Sprint(i), notifications.Groups("default/ops", "default/dev"))
			f.mark(jane, id, i%2 == 0)
			f.list(jane, notifications.ListQuery{OrderBy: "title"})
		}
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "9", "7", "5", "3", "1")
		err = hosts.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(t.Context(), ci, notifications.Draft{Origin: "o", Title: "tx", To: notifications.Users("default/jane")})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Text: "TX"}}, "tx")

		// All or nothing, even if deliveries are stored by a second statement.
		rename := func(from, to string) {
			if err := db.Exec("ALTER TABLE " + from + " RENAME TO " + to).Error; err != nil {
				t.Fatal(err)
			}
		}
		rename("notification_deliveries", "elsewhere")
		_, err = f.Post(t.Context(), ci, notifications.Draft{Origin: "o", Title: "half", To: notifications.Users("default/jane")})
		rename("elsewhere", "notification_deliveries")
		var half int64
		if err := db.Table("notification_messages").Where("title = 'half'").Count(&half).Error; err != nil || half != 0 {
			t.Errorf("%d messages without a delivery, %v", half, err)
		}
		if err == nil {
			t.Error("a post is stored without its deliveries")
		}
		if db.Name() != "sqlite" {
			return // after a failure PostgreSQL refuses all further statements of the transaction
		}
		err = hosts.Transaction(func(tx *gorm.DB) error {
			tx.Exec("ALTER TABLE notification_deliveries RENAME TO elsewhere")
			if _, err := f.WithTx(tx).Post(t.Context(), ci, notifications.Draft{Origin: "o", Title: "half", To: notifications.Users("default/jane")}); err == nil {
				t.Error("a post is stored without its deliveries in the host's transaction")
			}
			return tx.Exec("ALTER TABLE elsewhere RENAME TO notification_deliveries").Error // the host's transaction goes on
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Table("notification_messages").Where("title = 'half'").Count(&half).Error; err != nil || half != 0 {
			t.Errorf("%d messages without a delivery in the host's transaction, %v", half, err)
		}
		if !hosts.DisableNestedTransaction {
			t.Error("the host's own setting was changed")
		}
	})
}

// TestManyGroups has a reader in more groups than SQLite allows branches in a
// statement.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		var refs []string
		for i := range 700 {
			refs = append(refs, fmt.Sprintf("default/g%d", i))
		}
		f.directory.SetUser("default/jane", refs...)
		f.post("to all groups", notifications.Groups(refs...))
		id := f.post("to the last", notifications.Groups(refs[699]))
		f.wantList(jane, notifications.ListQuery{}, "to the last", "to all groups")
		f.mark(jane, id, true)
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}, "to all groups")
	})
}

func TestNewReportsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := notifications.New(notifications.Config{})
	for _, field := range []string{"Config.DB", "Config.Catalog", "Config.Policy"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New: %v, want a fault of %s", err, field)
		}
	}
}

func TestSameUser(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	for ref, want := range map[string]bool{
		"default/jane": true, "Default/JANE": true, "user:default/jane": true,
		"default/john": false, "jane": false, "": false, "group:default/jane": false,
	} {
		if got := f.SameUser(jane, ref); got != want {
			t.Errorf("SameUser(jane, %q) = %t, want %t", ref, got, want)
		}
	}
	if f.SameUser(notifications.ServiceAccount("default/jane"), "default/jane") {
		t.Error("a service is taken for a user")
	}
}

// TestPluginRefuses: an error of a GORM plugin of the host becomes an error of
// the verb.
func TestPluginRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("a", notifications.Users("default/jane"))
		errRefused := errors.New("refused")
		beforeStatements(t, db, func(db *gorm.DB) { _ = db.AddError(errRefused) })
		ctx := t.Context()
		verbs := map[string]func() error{
			"List":     func() error { _, err := f.List(ctx, jane, notifications.ListQuery{}); return err },
			"Count":    func() error { _, err := f.Count(ctx, jane, notifications.Filter{}); return err },
			"Get":      func() error { _, err := f.Get(ctx, jane, id); return err },
			"Status":   func() error { _, err := f.Status(ctx, jane, notifications.SystemOrNot); return err },
			"Topics":   func() error { _, err := f.Topics(ctx, jane, notifications.SystemOrNot); return err },
			"MarkRead": func() error { return f.MarkRead(ctx, jane, id, true) },
			"Withdraw": func() error { return f.Withdraw(ctx, ci, id) },
			"Reach":    func() error { _, err := f.Reach(ctx, ci, id); return err },
			"Explain": func() error {
				_, err := f.Explain(ctx, ci, notifications.ExplainQuery{ID: id, User: "default/jane"})
				return err
			},
			"Purge": func() error { _, err := f.Purge(ctx, notifications.PurgeOptions{}); return err },
		}
		for name, do := range verbs {
			if err := do(); !errors.Is(err, errRefused) || !errors.Is(err, notifications.ErrUnavailable) {
				t.Errorf("%s: %v, want it refused and unavailable", name, err)
			}
		}
	})
}
