package notifications_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// BenchmarkGroupCommit posts to a SQLite file with synchronous=FULL, by one
// poster and by sixteen in turn. It reports the ratio of their posts a second.
//
// It also reports the gain that SQLite allows: a loop over database/sql runs
// the same SQL, with one post a transaction and with sixteen. In one inbox,
// posts of a transaction share the pages that a commit writes; in many inboxes
// they do not.
func BenchmarkGroupCommit(b *testing.B) {
	for _, inboxes := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("%d_inboxes", inboxes), func(b *testing.B) { benchmarkGroupCommit(b, inboxes) })
	}
}

func benchmarkGroupCommit(b *testing.B, inboxes int) {
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
	fillInboxes(b, db, inboxes)
	pool, err := db.DB()
	if err != nil {
		b.Fatal(err)
	}
	var posted atomic.Int64
	user := func() string { // the next one is elsewhere in the index
		const stride = 7919
		return benchInbox(int(posted.Add(1)*stride) % inboxes)
	}
	post := func(posters, each int) time.Duration {
		start := time.Now()
		concurrently(b, posters, func(int) error {
			for range each {
				draft := notifications.Draft{Origin: "bench", Title: "Build is done", To: notifications.Users(user())}
				if _, err := svc.Post(b.Context(), ci, draft); err != nil {
					return err
				}
			}
			return nil
		})
		return time.Since(start)
	}
	bare := func(transactions, each int) time.Duration {
		start := time.Now()
		for range transactions {
			users := make([]string, each)
			for i := range users {
				users[i] = user()
			}
			if err := notifications.StoreBare(b.Context(), pool, users...); err != nil {
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

func benchInbox(i int) string { return fmt.Sprintf("user:default/user-%06d", i) }

// fillInboxes delivers four messages to each inbox.
func fillInboxes(b *testing.B, db *gorm.DB, inboxes int) {
	b.Helper()
	err := db.Exec("WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 4 * ? - 1)"+
		" INSERT INTO notification_deliveries (audience, message_id)"+
		" SELECT printf('user:default/user-%06d', n / 4), printf('00000000-0000-7000-8000-%012d', n) FROM i", inboxes).Error
	if err != nil {
		b.Fatal(err)
	}
}
