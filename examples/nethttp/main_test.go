package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestExample(t *testing.T) {
	handler, err := newHandler(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	get := func(path string) (int, string) {
		t.Helper()
		res, err := client.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if status, body := get("/api/notifications/notifications"); status != http.StatusUnauthorized {
		t.Errorf("before login: %d %s", status, body)
	}
	if status, body := get("/login?user=jane"); status != http.StatusOK {
		t.Fatalf("login: %d %s", status, body)
	}
	if status, body := get("/api/notifications/notifications"); status != http.StatusOK || !strings.Contains(body, "Welcome, jane") {
		t.Errorf("after login: %d %s", status, body)
	}
}
