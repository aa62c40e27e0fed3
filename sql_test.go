package notifications_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/sqlgolden"
	"gorm.io/gorm"
)

// sqlCase is one call, whose statements are in a golden file.
type sqlCase struct {
	file string
	do   func(f *fixture) error
}

func listing(file string, who notifications.Identity, q notifications.ListQuery) sqlCase {
	return sqlCase{file, func(f *fixture) error { _, err := f.List(f.t.Context(), who, q); return err }}
}

func counting(file string, filter notifications.Filter) sqlCase {
	return sqlCase{file, func(f *fixture) error { _, err := f.Count(f.t.Context(), jane, filter); return err }}
}

func marking(file string, sel notifications.Selection, change notifications.StateChange) sqlCase {
	return sqlCase{file, func(f *fixture) error { _, err := f.SetState(f.t.Context(), jane, sel, change); return err }}
}

func posting(file string, drafts ...notifications.Draft) sqlCase {
	return sqlCase{file, func(f *fixture) error {
		if len(drafts) == 1 {
			_, err := f.Post(f.t.Context(), ci, drafts[0])
			return err
		}
		_, err := f.PostMany(f.t.Context(), ci, drafts)
		return err
	}}
}

// nextPage lists the page after the first one of q.
func nextPage(file string, q notifications.ListQuery, first int) sqlCase {
	return sqlCase{file, func(f *fixture) error {
		q.Limit = first
		q.After = f.list(jane, q).Next
		f.recorded.Take()
		_, err := f.List(f.t.Context(), jane, q)
		return err
	}}
}

// filtered uses every condition of a filter.
var filtered = notifications.Filter{
	Text: "x", CreatedAfter: time.UnixMilli(1), Read: notifications.Unread, Saved: notifications.NotSaved,
	Archived: notifications.NotArchived, MinSeverity: "low", Topic: "t", Origin: "o",
}

// marked uses only the conditions on marks.
var marked = notifications.Filter{Read: notifications.Read, Saved: notifications.Saved, Archived: notifications.Archived}

