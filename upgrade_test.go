package notifications_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// migrator returns goose with the migrations, as a host would use it.
func migrator(t *testing.T, db *gorm.DB) *goose.Provider {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	runs := func(statements string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statements)
			return err
		}}
	}
	var steps []*goose.Migration
	for _, m := range migrations(t, db) {
		steps = append(steps, goose.NewGoMigration(m.Version, runs(m.SQL), runs(m.Down)))
	}
	dialect := map[string]goose.Dialect{"postgres": goose.DialectPostgres, "sqlite": goose.DialectSQLite3}[db.Name()]
	provider, err := goose.NewProvider(dialect, pool, nil, goose.WithGoMigrations(steps...),
		goose.WithTableName("notification_schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// The ids of the rows of version 1, in the order of creation.
var oldIDs = []string{
	"01890000-0001-7000-8000-000000000001", "01890000-0002-7000-8000-000000000002",
	"01890000-0003-7000-8000-000000000003", "01890000-0004-7000-8000-000000000004",
}

// newVersion1 returns a database of version 1 with data, and a service over it.
func newVersion1(t *testing.T, db *gorm.DB) (*fixture, *goose.Provider) {
	t.Helper()
	m := migrator(t, db)
	if _, err := m.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if err := db.Exec(sql, args...).Error; err != nil {
			t.Fatal(err)
		}
	}
	for i, title := range []string{"To Jane", "To ops", "To all", "To all and two"} {
		exec("INSERT INTO notification_messages (id, origin, title, message, topic, actions, is_system, origin_key, title_key, message_key, topic_key)"+
			" VALUES (?, 'CI', ?, 'Body', NULL, ?, ?, 'ci', lower(?), 'body', NULL)",
			oldIDs[i], title, `[{"id":"a1","title":"Open","url":"/x"}]`, i >= 2, title)
	}
	for _, d := range [][2]string{
		{"user:default/jane", oldIDs[0]}, {"group:default/ops", oldIDs[1]}, {"system", oldIDs[2]},
		{"system", oldIDs[3]}, {"user:default/john", oldIDs[3]}, {"group:default/dev", oldIDs[3]},
	} {
		exec("INSERT INTO notification_deliveries (audience, message_id) VALUES (?, ?)", d[0], d[1])
	}
	exec("INSERT INTO notification_states (user_ref, message_id, read_at) VALUES ('user:default/jane', ?, 1700000000000),"+
		" ('user:default/jane', ?, NULL), ('user:default/john', ?, 1700000000001)", oldIDs[0], oldIDs[1], oldIDs[1])
	return (&fixture{t: t, db: db, directory: newDirectory()}).with(nil), m
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f, _ := newVersion1(t, db)
		if err := f.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("Ready on version 1: %v, want ErrUnavailable", err)
		}
		if pending, err := f.PendingMigrations(t.Context()); err != nil || len(pending) == 0 || pending[0].Version != 2 {
			t.Errorf("pending on version 1: %+v, %v", pending, err)
		}
		for range 2 {
			if err := f.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Ready(t.Context()); err != nil {
			t.Error(err)
		}

		f.wantVisible(jane, "To all and two", "To all", "To ops", "To Jane")
		f.wantVisible(john, "To all and two", "To all", "To ops")
		f.wantVisible(guest, "To all and two", "To all")
		f.wantList(jane, notifications.ListQuery{Filter: personal}, "To all and two", "To ops", "To Jane")
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{Text: "TO J", MinSeverity: "normal", Origin: "CI"}}, "To Jane")
		f.wantList(jane, notifications.ListQuery{Filter: notifications.Filter{MinSeverity: "high"}})
		f.wantMarks(jane, oldIDs[0], "read")
		f.wantMarks(jane, oldIDs[1], "")
		f.wantMarks(john, oldIDs[1], "read")
		f.wantStatus(jane, notifications.Status{Unread: 3, Read: 1})
		for i, id := range oldIDs {
			n := f.get(jane, id)
			if n.System != (i >= 2) || n.Severity != "normal" || n.Message != "Body" || len(n.Actions) != 1 || n.Actions[0].URL != "/x" ||
				n.Created.UnixMilli() != 0x018900000001+int64(i) || !n.Expires.IsZero() || !n.Updated.IsZero() || n.Metadata != nil {
				t.Errorf("%+v", n)
			}
			f.wantReasons(id, "default/guest", map[bool]notifications.ReasonCode{true: "system", false: "not-addressed"}[i >= 2])
		}
		wantConsistent(f, jane)
	})
}

