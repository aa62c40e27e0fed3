package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// address returns the address of the client: that of the connection or, if that
// is a trusted proxy, the last one in X-Forwarded-For that is none. It is the
// zero Addr for a connection without an address, such as a Unix socket.
func address(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := peer.Addr().Unmap().WithZone("")
	if len(proxies) == 0 {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !contains(proxies, client) {
			break
		}
		before, err := parseHop(strings.TrimSpace(hop))
		if err != nil { // a trusted proxy did not write this
			break
		}
		client = before
	}
	return client
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// secure reports whether the client uses TLS, with this server or with a
// trusted proxy.
func secure(r *http.Request, proxies []netip.Prefix) bool {
	if r.TLS != nil {
		return true
	}
	peer := address(&http.Request{RemoteAddr: r.RemoteAddr}, nil)
	return contains(proxies, peer) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// parseHop reads an address that some proxies write with a port.
func parseHop(hop string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return a.Unmap().WithZone(""), err
}

// network is what failed authentication is counted for: an IPv4 address, or the
// part of an IPv6 address that one client cannot change.
func network(a netip.Addr) string {
	const ofOneClient = 64 // bits
	if a.Is6() {
		if prefix, err := a.Prefix(ofOneClient); err == nil {
			return prefix.String()
		}
	}
	return a.String()
}