// sqlCases are in an order in which each finds something to do.
var sqlCases = []sqlCase{
	posting("post", draft("first", toJane.And(toOps))),
	posting("post_many", draft("second", toJane), draft("third", toEveryone)),
	posting("post_scoped", scopedDraft("fourth", toJane.And(toJohn))),
	posting("post_replaces_all_of_an_earlier_one", scopedDraft("fifth", toJane.And(toJohn).And(toEveryone))),
	posting("post_replaces_part_of_an_earlier_one", scopedDraft("sixth", toEveryone)),
	posting("post_keeps_place", keepPlaceDraft("seventh", toEveryone)),
	posting("post_keyed", keyedDraft("eighth", toJane)),
	{"post_keyed_with_a_deadline", func(f *fixture) error {
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Hour)
		defer cancel()
		_, err := f.Post(ctx, ci, withKey("key of a deadline", draft("in time", toJane)))
		return err
	}},
	posting("post_keyed_again", keyedDraft("eighth", toJane)),
	posting("post_many_scoped_and_keyed", withKey("key 2", scopedDraft("ninth", toEveryone)), withKey("key 3", draft("tenth", toJane))),
	{"post_keyed_after_a_lost_answer", func(f *fixture) error {
		return notifications.Committed(f.t.Context(), f.Service, f.newest())
	}},
	{"post_in_a_transaction_of_the_host", func(f *fixture) error {
		return f.db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(f.t.Context(), ci, draft("in a transaction", toJane))
			return err
		})
	}},
	listing("list_created", jane, notifications.ListQuery{}),
	listing("list_created_personal", jane, notifications.ListQuery{Filter: personal}),
	listing("list_created_unread", jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}),
	listing("list_created_filtered", jane, notifications.ListQuery{Filter: filtered}),
	listing("list_created_of_marks", jane, notifications.ListQuery{Filter: marked}),
	listing("list_created_oldest_first", jane, notifications.ListQuery{Ascending: true, Offset: 1}),
	nextPage("list_created_after_a_cursor", notifications.ListQuery{}, 1),
	listing("list_created_of_many_audiences", busy, notifications.ListQuery{}),
	listing("list_created_filtered_of_many_audiences", busy, notifications.ListQuery{Filter: filtered}),
	listing("list_created_of_marks_of_many_audiences", busy, notifications.ListQuery{Filter: marked}),
	listing("list_by_origin_of_severity", jane, notifications.ListQuery{OrderBy: notifications.OrderOrigin, Filter: notifications.Filter{MinSeverity: "high", Archived: notifications.ArchivedOrNot}}),
	listing("list_by_title", jane, notifications.ListQuery{OrderBy: notifications.OrderTitle}),
	listing("list_by_message_filtered", jane, notifications.ListQuery{OrderBy: notifications.OrderMessage, Filter: filtered}),
	listing("list_by_origin", jane, notifications.ListQuery{OrderBy: notifications.OrderOrigin, Ascending: true}),
	listing("list_created_large", jane, notifications.ListQuery{Limit: notifications.MaxLimit}),
	listing("list_by_title_large", jane, notifications.ListQuery{OrderBy: notifications.OrderTitle, Limit: notifications.MaxLimit}),
	nextPage("list_by_title_after_a_cursor", notifications.ListQuery{OrderBy: notifications.OrderTitle}, 1),
	nextPage("list_by_topic_after_a_cursor_without_one", notifications.ListQuery{OrderBy: notifications.OrderTopic}, 1),
	{"get", func(f *fixture) error { _, err := f.Get(f.t.Context(), jane, f.newest()); return err }},
	counting("count", notifications.Filter{}),
	counting("count_whatever_the_state", notifications.Filter{Archived: notifications.ArchivedOrNot}),
	counting("count_unread", notifications.Filter{Read: notifications.Unread}),
	counting("count_filtered", filtered),
	counting("count_of_marks", marked),
	{"status", func(f *fixture) error {
		_, err := f.Status(f.t.Context(), jane, notifications.SystemOrNot)
		return err
	}},
	{"topics", func(f *fixture) error {
		_, err := f.Topics(f.t.Context(), jane, notifications.SystemOrNot)
		return err
	}},
	{"mark_read", func(f *fixture) error { return f.MarkRead(f.t.Context(), jane, f.newest(), true) }},
	{"mark_read_again", func(f *fixture) error { return f.MarkRead(f.t.Context(), jane, f.newest(), true) }},
	{"mark_unread", func(f *fixture) error { return f.MarkRead(f.t.Context(), jane, f.newest(), false) }},
	marking("mark_all_up_to_an_id", notifications.ByFilterUpTo(all, "ffffffff-ffff-ffff-ffff-ffffffffffff"), read),
	{"mark_all_seen", func(f *fixture) error {
		at := f.list(jane, notifications.ListQuery{}).Position
		f.recorded.Take()
		_, err := f.SetState(f.t.Context(), jane, notifications.ByFilterSeen(all, at), unread)
		return err
	}},
	marking("mark_all_states_by_filter", notifications.ByFilter(filtered), notifications.StateChange{Read: new(true), Saved: new(true), Archived: new(true)}),
	marking("save", notifications.ByIDs("ffffffff-ffff-ffff-ffff-ffffffffffff"), saved),
	marking("archive_no_more", notifications.ByFilter(withArchived), notifications.StateChange{Archived: new(false)}),
	{"mark_every_change", func(f *fixture) error {
		for _, change := range everyChange() {
			if _, err := f.SetState(f.t.Context(), jane, notifications.ByIDs("ffffffff-ffff-ffff-ffff-ffffffffffff"), change); err != nil {
				return err
			}
		}
		return nil
	}},
	{"reach", func(f *fixture) error { _, err := f.Reach(f.t.Context(), ci, f.newest()); return err }},
	{"explain", func(f *fixture) error {
		_, err := f.Explain(f.t.Context(), ci, notifications.ExplainQuery{ID: f.newest(), User: "default/jane"})
		return err
	}},
	{"withdraw", func(f *fixture) error { return f.Withdraw(f.t.Context(), ci, f.newest()) }},
	{"withdraw_scope", func(f *fixture) error {
		_, err := f.WithdrawScope(f.t.Context(), ci, notifications.ScopeKey{Origin: "test", Scope: "build 7"})
		return err
	}},
	{"purge", func(f *fixture) error {
		_, err := f.Purge(f.t.Context(), notifications.PurgeOptions{OlderThan: time.Hour})
		return err
	}},
	{"erase_user", func(f *fixture) error {
		_, err := f.EraseUser(f.t.Context(), ci, "default/jane")
		return err
	}},
	{"tick", func(f *fixture) error { return notifications.Tick(f.t.Context(), f.Service) }},
	{"tick_and_prune", func(f *fixture) error {
		f.advance(17 * time.Minute)
		return notifications.Tick(f.t.Context(), f.Service)
	}},
	{"epoch", func(f *fixture) error {
		if err := f.db.Exec("UPDATE notification_epoch SET identity = 'another'").Error; err != nil {
			return err
		}
		f.recorded.Take()
		return notifications.Tick(f.t.Context(), f.Service)
	}},
	{"ready", func(f *fixture) error { return f.Ready(f.t.Context()) }},
	{"baseline", func(f *fixture) error {
		all, err := notifications.Migrations(f.db.Name())
		if err != nil {
			return err
		}
		return f.Baseline(f.t.Context(), all[len(all)-1].Version)
	}},
	{"migrate", func(f *fixture) error { return f.Migrate(f.t.Context()) }},
}

// readBeforeCases are the cases whose statements depend on the age of the
// everyChange is every way to change the marks of a reader.
func everyChange() []notifications.StateChange {
	var changes []notifications.StateChange
	to := []*bool{nil, new(true), new(false)}
	for _, read := range to {
		for _, saved := range to {
			for _, archived := range to {
				change := notifications.StateChange{Read: read, Saved: saved, Archived: archived}
				if change != (notifications.StateChange{}) {
					changes = append(changes, change)
				}
			}
		}
	}
	return changes
}

