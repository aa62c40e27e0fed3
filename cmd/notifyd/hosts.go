package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/internal/fold"
)

// ownHosts are the names of this machine that are always answered.
var ownHosts = []string{"localhost", "127.0.0.1", "::1"}

// allowHosts answers only requests to the names of this machine and to the
// given ones, at any port. It is for servers that let guests in: a web page can
// make its own name resolve to this machine, and then the browser takes the
// server for the page's own (DNS rebinding). Requests with a token or a secret
// are no exception. Health checks are: they tell nothing of anybody, and often
// name an address.
func allowHosts(next http.Handler, prefix string, names []string, log *slog.Logger) http.Handler {
	allowed := slices.Clone(ownHosts)
	for _, name := range names {
		allowed = append(allowed, fold.ASCII(strings.Trim(name, "[]")))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, strings.TrimRight(prefix, "/"))
		if path == "/healthz" || path == "/readyz" || slices.Contains(allowed, hostOf(r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		log.InfoContext(r.Context(), "request", "method", r.Method, "status", http.StatusMisdirectedRequest,
			"host", fmt.Sprintf("%.100s", r.Host), "from", r.RemoteAddr)
		misdirected(w)
	})
}

// hostOf returns the host of HOST or HOST:PORT in lower case and without
// brackets; empty if it is neither.
func hostOf(authority string) string {
	host := authority
	if h, port, err := net.SplitHostPort(authority); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return ""
		}
		host = h
	} else if inner, ok := strings.CutPrefix(authority, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return ""
		}
	} else if strings.Contains(authority, ":") {
		return ""
	}
	return fold.ASCII(host)
}

// misdirected answers 421 (RFC 9110, section 15.5.20).
func misdirected(w http.ResponseWriter) {
	const status = http.StatusMisdirectedRequest
	body, _ := json.Marshal(api.Problem{ // cannot fail
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: "this server lets guests in, and so answers to the names localhost, 127.0.0.1 and [::1] only; --allowed-host adds another",
	})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// checkHosts reports the faults of --allowed-host.
func (c *config) checkHosts() []error {
	var faults []error
	for _, name := range c.allowedHosts {
		_, notAddress := netip.ParseAddr(strings.Trim(name, "[]"))
		if notAddress != nil && strings.ContainsAny(name, "*:/[]@ ") {
			faults = append(faults, c.fault("allowed-host", "%q is not the name or address of a host, without a port", name))
		}
	}
	if len(c.allowedHosts) > 0 && !c.acceptsGuests() {
		faults = append(faults, c.fault("allowed-host", "is for a server that accepts guests; without them every host is answered"))
	}
	return faults
}
