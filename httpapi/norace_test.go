//go:build !race

package httpapi

// idleStream is the most that an idle stream may take, in bytes.
const idleStream = 32 << 10
