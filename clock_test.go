package notifications_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// TestIDsFollowTheClock: after the clock has jumped forward and back, ids are of
// the real time again. A small step back keeps their order.
func TestIDsFollowTheClock(t *testing.T) {
	t.Parallel()
	f := newClockedFixture(t, dbtest.SQLite(t))
	created := func() time.Time {
		t.Helper()
		id := f.post("x", toJane)
		n, err := f.Get(t.Context(), jane, id)
		if err != nil {
			t.Fatal(err)
		}
		return n.Created
	}
	real := f.clock.now()
	created()
	f.clock.advance(48 * time.Hour)
	if got := created(); got.Before(real.Add(47 * time.Hour)) {
		t.Errorf("created %v while the clock was ahead", got)
	}
	f.clock.advance(-48 * time.Hour)
	if got := created(); !got.Equal(real) {
		t.Errorf("created %v, want %v", got, real)
	}
	f.clock.advance(-time.Second / 2)
	before := f.post("x", toJane)
	f.clock.advance(-time.Second / 4)
	if after := f.post("x", toJane); after <= before {
		t.Errorf("%s is not after %s", after, before)
	}
}

// TestNoPurgeAfterAJump: after the clock has jumped ahead Run removes nothing,
// until the clock is right again.
func TestNoPurgeAfterAJump(t *testing.T) {
	t.Parallel()
	f := newClockedFixture(t, dbtest.SQLite(t))
	log := newSignal()
	s := f.with(func(cfg *notifications.Config) {
		cfg.Retention, cfg.PurgeInterval, cfg.Logger = 24*time.Hour, time.Millisecond, slog.New(log)
	})
	f.post("kept", toJane)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	log.wait("purged")
	f.clock.advance(72 * time.Hour)
	log.wait("nothing is purged, because the clock has jumped ahead; correct it, or start again if it is right")
	f.clock.advance(-72 * time.Hour)
	log.wait("purged")
	f.wantList(jane, notifications.ListQuery{}, "kept")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
