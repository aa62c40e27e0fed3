package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

// TestPostgresCrashes stops PostgreSQL under load, twice in order and twice by
// a crash. Afterwards every post that was answered with 200 is there, and every
// other one was answered with 503.
func TestPostgresCrashes(t *testing.T) {
	t.Parallel()
	cluster := dbtest.StartPostgres(t, pgcluster.Options{Durable: true})
	db, err := database.OpenPostgres(t.Context(), database.PostgresConfig{URL: cluster.URL(), MaxConns: 4, AcquireTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	s := newServer(t, db, func(_ *notifications.Config, c *httpapi.Config) {
		*c = httpapi.Config{Guest: notifications.User("default/jane")}
	})

	const posters, afterwards = 4, 20
	var (
		wg           sync.WaitGroup
		mu           sync.Mutex
		acknowledged []string
		refused      int
	)
	progress := make(chan struct{}, 1) // one value an answer
	quiet := make(chan struct{})       // closed when the server has started for the last time
	for poster := range posters {
		wg.Go(func() {
			for i, left := 0, afterwards; left > 0; i++ {
				a := s.do("POST", "/notifications", jsonBody(fmt.Sprintf(`{"origin":"o","title":"%d-%d","targetUsers":["default/jane"]}`, poster, i)))
				mu.Lock()
				switch a.status {
				case http.StatusOK:
					var created struct{ MessageID string }
					_ = json.Unmarshal([]byte(a.body), &created)
					acknowledged = append(acknowledged, created.MessageID)
				case http.StatusServiceUnavailable:
					refused++
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
				mu.Unlock()
				select {
				case progress <- struct{}{}:
				default:
				}
				select {
				case <-quiet:
					left--
				default:
				}
			}
		})
	}
	for _, outage := range []func() error{cluster.Stop, cluster.Crash, cluster.Stop, cluster.Crash} {
		before := len(locked(&mu, &acknowledged))
		for len(locked(&mu, &acknowledged)) < before+20 && !t.Failed() {
			<-progress // while posts are running
		}
		if err := outage(); err != nil {
			t.Error(err)
		}
		if err := cluster.Start(); err != nil {
			t.Error(err)
			break
		}
	}
	close(quiet)
	wg.Wait()

	stored := map[string]bool{}
	for next := "?pageSize=10000"; next != ""; {
		a := s.do("GET", "/notifications"+next).want(http.StatusOK)
		var items []item
		a.decode(&items)
		for _, n := range items {
			stored[n.ID] = true
		}
		_, next, _ = strings.Cut(a.header.Get("Link"), "<")
		next, _, _ = strings.Cut(next, ">")
	}
	lost := 0
	for _, id := range acknowledged {
		if !stored[id] {
			lost++
		}
	}
	t.Logf("%d acknowledged, %d refused, %d stored", len(acknowledged), refused, len(stored))
	if lost > 0 {
		t.Errorf("%d of %d acknowledged posts are lost", lost, len(acknowledged))
	}
	if refused == 0 {
		t.Error("nothing was refused: the outages were not felt")
	}
}

func locked[T any](mu *sync.Mutex, list *[]T) []T {
	mu.Lock()
	defer mu.Unlock()
	return *list
}
