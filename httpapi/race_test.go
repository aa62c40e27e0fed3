//go:build race

package httpapi

// idleStream is the most that an idle stream may take, in bytes. The race
// detector needs some of it.
const idleStream = 48 << 10
