package notifications

import "math"

// systemAudience is the audience of what is addressed to everybody. Refs of
// users and groups have a colon, so it is none of them.
const systemAudience = "system"

// messageRow is what was said: one row a post, never changed by readers.
// Times are in Unix milliseconds.
type messageRow struct {
	ID       string  `gorm:"column:id;primaryKey"` // UUIDv7, so ordered by creation
	Poster   string  `gorm:"column:poster"`        // "service:ci", "user:default/jane"; empty if unknown
	Origin   string  `gorm:"column:origin"`
	Title    string  `gorm:"column:title"`
	Message  *string `gorm:"column:message"`
	Topic    *string `gorm:"column:topic"`
	Severity int     `gorm:"column:severity"` // rank
	Link     *string `gorm:"column:link"`
	Icon     *string `gorm:"column:icon"`
	Metadata *string `gorm:"column:metadata"` // JSON object as it was sent
	Actions  string  `gorm:"column:actions"`  // JSON array of storedAction
	IsSystem bool    `gorm:"column:is_system"`
	// Audiences is the JSON array of the audiences whose deliveries are left,
	// so that they are found by the message.
	Audiences string `gorm:"column:audiences"`

	Scope       *string `gorm:"column:scope"`
	UpdatedAt   *int64  `gorm:"column:updated_at"` // content replaced in place
	ExpiresAt   *int64  `gorm:"column:expires_at"`
	Scheduled   bool    `gorm:"column:scheduled"`    // hidden until the instant in ID
	WithdrawnAt *int64  `gorm:"column:withdrawn_at"` // no delivery is left; to be purged
	ReplacedBy  *string `gorm:"column:replaced_by"`  // the post that took over an audience last

	// The texts again, folded, to be searched and ordered alike everywhere.
	OriginKey  string  `gorm:"column:origin_key"`
	TitleKey   string  `gorm:"column:title_key"`
	MessageKey *string `gorm:"column:message_key"`
	TopicKey   *string `gorm:"column:topic_key"`
}

// deliveryRow is whom a message is for: one row a target, never one a member
// of a group. It alone, with the reader's groups and the time, decides
// visibility. What follows the key is a copy from the message.
type deliveryRow struct {
	Audience  string `gorm:"column:audience;primaryKey"` // "user:…", "group:…" or "system"
	MessageID string `gorm:"column:message_id;primaryKey"`
	Severity  int    `gorm:"column:severity"`
	Scheduled bool   `gorm:"column:scheduled"`
	System    bool   `gorm:"column:system"`
	ExpiresAt int64  `gorm:"column:expires_at"` // never where it does not
}

// deliveryExpiry is the expires_at of the message's deliveries.
func (m *messageRow) deliveryExpiry() int64 {
	if m.ExpiresAt == nil {
		return never
	}
	return *m.ExpiresAt
}

// never is the expires_at of a delivery that does not expire.
const never = math.MaxInt64

// stateRow is what a user did with a message. Absent until then. The times are
// in Unix milliseconds; null is unread, not saved, not archived.
type stateRow struct {
	UserRef    string `gorm:"column:user_ref;primaryKey"`
	MessageID  string `gorm:"column:message_id;primaryKey"`
	ReadAt     *int64 `gorm:"column:read_at"`
	SavedAt    *int64 `gorm:"column:saved_at"`
	ArchivedAt *int64 `gorm:"column:archived_at"`
}

// TableName names the table for GORM.
func (messageRow) TableName() string { return "notification_messages" }

// TableName names the table for GORM.
func (deliveryRow) TableName() string { return "notification_deliveries" }

// TableName names the table for GORM.
func (stateRow) TableName() string { return "notification_states" }
