package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/notifications-go/notifications/httpapi"
)

func effectOfRateLimits(t *testing.T) {
	i := serving(t, "--rate-limits=reads=0,posts-per-hour=2")
	for range 2 {
		i.post(t, "default/guest").want(t, http.StatusOK)
	}
	if r := i.post(t, "default/guest").want(t, http.StatusTooManyRequests); r.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
	i.stderr.wait(t, `msg="a poster has reached the quota" poster=user:default/guest posts_per_hour=2`)
	i.get(t, "/notifications").want(t, http.StatusOK)

	const more = 60 // than the default of failures
	throttled := func(args ...string) bool {
		i := serving(t, args...)
		for range more {
			if i.get(t, "/notifications", "Authorization: Bearer bad").status == http.StatusTooManyRequests {
				return true
			}
		}
		return false
	}
	if !throttled() {
		t.Errorf("after %d bad tokens, the next one is answered with 401", more)
	}
	if throttled("--rate-limits=off") {
		t.Error("with the limits off, bad tokens are throttled")
	}
}

func effectOfTrustedProxy(t *testing.T) {
	for arg, trusted := range map[string]bool{"--trusted-proxy=127.0.0.0/8": true, "--trusted-proxy=10.0.0.1": false} {
		i := serving(t, "--rate-limits=failures=1", arg)
		throttled := false
		for client := range 30 { // three may come at once
			from := fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", client)
			throttled = throttled || i.get(t, "/notifications", "Authorization: Bearer bad", from).status == http.StatusTooManyRequests
		}
		if throttled == trusted {
			t.Errorf("%s: 30 clients are throttled: %t", arg, throttled)
		}
	}
}

func TestRateLimitsSetting(t *testing.T) {
	t.Parallel()
	var got httpapi.RateLimits
	set := rateLimits(&got)
	rate := func(n float64) httpapi.Rate { return httpapi.Rate{PerSecond: n, Burst: int(3 * n)} }
	for value, want := range map[string]httpapi.RateLimits{
		"off":                      {},
		"reads=7,posts-per-hour=9": {Reads: rate(7), PostsPerHour: 9},
		"marks=0,failures=2":       {Failures: rate(2)},
		defaultRateLimits:          {Reads: rate(50), Marks: rate(50), Posts: rate(100), PostsPerHour: 20_000, ReadsAtOnce: 4, WritesAtOnce: 8, Failures: rate(5)},
	} {
		if err := set([]string{value}); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", value, got, err, want)
		}
	}
	for _, wrong := range []string{"on", "reads", "reads=", "reads=-1", "reads=1.5", "reads=1,", "reads=1,reads=2", "lists=1", "off,reads=1", "reads=99999999"} {
		if err := set([]string{wrong}); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
	for _, wrong := range []string{"localhost", "10.0.0.0/33", "10.0.0", ""} {
		if err := networks(&new(config).trustedProxies)([]string{wrong}); err == nil {
			t.Errorf("the proxy %q is accepted", wrong)
		}
	}
}
