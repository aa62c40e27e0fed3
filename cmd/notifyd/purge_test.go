package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// library is a Service on a database of notifyd, for steps that need no server
// or that the server does not offer.
type library struct {
	*notifications.Service
	db *gorm.DB
}

// openLibrary opens or creates the database of the settings.
func openLibrary(t *testing.T, settings ...string) library {
	t.Helper()
	c, err := load(settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := loadCatalog(c)
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeDatabase(db); err != nil {
			t.Error(err)
		}
	})
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: cat, Policy: notifications.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return library{svc, db}
}

func (l library) post(t *testing.T, to notifications.Audience) (id string) {
	t.Helper()
	posted, err := l.Post(t.Context(), notifications.ServiceAccount("test"), notifications.Draft{Origin: "test", Title: "hello", To: to})
	if err != nil {
		t.Fatal(err)
	}
	return posted.ID
}

// mark changes jane's marks of a notification.
func (l library) mark(t *testing.T, id string, change notifications.StateChange) {
	t.Helper()
	n, err := l.SetState(t.Context(), notifications.User("default/jane"), notifications.ByIDs(id), change)
	if err != nil || n != 1 {
		t.Fatalf("%d marked, %v", n, err)
	}
}

// expired posts a notification and makes it expire, which a post cannot do.
func (l library) expired(t *testing.T) (id string) {
	t.Helper()
	id = l.post(t, notifications.Users("default/jane"))
	l.exec(t, "UPDATE notification_messages SET expires_at = 1 WHERE id = ?", id)
	return id
}

func (l library) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if err := l.db.WithContext(t.Context()).Exec(sql, args...).Error; err != nil {
		t.Fatal(err)
	}
}

// stored reports whether the message exists, visible or not.
func (l library) stored(t *testing.T, id string) bool {
	t.Helper()
	var n int
	if err := l.db.WithContext(t.Context()).Raw("SELECT count(*) FROM notification_messages WHERE id = ?", id).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// gone waits until the message is deleted.
func (l library) gone(t *testing.T, id string) {
	t.Helper()
	eventually(t, "it is removed", func() bool { return !l.stored(t, id) })
}

func newSQLite(t *testing.T) (argument string) {
	t.Helper()
	return "--database=sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Without a retention, and before it has passed, age does not matter.
func effectOfRetention(t *testing.T) {
	database := newSQLite(t)
	l := openLibrary(t, database)
	old, saved := l.post(t, notifications.Users("default/jane")), l.post(t, notifications.Users("default/jane"))
	l.mark(t, saved, notifications.StateChange{Saved: new(true)})
	for _, settings := range [][]string{{database}, {database, "--retention=90d"}} {
		expired := l.expired(t)
		i := serving(t, settings...)
		l.gone(t, expired)
		i.stop()
		if !l.stored(t, old) {
			t.Fatalf("%q: what has not expired is removed", settings)
		}
	}
	serving(t, database, "--retention=1ms")
	l.gone(t, old)
	if !l.stored(t, saved) {
		t.Error("what somebody saved is removed")
	}
}

func effectOfPurgeInterval(t *testing.T) {
	database := newSQLite(t)
	l := openLibrary(t, database)
	i := serving(t, database, "--purge-interval=10ms", "--log-level=debug")
	i.stderr.wait(t, "msg=purged") // the purge at the start
	l.gone(t, l.expired(t))
	l.gone(t, l.expired(t))
}

// wired returns a server that was started but does not serve yet.
func wired(t *testing.T, args ...string) *server {
	t.Helper()
	return wiredTo(t, slog.DiscardHandler, args...)
}

// wiredTo is wired with another log.
func wiredTo(t *testing.T, log slog.Handler, args ...string) *server {
	t.Helper()
	c, err := load(withDefaults(t, args), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), c, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.listener.Close() // closed already if it has served
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func effectOfIdempotencyWindow(t *testing.T) {
	post := func(s *server, title string) error {
		_, err := s.svc.Post(t.Context(), notifications.ServiceAccount("test"), notifications.Draft{
			Origin: "test", Title: title, To: notifications.Users("default/jane"), IdempotencyKey: "key",
		})
		return err
	}
	short, long := wired(t, "--idempotency-window=1ms"), wired(t)
	for _, s := range []*server{short, long} {
		if err := post(s, "one"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the key is forgotten", func() bool {
		err := post(short, "other")
		if err != nil && !errors.Is(err, notifications.ErrKeyReused) {
			t.Fatal(err)
		}
		return err == nil
	})
	if err := post(long, "other"); !errors.Is(err, notifications.ErrKeyReused) {
		t.Errorf("by default the key is forgotten at once: %v", err)
	}
}

// The server purges at its start, with every interval. It logs a purge
// that removed something.
func TestPurgeAtTheStart(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		l := openLibrary(t, database)
		expired, other := l.expired(t), l.post(t, notifications.Users("default/jane"))
		i := serving(t, database)
		i.stderr.wait(t, "level=INFO msg=purged removed=1 elsewhere=false")
		i.stop()
		if l.stored(t, expired) || !l.stored(t, other) {
			t.Errorf("stored is what has expired: %v, and the other: %v", l.stored(t, expired), l.stored(t, other))
		}
		serving(t, database, "--log-level=debug").stderr.wait(t, "level=DEBUG msg=purged removed=0")
	})
}

// A failed purge is logged, and others follow.
func TestPurgeGoesOn(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		l := openLibrary(t, database)
		l.exec(t, "ALTER TABLE notification_scopes RENAME TO elsewhere")
		i := serving(t, database, "--purge-interval=10ms")
		i.stderr.wait(t, `level=ERROR msg="the purge failed`)
		l.exec(t, "ALTER TABLE elsewhere RENAME TO notification_scopes")
		i.get(t, "/healthz")
		l.gone(t, l.expired(t))
	})
}

