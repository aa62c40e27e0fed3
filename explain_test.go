package notifications_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// wantExplanation checks an explanation. It checks too that the explanation
// agrees with Get and List, if the user is in the directory.
func (f *fixture) wantExplanation(id, user string, listed bool, want ...notifications.Reason) {
	f.t.Helper()
	e, err := f.Explain(f.t.Context(), ci, notifications.ExplainQuery{ID: id, User: user})
	if err != nil || !slices.Equal(e.Reasons, want) {
		f.t.Errorf("Explain(%s, %s) = %v, %v; want %v", id, user, e.Reasons, err, want)
	}
	who := notifications.User(user)
	_, err = f.Get(f.t.Context(), who, id)
	if visible := err == nil; e.Visible != visible {
		f.t.Errorf("Explain(%s, %s): visible %t, Get says %v", id, user, e.Visible, err)
	}
	page, err := f.List(f.t.Context(), who, notifications.ListQuery{Filter: all})
	if inList := err == nil && slices.Contains(idsOf(page.Items), strings.ToLower(id)); e.Listed != inList || e.Listed != listed {
		f.t.Errorf("Explain(%s, %s): listed %t, List says %t, want %t", id, user, e.Listed, inList, listed)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		type reason = notifications.Reason
		f := newClockedFixture(t, db)
		id := f.postDraft(scopedDraft("a", toJane.And(toOps).And(toEveryone)))
		later := f.advance(time.Minute).UTC()

		// Reasons to see it.
		direct := reason{Code: "direct", Audience: "user:default/jane"}
		group := reason{Code: "group", Audience: "group:default/ops"}
		system := reason{Code: "system", Audience: "system"}
		f.wantExplanation(id, "default/jane", true, group, system, direct)
		f.wantExplanation(strings.ToUpper(id), "user:Default/JOHN", true, group, system)
		f.wantExplanation(id, "default/guest", true, system)

		// The user's marks.
		f.setState(jane, ids(id), read, 1)
		f.advance(time.Minute)
		f.setState(jane, ids(id), saved, 1)
		f.setState(jane, ids(id), archived, 1)
		at2 := f.now().UTC()
		f.wantExplanation(id, "default/jane", false, group, system, direct,
			reason{Code: "read", At: later}, reason{Code: "saved", At: at2}, reason{Code: "archived", At: at2})

		// Reasons not to see it.
		f.wantExplanation(unknownID, "default/jane", false, reason{Code: "unknown"})
		f.wantExplanation(unknownID, "default/stranger", false, reason{Code: "unknown"})
		f.wantExplanation(id, "default/stranger", false, reason{Code: "no-such-user", Audience: "user:default/stranger"}, system)
		johns := f.post("to john", toJohn)
		f.wantExplanation(johns, "default/guest", false, reason{Code: "not-addressed"})

		scheduled := f.postDraft(scheduledDraft(at2.Add(time.Hour), "scheduled", toJane))
		f.wantExplanation(scheduled, "default/jane", false, reason{Code: "scheduled", At: at2.Add(time.Hour)}, direct)
		f.wantExplanation(scheduled, "default/guest", false, reason{Code: "scheduled", At: at2.Add(time.Hour)}, reason{Code: "not-addressed"})
		expiring := f.postDraft(expiringDraft(at2.Add(time.Hour), "expiring", toOps))
		f.wantExplanation(expiring, "default/jane", true, group)
		f.advance(time.Hour)
		f.wantExplanation(scheduled, "default/jane", true, direct)
		f.wantExplanation(expiring, "default/jane", false, reason{Code: "expired", At: at2.Add(time.Hour)}, group)

		taker := f.postDraft(scopedDraft("taker", toJane.And(toEveryone)))
		f.wantExplanation(id, "default/guest", false, reason{Code: "not-addressed", By: taker})
		f.wantExplanation(id, "default/john", true, group)
		last := f.postDraft(scopedDraft("last", toOps))
		f.wantExplanation(id, "default/john", false, reason{Code: "replaced", At: f.now().UTC(), By: last})
		f.wantExplanation(id, "default/guest", false, reason{Code: "replaced", At: f.now().UTC(), By: last})
		f.withdraw(taker)
		f.wantExplanation(taker, "default/jane", false, reason{Code: "withdrawn", At: f.now().UTC()})
		f.wantExplanation(taker, "default/stranger", false, reason{Code: "withdrawn", At: f.now().UTC()},
			reason{Code: "no-such-user", Audience: "user:default/stranger"})
		partly := f.postDraft(scopedDraft("partly", toJane.And(toJohn)))
		f.postDraft(scopedDraft("its taker", toJane))
		f.withdrawScope(3) // together with last
		f.wantExplanation(partly, "default/jane", false, reason{Code: "withdrawn", At: f.now().UTC()})
		f.purge(0, 6)
		f.wantExplanation(id, "default/john", false, reason{Code: "unknown"})

		// Notifications from before the user joined.
		old := f.post("old", toOps.And(toEveryone))
		came := f.advance(time.Minute).UTC()
		f.directory.Join("default/mary", "default/ops", came)
		f.directory.SetAccount("default/mary", came)
		f.with(groupsSinceJoining).wantExplanation(old, "default/mary", true,
			reason{Code: "before-joined", Audience: "group:default/ops", At: came}, system)
		f.with(systemSinceJoining).wantExplanation(old, "default/mary", true,
			group, reason{Code: "before-joined", Audience: "system", At: came})
		f.with(systemRead).wantExplanation(old, "default/mary", true, group, system, reason{Code: "read", At: came})
		f.with(func(cfg *notifications.Config) { groupsSinceJoining(cfg); systemSinceJoining(cfg) }).wantExplanation(old, "default/mary", false,
			reason{Code: "before-joined", Audience: "group:default/ops", At: came}, reason{Code: "before-joined", Audience: "system", At: came})
	})
}

func TestFaultsOfExplain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	for _, tt := range []struct {
		id, user string
		fields   []string
	}{
		{"x", "default/jane", []string{"ID"}},
		{unknownID, "jane", []string{"User"}},
		{"", "\x00", []string{"ID", "User"}},
	} {
		_, err := f.Explain(t.Context(), ci, notifications.ExplainQuery{ID: tt.id, User: tt.user})
		wantFields(t, err, tt.fields...)
	}
}

func TestReasonsInWords(t *testing.T) {
	t.Parallel()
	when := time.Date(2024, 5, 1, 12, 0, 0, 5e6, time.UTC)
	for want, r := range map[string]notifications.Reason{
		"unknown":                                {Code: "unknown"},
		"group group:default/ops":                {Code: "group", Audience: "group:default/ops"},
		"replaced by x 2024-05-01T12:00:00.005Z": {Code: "replaced", By: "x", At: when},
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
