package notifications_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// The benchmarks of the hot paths count allocations, which internal/allocs
// compares with its baseline. Each iteration does the same.

// measure runs a benchmark. It first calls do a few times, to prepare
// statements and to fill caches.
func measure(b *testing.B, do func() error) {
	b.Helper()
	run := func() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	for range 4 {
		run()
	}
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

// benchUsers is the number of users in the catalog of the benchmarks. All are
// in the group ops; jane is in two more groups.
const benchUsers = 1000

func benchUser(i int) string { return fmt.Sprintf("default/user-%04d", i) }

func benchCatalog(b *testing.B) *catalog.Files {
	b.Helper()
	var text strings.Builder
	text.WriteString("kind: User\nmetadata: {name: jane}\nspec: {memberOf: [ops, dev, oncall]}\n")
	for _, group := range []string{"ops", "dev", "oncall"} {
		fmt.Fprintf(&text, "---\nkind: Group\nmetadata: {name: %s}\n", group)
	}
	for i := range benchUsers {
		fmt.Fprintf(&text, "---\nkind: User\nmetadata: {name: %s}\nspec: {memberOf: [ops]}\n", strings.TrimPrefix(benchUser(i), "default/"))
	}
	files, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(text.String())}}, "org.yaml")
	if err != nil {
		b.Fatal(err)
	}
	return files
}

// eachBench runs body with a service over an empty database, for each dialect.
func eachBench(b *testing.B, body func(b *testing.B, svc *notifications.Service)) {
	b.Helper()
	for _, kind := range []struct {
		name string
		open func(testing.TB) *gorm.DB
	}{{"sqlite", dbtest.SQLite}, {"postgres", dbtest.Postgres}} {
		b.Run(kind.name, func(b *testing.B) {
			svc, err := notifications.New(notifications.Config{DB: kind.open(b), Catalog: benchCatalog(b), Policy: notifications.Authenticated{}})
			if err != nil {
				b.Fatal(err)
			}
			if err := svc.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			body(b, svc)
		})
	}
}

// benchDraft has the fields of a build server's post.
func benchDraft(to notifications.Audience) notifications.Draft {
	return notifications.Draft{
		Origin: "ci", Title: "Build 4711 failed", Message: "3 of 812 tests failed on main", Topic: "builds", Link: "/builds/4711",
		Severity: notifications.SeverityHigh, Actions: []notifications.ActionDraft{{Title: "Log", URL: "/builds/4711/log"}}, To: to,
	}
}

// fillInbox posts to jane, to one of jane's groups and to everybody in turn,
// and returns the ids of the first 100.
func fillInbox(b *testing.B, svc *notifications.Service) []string {
	b.Helper()
	audiences := []notifications.Audience{notifications.Users("default/jane"), notifications.Groups("default/ops"), notifications.Everyone()}
	ids := make([]string, 150)
	for i := range ids {
		posted, err := svc.Post(b.Context(), ci, benchDraft(audiences[i%len(audiences)]))
		if err != nil {
			b.Fatal(err)
		}
		ids[i] = posted.ID
	}
	return ids[:100]
}

func BenchmarkList(b *testing.B) {
	eachBench(b, func(b *testing.B, svc *notifications.Service) {
		fillInbox(b, svc)
		first, err := svc.List(b.Context(), jane, notifications.ListQuery{Filter: all})
		if err != nil {
			b.Fatal(err)
		}
		text := all
		text.Text = "TESTS failed"
		for _, bc := range []struct {
			name  string
			query notifications.ListQuery
		}{
			{"first page", notifications.ListQuery{Filter: all}},
			{"by cursor", notifications.ListQuery{Filter: all, After: first.Next}},
			{"by offset", notifications.ListQuery{Filter: all, Offset: 40}},
			{"by text", notifications.ListQuery{Filter: text}},
			{"by title", notifications.ListQuery{Filter: all, OrderBy: notifications.OrderTitle}},
		} {
			b.Run(bc.name, func(b *testing.B) {
				measure(b, func() error {
					page, err := svc.List(b.Context(), jane, bc.query)
					if err == nil && len(page.Items) != notifications.DefaultLimit {
						return fmt.Errorf("%d notifications on a page", len(page.Items))
					}
					return err
				})
			})
		}
	})
}

// BenchmarkRead measures the other reads.
func BenchmarkRead(b *testing.B) {
	eachBench(b, func(b *testing.B, svc *notifications.Service) {
		ids := fillInbox(b, svc)
		unread := all
		unread.Read = notifications.Unread
		for _, bc := range []struct {
			name string
			do   func() error
		}{
			{"count unread", func() error { _, err := svc.Count(b.Context(), jane, unread); return err }},
			{"status", func() error { _, err := svc.Status(b.Context(), jane, notifications.SystemOrNot); return err }},
			{"topics", func() error { _, err := svc.Topics(b.Context(), jane, notifications.SystemOrNot); return err }},
			{"get", func() error { _, err := svc.Get(b.Context(), jane, ids[0]); return err }},
		} {
			b.Run(bc.name, func(b *testing.B) { measure(b, bc.do) })
		}
	})
}
