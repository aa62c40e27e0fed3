package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/notifications-go/notifications/httpapi"
)

// defaultRateLimits let everybody work, and stop a loop.
const defaultRateLimits = "reads=50,marks=50,posts=100,posts-per-hour=20000,reads-at-once=4,writes-at-once=8,failures=5"

// rateLimits reads a list such as "reads=100,posts=10", or off.
func rateLimits(to *httpapi.RateLimits) func([]string) error {
	return scalar(to, func(s string) (httpapi.RateLimits, error) {
		var l httpapi.RateLimits
		if s == "off" {
			return l, nil
		}
		var given []string
		for entry := range strings.SplitSeq(s, ",") {
			name, value, _ := strings.Cut(entry, "=")
			const most = 1_000_000
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > most {
				return l, fmt.Errorf("%q is not NAME=N with a whole number from 0 to %d, and not off", entry, most)
			}
			if slices.Contains(given, name) {
				return l, fmt.Errorf("%s is given twice", name)
			}
			given = append(given, name)
			if err := setRateLimit(&l, name, n); err != nil {
				return l, err
			}
		}
		return l, nil
	})
}

func setRateLimit(l *httpapi.RateLimits, name string, n int) error {
	const secondsAtOnce = 3
	perSecond := httpapi.Rate{PerSecond: float64(n), Burst: secondsAtOnce * n}
	switch name {
	case "reads":
		l.Reads = perSecond
	case "marks":
		l.Marks = perSecond
	case "posts":
		l.Posts = perSecond
	case "posts-per-hour":
		l.PostsPerHour = n
	case "reads-at-once":
		l.ReadsAtOnce = n
	case "writes-at-once":
		l.WritesAtOnce = n
	case "failures":
		l.Failures = perSecond
	default:
		return fmt.Errorf("%q is none of reads, marks, posts, posts-per-hour, reads-at-once, writes-at-once and failures", name)
	}
	return nil
}

// networks reads addresses, and networks in CIDR notation.
func networks(to *[]netip.Prefix) func([]string) error {
	return func(values []string) error {
		var all []netip.Prefix
		for _, value := range values {
			network, err := netip.ParsePrefix(value)
			if address, notNetwork := netip.ParseAddr(value); notNetwork == nil {
				network, err = address.Prefix(address.BitLen())
			}
			if err != nil {
				return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", value)
			}
			all = append(all, network)
		}
		*to = all
		return nil
	}
}
