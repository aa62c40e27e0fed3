package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/notifications-go/notifications"
)

// A refusal waits a little, so that a client in a loop is slow. Other errors do
// not wait, nor do refusals that are more than a server can hold.
func TestRefusalsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l rates
		took := func(ctx context.Context, err error) time.Duration {
			started := time.Now()
			l.delay(ctx, err)
			return time.Since(started)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tt := range []struct {
			ctx  context.Context
			err  error
			want time.Duration
		}{
			{t.Context(), tooOftenError{"x", time.Hour}, maxDelay}, {t.Context(), tooOftenError{"x", time.Millisecond}, time.Millisecond},
			{ended, tooOftenError{"x", time.Hour}, 0}, {t.Context(), notifications.ErrTooMany, 0}, {t.Context(), errors.New("x"), 0},
		} {
			if d := took(tt.ctx, tt.err); d != tt.want {
				t.Errorf("%v waits %v, want %v", tt.err, d, tt.want)
			}
		}
		for range maxDelayed {
			go l.delay(t.Context(), tooOftenError{"x", time.Hour})
		}
		synctest.Wait()
		if d := took(t.Context(), tooOftenError{"x", time.Hour}); d != 0 {
			t.Errorf("one more than %d waits %v", maxDelayed, d)
		}
		time.Sleep(maxDelay) // in the bubble's time
		synctest.Wait()
		if n := l.delayed.Load(); n != 0 {
			t.Errorf("%d are counted in the end", n)
		}
	})
}

// Searches take a part of the turns, so that other reads go on, and count as
// several reads.
func TestSearchesInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, err := newRates(RateLimits{ReadsAtOnce: 8, Reads: Rate{PerSecond: 1, Burst: 100}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		who := notifications.User("default/jane")
		gate := make(chan struct{})
		running := 0
		for range 10 {
			limits.chargeSearch(who, notifications.Filter{Text: "x"})
			go func() {
				_, _ = inTurn(t.Context(), limits.reads, who, true, func() (int, error) {
					running++
					<-gate
					return 0, nil
				})
			}()
			synctest.Wait()
		}
		if running != 2 {
			t.Errorf("%d searches are running", running)
		}
		if n, err := inTurn(t.Context(), limits.reads, who, false, func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("another read gives %d, %v", n, err)
		}
		now := time.Now()
		for range 10 {
			if wait, _ := limits.byClass[reading].Take(who.String(), now); wait > 0 {
				t.Fatalf("after ten searches the next read waits %v", wait)
			}
		}
		if wait, _ := limits.byClass[reading].Take(who.String(), now); wait == 0 {
			t.Error("ten searches cost less than ninety reads")
		}
		close(gate)
		synctest.Wait()
	})
}

// Half of the turns are kept for callers whose reads are quick.
func TestSlowReadsInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits, err := newRates(RateLimits{ReadsAtOnce: 4}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		a := &api{rates: limits}
		slow, quick := notifications.User("default/slow"), notifications.User("default/quick")
		read := func(who notifications.Identity, takes time.Duration) time.Duration {
			began := time.Now()
			_, err := readInTurn(t.Context(), a, who, false, func() (int, error) {
				time.Sleep(takes) // in the bubble's time
				return 0, nil
			})
			if err != nil {
				t.Error(err)
			}
			return time.Since(began) - takes
		}
		read(slow, time.Second)
		for range 4 {
			go read(slow, time.Second)
		}
		synctest.Wait()
		if waited := read(quick, time.Millisecond); waited != 0 {
			t.Errorf("a quick caller waits %v", waited)
		}
		if waited := read(slow, time.Second); waited < time.Second {
			t.Errorf("a slow caller waits %v", waited)
		}
	})
}
