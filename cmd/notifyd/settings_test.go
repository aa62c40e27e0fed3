package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"gorm.io/gorm"
)

// effects has a test of the effect of every setting.
var effects = []struct {
	settings string
	show     func(t *testing.T)
}{
	{"listen", effectOfListen},
	{"prefix", effectOfPrefix},
	{"tls-cert tls-key", effectOfTLS},
	{"cors-origin", effectOfCORSOrigin},
	{"allowed-host", effectOfAllowedHost},
	{"log-format", effectOfLogFormat},
	{"log-level", effectOfLogLevel},
	{"config", effectOfConfig},
	{"database", effectOfDatabase},
	{"database-password-file", effectOfPasswordFile},
	{"database-replica", effectOfReplica},
	{"database-min-conns database-idle-timeout", effectOfMinConnsAndIdleTimeout},
	{"database-wait", effectOfDatabaseWait},
	{"database-max-conns database-acquire-timeout", effectOfMaxConnsAndAcquireTimeout},
	{"statement-timeout lock-timeout pgbouncer", effectOfTimeouts},
	{"bell bell-credentials-file", effectOfBell},
	{"catalog", effectOfCatalog},
	{"open-catalog", effectOfOpenCatalog},
	{"jwks-url jwt-issuer jwt-audience", effectOfTokens},
	{"jwks-insecure", effectOfJWKSInsecure},
	{"jwks-max-stale", effectOfJWKSMaxStale},
	{"jwt-max-lifetime", effectOfJWTMaxLifetime},
	{"jwt-user-claim", effectOfUserClaim},
	{"external-caller-secret-file", effectOfSecret},
	{"external-caller-user", effectOfExternalCallerUser},
	{"legacy-key-file", effectOfLegacyKeys},
	{"guest", effectOfGuest},
	{"users-may-broadcast", effectOfUsersMayBroadcast},
	{"retention", effectOfRetention},
	{"purge-interval", effectOfPurgeInterval},
	{"idempotency-window", effectOfIdempotencyWindow},
	{"read-header-timeout", effectOfReadHeaderTimeout},
	{"read-timeout", effectOfReadTimeout},
	{"write-timeout", effectOfWriteTimeout},
	{"idle-timeout", effectOfIdleTimeout},
	{"shutdown-timeout", effectOfShutdownTimeout},
	{"max-header-bytes", effectOfMaxHeaderBytes},
	{"max-body-bytes", effectOfMaxBodyBytes},
	{"rate-limits", effectOfRateLimits},
	{"stream-max stream-max-per-user", effectOfStreamLimits},
	{"trusted-proxy", effectOfTrustedProxy},
}

func TestEverySettingHasAnEffect(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, e := range effects {
		for name := range strings.FieldsSeq(e.settings) {
			shown[name] = true
		}
		t.Run(e.settings, func(t *testing.T) { t.Parallel(); e.show(t) })
	}
	for _, s := range new(config).settings() {
		if !shown[s.name] {
			t.Errorf("nothing shows what --%s does", s.name)
		}
	}
}

func effectOfListen(t *testing.T) {
	for _, host := range []string{"localhost", "[::1]"} {
		if l, err := net.Listen("tcp", host+":0"); err != nil {
			t.Logf("there is no %s here", host)
		} else if err := l.Close(); err != nil {
			t.Fatal(err)
		} else {
			serving(t, "--listen="+host+":0").get(t, "/healthz").want(t, http.StatusOK)
		}
	}
	i := serving(t)
	taken := strings.TrimSuffix(strings.TrimPrefix(i.url, "http://"), "/api/notifications")
	refused(t, invoke(t, nil, withDefaults(t, []string{"--listen", taken})...), exitFailure, "address already in use")
}

func effectOfPrefix(t *testing.T) {
	i := serving(t, "--prefix=/x/y")
	if !strings.HasSuffix(i.url, "/x/y") {
		t.Errorf("the URL is %s", i.url)
	}
	i.get(t, "/notifications").want(t, http.StatusOK)
	i.url = strings.TrimSuffix(i.url, "/x/y")
	i.get(t, "/notifications").want(t, http.StatusOK)
	i.get(t, "/healthz").want(t, http.StatusOK)
	i.get(t, "/api/notifications/notifications").want(t, http.StatusNotFound)
}