// account.
var readBeforeCases = []sqlCase{
	listing("history_read_list_unread", jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}),
	listing("history_read_list_read_by_title", jane, notifications.ListQuery{OrderBy: notifications.OrderTitle, Filter: notifications.Filter{Read: notifications.Read}}),
	counting("history_read_count", notifications.Filter{Read: notifications.Read}),
	{"history_read_status", func(f *fixture) error { _, err := f.Status(f.t.Context(), jane, notifications.System); return err }},
	{"history_read_topics", func(f *fixture) error { _, err := f.Topics(f.t.Context(), jane, notifications.System); return err }},
	marking("history_read_mark", notifications.ByFilter(all), read),
	marking("history_read_mark_unread", notifications.ByFilter(all), unread),
	{"history_read_mark_every_change", func(f *fixture) error {
		for _, change := range everyChange() {
			if _, err := f.SetState(f.t.Context(), jane, notifications.ByIDs("ffffffff-ffff-ffff-ffff-ffffffffffff"), change); err != nil {
				return err
			}
		}
		return nil
	}},
	marking("history_read_save", notifications.ByFilter(all), saved),
}

// busy is in more groups than PostgreSQL merges.
var busy = notifications.User("default/busy")

func draft(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, To: to}
}

// newest returns the id of jane's newest notification.
func (f *fixture) newest() string {
	f.t.Helper()
	n := f.list(jane, notifications.ListQuery{Filter: withArchived, Limit: 1}).Items
	if len(n) == 0 {
		f.t.Fatal("jane has no notification")
	}
	f.recorded.Take()
	return n[0].ID
}

// TestSQL compares every statement that the library sends with the files in
// testdata/sql, where people read it.
func TestSQL(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		var groups []string
		for i := range 20 {
			groups = append(groups, fmt.Sprintf("default/g%02d", i))
		}
		f.directory.SetUser("default/busy", groups...)
		f.recorded = sqlgolden.Record(t, db)
		dir := filepath.Join("testdata", "sql", db.Name())
		check := func(f *fixture, cases []sqlCase) {
			if err := notifications.SettleLog(t.Context(), f.Service); err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				f.advance(time.Second)
				f.recorded.Take()
				if err := c.do(f); err != nil {
					t.Errorf("%s: %v", c.file, err)
				}
				statements := f.recorded.Take()
				if len(statements) == 0 {
					t.Errorf("%s sends nothing", c.file)
				}
				sqlgolden.Check(t, filepath.Join(dir, c.file+".sql"), statements)
			}
		}
		check(f, sqlCases[:len(sqlCases)-10])
		f.directory.SetAccount("default/jane", f.now())
		check(f.with(systemRead), readBeforeCases)
		check(f, sqlCases[len(sqlCases)-10:])
		everyLineIsInAFile(f, sqlgolden.LinesOf(t, dir))
	})
}

// everyLineIsInAFile runs lists and counts with every combination of filters.
// Each line of their statements must occur in some golden file.
func everyLineIsInAFile(f *fixture, lines sqlgolden.Lines) {
	f.t.Helper()
	told := map[string]bool{}
	for _, filter := range stateFilters() {
		for _, filter.System = range []notifications.SystemFilter{notifications.SystemOrNot, notifications.NotSystem, notifications.System} {
			for _, filter.Topic = range []string{"", "t"} {
				for _, filter.MinSeverity = range []notifications.Severity{"", "high"} {
					f.list(john, notifications.ListQuery{Filter: filter, Ascending: filter.Topic == ""})
					f.list(john, notifications.ListQuery{Filter: filter, OrderBy: notifications.OrderTopic})
					if _, err := f.Count(f.t.Context(), john, filter); err != nil {
						f.t.Error(err)
					}
					if _, err := f.SetState(f.t.Context(), john, notifications.ByFilter(filter), read); err != nil {
						f.t.Error(err)
					}
				}
			}
		}
	}
	for _, sql := range f.recorded.Take() {
		for _, line := range lines.Missing(sql) {
			if !told[line] {
				told[line] = true
				f.t.Errorf("no file in testdata/sql has the line %q, which is sent in\n%s", line, sqlgolden.Format(sql))
			}
		}
	}
}

// TestAliases: an alias means the same in every statement.
func TestAliases(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"msg": "notification_messages", "del": "notification_deliveries", "st": "notification_states",
		"ch": "notification_changes", "tick": "notification_ticks", "epoch": "notification_epoch",
	}
	pattern := regexp.MustCompile(`(?i)(?:FROM|JOIN|INTO) (notification_\w+)(?: AS)? (\w+)`)
	files, err := filepath.Glob("testdata/sql/*/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			table, alias := m[1], m[2]
			if strings.ToUpper(alias) == alias || alias == "held" && strings.Contains(m[0], "INTO") {
				continue // a keyword, or the existing row of an upsert
			}
			if want[alias] != table {
				t.Errorf("%s: %s is called %s", file, table, alias)
			}
		}
	}
}
