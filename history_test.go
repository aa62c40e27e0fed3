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

// TestGroupHistory: by default members see all that was sent before they
// joined, or else nothing of it.
func TestGroupHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.directory.SetAccount("default/mary", time.Time{})
		old := f.post("old", toOps)
		f.post("old, to her too", toOps.And(notifications.Users("default/mary")))
		f.advance(time.Hour - time.Millisecond)
		f.post("just before", toOps)
		f.advance(time.Millisecond)
		f.post("at that moment", toOps)
		f.post("to everybody", toEveryone)
		joined := f.now()
		f.advance(time.Hour)
		f.post("new", toOps)

		f.directory.Join("default/mary", "default/ops", joined.In(time.FixedZone("", 7200)).Add(999*time.Microsecond))
		f.see(mary, "new", "to everybody", "at that moment", "just before", "old, to her too", "old")
		h := f.with(groupsSinceJoining)
		h.see(mary, "new", "to everybody", "at that moment", "old, to her too")
		h.hidden(mary, old)
		h.set(mary, ids(old), read, 0)
		consistent(h, mary)
		h.see(john, "new", "to everybody", "at that moment", "just before", "old, to her too", "old") // no date is known

		// A group named twice counts from the earlier date, no date being the
		// earliest.
		again := &twice{Directory: f.directory}
		h = h.with(func(cfg *notifications.Config) { groupsSinceJoining(cfg); cfg.Catalog = again })
		again.since = joined.Add(time.Hour)
		h.see(mary, "new", "to everybody", "at that moment", "old, to her too")
		again.since = joined.Add(-time.Millisecond)
		h.see(mary, "new", "to everybody", "at that moment", "just before", "old, to her too")
		again.since = time.Time{}
		h.see(mary, "new", "to everybody", "at that moment", "just before", "old, to her too", "old")
	})
}

// twice is a directory that names each group twice, with another date.
type twice struct {
	*notificationstest.Directory
	since time.Time
}

func (c *twice) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	in, err := c.Directory.Groups(ctx, user)
	for _, m := range in {
		in = append(in, notifications.Membership{Group: m.Group, Since: c.since})
	}
	return in, err
}

// TestHistoryOfTwoGroups: each group has its own date, and one is enough.
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
		h.see(mary, "to both", "to ops")
		f.post("to dev, later", notifications.Groups("default/dev"))
		h.see(mary, "to dev, later", "to both", "to ops")
		h.expect(mary, notifications.ListQuery{Ascending: true, OrderBy: "title"}, "to both", "to dev, later", "to ops")
		consistent(h, mary)
	})
}

// undated hides whatever its catalog may know beside what it must.
type undated struct{ notifications.Catalog }

// TestSystemHistory, in all three ways.
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

		f.see(mary, "new", "at that moment", "old, to ops too", "old")
		f.expect(mary, readOnes)

		h := f.with(systemSinceJoining)
		h.see(mary, "new", "at that moment", "old, to ops too")
		h.expect(mary, readOnes)
		h.expect(mary, notifications.ListQuery{Filter: personal}, "old, to ops too")
		h.expect(mary, notifications.ListQuery{Filter: notifications.Filter{System: notifications.System}}, "new", "at that moment")
		h.hidden(mary, old)
		consistent(h, mary)

		h = f.with(systemRead)
		h.see(mary, "new", "at that moment", "old, to ops too", "old")
		h.expect(mary, unreadOnes, "new", "at that moment")
		h.expect(mary, readOnes, "old, to ops too", "old")
		h.marked(mary, old, "read")
		h.expect(mary, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Read, System: notifications.NotSystem}}, "old, to ops too")
		consistent(h, mary)
		h.expect(jane, readOnes) // no date is known
		consistent(h, jane)

		// Marking what counts as read as read is no change, and makes no state.
		h.set(mary, ids(old), read, 0)
		h.mark(mary, old, true)
		f.rows(map[string]int64{"states": 0})
		h.set(mary, filter(all), read, 2)
		h.expect(mary, unreadOnes)
		h.set(mary, filter(all), unread, 4)
		h.expect(mary, readOnes)
		consistent(h, mary)

		// A catalog that knows no dates leaves everything as it is.
		for _, change := range []func(*notifications.Config){systemRead, systemSinceJoining, groupsSinceJoining} {
			f.with(func(cfg *notifications.Config) { change(cfg); cfg.Catalog = undated{f.directory} }).expect(jane, unreadOnes, "new", "at that moment", "old, to ops too", "old")
		}
	})
}

// TestHistoryHidesNothingElse: what is scheduled or has expired is hidden from
// those who were there, too.
func TestHistoryHidesNothingElse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.postDraft(until(f.now().Add(time.Hour), "expiring", toEveryone))
		f.postDraft(at(f.now().Add(2*time.Hour), "scheduled", toEveryone))
		f.directory.SetAccount("default/mary", f.advance(time.Minute))
		h, g := f.with(systemRead), f.with(systemSinceJoining)
		h.counted(mary, notifications.Status{Read: 1})
		g.counted(mary, notifications.Status{})
		f.advance(time.Hour)
		h.counted(mary, notifications.Status{})
		f.advance(time.Hour)
		h.counted(mary, notifications.Status{Unread: 1})
		g.counted(mary, notifications.Status{Unread: 1})
	})
}

// TestDatesAreAskedForOnlyWhereTheyMatter.
func TestDatesAreAskedForOnlyWhereTheyMatter(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	catalog := &dateless{Directory: f.directory}
	h := f.with(func(cfg *notifications.Config) { cfg.Catalog = catalog })
	h.see(jane)
	for _, change := range []func(*notifications.Config){systemRead, systemSinceJoining} {
		h = f.with(func(cfg *notifications.Config) { change(cfg); cfg.Catalog = catalog })
		if _, err := h.List(t.Context(), jane, notifications.ListQuery{}); err == nil {
			t.Error("the date of the account was not asked for")
		}
	}
}

// dateless is a directory that fails when it is asked for the date of an account.
type dateless struct{ *notificationstest.Directory }

func (dateless) AccountSince(context.Context, string) (time.Time, error) {
	return time.Time{}, errAway
}