// selfSigned returns a certificate for 127.0.0.1 and its key, in PEM.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func effectOfTLS(t *testing.T) {
	certificate, key := selfSigned(t)
	_, otherKey := selfSigned(t)
	certFile, keyFile := file(t, "cert.pem", string(certificate)), file(t, "key.pem", string(key))
	i := serving(t, "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(i.url, "https://127.0.0.1:") {
		t.Fatalf("the URL is %s", i.url)
	}
	i.trust(t, certificate)
	i.get(t, "/notifications").want(t, http.StatusOK)

	refused(t, invoke(t, nil, withDefaults(t, []string{"--tls-cert", certFile, "--tls-key", file(t, "key.pem", string(otherKey))})...),
		exitUsage, "--tls-cert: ", "private key does not match")
	refused(t, invoke(t, nil, withDefaults(t, []string{"--tls-cert=/no/cert", "--tls-key", keyFile, "--catalog=/no/catalog"})...),
		exitUsage, "--tls-cert: open /no/cert", "--catalog: open /no/catalog")
}

func effectOfCORSOrigin(t *testing.T) {
	const app = "https://app.example"
	i := serving(t, "--cors-origin", app, "--cors-origin=http://localhost:3000")
	for _, origin := range []string{app, "http://localhost:3000"} {
		for _, call := range []struct{ method, path, headers string }{
			{http.MethodPut, "/notifications/read", "authorization"},
			{http.MethodPost, "/notifications", "authorization,content-type,idempotency-key"},
			{http.MethodDelete, "/notifications/x", "authorization"},
			{http.MethodGet, "/notifications/stream", "authorization,last-event-id"},
		} {
			r := i.do(t, http.MethodOptions, call.path, "", "Origin: "+origin, "Access-Control-Request-Method: "+call.method, "Access-Control-Request-Headers: "+call.headers)
			if got := r.want(t, http.StatusNoContent).header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("%s may call %s: %q", origin, call.method, got)
			}
		}
		r := i.post(t, "default/guest", "Origin: "+origin, "Sec-Fetch-Site: cross-site").want(t, http.StatusOK)
		if got := r.header.Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("%s may read the answer: %q", origin, got)
		}
		exposed := strings.ToLower(r.header.Get("Access-Control-Expose-Headers"))
		for _, name := range []string{"etag", "link", "notifications-position", "notifications-poll-interval", "retry-after", "x-request-id"} {
			if !strings.Contains(exposed, name) {
				t.Errorf("a page may not read %s, only %s", name, exposed)
			}
		}
	}
	// Other origins get no headers, and cannot write as the guest.
	without := serving(t)
	for _, j := range []*instance{i, without} {
		r := j.do(t, http.MethodOptions, "/notifications/read", "", "Origin: https://evil.example", "Access-Control-Request-Method: PUT")
		if got := r.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("another origin may call: %q", got)
		}
		j.post(t, "default/guest", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site").want(t, http.StatusForbidden)
	}
}

func effectOfLogFormat(t *testing.T) {
	i := serving(t, "--log-format=json")
	i.get(t, "/notifications?containsText=confidential", "X-Request-Id: of-this-test", bearer("confidential"))
	i.stderr.wait(t, "of-this-test")
	for line := range strings.Lines(i.stderr.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if strings.Contains(line, "confidential") {
			t.Errorf("the log holds %q", line)
		}
	}
	i = serving(t)
	i.get(t, "/notifications", "X-Request-Id: of-this-test")
	i.stderr.wait(t, "request_id=of-this-test")
}

func effectOfLogLevel(t *testing.T) {
	i := serving(t, "--log-level=warn")
	i.get(t, "/notifications", "X-Request-Id: of-this-test").want(t, http.StatusOK)
	i.stop()
	if text := i.stderr.String(); text != "" {
		t.Errorf("there is a warning: %s", text)
	}
}

