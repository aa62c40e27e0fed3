package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog/catalogtest"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// started runs the program, and returns its URL and what stops it.
func started(t *testing.T, databaseURL string) (at string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listening, stopped := make(chan string, 1), make(chan error, 1)
	go func() {
		stopped <- run(ctx, settings{
			databaseURL: databaseURL, adminPassword: "correct horse", listen: "127.0.0.1:0",
			log: slog.New(slog.DiscardHandler), listening: func(addr string) { listening <- addr },
		})
	}()
	stop = func() error {
		cancel()
		return <-stopped
	}
	select {
	case addr := <-listening:
		return "http://" + addr, stop
	case err := <-stopped:
		cancel()
		t.Fatal(err)
		return "", nil
	}
}

// browser is somebody with cookies.
type browser struct {
	*testing.T
	http.Client
	at string
}

func newBrowser(t *testing.T, at string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, http.Client{Jar: jar}, at}
}

// signedIn is a browser of a user.
func signedIn(t *testing.T, at, name, password string) *browser {
	t.Helper()
	b := newBrowser(t, at)
	b.sends("POST", "/sign-in", url.Values{"name": {name}, "password": {password}}, http.StatusOK, "<h1>Teams</h1>")
	return b
}

// sends sends a form, and checks status and content of the answer.
func (b *browser) sends(method, path string, form url.Values, status int, has string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status || !strings.Contains(string(body), has) {
		b.Errorf("%s %s: %d %s %v, want %d with %q", method, path, res.StatusCode, body, err, status, has)
	}
}

func (b *browser) reads(count string) {
	b.Helper()
	b.sends("GET", "/api/notifications/notifications/count?messageScope=all", nil, http.StatusOK, `{"count":`+count+`}`)
}

func TestExample(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.PostgresURL(t)
	at, stop := started(t, databaseURL)
	const inbox = "/api/notifications/notifications"

	stranger := newBrowser(t, at)
	stranger.sends("GET", "/", nil, http.StatusOK, "<h1>Teams</h1>")
	stranger.sends("GET", inbox, nil, http.StatusUnauthorized, "")
	stranger.sends("POST", "/sign-in", url.Values{"name": {"admin"}, "password": {"guess"}}, http.StatusUnauthorized, "sign in first")
	stranger.sends("POST", "/sign-in", url.Values{"name": {"nobody"}, "password": {""}}, http.StatusUnauthorized, "sign in first")
	stranger.sends("POST", "/users", nil, http.StatusUnauthorized, "sign in first")
	stranger.sends("POST", "/teams/ops/posts", nil, http.StatusUnauthorized, "sign in first")

	admin := signedIn(t, at, "admin", "correct horse")
	jane := url.Values{"name": {"Jane"}, "password": {"battery staple"}, "team": {"ops"}}
	admin.sends("POST", "/users", jane, http.StatusCreated, "")
	admin.sends("POST", "/users", jane, http.StatusBadRequest, "name: is taken")
	admin.sends("POST", "/users", url.Values{"name": {"j"}, "password": {"short"}, "team": {"ops"}}, http.StatusBadRequest, "password: must have 12")
	admin.sends("POST", "/users", url.Values{"name": {"a b"}}, http.StatusBadRequest, "name: must be")

	member := signedIn(t, at, "jane", "battery staple")
	member.sends("GET", inbox, nil, http.StatusOK, "Welcome, jane")
	member.reads("2") // and that she has joined
	member.sends("POST", "/teams/ops/posts", url.Values{"title": {"Lunch"}}, http.StatusCreated, "")
	member.sends("POST", "/teams/ops/posts", nil, http.StatusBadRequest, "Title: is required")
	member.sends("POST", "/teams/admins/posts", url.Values{"title": {"Lunch"}}, http.StatusForbidden, "not allowed")
	member.sends("POST", "/users", nil, http.StatusForbidden, "not allowed")
	member.reads("3")
	admin.sends("POST", "/teams/ops/posts", url.Values{"title": {"No lunch"}}, http.StatusCreated, "")
	admin.sends("POST", "/teams/none/posts", url.Values{"title": {"Lunch"}}, http.StatusBadRequest, "To[0]: there is no group")
	member.reads("4")

	// She sees what was posted since she joined, and nothing of another team.
	john := url.Values{"name": {"john"}, "password": {"battery staple"}, "team": {"ops"}}
	admin.sends("POST", "/users", john, http.StatusCreated, "")
	late := signedIn(t, at, "john", "battery staple")
	late.reads("2")

	// Another program of the same host begins where this one ends.
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	at, stop = started(t, databaseURL)
	member.at, admin.at = at, at
	member.reads("5")
	admin.sends("DELETE", "/users/john", nil, http.StatusNoContent, "")
	admin.sends("DELETE", "/users/john", nil, http.StatusNotFound, "")
	member.reads("4")
	member.sends("POST", "/sign-out", nil, http.StatusOK, "<h1>Teams</h1>")
	member.sends("GET", inbox, nil, http.StatusUnauthorized, "")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestStopsWithoutADatabase: it says so and starts nothing.
func TestStopsWithoutADatabase(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), settings{databaseURL: "postgres:///none?host=" + url.QueryEscape(t.TempDir()), log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("it runs")
	}
}

// opened is the app over a new database.
func opened(t *testing.T) *app {
	t.Helper()
	db, err := gorm.Open(postgres.Open(dbtest.PostgresURL(t)))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	a, err := newApp(t.Context(), db, settings{adminPassword: "correct horse", log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	a := opened(t)
	for _, u := range []newUser{{"jane", "battery staple", "ops", "member"}, {"john", "battery staple", "ops", "member"}} {
		if err := a.addUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	catalogtest.Run(t, a.people, catalogtest.Sample{
		Users: []string{"Jane", "john", "admin"}, Groups: []string{"ops", "Admins"},
		NoUsers: []string{"kim", "ops"}, NoGroups: []string{"none", "jane"},
		Members: map[string][]string{"jane": {"ops"}, "admin": {"admins"}},
		DB:      a.db,
		AddUser: func(ctx context.Context) (string, error) {
			tx, _ := notifications.TxFrom(ctx)
			return "mary", tx.Exec("INSERT INTO users (name, password, role) VALUES ('mary', '', 'member')").Error
		},
	})
}

// TestRoles: what members and admins may do.
func TestRoles(t *testing.T) {
	t.Parallel()
	a := opened(t)
	if err := a.addUser(t.Context(), newUser{"jane", "battery staple", "ops", "member"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		who     string
		to      notifications.Audience
		allowed bool
	}{
		"to her team":                {"jane", notifications.Groups("OPS"), true},
		"to another team":            {"jane", notifications.Groups("ops", "admins"), false},
		"to a user":                  {"jane", notifications.Users("jane"), false},
		"to everybody":               {"jane", notifications.Everyone(), false},
		"of an admin to any team":    {"admin", notifications.Groups("ops"), true},
		"of an admin to everybody":   {"admin", notifications.Everyone(), true},
		"of who is no user any more": {"kim", notifications.Groups("ops"), false},
	} {
		_, err := a.inbox.Post(t.Context(), notifications.User(test.who), notifications.Draft{Origin: "o", Title: name, To: test.to})
		if test.allowed && err != nil || !test.allowed && !errors.Is(err, notifications.ErrForbidden) {
			t.Errorf("a post %s: %v", name, err)
		}
	}
}
