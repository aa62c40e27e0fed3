package notifications_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// signal is a log handler on which a test can wait for a message.
type signal struct {
	slog.Handler
	mu     sync.Mutex
	logged map[string]chan struct{}
}

func newSignal() *signal {
	return &signal{Handler: slog.DiscardHandler, logged: map[string]chan struct{}{}}
}

func (s *signal) Enabled(context.Context, slog.Level) bool { return true }

func (s *signal) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.of(r.Message):
	default:
		close(s.of(r.Message))
	}
	return nil
}

// of returns a channel that is closed when the message has been logged. The
// caller holds mu.
func (s *signal) of(message string) chan struct{} {
	if s.logged[message] == nil {
		s.logged[message] = make(chan struct{})
	}
	return s.logged[message]
}

func (s *signal) wait(message string) {
	s.mu.Lock()
	logged := s.of(message)
	s.mu.Unlock()
	<-logged
}

// TestRun: Run purges notifications older than Config.Retention, and ends with
// its context.
func TestRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		f.post("old", toJane)
		kept := f.post("old, saved", toJane)
		f.setState(jane, ids(kept), saved, 1)
		f.advance(2 * day)
		f.post("new", toJane)
		log := newSignal()
		s := f.with(func(cfg *notifications.Config) { cfg.Retention, cfg.Logger = day, slog.New(log) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		log.wait("purged")
		if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "already running") {
			t.Errorf("a second Run: %v", err)
		}
		f.wantVisible(jane, "new", "old, saved")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(done); err != nil { // it can run a second time
			t.Errorf("Run again: %v", err)
		}
	})
}

// TestRunPurgesAgain: Run purges at every interval, also after a failed purge.
func TestRunPurgesAgain(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLite(t)
	f := newFixture(t, db)
	log := newSignal()
	s := f.with(func(cfg *notifications.Config) { cfg.PurgeInterval, cfg.Logger = time.Millisecond, slog.New(log) })
	if err := db.Exec("ALTER TABLE notification_scopes RENAME TO elsewhere").Error; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	log.wait("the purge failed; the next one continues")
	if err := db.Exec("ALTER TABLE elsewhere RENAME TO notification_scopes").Error; err != nil {
		t.Fatal(err)
	}
	log.wait("purged")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestNegativeDurations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	_, err := notifications.New(notifications.Config{
		DB: f.db, Catalog: f.directory, Policy: notifications.AllowAll{}, Retention: -1, PurgeInterval: -1, IdempotencyWindow: -1,
	})
	for _, field := range []string{"Config.Retention", "Config.PurgeInterval", "Config.IdempotencyWindow"} {
		if err == nil || !strings.Contains(err.Error(), field+" is negative") {
			t.Errorf("New: %v, want a fault of %s", err, field)
		}
	}
}

// TestAll: All returns every notification once, newest first, over several
// pages, until the caller stops or an error occurs.
func TestAll(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		const many = 250
		drafts := make([]notifications.Draft, many)
		for i := range drafts {
			drafts[i] = draft("t", toJane)
		}
		posted, err := f.PostMany(t.Context(), ci, drafts)
		if err != nil {
			t.Fatal(err)
		}
		i := many
		for n, err := range f.All(t.Context(), jane, all) {
			if i--; err != nil || n.ID != posted[i].ID {
				t.Fatalf("%d is %s, %v; want %s", i, n.ID, err, posted[i].ID)
			}
		}
		if i != 0 {
			t.Errorf("%d are missing", i)
		}
		for range f.All(t.Context(), jane, all) {
			if i++; i == 3 {
				break
			}
		}
		if i != 3 {
			t.Errorf("after break %d came", i)
		}
		var errs []error
		for n, err := range f.All(t.Context(), ci, all) {
			if errs = append(errs, err); n.ID != "" {
				t.Errorf("a service is shown %+v", n)
			}
		}
		if len(errs) != 1 || !errors.Is(errs[0], notifications.ErrForbidden) {
			t.Errorf("a service is answered %v", errs)
		}
	})
}
