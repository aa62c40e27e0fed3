package notifications_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestPagesAreBoundedByBytes: a page of more than MaxPageBytes is cut, or
// refused if it must be whole, and the pages together have everything once.
func TestPagesAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	const messages = 200
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		var titles []string
		for len(titles) < messages {
			var drafts []notifications.Draft
			for range messages / 2 {
				title := fmt.Sprintf("%03d", len(titles))
				titles = append(titles, title)
				drafts = append(drafts, notifications.Draft{
					Origin: "test", Title: title, Message: strings.Repeat("x", notifications.MaxMessageBytes), To: toJane,
				})
			}
			if _, err := f.PostMany(t.Context(), ci, drafts); err != nil {
				t.Fatal(err)
			}
		}
		for _, order := range []notifications.Order{notifications.OrderCreated, notifications.OrderTitle} {
			q := notifications.ListQuery{OrderBy: order, Ascending: true, Limit: notifications.MaxLimit}
			var got []string
			for page := (notifications.Page{Next: "first"}); page.Next != ""; q.After = page.Next {
				page = f.list(jane, q)
				size := 0
				for _, n := range page.Items {
					size += len(n.Message)
				}
				if size > notifications.MaxPageBytes || page.Next != "" && size < notifications.MaxPageBytes*9/10 {
					t.Errorf("by %s: a page of %d bytes", order, size)
				}
				got = append(got, titlesOf(page.Items)...)
			}
			if !slices.Equal(got, titles) {
				t.Errorf("by %s: %d notifications, %v", order, len(got), got)
			}

			q.After, q.Limit, q.Whole = "", messages, true
			_, err := f.List(t.Context(), jane, q)
			wantFields(t, err, "Limit")
			q.Offset, q.Whole = 1, false
			_, err = f.List(t.Context(), jane, q)
			wantFields(t, err, "Limit")
			q.Offset, q.Limit = messages/2, messages
			if page := f.list(jane, q); len(page.Items) != messages/2 || page.Next != "" {
				t.Errorf("by %s: the second half has %d", order, len(page.Items))
			}
			q.Offset, q.Limit, q.Whole = 0, notifications.DefaultLimit, true
			if page := f.list(jane, q); len(page.Items) != notifications.DefaultLimit || page.Next == "" {
				t.Errorf("by %s: a page of %d", order, len(page.Items))
			}
		}
	})
}
