package notifications_test

import (
	"context"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

var mary = notifications.User("default/mary")

// TestGroupHistory: by default members see everything from before they joined;
// with HistorySinceJoining, nothing of it.
func TestGroupHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.directory.SetAccount("default/mary", time.Time{})
		old := f.post("old", toOps)
		f.post("old, to Mary too", toOps.And(notifications.Users("default/mary")))
		f.advance(time.Hour - time.Millisecond)
		f.post("just before", toOps)
		f.advance(time.Millisecond)
		f.post("at that moment", toOps)
		f.post("to everybody", toEveryone)
		joined := f.now()
		f.advance(time.Hour)
		f.post("new", toOps)

		f.directory.Join("default/mary", "default/ops", joined.In(time.FixedZone("", 7200)).Add(999*time.Microsecond))
		f.wantVisible(mary, "new", "to everybody", "at that moment", "just before", "old, to Mary too", "old")
		h := f.with(groupsSinceJoining)
		h.wantVisible(mary, "new", "to everybody", "at that moment", "old, to Mary too")
		h.wantHidden(mary, old)
		h.setState(mary, ids(old), read, 0)
		wantConsistent(h, mary)
		h.wantVisible(john, "new", "to everybody", "at that moment", "just before", "old, to Mary too", "old") // the catalog has no date

		// If the catalog names a group twice, the earlier date counts. No date
		// is the earliest.
		again := &twoDatesCatalog{Directory: f.directory}
		h = h.with(func(cfg *notifications.Config) { groupsSinceJoining(cfg); cfg.Catalog = again })
		again.since = joined.Add(time.Hour)
		h.wantVisible(mary, "new", "to everybody", "at that moment", "old, to Mary too")
		again.since = joined.Add(-time.Millisecond)
		h.wantVisible(mary, "new", "to everybody", "at that moment", "just before", "old, to Mary too")
		again.since = time.Time{}
		h.wantVisible(mary, "new", "to everybody", "at that moment", "just before", "old, to Mary too", "old")
	})
}

// twoDatesCatalog names each group twice, the second time with another date.
type twoDatesCatalog struct {
	*notificationstest.Directory
	since time.Time
}

func (c *twoDatesCatalog) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	in, err := c.Directory.Groups(ctx, user)
	for _, m := range in {
		in = append(in, notifications.Membership{Group: m.Group, Since: c.since})
	}
	return in, err
}

// TestHistoryOfTwoGroups: each group has its own date, and the earlier one
// decides.
func TestHistoryOfTwoGroups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.directory.SetAccount("default/mary", time.Time{})
		f.directory.Join("default/mary", "default/ops", f.advance(time.Hour))
		f.post("to ops", toOps)
		f.post("to dev", notifications.Groups("default/dev"))
		f.post("to both", toOps.And(notifications.Groups("default/dev")))
		f.directory.Join("default/mary", "default/dev", f.advance(time.Hour))
		h := f.with(groupsSinceJoining)
		h.wantVisible(mary, "to both", "to ops")
		f.post("to dev, later", notifications.Groups("default/dev"))
		h.wantVisible(mary, "to dev, later", "to both", "to ops")
		h.wantList(mary, notifications.ListQuery{Ascending: true, OrderBy: "title"}, "to both", "to dev, later", "to ops")
		wantConsistent(h, mary)
	})
}

// catalogWithoutDates hides the optional interfaces of its catalog.
type catalogWithoutDates struct{ notifications.Catalog }

// TestSystemHistory tries the three histories.
func TestSystemHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		old := f.post("old", toEveryone)
		f.post("old, to ops too", toEveryone.And(toOps))
		f.advance(time.Hour)
		f.directory.SetAccount("default/mary", f.now().Add(500*time.Microsecond))
		f.directory.Join("default/mary", "default/ops", time.Time{})
		f.post("at that moment", toEveryone)
		f.advance(time.Hour)
		f.post("new", toEveryone)
		unreadOnes := notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}}
		readOnes := notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read}}

		f.wantVisible(mary, "new", "at that moment", "old, to ops too", "old")
		f.wantList(mary, readOnes)

		h := f.with(systemSinceJoining)
		h.wantVisible(mary, "new", "at that moment", "old, to ops too")
		h.wantList(mary, readOnes)
		h.wantList(mary, notifications.ListQuery{Filter: personal}, "old, to ops too")
		h.wantList(mary, notifications.ListQuery{Filter: notifications.Filter{System: notifications.System}}, "new", "at that moment")
		h.wantHidden(mary, old)
		wantConsistent(h, mary)

		h = f.with(systemRead)
		h.wantVisible(mary, "new", "at that moment", "old, to ops too", "old")
		h.wantList(mary, unreadOnes, "new", "at that moment")
		h.wantList(mary, readOnes, "old, to ops too", "old")
		h.wantMarks(mary, old, "read")
		h.wantList(mary, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read, System: notifications.NotSystem}}, "old, to ops too")
		wantConsistent(h, mary)
		h.wantList(jane, readOnes) // the catalog has no date
		wantConsistent(h, jane)

		// Marking a notification as read that already counts as read is no
		// change and writes no state.
		h.setState(mary, ids(old), read, 0)
		h.mark(mary, old, true)
		f.wantRows(map[string]int64{"states": 0})
		h.setState(mary, filter(all), read, 2)
		h.wantList(mary, unreadOnes)
		h.setState(mary, filter(all), unread, 4)
		h.wantList(mary, readOnes)
		wantConsistent(h, mary)

		// With a catalog that has no dates nothing changes.
		// That of the system is refused, see TestConfigThatDoesNothing.
		undated := f.with(func(cfg *notifications.Config) {
			groupsSinceJoining(cfg)
			cfg.Catalog = catalogWithoutDates{f.directory}
		})
		undated.wantList(jane, unreadOnes, "new", "at that moment", "old, to ops too", "old")
	})
}

// TestHistoryHidesNothingElse: scheduled and expired notifications are hidden
// from old members, too.
func TestHistoryHidesNothingElse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.postDraft(expiringDraft(f.now().Add(time.Hour), "expiring", toEveryone))
		f.postDraft(scheduledDraft(f.now().Add(2*time.Hour), "scheduled", toEveryone))
		f.directory.SetAccount("default/mary", f.advance(time.Minute))
		h, g := f.with(systemRead), f.with(systemSinceJoining)
		h.wantStatus(mary, notifications.Status{Read: 1})
		g.wantStatus(mary, notifications.Status{})
		f.advance(time.Hour)
		h.wantStatus(mary, notifications.Status{})
		f.advance(time.Hour)
		h.wantStatus(mary, notifications.Status{Unread: 1})
		g.wantStatus(mary, notifications.Status{Unread: 1})
	})
}

// TestDatesAreAskedForOnlyWhereTheyMatter: other histories do not ask for
// dates.
func TestDatesAreAskedForOnlyWhereTheyMatter(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	catalog := &failingDates{Directory: f.directory}
	h := f.with(func(cfg *notifications.Config) { cfg.Catalog = catalog })
	h.wantVisible(jane)
	for _, change := range []func(*notifications.Config){systemRead, systemSinceJoining} {
		h = f.with(func(cfg *notifications.Config) { change(cfg); cfg.Catalog = catalog })
		if _, err := h.List(t.Context(), jane, notifications.ListQuery{}); err == nil {
			t.Error("the date of the account was not asked for")
		}
	}
}

// failingDates is a directory whose AccountSince fails.
type failingDates struct{ *notificationstest.Directory }

func (failingDates) AccountSince(context.Context, string) (time.Time, error) {
	return time.Time{}, errAway
}
