package notifications_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
)

func BenchmarkPost(b *testing.B) {
	users := make([]string, benchUsers)
	for i := range users {
		users[i] = benchUser(i)
	}
	jane := notifications.Users("default/jane")
	scoped := benchDraft(jane)
	scoped.Scope = "builds/4711"
	kept := scoped
	kept.KeepPlace = true
	eachBench(b, func(b *testing.B, svc *notifications.Service) {
		for _, bc := range []struct {
			name  string
			draft notifications.Draft
		}{
			{"to a user", benchDraft(jane)},
			{"to 1000 users", benchDraft(notifications.Users(users...))},
			{"to a group", benchDraft(notifications.Groups("default/ops"))},
			{"to everybody", benchDraft(notifications.Everyone())},
			{"over an earlier one", scoped},
			{"in place", kept},
		} {
			b.Run(bc.name, func(b *testing.B) {
				measure(b, func() error { _, err := svc.Post(b.Context(), ci, bc.draft); return err })
			})
		}
		b.Run("with a key", func(b *testing.B) {
			keyed, n := benchDraft(jane), 0
			measure(b, func() error {
				n++
				keyed.IdempotencyKey = fmt.Sprintf("build-%06d", n)
				_, err := svc.Post(b.Context(), ci, keyed)
				return err
			})
		})
		b.Run("with a key and a deadline", func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			keyed, n := benchDraft(jane), 0
			measure(b, func() error {
				n++
				keyed.IdempotencyKey = fmt.Sprintf("deploy-%06d", n)
				_, err := svc.Post(ctx, ci, keyed)
				return err
			})
		})
		b.Run("100 at once", func(b *testing.B) {
			drafts := slices.Repeat([]notifications.Draft{benchDraft(jane)}, 100)
			measure(b, func() error { _, err := svc.PostMany(b.Context(), ci, drafts); return err })
		})
		b.Run("with a key again", func(b *testing.B) {
			keyed := benchDraft(jane)
			keyed.IdempotencyKey = "build"
			measure(b, func() error { _, err := svc.Post(b.Context(), ci, keyed); return err })
		})
	})
}

// BenchmarkPostMany posts 500 texts to 500 users in one call, and one by one, in
// turns. It reports how much of the time of the latter the former takes.
func BenchmarkPostMany(b *testing.B) {
	const many = 500
	drafts := make([]notifications.Draft, many)
	for i := range drafts {
		drafts[i] = benchDraft(notifications.Users(benchUser(i)))
		drafts[i].Title = fmt.Sprint("Build ", i, " is done")
	}
	eachBench(b, func(b *testing.B, svc *notifications.Service) {
		b.Run("500", func(b *testing.B) {
			var together, alone time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := svc.PostMany(b.Context(), ci, drafts); err != nil {
					b.Fatal(err)
				}
				together += time.Since(start)
				start = time.Now()
				for _, d := range drafts {
					if _, err := svc.Post(b.Context(), ci, d); err != nil {
						b.Fatal(err)
					}
				}
				alone += time.Since(start)
			}
			b.ReportMetric(float64(together)/float64(alone), "of-single-posts")
		})
	})
}
