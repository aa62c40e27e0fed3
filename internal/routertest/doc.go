// Package routertest mounts the HTTP API on the routers Go backends use. It is
// a module of its own, so that importers of the library do not inherit them.
package routertest
