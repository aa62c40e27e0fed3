package main

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// TestPgBouncer serves every kind of request over a real PgBouncer, which shares
// its connections by session or by transaction.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			direct := dbtest.PostgresURL(t)
			if r := invoke(t, nil, "migrate", "--database="+direct); r.status != 0 {
				t.Fatal(r.stderr)
			}
			url := dbtest.PgBouncerURL(t, direct, mode)
			i := serving(t, "--database="+url, "--pgbouncer", "--rate-limits=off", "--database-max-conns=6")
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() { everyRequest(t, i) })
			}
			clients.Wait()
		})
	}
}

// everyRequest sends requests of every kind, several times. Each is answered.
func everyRequest(t *testing.T, i *instance) {
	for n := range 5 {
		body := `{"origin":"o","title":"t","scope":"s","metadata":{"a":[1]},"actions":[{"title":"x","url":"/"}],"targetUsers":["default/guest"]}`
		id, err := i.do(t, http.MethodPost, "/notifications", body).want(t, http.StatusOK).messageID()
		if err != nil {
			t.Error(err)
			return
		}
		key := "Idempotency-Key: " + id + strconv.Itoa(n)
		for _, r := range []struct{ method, path, body string }{
			{http.MethodPost, "/notifications", draft(guestRef)},
			{http.MethodPost, "/notifications", draft(guestRef)}, // repeated
			{http.MethodGet, "/notifications?orderBy=title&pageSize=3", ""},
			{http.MethodGet, "/notifications?containsText=T", ""},
			{http.MethodGet, "/notifications/count", ""},
			{http.MethodGet, "/notifications/status", ""},
			{http.MethodGet, "/notifications/topics", ""},
			{http.MethodPut, "/notifications/state", `{"ids":["` + id + `"],"read":true}`},
			{http.MethodPut, "/notifications/state", `{"filter":{"origin":"o"},"saved":true}`},
			{http.MethodPost, "/notifications/withdraw", `{"origin":"o","scope":"other"}`},
			{http.MethodGet, "/readyz", ""},
		} {
			var headers []string
			if r.path == "/notifications" && r.method == http.MethodPost {
				headers = append(headers, key)
			}
			i.do(t, r.method, r.path, r.body, headers...).want(t, http.StatusOK)
		}
	}
}
