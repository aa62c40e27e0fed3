package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/notifications-go/notifications"
)

// purge removes for good what nobody can see any more and what is too old, at
// once and then at every interval, until ctx is done. What a purge has not
// finished the next one does, here or in another instance.
func (s *server) purge(ctx context.Context) {
	tick := time.NewTicker(s.purgeInterval)
	defer tick.Stop()
	for {
		s.purgeOnce(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) purgeOnce(ctx context.Context) {
	began := time.Now()
	did, err := s.svc.Purge(ctx, notifications.PurgeOptions{OlderThan: s.retention})
	switch {
	case err == nil:
		level := slog.LevelDebug
		if did.Removed > 0 {
			level = slog.LevelInfo
		}
		s.log.Log(ctx, level, "purged", "removed", did.Removed, "elsewhere", did.Elsewhere, "took", time.Since(began))
	case ctx.Err() != nil:
		s.log.Debug("the purge was broken off", "removed", did.Removed)
	default:
		s.log.Error("the purge failed, the next one goes on", "removed", did.Removed, "next", s.purgeInterval, "error", err)
	}
}
