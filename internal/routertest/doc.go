// Package routertest mounts the HTTP API on the routers that Go backends use.
// It is a module of its own, so that importers of the library do not depend on
// these routers.
package routertest