// aPurgeWaits is a condition on pg_stat_activity. The tailer waits, too.
const aPurgeWaits = "wait_event_type = 'Lock' AND query LIKE '%SKIP LOCKED%'"

// A purge does not keep the server from ending. Interrupting it is no error.
func TestPurgeEndsWithTheServer(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	openLibrary(t, "--database="+database)
	release := hold(t, database)
	defer release()
	i := spawn(t, "--database="+named(database), "--log-level=debug")
	watch := connect(t, database)
	eventually(t, "a purge waits", func() bool { return sessions(t, watch, aPurgeWaits) == 1 })
	if code := i.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, i.stderr)
	}
	i.stderr.wait(t, "the purge was interrupted")
	if text := i.stderr.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("logged as an error: %s", text)
	}
}

// The purge has ended when serving has.
func TestServingEndsAfterThePurge(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	told := newOutput()
	s := wiredTo(t, slog.NewTextHandler(told, &slog.HandlerOptions{Level: slog.LevelDebug}), "--database="+named(database))
	release := hold(t, database)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, nil) }()
	watch := connect(t, database)
	eventually(t, "a purge waits", func() bool { return sessions(t, watch, aPurgeWaits) == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := told.String(); !strings.Contains(text, "the purge was interrupted") {
		t.Errorf("when serving ended the log was %s", text)
	}
}

// A server whose listener fails ends, with its purge.
func TestServingEndsWithTheListener(t *testing.T) {
	t.Parallel()
	s := wired(t)
	if err := s.listener.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(t.Context(), nil) }()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// One of several instances purges at a time, and another takes over.
func TestPurgeElsewhere(t *testing.T) {
	t.Parallel()
	database := dbtest.PostgresURL(t)
	l := openLibrary(t, "--database="+database)
	expired := l.expired(t)
	other := connect(t, database) // takes the lock of a purge
	const purgeLock = 0x6e6f746966707572
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_lock($1)", int64(purgeLock)); err != nil {
		t.Fatal(err)
	}
	i := serving(t, "--database="+database, "--purge-interval=10ms", "--log-level=debug")
	i.stderr.wait(t, "level=DEBUG msg=purged removed=0 elsewhere=true")
	if !l.stored(t, expired) {
		t.Error("both purge")
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.gone(t, expired)
}

// A killed purge has done a part of the work, and the next one does the rest.
// Other notifications stay.
func TestKillWhilePurging(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		const messages = 8000
		l := openLibrary(t, database)
		kept := l.post(t, notifications.Users("default/jane"))
		l.mark(t, kept, notifications.StateChange{Read: new(true)})
		number := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) "
		id := "'01890000-0000-7000-8000-0000000' || (10000 + i)"
		if l.db.Name() == "postgres" {
			id = "(" + id + ")::uuid"
		}
		for _, sql := range []string{
			"INSERT INTO notification_messages (id, origin, title, actions, is_system, origin_key, title_key, audience_list, expires_at) " +
				number + "SELECT " + id + `, 'o', 't', '[]', i < 0, 'o', 't', '["user:default/jane"]', 1 FROM n`,
			"INSERT INTO notification_deliveries (audience, message_id, expires_at) " + number + "SELECT 'user:default/jane', " + id + ", 1 FROM n",
			"INSERT INTO notification_states (user_ref, message_id, read_at, logged) " + number + "SELECT 'user:default/jane', " + id + ", 1, TRUE FROM n",
		} {
			l.exec(t, sql)
		}
		i := spawn(t, database)
		eventually(t, "the purge has begun", func() bool { return l.rows(t, "messages WHERE withdrawn_at IS NULL") < messages })
		if err := i.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		i.stop()
		if left := l.rows(t, "messages"); left == 1 {
			t.Error("it came to its end before it was killed")
		}
		spawn(t, database)
		eventually(t, "the rest is purged", func() bool {
			return l.rows(t, "messages") == 1 && l.rows(t, "deliveries") == 1 && l.rows(t, "states") == 1
		})
		page, err := l.List(t.Context(), notifications.User("default/jane"), notifications.ListQuery{})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != kept || !page.Items[0].Read {
			t.Errorf("left is %+v, %v; want %s alone, read", page.Items, err, kept)
		}
	})
}

// rows returns the number of rows of a table.
func (l library) rows(t *testing.T, table string) (n int64) {
	t.Helper()
	if err := l.db.Raw("SELECT count(*) FROM notification_" + table).Row().Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
