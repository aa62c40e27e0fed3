package api

// Count is the answer of getNotificationsCount.
type Count struct {
	// Count is how many notifications the caller can see and the parameters
	// select.
	Count int64 `json:"count"`
}

// StateBody is the body of setState: what is to be marked, by either IDs or
// Filter, and how, by at least one of Read, Saved and Archived.
type StateBody struct {
	// IDs are ids of notifications, 1 to 1,000. The server passes over those
	// the caller cannot see.
	IDs []string `json:"ids,omitzero"`
	// Filter selects what a list with the same parameters has, on all pages.
	Filter *StateFilter `json:"filter,omitempty"`
	// Seen is the header [PositionHeader] of the list the caller has seen, and
	// goes with Filter: notifications that were posted or rewritten since stay
	// as they are. Optional. The status is 409 if it is too old.
	Seen string `json:"seen,omitempty"`
	// UpTo is the largest id to mark, and goes with Filter, without Seen.
	// Notifications that the caller has not seen may have smaller ids.
	UpTo string `json:"upTo,omitempty"`
	// Read tells whether they become read or unread; nil leaves that as it is.
	Read *bool `json:"read,omitempty"`
	// Saved tells whether they become saved; nil leaves that as it is.
	Saved *bool `json:"saved,omitempty"`
	// Archived tells whether they become archived; nil leaves that as it is.
	Archived *bool `json:"archived,omitempty"`
}

// StateFilter selects notifications by the parameters of getNotifications. Each
// is optional. The zero value selects what a list without parameters does.
type StateFilter struct {
	// ContainsText must be in the title or the message, regardless of case. No
	// character has a special meaning.
	ContainsText string `json:"containsText,omitempty"`
	// CreatedAfter selects what was created strictly later.
	CreatedAfter Time `json:"createdAfter,omitzero"`
	// MessageScope is [MessageScopeUser] if empty.
	MessageScope MessageScope `json:"messageScope,omitempty"`
	// Read selects what the caller has or has not marked as read; nil both.
	Read *bool `json:"read,omitempty"`
	// Saved selects what the caller has or has not saved; nil both.
	Saved *bool `json:"saved,omitempty"`
	// Archived is [NotArchived] if empty.
	Archived ArchivedFilter `json:"archived,omitempty"`
	// MinSeverity selects what is at least as severe.
	MinSeverity Severity `json:"minSeverity,omitempty"`
	// Topic selects what has exactly this topic: at most 255 characters.
	Topic string `json:"topic,omitempty"`
	// Origin selects what has exactly this origin: at most 255 characters.
	Origin string `json:"origin,omitempty"`
}

// Updated is the answer of setState.
type Updated struct {
	// Updated is how many notifications were not already so.
	Updated int64 `json:"updated"`
}

// Status is the answer of getStatus: how many notifications a user has in each
// state.
type Status struct {
	// Unread is how many are neither read nor archived.
	Unread int64 `json:"unread"`
	// Read is how many are read and not archived.
	Read int64 `json:"read"`
	// Saved is how many are saved and not archived.
	Saved int64 `json:"saved"`
	// Archived is how many are archived.
	Archived int64 `json:"archived"`
}

// Topics is the answer of getTopics: what a user's notifications are about, and
// where they come from. The server sends empty arrays if there are none; nil
// would be encoded as null.
type Topics struct {
	// Topics are ordered by name. Of more than 1,000 the server sends those
	// with the most unread. A notification without a topic is not counted.
	Topics []TopicCount `json:"topics"`
	// Origins are ordered by name, and bounded like Topics.
	Origins []OriginCount `json:"origins"`
}

// TopicCount is how many notifications a user has of one topic, without those
// archived.
type TopicCount struct {
	// Topic is never empty.
	Topic string `json:"topic"`
	// Unread is at most Total.
	Unread int64 `json:"unread"`
	// Total is how many there are, read or not.
	Total int64 `json:"total"`
}

// OriginCount is how many notifications a user has from one origin, without
// those archived.
type OriginCount struct {
	// Origin is never empty.
	Origin string `json:"origin"`
	// Unread is at most Total.
	Unread int64 `json:"unread"`
	// Total is how many there are, read or not.
	Total int64 `json:"total"`
}
