package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestExample(t *testing.T) {
	handler, err := newHandler(t.Context(), filepath.Join(t.TempDir(), "x.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	for _, step := range []struct {
		user, path string
		status     int
		has        string
	}{
		{"", "/api/notifications/notifications", http.StatusUnauthorized, ""},
		{"stranger", "/api/notifications/notifications", http.StatusForbidden, ""},
		{"kim", "/deploy", http.StatusForbidden, ""},
		{"jane", "/deploy", http.StatusOK, "announced as"},
		{"john", "/api/notifications/notifications", http.StatusOK, "A new version is live"},
		{"kim", "/api/notifications/notifications", http.StatusOK, "[]"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+step.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if step.user != "" {
			req.Header.Set("X-User", step.user)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != step.status || !strings.Contains(string(body), step.has) {
			t.Errorf("%s as %q: %d %s %v, want %d with %q", step.path, step.user, res.StatusCode, body, err, step.status, step.has)
		}
	}
}
