package fill

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// small takes no time. Its measured users see 60 messages of their own, 10 of
// groups and 10 to everybody.
var small = Spec{
	Seed: 1, Messages: 700, Users: 30, Measured: 3, Visible: 60, Groups: 4, GroupsPerUser: 2, GroupPosts: 20, System: 10, ReadFraction: 0.5,
}

// onEach runs a test with an empty database of both kinds.
func onEach(t *testing.T, body func(t *testing.T, d *Database)) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
		"postgres": func(t *testing.T) string { return dbtest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Find(t.Context(), open(t), "", "")
			if err != nil {
				t.Fatal(err)
			}
			body(t, d)
		})
	}
}

// filled fills a database and opens it.
func filled(t *testing.T, d *Database, s Spec) (*gorm.DB, *notifications.Service) {
	t.Helper()
	w, err := NewWorld(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := Fill(t.Context(), d, w, t.Output()); err != nil {
		t.Fatal(err)
	}
	db, err := d.Open(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Close(db); err != nil {
			t.Error(err)
		}
	})
	svc, err := NewService(db, w)
	if err != nil {
		t.Fatal(err)
	}
	return db, svc
}

func checkMessages(t *testing.T, db *gorm.DB, want int) {
	t.Helper()
	for _, table := range Tables[:2] {
		var n int
		if err := db.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil || n != want {
			t.Errorf("%s has %d rows, want %d (%v)", table, n, want, err)
		}
	}
}

func TestFill(t *testing.T) {
	onEach(t, func(t *testing.T, d *Database) {
		s := small
		s.Wide = []Wide{{Visible: 7}, {Visible: 100, Hidden: 9, Unread: true}, {Visible: 100, Unread: true}, {Visible: 5, Groups: 3, Unread: true}}
		s.Messages = s.Least() + 50
		db, svc := filled(t, d, s)
		checkMessages(t, db, s.Messages)
		const own, unread = notifications.NotSystem, notifications.Unread
		for _, c := range []struct {
			user     string
			filter   notifications.Filter
			from, to int64
		}{
			{"measured-000000", notifications.Filter{System: own}, 70, 70},
			{"measured-000002", notifications.Filter{}, 80, 80},
			{"measured-000002", notifications.Filter{Read: unread}, 20, 60},
			{"measured-000001", notifications.Filter{Text: Searched}, 1, 40},
			{"wide-00-003", notifications.Filter{System: own}, 7, 7},
			{"wide-01-000", notifications.Filter{System: own, Read: unread}, 100, 100},
			{"wide-01-000", notifications.Filter{System: own, Archived: notifications.Archived, Read: notifications.Read}, 9, 9},
			{"wide-02-000", notifications.Filter{System: own, Archived: notifications.ArchivedOrNot, Read: unread}, 100, 100},
			{"wide-03-001", notifications.Filter{System: own, Read: unread}, 5 + groupPosts, 5 + groupPosts},
		} {
			n, err := svc.Count(t.Context(), notifications.User("bench/"+c.user), c.filter)
			if err != nil || n < c.from || n > c.to {
				t.Errorf("%s sees %d (%v), want %d to %d with %+v", c.user, n, err, c.from, c.to, c.filter)
			}
		}
		// What is hidden lies before the rest.
		page, err := svc.List(t.Context(), notifications.User("bench/wide-01-001"), notifications.ListQuery{
			Filter: notifications.Filter{System: own, Archived: notifications.ArchivedOrNot}, Limit: 10,
		})
		if err != nil || len(page.Items) != 10 || !page.Items[8].Archived || page.Items[9].Archived {
			t.Errorf("the first notifications are %+v, %v", page.Items, err)
		}
	})
}

// A filled database is again what it was before it was measured; another Spec
// fills it anew.
func TestFillAgain(t *testing.T) {
	onEach(t, func(t *testing.T, d *Database) {
		db, svc := filled(t, d, small)
		states := func() (all []string) {
			t.Helper()
			err := db.Raw("SELECT user_ref || ' ' || message_id FROM " + Tables[2] + " WHERE read_at IS NOT NULL ORDER BY 1").Scan(&all).Error
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		before := states()
		who := notifications.User(fmt.Sprintf(Measured, 1))
		for _, audience := range []notifications.Audience{notifications.Users(who.Name), notifications.Everyone()} {
			if _, err := svc.Post(t.Context(), Poster, Draft(0, audience)); err != nil {
				t.Fatal(err)
			}
		}
		all := notifications.ByFilter(notifications.Filter{})
		if _, err := svc.SetState(t.Context(), who, all, notifications.StateChange{Read: new(true)}); err != nil {
			t.Fatal(err)
		}
		if now := states(); len(now) <= len(before) {
			t.Fatalf("%d are read, %d were before", len(now), len(before))
		}
		filled(t, d, small)
		checkMessages(t, db, small.Messages)
		if now := states(); len(before) < 100 || !slices.Equal(now, before) {
			t.Errorf("read are\n%s\nwant\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
		}
		other := small
		other.Messages = 600
		filled(t, d, other)
		checkMessages(t, db, 600)
	})
}

// The messages of others are never removed.
func TestForeignDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, d *Database) {
		db, _ := filled(t, d, small)
		if err := db.Exec("DROP TABLE " + Marker).Error; err != nil {
			t.Fatal(err)
		}
		w, err := NewWorld(small)
		if err != nil {
			t.Fatal(err)
		}
		if err := Fill(t.Context(), d, w, t.Output()); err == nil || !strings.Contains(err.Error(), "did not make") {
			t.Errorf("filled: %v", err)
		}
		checkMessages(t, db, small.Messages)
	})
}

// A database of our own is gone afterwards, although another is connected and we
// were told to end.
func TestOwnDatabase(t *testing.T) {
	t.Parallel()
	own, err := Find(t.Context(), "", dbtest.ServerURL(t), "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), own.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := own.Drop(ended); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), own.URL); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connecting afterwards: %v", err)
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	for messages, want := range map[int]int{10_000: 42, 1_000_000: 1000, 1600: 1} {
		if got := Default.Of(messages).Measured; got != want {
			t.Errorf("of %d messages %d users are measured, want %d", messages, got, want)
		}
	}
	for want, s := range map[string]Spec{
		"alone get 1600":   Default.Of(1000),
		"between 1":        {Messages: 10, Users: -1},
		"1 and 1000000000": Default.Of(2_000_000_000),
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
}
