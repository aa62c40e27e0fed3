package notifications_test

import (
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestEraseUser: no column of any table mentions the user afterwards, and data
// of others stays.
func TestEraseUser(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		both := toJohn.And(toJane)
		list := map[string]string{
			"to them":            f.post("to them", toJohn),
			"to them and all":    f.post("to them and all", toJohn.And(toEveryone)),
			"to both":            f.post("to both", both),
			"to their group":     f.post("to their group", toOps),
			"their own":          f.postAs(john, notifications.Draft{Origin: "o", Title: "their own", Scope: "s", IdempotencyKey: "k", To: both}),
			"their own, to them": f.postAs(john, notifications.Draft{Origin: "o", Title: "their own, to them", Scope: "t", To: toJohn}),
			"withdrawn":          f.post("withdrawn", both),
			"withdrawn, to them": f.post("withdrawn, to them", toJohn),
			"expiring":           f.postDraft(expiringDraft(f.now().Add(time.Minute), "expiring", both)),
			"scheduled":          f.postDraft(scheduledDraft(f.now().Add(day), "scheduled", both)),
			"taken over":         f.postDraft(scopedDraft("taken over", both.And(toOps))),
			"left to them":       f.postAs(jane, scopedDraft("left to them", toJohn.And(toOps))),
		}
		f.mark(jane, list["left to them"], true)
		f.advance(time.Second)
		list["taker"] = f.postDraft(scopedDraft("taker", toJohn.And(toOps)))
		f.withdraw(f.postAs(jane, scopedDraft("taker of the other", toOps)))
		for title, id := range list {
			if title == "scheduled" {
				continue
			}
			if _, err := f.SetState(t.Context(), john, ids(id), allMarks); err != nil {
				t.Fatal(err)
			}
		}
		f.withdraw(list["withdrawn"])
		f.withdraw(list["withdrawn, to them"])
		f.advance(time.Hour)
		if found := f.mentions("john"); len(found) < 5 {
			t.Fatalf(`before the erasure "john" is only in %q`, found)
		}
		f.setState(jane, ids(list["to both"], list["to their group"]), saved, 2)

		f.directory.RemoveUser("default/john") // the user has left already
		want := notifications.Erased{Marks: 11, Notifications: 4, Shared: 7, Posts: 1, Keys: 1}
		for range 2 { // repeating it changes nothing
			if erased := f.erase("USER:Default/John"); erased != want {
				t.Errorf("erased %+v, want %+v", erased, want)
			}
			want = notifications.Erased{}
			if found := f.mentions("john"); len(found) > 0 {
				t.Errorf(`after the erasure "john" is in %q`, found)
			}
			f.wantVisible(jane, "taker", "taken over", "their own", "to their group", "to both", "to them and all")
			f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Saved: notifications.Saved}}, "to their group", "to both")
		}
		if scope := f.get(jane, list["their own"]).Scope; scope != "" {
			t.Errorf("a post of the erased user still has the scope %q", scope)
		}
		var states int64
		if err := db.Raw("SELECT count(*) FROM notification_states WHERE message_id NOT IN (SELECT id FROM notification_messages)").Find(&states).Error; err != nil || states != 0 {
			t.Errorf("%d states of what is gone, %v", states, err)
		}
		f.wantReach(list["to both"], 0, "user:default/jane")
		f.wantReach(list["to them and all"], 0, "system")
		f.wantReasons(list["to them"], "default/jane", notifications.ReasonUnknown)
		f.wantReasons(list["their own, to them"], "default/jane", notifications.ReasonUnknown)
		f.wantReasons(list["withdrawn"], "default/jane", notifications.ReasonWithdrawn)
		f.withdraw(list["their own"]) // only PermissionDeleteAny allows it
		f.advance(day)
		f.wantVisible(jane, "scheduled", "taker", "taken over", "to their group", "to both", "to them and all")
		f.directory.SetAccount("default/john", time.Time{}) // another user of the same name
		f.wantVisible(john, "to them and all")

		for _, name := range []string{"jo hn", ""} {
			_, err := f.EraseUser(t.Context(), ci, name)
			wantFields(t, err, "user")
		}
		f.erase("default/nobody")
	})
}

// TestEraseLeavesNamesakes: users whose names begin alike keep their data.
func TestEraseLeavesNamesakes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.directory.SetAccount("default/john2", time.Time{})
		f.directory.SetAccount("default/joh_", time.Time{})
		john2 := notifications.User("default/john2")
		shared := f.post("shared", notifications.Users("default/john", "default/john2", "default/joh_"))
		service := f.postAs(notifications.ServiceAccount("user:default/john"), keyedDraft("of a service", toJane))
		f.setState(john2, ids(shared), saved, 1)
		f.withdraw(f.post("withdrawn", notifications.Users("default/john2")))
		f.erase("default/john")
		f.erase("default/joh_")
		f.wantVisible(john2, "shared")
		f.wantMarks(john2, shared, "saved")
		f.wantReach(shared, 0, "user:default/john2")
		if again := f.postAs(notifications.ServiceAccount("user:default/john"), keyedDraft("of a service", toJane)); again != service {
			t.Errorf("the key of a service was forgotten: %s, want %s", again, service)
		}
	})
}
