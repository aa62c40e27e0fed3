package notifications_test

import (
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// BenchmarkGroupCommit posts to a SQLite file with synchronous=FULL, by one
// poster and by sixteen, in turns. It reports how many times as many posts a
// second sixteen make; and how many times as many a loop stores that does the
// same SQL, over database/sql alone, sixteen in a transaction instead of one,
// which is what SQLite lets sharing gain.
func BenchmarkGroupCommit(b *testing.B) {
	db := dbtest.SQLite(b)
	svc, err := notifications.New(notifications.Config{
		DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := svc.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	draft := notifications.Draft{Origin: "bench", Title: "Build is done", To: notifications.Users("jane")}
	post := func(posters, each int) time.Duration {
		start := time.Now()
		concurrently(b, posters, func(int) error {
			for range each {
				if _, err := svc.Post(b.Context(), ci, draft); err != nil {
					return err
				}
			}
			return nil
		})
		return time.Since(start)
	}
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	bare := func(transactions, each int) time.Duration {
		start := time.Now()
		for range transactions {
			if err := notifications.StoreBare(b.Context(), pool, each); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	var alone, together, single, shared time.Duration
	for b.Loop() {
		alone += post(1, 160)
		together += post(16, 10)
		single += bare(160, 1)
		shared += bare(10, 16)
	}
	b.ReportMetric(float64(alone)/float64(together), "times")
	b.ReportMetric(float64(single)/float64(shared), "times-bare")
}
