package api

import "encoding/json"

// Notification is a notification as one user sees it. getNotification answers
// with one, getNotifications with an array of them.
type Notification struct {
	// ID is a UUID (RFC 9562).
	ID string `json:"id"`
	// Created is when it was posted, or when it appeared where that was later.
	Created Time `json:"created"`
	// ReadByUser tells whether the caller has marked it as read.
	ReadByUser bool `json:"readByUser"`
	// IsSystem tells whether it is addressed to everybody.
	IsSystem bool `json:"isSystem"`
	// Origin is who or what speaks; never empty.
	Origin string `json:"origin"`
	// Title is the line that is shown; never empty.
	Title string `json:"title"`
	// Message is the text; empty if there is none.
	Message string `json:"message,omitempty"`
	// Topic is what it belongs to; empty if there is none.
	Topic string `json:"topic,omitempty"`
	// Actions are links offered with it, in the order of the post. The server
	// sends an empty array if there are none; nil would be encoded as null.
	Actions []Action `json:"actions"`
	// Severity says how much it matters; never empty.
	Severity Severity `json:"severity"`
	// Saved tells whether the caller has saved it.
	Saved bool `json:"saved"`
	// Archived tells whether the caller has archived it.
	Archived bool `json:"archived"`
	// Link is where it leads: a URL with scheme http or https, or a path; empty
	// if there is none.
	Link string `json:"link,omitempty"`
	// Icon is a picture, by its name or by a URL; empty if there is none.
	Icon string `json:"icon,omitempty"`
	// Metadata is a JSON object for programs, byte for byte as it was posted;
	// empty if there is none. Decoding keeps the bytes, encoding with
	// encoding/json removes space between tokens.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Scope is what it is about, for later posts to replace it; empty if there
	// is none.
	Scope string `json:"scope,omitempty"`
	// Updated is when its content was last replaced in place; zero if that
	// never happened.
	Updated Time `json:"updated,omitzero"`
	// Expires is when it disappears; zero if it does not.
	Expires Time `json:"expires,omitzero"`
	// PostedBy is who posted it, "service:ci" or "user:default/jane"; empty if
	// that is unknown.
	PostedBy string `json:"postedBy,omitempty"`
}

// Action is a link offered with a notification.
type Action struct {
	// ID is unique among all actions.
	ID string `json:"id"`
	// Title is the text of the link.
	Title string `json:"title"`
	// URL has scheme http or https, or is a path.
	URL string `json:"url"`
}

// CreateBody is the body of createNotification: a notification to be posted.
// Every text may have any Unicode character but U+0000.
type CreateBody struct {
	// Origin is who or what speaks, such as "ci": 1 to 255 characters.
	Origin string `json:"origin"`
	// Title is the line that is shown: 1 to 255 characters.
	Title string `json:"title"`
	// Message is the text, optional: at most 65,536 bytes of UTF-8.
	Message string `json:"message,omitempty"`
	// Actions are links to offer with it, optional: at most 16.
	Actions []CreateAction `json:"actions,omitempty"`
	// Topic is what it belongs to, optional: at most 255 characters.
	Topic string `json:"topic,omitempty"`
	// TargetUsers are the users it is for, each of the form "namespace/name"
	// unless the server's catalog has other names. They must exist. Together
	// with TargetGroups at most 1,000 different ones; one given twice counts
	// once.
	//
	// If both are nil, the notification is for everybody. A slice that is
	// empty and not nil is encoded as an empty array, which the server
	// refuses: start from []string{} where the names are computed, so that
	// having found none does not address everybody.
	TargetUsers []string `json:"targetUsers,omitzero"`
	// TargetGroups are the groups whose members it is for, under the same rules
	// as TargetUsers.
	TargetGroups []string `json:"targetGroups,omitzero"`
	// Severity says how much it matters, optional: [SeverityNormal] if empty.
	Severity Severity `json:"severity,omitempty"`
	// Link is where it leads, optional: a URL with scheme http or https, or a
	// path, of at most 2,048 bytes.
	Link string `json:"link,omitempty"`
	// Icon is a picture, optional: a name that the readers' programs know, or a
	// URL as in Link, of at most 2,048 bytes.
	Icon string `json:"icon,omitempty"`
	// Metadata is a JSON object for the readers' programs, optional: at most
	// 16 KiB.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Scope is what it is about, optional: at most 255 characters. It replaces
	// the caller's earlier notification with the same Origin and Scope.
	Scope string `json:"scope,omitempty"`
	// Resurface tells whether it comes up again, unread, when it replaces an
	// earlier one; nil is true. With false, which needs a Scope, the earlier
	// one keeps its id, its place and what its readers did with it, and the
	// targets must be the same.
	Resurface *bool `json:"resurface,omitempty"`
	// Expires is when it disappears, in the future; zero for never.
	Expires Time `json:"expires,omitzero"`
	// NotBefore is when it appears, at most a year ahead; at once if zero or in
	// the past. It cannot be combined with Resurface false.
	NotBefore Time `json:"notBefore,omitzero"`
}

// CreateAction is a link to offer with a notification.
type CreateAction struct {
	// Title is the text of the link: 1 to 255 characters.
	Title string `json:"title"`
	// URL has scheme http or https, or is a path: 1 to 2,048 bytes.
	URL string `json:"url"`
}

// Created is the answer of createNotification. The id has two names, because
// the Backstage plugin's clients know the one and its README the other.
type Created struct {
	// MessageID is the id of the notification.
	MessageID string `json:"messageId"`
	// Msgid is the same id.
	Msgid string `json:"msgid"`
}

// WithdrawBody is the body of withdrawByScope. It selects what the caller has
// posted with both, and nothing of anybody else.
type WithdrawBody struct {
	// Origin is that of the posts: 1 to 255 characters.
	Origin string `json:"origin"`
	// Scope is that of the posts: 1 to 255 characters.
	Scope string `json:"scope"`
}

// Withdrawn is the answer of withdrawByScope.
type Withdrawn struct {
	// Withdrawn is how many notifications are gone; 0 if there was none.
	Withdrawn int64 `json:"withdrawn"`
}

// Reach is the answer of getReach: whom a notification has reached.
type Reach struct {
	// Audiences are those it is delivered to at present, in the order of their
	// names, without those that a later post of its scope took over. The server
	// sends an empty array if there are none; nil would be encoded as null.
	Audiences []Audience `json:"audiences"`
	// Delivered is the number of Audiences.
	Delivered int64 `json:"delivered"`
	// Read is how many users have marked it as read, whether or not they still
	// see it.
	Read int64 `json:"read"`
	// Saved is how many users have saved it.
	Saved int64 `json:"saved"`
	// Archived is how many users have archived it.
	Archived int64 `json:"archived"`
}

// Audience is a user, a group or everybody.
type Audience struct {
	// Audience is the kind and the name of a user or a group, such as
	// "user:default/jane", or "system" for everybody.
	Audience string `json:"audience"`
	// Size is how many users that are now; nil if that is not known.
	Size *int `json:"size,omitempty"`
}
