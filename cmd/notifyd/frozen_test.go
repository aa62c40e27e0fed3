package main

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

// TestFrozenPostgres: while PostgreSQL hangs, connections stay open and nothing
// answers. notifyd says that it is not ready, answers every request with 503
// at its deadline, and works again by itself when PostgreSQL does.
func TestFrozenPostgres(t *testing.T) {
	t.Parallel()
	const deadline, slack = 2700 * time.Millisecond, 10 * time.Second
	cluster := dbtest.StartPostgres(t, pgcluster.Options{})
	u, err := url.Parse(cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/notifications"
	i := spawn(t, "--database="+u.String(), "--write-timeout=3s", "--rate-limits=off")
	acknowledged, err := i.post(t, "default/guest").messageID()
	if err != nil {
		t.Fatal(err)
	}
	i.get(t, "/readyz").want(t, http.StatusOK)

	if err := cluster.Freeze(); err != nil {
		t.Fatal(err)
	}
	thaw := sync.OnceFunc(func() {
		if err := cluster.Thaw(); err != nil {
			t.Error(err)
		}
	})
	defer thaw()
	i.get(t, "/healthz").want(t, http.StatusOK)
	var asked sync.WaitGroup
	var mu sync.Mutex
	longest := map[string]time.Duration{}
	ask := func(name string, within time.Duration, do func() reply) {
		asked.Go(func() {
			start := time.Now()
			do().want(t, http.StatusServiceUnavailable)
			took := time.Since(start)
			if took > within+slack {
				t.Errorf("%s took %v, should take %v", name, took, within)
			}
			mu.Lock()
			defer mu.Unlock()
			longest[name] = max(longest[name], took)
		})
	}
	const each = 10 // together more than there are connections
	for range each {
		ask("readyz", 2*time.Second, func() reply { return i.get(t, "/readyz") })
		ask("post", deadline, func() reply { return i.post(t, "default/guest") })
		ask("list", deadline, func() reply { return i.get(t, "/notifications") })
		ask("count", deadline, func() reply { return i.get(t, "/notifications/status") })
		ask("mark", deadline, func() reply {
			return i.do(t, http.MethodPut, "/notifications/read?read=true&messageId="+acknowledged, "")
		})
	}
	asked.Wait()
	t.Logf("the longest of %d requests each: %v", each, longest)

	thaw()
	eventually(t, "it is ready again", func() bool { return i.get(t, "/readyz").status == http.StatusOK })
	for range 20 { // as many as there are connections, and more
		i.post(t, "default/guest").want(t, http.StatusOK)
	}
	if n := len(i.get(t, "/notifications?pageSize=100").ids(t)); n < 21 {
		t.Errorf("%d notifications, want at least 21", n)
	}
}
