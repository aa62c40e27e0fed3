package notifications_test

import (
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// lostCase is a verb that must do its work once, although a connection is cut
// meanwhile.
type lostCase struct {
	// prepare does what do needs. Both get a text that no other call gets.
	prepare func(f *fixture, text string)
	do      func(f *fixture, text string) error
	// stored is how many notifications with that title must be stored, 1 if it
	// is 0 and none if it is negative.
	stored int
}

// posted returns an error unless a post was a first one.
func posted(p notifications.Posted, err error) error {
	if err == nil && (p.Repeated || p.ID == "") {
		return fmt.Errorf("the result is %+v", p)
	}
	return err
}

func withScope(scope string, d notifications.Draft) notifications.Draft {
	d.Scope = scope
	return d
}

var lostCases = map[string]lostCase{
	"post": {do: func(f *fixture, text string) error {
		return posted(f.Post(f.t.Context(), ci, draft(text, toJane)))
	}},
	"post many": {do: func(f *fixture, text string) error {
		_, err := f.PostMany(f.t.Context(), ci, []notifications.Draft{draft(text, toJane), draft(text, toEveryone)})
		return err
	}, stored: 2},
	"post with a key": {do: func(f *fixture, text string) error {
		return posted(f.Post(f.t.Context(), ci, withKey(text, draft(text, toJane))))
	}},
	"post with a scope": {do: func(f *fixture, text string) error {
		return posted(f.Post(f.t.Context(), ci, withScope(text, draft(text, toJane))))
	}},
	"post over an earlier one": {
		prepare: func(f *fixture, text string) {
			f.postDraft(withScope(text, draft("earlier", toJane)))
		},
		do: func(f *fixture, text string) error {
			p, err := f.Post(f.t.Context(), ci, withScope(text, draft(text, toJane)))
			if err == nil && !p.Replaced {
				return fmt.Errorf("the result is %+v", p)
			}
			return posted(p, err)
		}},
	"post in place": {
		prepare: func(f *fixture, text string) {
			f.postDraft(withScope(text, draft("earlier", toJane)))
		},
		do: func(f *fixture, text string) error {
			d := withScope(text, draft(text, toJane))
			d.KeepPlace = true
			return posted(f.Post(f.t.Context(), ci, d))
		}},
	"post many of all kinds": {do: func(f *fixture, text string) error {
		list, err := f.PostMany(f.t.Context(), ci, []notifications.Draft{
			draft(text, toJane), withKey(text, draft(text, toJane)), withScope(text, draft(text, toJane)),
		})
		for _, p := range list {
			if err == nil {
				err = posted(p, nil)
			}
		}
		return err
	}, stored: 3},
	"post many with a key": {do: func(f *fixture, text string) error {
		list, err := f.PostMany(f.t.Context(), ci, []notifications.Draft{draft(text, toJane), withKey(text, draft(text, toJane))})
		for _, p := range list {
			if err == nil {
				err = posted(p, nil)
			}
		}
		return err
	}, stored: 2},
	"mark": {
		prepare: func(f *fixture, text string) { f.ids[text] = f.post(text, toJane) },
		do: func(f *fixture, text string) error {
			if err := f.MarkRead(f.t.Context(), jane, f.ids[text], true); err != nil {
				return err
			}
			n, err := f.Get(f.t.Context(), jane, f.ids[text])
			if err == nil && !n.Read {
				return fmt.Errorf("it is not read")
			}
			return err
		}},
	"mark by filter": {
		prepare: func(f *fixture, text string) { f.post(text, toJane) },
		do: func(f *fixture, _ string) error {
			_, err := f.SetState(f.t.Context(), jane, notifications.ByFilter(all), saved)
			return err
		}},
	"withdraw": {
		prepare: func(f *fixture, text string) { f.ids[text] = f.post(text, toJane) },
		do: func(f *fixture, text string) error {
			return f.Withdraw(f.t.Context(), ci, f.ids[text])
		}, stored: -1},
	"withdraw a scope": {
		prepare: func(f *fixture, text string) { f.postDraft(withScope(text, draft(text, toJane))) },
		do: func(f *fixture, text string) error {
			n, err := f.WithdrawScope(f.t.Context(), ci, notifications.ScopeKey{Origin: "test", Scope: text})
			if err == nil && n != 1 {
				return fmt.Errorf("%d are withdrawn", n)
			}
			return err
		}, stored: -1},
	"ready": {do: func(f *fixture, _ string) error { return f.Ready(f.t.Context()) }, stored: -1},
	"erase": {
		prepare: func(f *fixture, text string) { f.post(text, toJohn) },
		do: func(f *fixture, _ string) error {
			did, err := f.EraseUser(f.t.Context(), ci, "default/john")
			if err == nil && did.Notifications != 1 {
				return fmt.Errorf("it erased %+v", did)
			}
			return err
		}, stored: -1},
}

// TestCutConnections cuts the connection at each message that a verb sends, once
// before PostgreSQL gets it and once when it has, but its answer is lost. The
// verb does its work once and returns no error, for the database is there.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	for name, tt := range lostCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			f := newFixture(t, openPostgres(t, database.PostgresConfig{URL: p.url, MaxConns: 3}))
			f.ids = map[string]string{}
			cuts := 0
			for _, answer := range []bool{false, true} {
				for n, cut := 0, true; cut; n++ {
					text := fmt.Sprintf("%v %d", answer, n)
					if tt.prepare != nil {
						tt.prepare(f, text)
					}
					p.cutAfter(n, answer)
					if err := tt.do(f, text); err != nil {
						t.Errorf("message %d, its answer: %v: %v", n, answer, err)
					}
					if cut = p.cut(); cut {
						cuts++
					}
					wantStoredOnce(t, f.db, text, tt.stored)
				}
			}
			t.Logf("%d cuts", cuts)
			if cuts < 2 {
				t.Errorf("it was cut %d times", cuts)
			}
		})
	}
}

