package notifications_test

import (
	"slices"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func (f *fixture) topics(who notifications.Identity, scope notifications.SystemFilter) notifications.Topics {
	f.t.Helper()
	topics, err := f.Topics(f.t.Context(), who, scope)
	if err != nil {
		f.t.Error(err)
	}
	return topics
}

func TestTopics(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		if got := f.topics(jane, notifications.SystemOrNot); len(got.Topics)+len(got.Origins) != 0 {
			t.Errorf("of nothing: %+v", got)
		}
		for _, d := range []notifications.Draft{
			{Origin: "ci", Topic: "b", To: toJane}, {Origin: "ci", Topic: "é", To: toOps}, {Origin: "CI", Topic: "B", To: toJane},
			{Origin: "ci", To: toJane.And(toOps)}, {Origin: "shop", Topic: "b", To: toJane}, {Origin: "shop", Topic: "z", To: toEveryone},
			{Origin: "shop", Topic: "put away", To: toJane}, {Origin: "_", Topic: "john's", To: toJohn}, {Origin: "a", Topic: "b", To: toEveryone.And(toJane)},
		} {
			d.Title = "t"
			id := f.postDraft(d)
			switch d.Topic {
			case "put away":
				f.setState(jane, ids(id), archived, 1)
			case "é", "B":
				f.mark(jane, id, true)
			}
		}
		type counts = []notifications.TopicCount
		for scope, want := range map[notifications.SystemFilter]notifications.Topics{
			notifications.NotSystem: {
				Topics:  counts{{Name: "B", Total: 1}, {Name: "b", Unread: 3, Total: 3}, {Name: "é", Total: 1}},
				Origins: counts{{Name: "CI", Total: 1}, {Name: "a", Unread: 1, Total: 1}, {Name: "ci", Unread: 2, Total: 3}, {Name: "shop", Unread: 1, Total: 1}},
			},
			notifications.System: {
				Topics:  counts{{Name: "b", Unread: 1, Total: 1}, {Name: "z", Unread: 1, Total: 1}},
				Origins: counts{{Name: "a", Unread: 1, Total: 1}, {Name: "shop", Unread: 1, Total: 1}},
			},
			notifications.SystemOrNot: {
				Topics:  counts{{Name: "B", Total: 1}, {Name: "b", Unread: 3, Total: 3}, {Name: "z", Unread: 1, Total: 1}, {Name: "é", Total: 1}},
				Origins: counts{{Name: "CI", Total: 1}, {Name: "a", Unread: 1, Total: 1}, {Name: "ci", Unread: 2, Total: 3}, {Name: "shop", Unread: 2, Total: 2}},
			},
		} {
			if got := f.topics(jane, scope); !slices.Equal(got.Topics, want.Topics) || !slices.Equal(got.Origins, want.Origins) {
				t.Errorf("Topics(%d) = %+v, want %+v", scope, got, want)
			}
		}
		wantConsistent(f, jane)
	})
}

// TestTopicsOfHistory: notifications that count as read without a state are not
// unread in topics.
func TestTopicsOfHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		topical := func(topic string) {
			f.postDraft(notifications.Draft{Origin: "o", Title: "t", Topic: topic, To: toEveryone})
		}
		topical("x")
		f.directory.SetAccount("default/jane", f.advance(day))
		topical("x")
		want := []notifications.TopicCount{{Name: "x", Unread: 1, Total: 2}}
		if got := f.with(systemRead).topics(jane, notifications.SystemOrNot); !slices.Equal(got.Topics, want) {
			t.Errorf("read: %+v, want %+v", got.Topics, want)
		}
		want = []notifications.TopicCount{{Name: "x", Unread: 1, Total: 1}}
		if got := f.with(systemSinceJoining).topics(jane, notifications.SystemOrNot); !slices.Equal(got.Topics, want) {
			t.Errorf("since joining: %+v, want %+v", got.Topics, want)
		}
	})
}

// TestMaxTopics: of too many topics, it returns those with the most unread,
// then those with the most in total. Origins have their own limit.
func TestMaxTopics(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		fill(t, db, 2*notifications.MaxTopics+2)
		// 1,001 topics with two notifications each.
		const number = "(SELECT count(*) FROM notification_messages o WHERE o.id < notification_messages.id) / 2"
		topic := "printf('%04d', " + number + ")"
		if db.Name() == "postgres" {
			topic = "to_char(" + number + ", 'FM0000')"
		}
		if err := db.Exec("UPDATE notification_messages SET topic = " + topic + ", origin = " + topic).Error; err != nil {
			t.Fatal(err)
		}
		oldest := idsOf(f.list(jane, notifications.ListQuery{Ascending: true, Limit: 4}).Items)
		more := func(topic string, n int) {
			for range n {
				f.mark(jane, f.postDraft(notifications.Draft{Origin: topic, Title: "t", Topic: topic, To: toJane}), true)
			}
		}
		begins := func(want notifications.TopicCount) {
			t.Helper()
			got := f.topics(jane, notifications.NotSystem)
			for _, list := range [][]notifications.TopicCount{got.Topics, got.Origins} {
				if len(list) != notifications.MaxTopics || list[0] != want || list[999].Name != "1000" {
					t.Errorf("%d topics, from %+v to %+v; want %+v first", len(list), list[0], list[len(list)-1], want)
				}
			}
		}
		f.setState(jane, ids(oldest[:3]...), read, 3)
		more("0000", 1) // many, but none unread
		begins(notifications.TopicCount{Name: "0001", Unread: 1, Total: 2})
		f.mark(jane, oldest[3], true)
		more("0001", 2) // more, but none unread
		begins(notifications.TopicCount{Name: "0001", Total: 4})
	})
}

func TestStatusOfManyKinds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.wantStatus(jane, notifications.Status{})
		f.samples()
		f.postDraft(scheduledDraft(f.now().Add(day), "not yet", toJane))
		f.postDraft(expiringDraft(f.now().Add(day/2), "over", toJane))
		f.directory.SetAccount("default/jane", f.advance(day/2))
		f.post("new", toEveryone)
		for _, h := range []*fixture{f, f.with(systemRead), f.with(systemSinceJoining), f.with(groupsSinceJoining)} {
			wantConsistent(h, jane)
			wantConsistent(h, john)
			wantConsistent(h, guest)
		}
	})
}