func effectOfConfig(t *testing.T) {
	path := file(t, "notifyd.yaml", "listen: localhost:0\nprefix: /from-file\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := newOutput()
	status := make(chan int)
	go func() {
		status <- run(ctx, process{args: []string{"--config", path, "--database=sqlite:" + filepath.Join(t.TempDir(), "x.db")}, stdout: stdout, stderr: io.Discard})
	}()
	stdout.wait(t, "/from-file, ")
	cancel()
	if code := <-status; code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func effectOfDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file with #, ? and %.db")
	i := serving(t, "--database=sqlite:"+path)
	if !strings.Contains(i.line, "database sqlite:"+path+",") {
		t.Errorf("the line at the start is %q", i.line)
	}
	i.post(t, "default/guest").want(t, http.StatusOK)
	i.stop()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if ids := serving(t, "--database=sqlite:"+path).get(t, "/notifications").ids(t); len(ids) != 1 {
		t.Errorf("it holds %q", ids)
	}
	refused(t, invoke(t, nil, withDefaults(t, []string{"--database=sqlite:/no/directory/x.db"})...), exitFailure, "/no/directory/x.db")
}

// passwordServer is a PostgreSQL server that asks for a password.
func passwordServer(t *testing.T, password string) *url.URL {
	t.Helper()
	u, err := url.Parse(dbtest.StartPostgres(t, pgcluster.Options{Password: password}).URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/notifications"
	return u
}

func effectOfPasswordFile(t *testing.T) {
	const password, wrong = "p@ss/word:with?signs", "wrong-and-never-printed"
	u := passwordServer(t, password)
	u.User = url.UserPassword(u.User.Username(), wrong)
	for _, with := range []string{u.String(), strings.Replace(u.String(), ":"+wrong, "", 1) + "&password=" + wrong} {
		r := invoke(t, nil, withDefaults(t, []string{"--database", with})...)
		refused(t, r, exitFailure, "password authentication failed")
		if strings.Contains(r.stderr, wrong) {
			t.Errorf("the password is in %q", r.stderr)
		}
		i := serving(t, "--database", with, "--database-password-file", file(t, "password", password+"\n"))
		i.post(t, "default/guest").want(t, http.StatusOK)
		if !strings.Contains(i.line, "postgres://postgres@") || strings.Contains(i.line, "word") || strings.Contains(i.line, wrong) {
			t.Errorf("the line at the start is %q", i.line)
		}
	}
	refused(t, invoke(t, nil, withDefaults(t, []string{"--database", u.String(), "--database-password-file=/no/password"})...),
		exitUsage, "--database-password-file: open /no/password")
}

// connect opens a connection for the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// hold locks the messages until it is released.
func hold(t *testing.T, url string) (release func()) {
	t.Helper()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE notification_messages"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// sessions counts the sessions of servers in the database for which the
// condition is true.
func sessions(t *testing.T, conn *pgx.Conn, condition string) int {
	t.Helper()
	var n int
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'notifyd' AND "+condition).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// named adds an application name to the URL.
func named(url string) string {
	if strings.Contains(url, "?") {
		return url + "&application_name=notifyd"
	}
	return url + "?application_name=notifyd"
}

func effectOfMaxConnsAndAcquireTimeout(t *testing.T) {
	database := dbtest.PostgresURL(t)
	i := serving(t, "--database="+named(database), "--database-min-conns=0", "--database-max-conns=1", "--database-acquire-timeout=100ms", "--log-level=debug")
	i.stderr.wait(t, "msg=purged") // the purge needs the connection, too
	watch := connect(t, database)
	release := hold(t, database)
	first := make(chan int, 1)
	go func() {
		r, err := i.try(context.Background(), http.MethodGet, "/notifications", "")
		if err != nil {
			t.Error(err)
		}
		first <- r.status
	}()
	// Or the tailer does, which looks every second.
	eventually(t, "a request holds the only connection", func() bool { return sessions(t, watch, "wait_event_type = 'Lock'") == 1 })
	if r := i.get(t, "/notifications?containsText=confidential").want(t, http.StatusServiceUnavailable); r.header.Get("Retry-After") == "" {
		t.Error("it is not said when to try again")
	}
	i.stderr.wait(t, "no connection in time")
	if text := i.stderr.String(); strings.Contains(text, "confidential") {
		t.Errorf("what was searched for is in the log: %s", text)
	}
	release()
	if status := <-first; status != http.StatusOK && status != http.StatusServiceUnavailable {
		t.Errorf("the first request has status %d", status)
	}
}

// The start waits for a PostgreSQL that is not up yet, and not for ever.
func effectOfDatabaseWait(t *testing.T) {
	cluster := dbtest.StartPostgres(t, pgcluster.Options{})
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	args := []string{"--listen=127.0.0.1:0", "--database=" + cluster.URL()}
	refused(t, invoke(t, nil, append(args, "--database-wait=1ms")...), exitFailure, "PostgreSQL is not up yet", "waited 1ms")
	refused(t, invoke(t, nil, "migrate", args[1], "--database-wait=1ms"), exitFailure, "PostgreSQL is not up yet", "waited 1ms")

	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := newOutput(), newOutput()
	status := make(chan int)
	go func() { status <- run(ctx, process{args: args, stdout: stdout, stderr: stderr}) }()
	stderr.wait(t, "PostgreSQL is not up yet")
	if err := cluster.Start(); err != nil {
		t.Error(err)
	}
	stdout.wait(t, "notifyd listens on")
	cancel()
	if code := <-status; code != 0 {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	if n := strings.Count(stderr.String(), "is not up yet"); n != 1 {
		t.Errorf("it said so %d times", n)
	}
}

func effectOfMinConnsAndIdleTimeout(t *testing.T) {
	database := dbtest.PostgresURL(t)
	i := serving(t, "--database="+named(database), "--database-min-conns=2", "--database-max-conns=6", "--database-idle-timeout=200ms", "--bell=none")
	watch := connect(t, database)
	release := hold(t, database)
	var requests sync.WaitGroup
	for range 6 {
		requests.Go(func() {
			if _, err := i.try(context.Background(), http.MethodGet, "/notifications", ""); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "every connection is used, but for two that are left to writes", func() bool { return sessions(t, watch, "wait_event_type = 'Lock'") == 4 })
	release()
	requests.Wait()
	eventually(t, "unused connections are gone, but for two and that of readiness", func() bool { return sessions(t, watch, "true") == 3 })
}

func effectOfTimeouts(t *testing.T) {
	url := dbtest.PostgresURL(t)
	for flag, want := range map[string]string{"--pgbouncer=false": "1234ms 567ms", "--pgbouncer": "0 0"} {
		c, err := load([]string{"--database=" + url, "--statement-timeout=1234ms", "--lock-timeout=567ms", flag}, nil)
		if err != nil {
			t.Fatal(err)
		}
		db, probe, err := openServing(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for _, db := range []*gorm.DB{db, probe} {
			var got string
			if err := db.Raw("SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')").Scan(&got).Error; err != nil || got != want {
				t.Errorf("%s: the timeouts are %s, %v; want %s", flag, got, err, want)
			}
			if err := closeDatabase(db); err != nil {
				t.Error(err)
			}
		}
	}
}

func effectOfWriteTimeout(t *testing.T) {
	database := dbtest.PostgresURL(t)
	i := serving(t, "--database="+database, "--write-timeout=1s")
	release := hold(t, database)
	defer release()
	i.get(t, "/notifications").want(t, http.StatusServiceUnavailable)
	i.post(t, "default/guest").want(t, http.StatusServiceUnavailable)
}

func effectOfStreamLimits(t *testing.T) {
	for _, flag := range []string{"--stream-max=2", "--stream-max-per-user=2"} { // all are those of one user
		i := serving(t, flag)
		first := i.mustFollow(t, "")
		i.mustFollow(t, "").wait(t, "hello")
		i.get(t, "/notifications/stream").want(t, http.StatusTooManyRequests)
		_ = first.conn.Close()
		eventually(t, "another stream begins", func() bool {
			_, err := i.follow(t, "")
			return err == nil
		})
	}
}

func effectOfCatalog(t *testing.T) {
	users := file(t, "users.yaml", "kind: User\nmetadata: {name: guest}\nspec: {memberOf: [crew]}\n---\nkind: User\nmetadata: {name: ann}\n")
	groups := file(t, "groups.yaml", "kind: Group\nmetadata: {name: crew}\n")
	i := serving(t, "--catalog", users, "--catalog", groups)
	i.post(t, "default/ann").want(t, http.StatusOK)
	i.post(t, "default/jane").want(t, http.StatusBadRequest) // jane is only in the example
	i.do(t, http.MethodPost, "/notifications", `{"origin":"test","title":"x","targetGroups":["default/crew"]}`).want(t, http.StatusOK)
	if ids := i.get(t, "/notifications").ids(t); len(ids) != 1 {
		t.Errorf("the guest sees %q", ids)
	}
	refused(t, invoke(t, nil, withDefaults(t, []string{"--catalog", file(t, "bad.yaml", "kind: User\n")})...), exitUsage, "--catalog: ", "bad.yaml:1")
}

// The built-in catalog works.
func TestExampleCatalog(t *testing.T) {
	t.Parallel()
	jane, keys := issued(t, "--user=default/jane")
	john := issuedInto(t, keys, "--user=default/john")
	i := serving(t, append(jwtArgs(keys), "--guest")...)
	for _, to := range []string{`"targetUsers":["default/guest","default/jane","default/john"]`, `"targetGroups":["default/ops"]`, `"targetGroups":["default/dev"]`} {
		i.do(t, http.MethodPost, "/notifications", `{"origin":"test","title":"x",`+to+`}`).want(t, http.StatusOK)
	}
	for who, want := range map[string]int{"": 2, jane: 2, john: 3} {
		headers := []string{}
		if who != "" {
			headers = append(headers, bearer(who))
		}
		if ids := i.get(t, "/notifications", headers...).ids(t); len(ids) != want {
			t.Errorf("%d notifications, want %d", len(ids), want)
		}
	}
}

func effectOfOpenCatalog(t *testing.T) {
	i := serving(t, "--open-catalog")
	i.post(t, "whoever").want(t, http.StatusOK)
	i.post(t, "default/guest").want(t, http.StatusOK)
	if ids := i.get(t, "/notifications").ids(t); len(ids) != 1 {
		t.Errorf("the guest sees %q", ids)
	}
}

func effectOfExternalCallerUser(t *testing.T) {
	i := serving(t, "--external-caller-secret-file", file(t, "secret", secret), "--external-caller-user=default/jane")
	i.post(t, "default/jane", "notifications-secret: "+secret).want(t, http.StatusOK)
	if ids := i.get(t, "/notifications", "notifications-secret: "+secret).ids(t); len(ids) != 1 {
		t.Errorf("jane sees %q", ids)
	}
}

// dial connects to the server and writes a text that no client would send.
func (i *instance) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	u, err := url.Parse(i.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// cut waits until the server closes the connection. All other limits are far
// above the time that a test waits.
func cut(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection was not ended: %v", err)
	}
}

// patientExcept sets all limits of a connection high, except one.
func patientExcept(flag, value string) []string {
	args := []string{"--" + flag + "=" + value}
	for _, other := range []string{"read-header-timeout", "read-timeout", "idle-timeout"} {
		if other != flag {
			args = append(args, "--"+other+"=10m")
		}
	}
	return args
}

func effectOfReadHeaderTimeout(t *testing.T) {
	i := serving(t, patientExcept("read-header-timeout", "100ms")...)
	cut(t, i.dial(t, "GET /healthz HTTP/1.1\r\nHost: a"))
}

func effectOfReadTimeout(t *testing.T) {
	i := serving(t, patientExcept("read-timeout", "100ms")...)
	cut(t, i.dial(t, "POST /notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"))
}

func effectOfIdleTimeout(t *testing.T) {
	i := serving(t, patientExcept("idle-timeout", "100ms")...)
	cut(t, i.dial(t, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"))
}

// inFlight starts a post, and returns when the server reads its body.
func (i *instance) inFlight(t *testing.T) (conn net.Conn, finish func() reply) {
	t.Helper()
	body := draft("default/guest")
	conn = i.dial(t, fmt.Sprintf("POST /notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body)))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("the server does not read: %q, %v", line, err)
	}
	if line, err := answers.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("after 100 Continue comes %q, %v", line, err)
	}
	return conn, func() reply {
		t.Helper()
		if _, err := io.WriteString(conn, body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return reply{resp.StatusCode, resp.Header, string(text)}
	}
}

func effectOfShutdownTimeout(t *testing.T) {
	i := spawn(t, "--shutdown-timeout=100ms")
	conn, _ := i.inFlight(t)
	if code := i.stop(); code != exitFailure {
		t.Errorf("exit status %d", code)
	}
	cut(t, conn)
	i.stderr.wait(t, "cut off after 100ms")
}

func effectOfMaxHeaderBytes(t *testing.T) {
	i := serving(t, "--max-header-bytes=8192")
	i.get(t, "/notifications", "X-Padding: "+strings.Repeat("x", 7000)).want(t, http.StatusOK)
	i.get(t, "/notifications", "X-Padding: "+strings.Repeat("x", 20000)).want(t, http.StatusRequestHeaderFieldsTooLarge)
	serving(t).get(t, "/notifications", "X-Padding: "+strings.Repeat("x", 40000)).want(t, http.StatusOK)
}

func effectOfMaxBodyBytes(t *testing.T) {
	i := serving(t, "--max-body-bytes=200")
	i.post(t, "default/guest").want(t, http.StatusOK)
	long := `{"origin":"test","title":"x","targetUsers":["default/guest"],"message":"` + strings.Repeat("x", 200) + `"}`
	i.do(t, http.MethodPost, "/notifications", long).want(t, http.StatusRequestEntityTooLarge)
	serving(t).do(t, http.MethodPost, "/notifications", long).want(t, http.StatusOK)
}
