package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// TestPgBouncer serves every kind of request over a real PgBouncer, which shares
// its connections by session or by transaction.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	server, err := pgx.ParseConfig(dbtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("needs pgbouncer on the PATH") // nothing else of make test needs one
	}
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			direct := dbtest.PostgresURL(t)
			settings, err := pgx.ParseConfig(direct)
			if err != nil {
				t.Fatal(err)
			}
			if r := invoke(t, nil, "migrate", "--database="+direct); r.status != 0 {
				t.Fatal(r.stderr)
			}
			pooler := startPgBouncer(t, program, mode, server)
			url := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", server.User, pooler, settings.Database)
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

// startPgBouncer starts a PgBouncer before a server, and returns its address.
func startPgBouncer(t *testing.T, program, mode string, server *pgx.ConnConfig) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(t.TempDir(), "pgbouncer.ini")
	password := ""
	if server.Password != "" { // an empty one is a syntax error
		password = " password='" + server.Password + "'"
	}
	text := fmt.Sprintf("[databases]\n* = host=%s port=%d user=%s%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\n"+
		"auth_type = any\npool_mode = %s\nunix_socket_dir =\ndefault_pool_size = 20\n", server.Host, server.Port, server.User, password, port, mode)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{settings}
	if os.Geteuid() == 0 { // it refuses to run as root; the tests' PostgreSQL runs as postgres
		args = []string{"-u", "postgres", settings}
	}
	log := newOutput()
	cmd := exec.Command(program, args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // and was killed
	})
	log.wait(t, "process up")
	return "127.0.0.1:" + port
}
