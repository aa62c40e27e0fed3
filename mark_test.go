package notifications_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestMarksAtOnce: several sessions of one user mark the same notifications in
// different ways. No session deadlocks, and no mark is lost.
func TestMarksAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		log := &failures{}
		svc := f.with(func(cfg *notifications.Config) { cfg.Logger = slog.New(log) })
		const rounds, messages = 10, 200
		for range rounds {
			list := make([]string, messages)
			for i := range list {
				list[i] = f.post(fmt.Sprint(i), toOps)
			}
			backwards := slices.Clone(list)
			slices.Reverse(backwards)
			set := func(sel notifications.Selection, change notifications.StateChange) error {
				_, err := svc.SetState(t.Context(), jane, sel, change)
				return err
			}
			concurrently(t, 8, func(i int) error {
				switch i {
				case 0, 1:
					return set(filter(withArchived), read)
				case 2:
					return set(ids(backwards...), saved)
				case 3:
					return set(ids(list...), archived)
				case 4:
					return set(filter(withArchived), saved)
				}
				for j := i; j < messages; j += 10 {
					if err := svc.MarkRead(t.Context(), jane, backwards[j], true); err != nil {
						return err
					}
				}
				return nil
			})
			f.wantStatus(jane, notifications.Status{Archived: messages})
			for _, n := range f.list(jane, notifications.ListQuery{Filter: withArchived, Limit: messages}).Items {
				if !n.Read || !n.Saved || !n.Archived {
					t.Fatalf("a mark was lost: %+v", n)
				}
			}
			f.wantStatus(john, notifications.Status{Unread: messages})
			if n, err := db.Exec("DELETE FROM notification_deliveries").RowsAffected, db.Error; n != messages || err != nil {
				t.Fatal(n, err)
			}
		}
		if lines := log.all(); len(lines) > 0 {
			t.Errorf("failed statements: %q", lines)
		}
	})
}

// TestMarksCountOnce: several sessions make the same mark at once, and one of
// them has changed it.
func TestMarksCountOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		const messages = 500
		fill(t, db, messages)
		for _, change := range []notifications.StateChange{read, unread, saved} {
			var updated atomic.Int64
			concurrently(t, 8, func(int) error {
				n, err := f.SetState(t.Context(), jane, filter(withArchived), change)
				updated.Add(n)
				return err
			})
			if updated.Load() != messages {
				t.Errorf("%d changed, of %d", updated.Load(), messages)
			}
		}
		f.wantStatus(jane, notifications.Status{Unread: messages, Saved: messages})
	})
}

// failures is a log handler that keeps the failed queries.
type failures struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (h *failures) Enabled(context.Context, slog.Level) bool { return true }

func (h *failures) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Level < slog.LevelError {
		return nil
	}
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	h.lines = append(h.lines, line)
	return nil
}

func (h *failures) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

// TestMarkAllIsOneStatement: SetState runs one statement for any number of
// notifications. On SQLite another one logs it.
func TestMarkAllIsOneStatement(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		const many = 100_000
		fill(t, db, many)
		var statements int64
		stop := onStatement(t, db, func(n int64) { statements = n })
		f.setState(jane, filter(notifications.Filter{}), read, many)
		stop()
		if want := map[string]int64{"postgres": 1, "sqlite": 2}[db.Name()]; statements != want {
			t.Errorf("%d statements, want %d", statements, want)
		}
		f.wantStatus(jane, notifications.Status{Read: many})
		f.setState(jane, filter(notifications.Filter{}), read, 0)
	})
}

// fill stores many notifications for jane, directly by SQL.
func fill(t *testing.T, db *gorm.DB, many int) {
	t.Helper()
	hex, id := "printf('%012x', n)", "substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7000-8000-000000000000'"
	if db.Name() == "postgres" {
		hex, id = "lpad(to_hex(n), 12, '0')", "("+id+")::uuid"
	}
	numbers := fmt.Sprintf("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d), x AS (SELECT n, %s AS h FROM i) ", many, hex)
	for _, statement := range []string{
		"INSERT INTO notification_messages (id, poster, origin, title, actions, is_system, audience_list, origin_key, title_key) " + numbers +
			"SELECT " + id + ", 'service:ci', 'o', 't', '[]', FALSE, '[\"user:default/jane\"]', 'o', 't' FROM x",
		"INSERT INTO notification_deliveries (audience, message_id) " + numbers + "SELECT 'user:default/jane', " + id + " FROM x",
	} {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// onStatement calls do before each statement of db, with its number, until stop
// is called.
func onStatement(t *testing.T, db *gorm.DB, do func(n int64)) (stop func()) {
	t.Helper()
	var n atomic.Int64
	count := func(*gorm.DB) { do(n.Add(1)) }
	const name = "test:count"
	processors := db.Callback()
	type processor interface {
		Register(name string, fn func(*gorm.DB)) error
	}
	for _, p := range []processor{
		processors.Raw().After("*"), processors.Query().After("*"), processors.Create().After("*"),
		processors.Update().After("*"), processors.Delete().After("*"), processors.Row().After("*"),
	} {
		if err := p.Register(name, count); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, p := range []interface{ Remove(name string) error }{
			processors.Raw(), processors.Query(), processors.Create(), processors.Update(), processors.Delete(), processors.Row(),
		} {
			if err := p.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}
