package api

// The events of streamNotifications are hello, notification, removed, state,
// count and resync. The data of notification is a [Notification], that of count
// a [Status].

// StreamHello is the data of the event hello, the first one of each stream.
type StreamHello struct {
	// Resumed tells whether the stream continues where the client said.
	Resumed bool `json:"resumed"`
	// Reader is the name of the user whose inbox it is.
	Reader string `json:"reader"`
}

// StreamRemoved is the data of the event removed: a notification that the user
// cannot see any more.
type StreamRemoved struct {
	// ID is that of the notification, which the user need not have seen.
	ID string `json:"id"`
}

// StreamState is the data of the event state: the user has marked
// notifications. It has either IDs or Many.
type StreamState struct {
	// IDs are those of the notifications.
	IDs []string `json:"ids,omitempty"`
	// Many tells that any notification may be concerned.
	Many bool `json:"many,omitempty"`
}

// ResyncReason says why changes may be missing.
type ResyncReason string

// The reasons of a [StreamResync].
const (
	// ResyncEpoch: the database was restored, or another server has taken over.
	ResyncEpoch ResyncReason = "epoch"
	// ResyncExpired: the position is too old.
	ResyncExpired ResyncReason = "expired"
	// ResyncOverflow: more has happened than the server can tell.
	ResyncOverflow ResyncReason = "overflow"
	// ResyncMembership: the user's groups have changed, or their data was
	// erased.
	ResyncMembership ResyncReason = "membership"
)

// StreamResync is the data of the event resync: changes may be missing, so the
// client must read again what it shows.
type StreamResync struct {
	// Reason says why.
	Reason ResyncReason `json:"reason"`
}
