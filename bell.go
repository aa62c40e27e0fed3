package notifications

import "context"

// Bell tells the other instances of a service that something changed, so that
// they look into the database at once. It carries no payload and has no order.
// Rings may be lost, and many may be heard as one: every instance also polls, so
// a lost ring costs time and nothing else. The packages below bell/ have
// implementations. A Bell is safe for concurrent use.
type Bell interface {
	// Ring rings once. It is called after each commit, so it does not wait for
	// a network: it hands the ring over. Rings may be sent only while Listen runs
	// on the same Bell. An error says that this ring is lost.
	Ring(ctx context.Context) error

	// Listen calls heard after rings of other instances, and maybe after those
	// of this Bell. It blocks until ctx ends, and then returns nil. It also calls
	// heard whenever it is connected, at first and again, because it may have
	// missed rings before. It connects again by itself; an error means that it
	// cannot go on, and that calling it again is of no use without a change of
	// the settings. heard must not block. Listen may call it in any goroutine,
	// also in several at once, but not after it returned.
	Listen(ctx context.Context, heard func()) error
}
