package notifications_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestLongMarksHoldNobody: on SQLite a mark by filter that takes long holds
// posts no longer than their own deadlines, also if they waited together with
// it. Its own context interrupts it, and then the posts that wait are stored
// before the next mark.
func TestLongMarksHoldNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	f.post("to be marked", notifications.Users("default/jane", "default/john"))
	endless := "CREATE TRIGGER endless BEFORE INSERT ON notification_states BEGIN" +
		" SELECT count(*) FROM thousand a, thousand b, thousand c, thousand d, thousand e; END"
	for _, sql := range []string{
		"CREATE TABLE thousand (i INTEGER) STRICT",
		"INSERT INTO thousand WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n",
		endless,
	} {
		if err := f.db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	marking := make(chan struct{}, 2)
	beforeStatements(t, f.db, func(db *gorm.DB) {
		if strings.HasPrefix(db.Statement.SQL.String(), "INSERT INTO notification_states") {
			marking <- struct{}{}
		}
	})
	read := true
	mark := func(ctx context.Context, who notifications.Identity) chan error {
		done, before := make(chan error, 1), notifications.WaitingWrites(f.Service)
		go func() {
			_, err := f.SetState(ctx, who, notifications.ByFilter(all), notifications.StateChange{Read: &read})
			done <- err
		}()
		if who == john {
			for notifications.WaitingWrites(f.Service) == before {
				runtime.Gosched()
			}
		}
		return done
	}
	post := func(ctx context.Context) error {
		_, err := f.Post(ctx, ci, notifications.Draft{Origin: "test", Title: "behind it", To: notifications.Users("default/jane")})
		return err
	}
	first, interruptFirst := context.WithCancel(t.Context())
	second, interruptSecond := context.WithCancel(t.Context())
	firstDone := mark(first, jane)
	<-marking
	secondDone := mark(second, john)
	const posts = 5
	var late sync.WaitGroup
	for range posts {
		late.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := post(ctx); !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a post whose deadline passed behind a mark: %v", err)
			}
		})
	}
	late.Wait()
	stored := make(chan error, posts)
	for range posts {
		go func() { stored <- post(t.Context()) }()
	}
	for notifications.WaitingWrites(f.Service) < posts+1 {
		runtime.Gosched()
	}
	interruptFirst()
	if err := <-firstDone; !errors.Is(err, context.Canceled) {
		t.Errorf("the interrupted mark: %v", err)
	}
	for range posts {
		if err := <-stored; err != nil {
			t.Errorf("a post between two marks: %v", err)
		}
	}
	<-marking
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := post(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a post behind the second mark: %v", err)
	}
	interruptSecond()
	if err := <-secondDone; !errors.Is(err, context.Canceled) {
		t.Errorf("the second interrupted mark: %v", err)
	}
}
