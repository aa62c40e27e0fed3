package notifications_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

var changeKinds = []string{"", "posted", "rewritten", "removed", "erased", "marked", "imported", "settings", "purged"}

// changes returns the log since its last call, a line a change. Ids are given
// by their titles, as f.ids has them.
func (f *fixture) changes() []string {
	f.t.Helper()
	var rows []struct {
		Kind      int
		MessageID string
		UserRef   string
		Audiences string
		DueAt     int64
	}
	// On PostgreSQL these tests use one connection at a time, so that rows are in
	// the order in which they were written.
	order := map[string]string{"postgres": "xact, ctid", "sqlite": "seq"}[f.db.Name()]
	err := f.db.Raw("SELECT kind, coalesce(CAST(message_id AS text), '') AS message_id, coalesce(user_ref, '') AS user_ref," +
		" coalesce(audiences, '') AS audiences, coalesce(due_at, 0) AS due_at FROM notification_changes ORDER BY " + order).Find(&rows).Error
	if err == nil {
		err = f.db.Exec("DELETE FROM notification_changes").Error
	}
	if err != nil {
		f.t.Fatal(err)
	}
	lines := []string{}
	for _, r := range rows {
		parts := []string{changeKinds[r.Kind]}
		for title, id := range f.ids {
			if id == r.MessageID {
				r.MessageID = title
			}
		}
		for _, part := range []string{r.MessageID, r.UserRef, strings.NewReplacer(`", "`, `","`, "default/", "").Replace(r.Audiences)} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		if r.DueAt != 0 {
			parts = append(parts, fmt.Sprintf("due %d", r.DueAt))
		}
		lines = append(lines, strings.Join(parts, " "))
	}
	return lines
}

// wantChanges checks the log since the last call.
func (f *fixture) wantChanges(want ...string) {
	f.t.Helper()
	if got := f.changes(); !slices.Equal(got, append([]string{}, want...)) {
		f.t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// named posts a draft and gives its id the name of its title.
func (f *fixture) named(d notifications.Draft) string {
	f.t.Helper()
	if f.ids == nil {
		f.ids = map[string]string{}
	}
	id := f.postDraft(d)
	f.ids[d.Title] = id
	return id
}

func TestPostsAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.named(draft("a", toJane.And(toOps).And(toEveryone)))
		f.wantChanges("posted a")
		due := f.now().Add(time.Hour)
		f.named(scheduledDraft(due, "later", toJane))
		f.wantChanges(fmt.Sprintf("posted later due %d", due.UnixMilli()))

		posted, err := f.PostMany(t.Context(), ci, []notifications.Draft{draft("b", toJane), scheduledDraft(due, "c", toJohn)})
		if err != nil {
			t.Fatal(err)
		}
		f.ids["b"], f.ids["c"] = posted[0].ID, posted[1].ID
		f.wantChanges("posted b", fmt.Sprintf("posted c due %d", due.UnixMilli()))

		f.named(keyedDraft("keyed", toJane))
		f.wantChanges("posted keyed")
		f.named(keyedDraft("keyed", toJane))
		f.wantRefused(keyedDraft("other", toJane), notifications.ErrKeyReused)
		f.wantRefused(withKey("key 1", scopedDraft("other", toJane)), notifications.ErrKeyReused)
		if _, err := f.Post(t.Context(), ci, draft("nobody", notifications.Users("default/nobody"))); err == nil {
			t.Error("nobody got a post")
		}
		f.wantChanges()
	})
}

func TestReplacementsAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.named(scopedDraft("first", toJane.And(toJohn).And(toEveryone)))
		f.wantChanges("posted first")
		f.named(scopedDraft("second", toJohn.And(toOps)))
		f.wantChanges(`removed first ["user:john"]`, "posted second")
		f.named(scopedDraft("third", toJane.And(toOps)))
		f.wantChanges(`removed first ["user:jane"]`, `removed second ["group:ops"]`, "posted third")
		f.postDraft(keepPlaceDraft("rewritten", toJane.And(toOps)))
		f.wantChanges("rewritten third")
		f.wantRefused(keepPlaceDraft("refused", toJane), notifications.ErrTargetsDiffer)
		f.wantChanges()
	})
}

func TestWithdrawalsAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		id := f.named(draft("a", toJane.And(toOps)))
		f.named(scopedDraft("b", toJane.And(toJohn)))
		f.named(scopedDraft("c", toJane))
		f.changes()
		f.withdraw(id)
		f.wantChanges(`removed a ["group:ops","user:jane"]`)
		if err := f.Withdraw(t.Context(), ci, id); !errors.Is(err, notifications.ErrNotFound) {
			t.Error(err)
		}
		f.wantChanges()
		f.withdrawScope(2)
		if got := f.changes(); len(got) != 2 || !slices.Contains(got, `removed b ["user:john"]`) || !slices.Contains(got, `removed c ["user:jane"]`) {
			t.Errorf("the log has %q", got)
		}
		f.withdrawScope(0)
		f.wantChanges()
	})
}

func TestMarksAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		a, b := f.named(draft("a", toJane)), f.named(draft("b", toEveryone))
		f.changes()
		for _, tt := range []struct {
			sel     notifications.Selection
			change  notifications.StateChange
			changed int64
			want    string
		}{
			{ids(a), read, 1, "marked a user:default/jane"},
			{ids(a), read, 0, ""},
			{ids(a), saved, 1, "marked a user:default/jane"},
			{ids(a, b), read, 1, "marked user:default/jane"},
			{ids(a, "ffffffff-ffff-ffff-ffff-ffffffffffff"), unread, 1, "marked user:default/jane"},
			{ids("ffffffff-ffff-ffff-ffff-ffffffffffff"), read, 0, ""},
			{filter(all), read, 1, "marked user:default/jane"},
			{filter(all), read, 0, ""},
			{filter(all), archived, 2, "marked user:default/jane"},
			{upTo(b), unread, 0, ""},
		} {
			f.setState(jane, tt.sel, tt.change, tt.changed)
			if tt.want == "" {
				f.wantChanges()
			} else {
				f.wantChanges(tt.want)
			}
		}
		f.mark(jane, b, false)
		f.wantChanges("marked b user:default/jane")
		f.mark(jane, b, false)
		f.wantChanges()
	})
}

func TestErasuresAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.named(draft("a", toJane.And(toJohn)))
		f.changes()
		f.erase("default/jane")
		f.wantChanges("erased user:default/jane")
		f.erase("default/jane")
		f.wantChanges()
	})
}

// A purge logs what readers could still see, and what expired: some may not have
// heard of it.
func TestPurgesAreLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.named(expiringDraft(f.now().Add(time.Minute), "early", toJane))
		f.named(expiringDraft(f.now().Add(10*time.Minute), "late", toJane))
		for range 5 {
			f.named(draft("old", toJane))
		}
		withdrawn := f.post("withdrawn", toJane)
		f.withdraw(withdrawn)
		f.changes()
		f.purge(0, 1)
		f.wantChanges()
		f.advance(17 * time.Minute)
		f.purge(0, 2)
		f.wantChanges(`removed early ["user:jane"]`, `removed late ["user:jane"]`)
		f.advance(2 * day)
		if _, err := f.Purge(t.Context(), notifications.PurgeOptions{OlderThan: day, Batch: 3}); err != nil {
			t.Fatal(err)
		}
		f.wantChanges("purged", "purged")
		f.purge(day, 0)
		f.wantChanges()
	})
}

// In a transaction of the host, changes are logged if it commits.
func TestChangesOfTransactions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		withdrawn, replaced := f.post("w", toJane), f.named(scopedDraft("s", toJane))
		f.changes()
		everything := func(svc *notifications.Service) error {
			ctx := t.Context()
			posted, err := svc.Post(ctx, ci, draft("p", toJane))
			f.ids["p"] = posted.ID
			_, manyErr := svc.PostMany(ctx, ci, []notifications.Draft{draft("m", toJohn), draft("n", toJohn)})
			_, scopedErr := svc.Post(ctx, ci, keepPlaceDraft("t", toJane))
			return errors.Join(err, manyErr, scopedErr, svc.Withdraw(ctx, ci, withdrawn), svc.MarkRead(ctx, jane, replaced, true),
				func() error { _, err := svc.EraseUser(ctx, ci, "default/john"); return err }())
		}
		const all = "posted posted posted rewritten removed marked erased"
		kinds := func() string {
			var kinds []string
			for _, line := range f.changes() {
				kinds = append(kinds, strings.Fields(line)[0])
			}
			return strings.Join(kinds, " ")
		}
		undo := errors.New("undone")
		err := db.Transaction(func(tx *gorm.DB) error { return errors.Join(everything(f.WithTx(tx)), undo) })
		if got := kinds(); !errors.Is(err, undo) || got != "" {
			t.Errorf("a transaction that is rolled back logs %q, %v", got, err)
		}
		err = db.Transaction(func(tx *gorm.DB) error {
			inner := tx.Transaction(func(savepoint *gorm.DB) error { return errors.Join(everything(f.WithTx(savepoint)), undo) })
			if !errors.Is(inner, undo) {
				return inner
			}
			return everything(f.WithTx(tx))
		})
		if got := kinds(); err != nil || got != all {
			t.Errorf("a transaction that commits logs %q, %v; want %q", got, err, all)
		}
	})
}
