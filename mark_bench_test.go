package notifications_test

import (
	"fmt"
	"testing"

	"github.com/notifications-go/notifications"
)

// BenchmarkMark marks as read and as unread in turn.
func BenchmarkMark(b *testing.B) {
	eachBench(b, func(b *testing.B, svc *notifications.Service) {
		ids := fillInbox(b, svc)
		read := false
		b.Run("one", func(b *testing.B) {
			measure(b, func() error {
				read = !read
				return svc.MarkRead(b.Context(), jane, ids[0], read)
			})
		})
		for _, bc := range []struct {
			name string
			sel  notifications.Selection
		}{
			{"100 by ids", notifications.ByIDs(ids...)},
			{"100 by filter", notifications.ByFilterUpTo(all, ids[len(ids)-1])},
		} {
			b.Run(bc.name, func(b *testing.B) {
				measure(b, func() error {
					read = !read
					n, err := svc.SetState(b.Context(), jane, bc.sel, notifications.StateChange{Read: &read})
					if err == nil && n < int64(len(ids))-1 {
						return fmt.Errorf("marked %d of %d", n, len(ids))
					}
					return err
				})
			})
		}
	})
}
