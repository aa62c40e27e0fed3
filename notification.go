package notifications

import (
	"encoding/json"
	"time"
)

// Notification is a notification as one user sees it.
type Notification struct {
	// ID is a UUIDv7 (RFC 9562) in canonical form.
	ID string
	// Created is when it was posted or, if it was scheduled, when it appeared.
	// UTC, to the millisecond.
	Created time.Time
	// Updated is when an update in place last replaced its content. UTC, to the
	// millisecond; zero means never.
	Updated time.Time
	// Expires is when it disappears. UTC, to the millisecond; zero means never.
	Expires time.Time
	// Read, Saved and Archived are this user's marks.
	Read, Saved, Archived bool
	// System reports whether it is addressed to everybody.
	System bool
	// Origin and Title are never empty.
	Origin, Title string
	// Message, Topic, Link, Icon and Scope are empty if the post had none.
	Message, Topic, Link, Icon, Scope string
	// Severity is never empty.
	Severity Severity
	// Metadata is the JSON object of the post, byte for byte; nil if it had
	// none.
	Metadata json.RawMessage
	// Actions is empty if the post had none.
	Actions []Action
	// PostedBy is the identity that posted it, "service:ci" or
	// "user:default/jane"; empty if it is unknown or has been erased.
	PostedBy string
}

// Action is a link offered with a notification.
type Action struct {
	// ID is unique among all actions.
	ID string `json:"id"`
	// Title is the text of the link.
	Title string `json:"title"`
	// URL is absolute (http or https) or a path.
	URL string `json:"url"`
}

// Severity says how much a notification matters.
type Severity string

// The severities, from the lowest to the highest. An empty Severity means
// SeverityNormal in a [Draft], and no filter in a [Filter].
const (
	SeverityLow      Severity = "low"
	SeverityNormal   Severity = "normal"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// severities are indexed by rank. The database stores the rank.
var severities = []Severity{SeverityLow, SeverityNormal, SeverityHigh, SeverityCritical}

var severityRank = map[Severity]int{SeverityLow: 0, "": 1, SeverityNormal: 1, SeverityHigh: 2, SeverityCritical: 3}
