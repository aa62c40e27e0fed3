// Package api has the types of the HTTP API: what requests and answers hold as
// JSON (RFC 8259). The server encodes them, and a client in Go encodes and
// decodes them with encoding/json.
//
// The types have the names of the schemas in httpapi/openapi.yaml, and their
// fields the names of the properties; a schema without a name there is named
// here for what it holds. That document has the operations and their
// parameters.
//
// An optional field that is zero is left out of the JSON, and one that the JSON
// does not have stays zero. Nothing in this package checks a limit: the server
// does, and answers with a [Problem] that names every invalid field.
package api

// Headers of the HTTP API that no RFC defines.
const (
	// IdempotencyKeyHeader makes it safe to post again: the server answers the
	// same caller, key and content with the id of the first time. 1 to 255
	// printable ASCII characters.
	IdempotencyKeyHeader = "Idempotency-Key"
	// SecretHeader carries the secret that the server shares with external
	// callers.
	SecretHeader = "notifications-secret"
	// LastEventIDHeader is for a stream to continue after this event: the id
	// that the event had. Programs in browsers send it by themselves (HTML
	// Standard, section 9.2).
	LastEventIDHeader = "Last-Event-ID"
	// PollIntervalHeader is for clients that do not stream: how many seconds to
	// wait before they ask again.
	PollIntervalHeader = "Notifications-Poll-Interval"
	// PositionHeader says what a list, a count or a status shows of the changes
	// to all notifications. It is the Seen of a [StateBody].
	PositionHeader = "Notifications-Position"
	// RequestIDHeader identifies a request in the server's log. The server
	// keeps that of the request, if it has 1 to 128 printable ASCII characters
	// without a space, and makes one otherwise.
	RequestIDHeader = "X-Request-Id"
)

// Severity says how much a notification matters.
type Severity string

// The severities, the most severe first.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityNormal   Severity = "normal"
	SeverityLow      Severity = "low"
)

// MessageScope says to whom a notification must be addressed to be selected.
type MessageScope string

// The scopes a filter can have. The server takes none for MessageScopeUser.
const (
	// MessageScopeUser selects what is addressed to the caller, or to a group
	// of the caller.
	MessageScopeUser MessageScope = "user"
	// MessageScopeSystem selects what is addressed to everybody.
	MessageScopeSystem MessageScope = "system"
	// MessageScopeAll selects both.
	MessageScopeAll MessageScope = "all"
)

// ArchivedFilter says whether a notification must be archived to be selected.
type ArchivedFilter string

// The filters by archive. The server takes none for NotArchived.
const (
	// Archived selects what the caller has archived.
	Archived ArchivedFilter = "true"
	// NotArchived selects everything else.
	NotArchived ArchivedFilter = "false"
	// ArchivedOrNot selects both.
	ArchivedOrNot ArchivedFilter = "all"
)
