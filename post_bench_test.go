package notifications_test

import (
	"fmt"
	"testing"

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
		b.Run("with a key again", func(b *testing.B) {
			keyed := benchDraft(jane)
			keyed.IdempotencyKey = "build"
			measure(b, func() error { _, err := svc.Post(b.Context(), ci, keyed); return err })
		})
	})
}