// TestOldRows: new verbs work on rows of version 1.
func TestOldRows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f, _ := newVersion1(t, db)
		if err := f.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.directory.SetAccount("default/jane", f.get(jane, oldIDs[2]).Created)
		f.with(systemRead).wantStatus(jane, notifications.Status{Unread: 3, Read: 1}) // one user joined at that very moment
		f.directory.SetAccount("default/jane", f.get(jane, oldIDs[3]).Created)
		f.with(systemRead).wantStatus(jane, notifications.Status{Unread: 2, Read: 2})
		f.with(systemSinceJoining).wantVisible(jane, "To all and two", "To ops", "To Jane")

		// The poster is unknown.
		mere := f.with(withoutDeleteAny)
		for _, who := range []notifications.Identity{ci, jane, {Kind: notifications.KindService, Name: " "}} {
			if err := mere.Withdraw(t.Context(), who, oldIDs[1]); err == nil {
				t.Errorf("%s could withdraw it", who)
			}
			if _, err := f.Reach(t.Context(), who, oldIDs[1]); err == nil {
				t.Errorf("%s is told its reach", who)
			}
		}
		f.erase("default/john")
		if found := f.mentions("john"); len(found) > 0 {
			t.Errorf(`after the erasure "john" is in %q`, found)
		}
		f.wantVisible(john, "To all and two", "To all", "To ops")
		f.setState(jane, ids(oldIDs...), notifications.StateChange{Archived: new(true)}, 4)
		f.setState(jane, ids(oldIDs[0]), saved, 1)
		f.withdraw(oldIDs[3])
		f.wantHidden(guest, oldIDs[3])
		f.wantHidden(jane, oldIDs[3])
		f.post("new", toJane)
		f.purge(0, 1)
		f.purge(day, 2)
		f.wantVisible(jane, "new", "To Jane")
		f.setState(jane, ids(oldIDs[0]), unsaved, 1)
		f.purge(day, 1)
		f.wantRows(map[string]int64{"messages": 1, "deliveries": 1, "states": 0})
	})
}

// TestDowngrade undoes the migrations on a database with data, and applies them
// again.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f, m := newVersion1(t, db)
		if err := f.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.postDraft(withKey("k", scopedDraft("new", toOps)))
		f.setState(jane, ids(oldIDs[2]), allMarks, 1)
		f.withdraw(oldIDs[0])
		if _, err := m.DownTo(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := f.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("Ready on version 1: %v, want ErrUnavailable", err)
		}
		// Version 1 reads these columns.
		var visible []string
		err := db.Raw("SELECT m.title FROM notification_messages m JOIN notification_deliveries d ON d.message_id = m.id" +
			" WHERE d.audience IN ('system', 'user:default/jane', 'group:default/ops') ORDER BY m.id").Find(&visible).Error
		if want := []string{"To ops", "To all", "To all and two", "new"}; err != nil || !slices.Equal(visible, want) {
			t.Errorf("version 1 shows %q, %v; want %q", visible, err, want)
		}
		f.wantRows(map[string]int64{"states": 4})
		if err := f.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.wantVisible(jane, "new", "To all and two", "To all", "To ops")
		f.wantMarks(jane, oldIDs[2], "read") // saved and archived are lost
		if _, err := m.DownTo(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		tables, err := db.Migrator().GetTables()
		tables = slices.DeleteFunc(tables, func(name string) bool { return name == "notification_schema_version" || name == "sqlite_sequence" })
		if err != nil || len(tables) > 0 {
			t.Errorf("all the way down, there are %q, %v", tables, err)
		}
		if err := f.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.post("anew", toJane)
		f.wantVisible(jane, "anew")
	})
}