// wantStoredOnce counts what was stored under a title, also if another post has
// replaced it since.
func wantStoredOnce(t *testing.T, db *gorm.DB, title string, want int) {
	t.Helper()
	query := "SELECT count(*) FROM notification_messages WHERE title = ?"
	if want < 0 {
		query += " AND withdrawn_at IS NULL"
	}
	if want == 0 {
		want = 1
	}
	var n int
	if err := db.Raw(query, title).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	if n != max(want, 0) {
		t.Errorf("%q is stored %d times, want %d", title, n, max(want, 0))
	}
}

// writeAtOnce lets 16 writers post, mark and withdraw at once, most of it to the
// same rows. None may get an error, and each post is stored once.
// After each call it calls then.
func writeAtOnce(t *testing.T, f *fixture, rounds int, then func()) {
	t.Helper()
	const writers = 16
	shared := f.post("shared", toJane)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				title := fmt.Sprint("by ", w, " in ", r)
				post := func(d notifications.Draft) string {
					defer then()
					p, err := f.Post(t.Context(), ci, d)
					if err != nil || p.Repeated {
						t.Errorf("%s: %+v, %v", title, p, err)
					}
					return p.ID
				}
				id := post(draft(title, toJane))
				post(withKey(title, draft(title+" keyed", toJane)))
				post(withScope("shared", draft(title+" scoped", toJane)))
				if _, err := f.Post(t.Context(), ci, withKey(fmt.Sprint("shared ", r), draft("shared key", toJane))); err != nil {
					t.Errorf("a shared key: %v", err)
				}
				for _, mark := range []string{id, shared} {
					if err := f.MarkRead(t.Context(), jane, mark, r%2 == 0); err != nil {
						t.Errorf("mark: %v", err)
					}
					then()
				}
				if _, err := f.SetState(t.Context(), jane, notifications.ByIDs(id, shared), saved); err != nil {
					t.Errorf("save: %v", err)
				}
				if n, err := f.Count(t.Context(), jane, all); err != nil || n == 0 {
					t.Errorf("count: %d, %v", n, err)
				}
				if r%2 == 1 {
					if err := f.Withdraw(t.Context(), ci, id); err != nil {
						t.Errorf("withdraw: %v", err)
					}
					then()
				}
			}
		})
	}
	wg.Wait()
	if err := f.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	var stored, titles int
	if err := f.db.Raw("SELECT count(*), count(DISTINCT title) FROM notification_messages WHERE title LIKE 'by %'").Row().Scan(&stored, &titles); err != nil {
		t.Fatal(err)
	}
	if want := 3 * writers * rounds; stored != want || titles != want {
		t.Errorf("%d posts are stored, with %d titles; want %d", stored, titles, want)
	}
	if err := f.db.Raw("SELECT count(*) FROM notification_messages WHERE title = 'shared key'").Row().Scan(&stored); err != nil || stored != rounds {
		t.Errorf("%d posts with shared keys are stored, %v; want %d", stored, err, rounds)
	}
	t.Logf("%d writers, %d calls, no error", writers, writers*rounds*8)
}

// TestAnyIsolation: the library works without an error whatever isolation the
// database gives to transactions that do not ask for one.
func TestAnyIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			admin := dbtest.Postgres(t)
			name := pgName(t, admin)
			if err := admin.Exec("ALTER DATABASE " + name + " SET default_transaction_isolation = '" + level + "'").Error; err != nil {
				t.Fatal(err)
			}
			f := newFixture(t, openPostgres(t, database.PostgresConfig{URL: sameServer(t, name), MaxConns: 16}))
			var got string
			if err := f.db.Raw("SHOW transaction_isolation").Scan(&got).Error; err != nil || got != level {
				t.Fatalf("%s, %v", got, err)
			}
			writeAtOnce(t, f, 10, func() {})
		})
	}
}

// TestTerminatedConnections ends a connection from PostgreSQL's side for each
// tenth call, while 16 writers use them.
func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	u := dbtest.PostgresURL(t)
	f := newFixture(t, openPostgres(t, database.PostgresConfig{URL: u, MaxConns: 16}))
	admin := openPostgres(t, database.PostgresConfig{URL: dbtest.ServerURL(t), MaxConns: 1})
	name := pgName(t, f.db)
	var calls, terminated atomic.Int64
	writeAtOnce(t, f, 10, func() {
		if calls.Add(1)%10 != 0 {
			return
		}
		var n int64
		if err := admin.Raw("SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"+
			" WHERE datname = ? AND state <> 'idle' ORDER BY random() LIMIT 1) busy", name).Scan(&n).Error; err != nil {
			t.Error(err)
		}
		terminated.Add(n)
	})
	t.Logf("%d connections were ended", terminated.Load())
	if terminated.Load() == 0 {
		t.Error("no connection was ended")
	}
}

// sameServer returns the URL of a database that a test has.
func sameServer(t *testing.T, name string) string {
	t.Helper()
	u, err := url.Parse(dbtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
