package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// as asks for a path of the server under another name, as a browser does after
// DNS rebinding.
func (i *instance) as(t *testing.T, host, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, i.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := i.client.Do(req)
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

// Where a guest is let in, a page whose name resolves to this machine can
// neither read nor write. Health checks are answered under every name.
func effectOfAllowedHost(t *testing.T) {
	const app = "https://app.example"
	i := serving(t, "--allowed-host=Inbox.example", "--allowed-host=192.0.2.7", "--allowed-host=[2001:db8::7]", "--cors-origin="+app)
	for _, host := range []string{
		"localhost", "localhost:7007", "LocalHost:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:80",
		"inbox.example", "INBOX.example:443", "192.0.2.7:80", "[2001:db8::7]:80",
	} {
		i.as(t, host, http.MethodGet, "/notifications", "").want(t, http.StatusOK)
		i.as(t, host, http.MethodPost, "/notifications", draft(guestRef)).want(t, http.StatusOK)
	}
	for _, host := range []string{
		"evil.example", "evil.example:7007", "localhost.evil.example", "127.0.0.1.evil.example:7007", "sub.inbox.example",
		"localhost.", "0.0.0.0", "127.0.0.2", "[::]", "::1", "192.0.2.8", "localhost:x", "[::1", "x@localhost",
	} {
		for _, r := range []reply{
			i.as(t, host, http.MethodGet, "/notifications", "", "Origin: "+app),
			i.as(t, host, http.MethodPost, "/notifications", draft(guestRef), "Origin: "+app),
		} {
			r.want(t, http.StatusMisdirectedRequest)
			if r.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(r.body, "--allowed-host") {
				t.Errorf("%s: %v %s", host, r.header, r.body)
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); got != app {
				t.Errorf("%s: %s cannot read why: %q", host, app, got)
			}
		}
		if host == "evil.example" {
			i.stderr.wait(t, `method=GET status=421 host=evil.example from=127.0.0.1:`)
			i.as(t, host, http.MethodGet, "/healthz", "").want(t, http.StatusOK)
			i.as(t, host, http.MethodGet, "/readyz", "").want(t, http.StatusOK)
			i.as(t, host, http.MethodGet, "/openapi.yaml", "").want(t, http.StatusMisdirectedRequest)
		}
	}
	if ids := i.as(t, "localhost", http.MethodGet, "/notifications", "").ids(t); len(ids) != 11 {
		t.Errorf("the guest has %d notifications, want 11", len(ids))
	}

	// A token is no exception beside a guest. Without guests every name is
	// answered.
	jane, keys := issued(t, "--user=default/jane")
	serving(t, append(jwtArgs(keys), "--guest")...).as(t, "evil.example", http.MethodGet, "/notifications", "", bearer(jane)).want(t, http.StatusMisdirectedRequest)
	serving(t, jwtArgs(keys)...).as(t, "evil.example", http.MethodGet, "/notifications", "", bearer(jane)).want(t, http.StatusOK)
}
