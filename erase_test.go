package notifications_test

import (
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestEraseUser: nothing of the user is left in any column of any table, and
// what is not his own stays.
func TestEraseUser(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		both := toJohn.And(toJane)
		list := map[string]string{
			"to him":         f.post("to him", toJohn),
			"to him and all": f.post("to him and all", toJohn.And(toEveryone)),
			"to both":        f.post("to both", both),
			"to his group":   f.post("to his group", toOps),
			"his own":        f.postAs(john, notifications.Draft{Origin: "o", Title: "his own", Scope: "s", IdempotencyKey: "k", To: both}),
			"his, to him":    f.postAs(john, notifications.Draft{Origin: "o", Title: "his, to him", Scope: "t", To: toJohn}),
			"withdrawn":      f.post("withdrawn", both),
			"withdrawn, his": f.post("withdrawn, his", toJohn),
			"expiring":       f.postDraft(until(f.now().Add(time.Minute), "expiring", both)),
			"scheduled":      f.postDraft(at(f.now().Add(day), "scheduled", both)),
			"taken over":     f.postDraft(about("taken over", both.And(toOps))),
			"left to him":    f.postAs(jane, about("left to him", toJohn.And(toOps))),
		}
		f.mark(jane, list["left to him"], true)
		f.advance(time.Second)
		list["taker"] = f.postDraft(about("taker", toJohn.And(toOps)))
		f.withdraw(f.postAs(jane, about("taker of the other", toOps)))
		for title, id := range list {
			if title == "scheduled" {
				continue
			}
			if _, err := f.SetState(t.Context(), john, ids(id), allMarks); err != nil {
				t.Fatal(err)
			}
		}
		f.withdraw(list["withdrawn"])
		f.withdraw(list["withdrawn, his"])
		f.advance(time.Hour)
		if found := f.mentions("john"); len(found) < 5 {
			t.Fatalf("before erasing, he is in %q alone", found)
		}
		f.set(jane, ids(list["to both"], list["to his group"]), saved, 2)

		f.directory.RemoveUser("default/john") // he has left already
		for range 2 {                          // again changes nothing
			f.erase("USER:Default/John")
			if found := f.mentions("john"); len(found) > 0 {
				t.Errorf("after erasing, he is in %q", found)
			}
			f.see(jane, "taker", "taken over", "his own", "to his group", "to both", "to him and all")
			f.expect(jane, notifications.ListQuery{Filter: notifications.Filter{Saved: notifications.Saved}}, "to his group", "to both")
		}
		if scope := f.get(jane, list["his own"]).Scope; scope != "" {
			t.Errorf("what he posted has the scope %q still", scope)
		}
		var states int64
		if err := db.Raw("SELECT count(*) FROM notification_states WHERE message_id NOT IN (SELECT id FROM notification_messages)").Find(&states).Error; err != nil || states != 0 {
			t.Errorf("%d states of what is gone, %v", states, err)
		}
		f.reach(list["to both"], 0, "user:default/jane")
		f.reach(list["to him and all"], 0, "system")
		f.because(list["to him"], "default/jane", notifications.ReasonUnknown)
		f.because(list["his, to him"], "default/jane", notifications.ReasonUnknown)
		f.because(list["withdrawn"], "default/jane", notifications.ReasonWithdrawn)
		f.withdraw(list["his own"]) // by notifications.delete.any alone
		f.advance(day)
		f.see(jane, "scheduled", "taker", "taken over", "to his group", "to both", "to him and all")
		f.directory.SetAccount("default/john", time.Time{}) // somebody of his name
		f.see(john, "to him and all")

		wantFields(t, f.EraseUser(t.Context(), ci, "jo hn"), "user")
		wantFields(t, f.EraseUser(t.Context(), ci, ""), "user")
		f.erase("default/nobody")
	})
}

// TestEraseLeavesNamesakes: refs are compared whole.
func TestEraseLeavesNamesakes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.directory.SetAccount("default/john2", time.Time{})
		f.directory.SetAccount("default/joh_", time.Time{})
		john2 := notifications.User("default/john2")
		shared := f.post("shared", notifications.Users("default/john", "default/john2", "default/joh_"))
		service := f.postAs(notifications.ServiceAccount("user:default/john"), keyed("of a service", toJane))
		f.set(john2, ids(shared), saved, 1)
		f.withdraw(f.post("withdrawn", notifications.Users("default/john2")))
		f.erase("default/john")
		f.erase("default/joh_")
		f.see(john2, "shared")
		f.marked(john2, shared, "saved")
		f.reach(shared, 0, "user:default/john2")
		if again := f.postAs(notifications.ServiceAccount("user:default/john"), keyed("of a service", toJane)); again != service {
			t.Errorf("the key of a service was forgotten: %s, want %s", again, service)
		}
	})
}
