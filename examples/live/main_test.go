package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
)

func TestExample(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	svc, handler, err := newHandler(ctx, filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	titles := make(chan string, 1000)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { _ = svc.Run(ctx) })
	background.Go(func() { follow(ctx, svc, func(n notifications.Notification) { titles <- n.Title }) })

	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if !strings.Contains(string(body), "new EventSource('/api/notifications/notifications/stream") {
		t.Errorf("the page is %s", body)
	}
	stream := startStream(t, srv.URL)
	post := func(title string) {
		res, err := http.PostForm(srv.URL+"/post", url.Values{"title": {title}})
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
	for followed := ""; followed == ""; { // until the follower has begun
		post("Hello")
		select {
		case followed = <-titles:
		default:
		}
	}
	post("Bye")
	for title := ""; title != "Bye"; title = <-titles {
		continue
	}
	for stream.Scan() {
		if strings.Contains(stream.Text(), `"title":"Bye"`) {
			return
		}
	}
	t.Error("the stream has ended")
}

// startStream begins a stream when there are any.
func startStream(t *testing.T, server string) *bufio.Scanner {
	t.Helper()
	for {
		res, err := http.Get(server + "/api/notifications/notifications/stream")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusOK {
			t.Cleanup(func() { _ = res.Body.Close() })
			return bufio.NewScanner(res.Body)
		}
		_ = res.Body.Close()
	}
}
