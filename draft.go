package notifications

import (
	"encoding/json"
	"strconv"
	"time"
)

// Limits of a post. Characters are Unicode code points.
const (
	MaxTitleChars    = 255      // also of origin, topic, scope, the title of an action and an idempotency key
	MaxMessageBytes  = 64 << 10 // of UTF-8
	MaxActions       = 16       // in one post
	MaxURLBytes      = 2048     // of an action, a link or an icon
	MaxMetadataBytes = 16 << 10 // of JSON as it was sent
	MaxTargets       = 1000     // users and groups, each counted once
	maxRefBytes      = 255      // of the canonical name of a user or group; also of the name of an Identity
)

// Draft is a notification to be posted. Its texts must be valid UTF-8 without
// NUL.
type Draft struct {
	// Origin says who or what speaks, such as "ci". Required, 255 characters.
	Origin string
	// Title is the line that is shown. Required, 255 characters.
	Title string
	// Message is the body, up to 64 KiB. Empty is none.
	Message string
	// Topic groups notifications, up to 255 characters. Empty is none.
	Topic string
	// Actions are links offered with the notification, 16 at most.
	Actions []ActionDraft
	// To says whom it is for. Required: nothing is broadcast by omission.
	To Audience

	// Severity: empty is SeverityNormal.
	Severity Severity
	// Link is where the notification leads, a URL as in an action. Empty is
	// none.
	Link string
	// Icon names a picture, or is the URL of one as in an action. Empty is
	// none.
	Icon string
	// Metadata is a JSON object for the readers' programs, up to 16 KiB,
	// returned byte for byte. It is read as strictly as a request: no
	// duplicate keys, no NUL. Nil is none.
	Metadata json.RawMessage

	// Scope names what the notification is about, up to 255 characters. A
	// later post of the same identity with the same origin and scope replaces
	// this one for the users and groups both are addressed to: they see the
	// later one, on top and unread. Empty is none.
	Scope string
	// KeepPlace, with a Scope, replaces the content of the earlier post and
	// leaves its id, its place and its readers' marks. Both posts must be
	// addressed to the same users and groups: [ErrTargetsDiffer]. Without an
	// earlier post it is an ordinary one.
	KeepPlace bool

	// Expires is when the notification disappears, to the millisecond. It
	// must be in the future. Zero is never.
	Expires time.Time
	// NotBefore is when the notification appears, to the millisecond, with
	// that instant as its time of creation; a year ahead at most. Zero, or a
	// time that is not in the future, is now. It excludes KeepPlace.
	NotBefore time.Time

	// IdempotencyKey, up to 255 characters, makes it safe to post again: the
	// same identity, key and content get the id of the first time, for as long
	// as Config.IdempotencyWindow. Other content is [ErrKeyReused]. Empty is
	// none.
	IdempotencyKey string
}

// ActionDraft is a link offered with a notification.
type ActionDraft struct {
	// Title is the text of the link. Required, 255 characters.
	Title string
	// URL is absolute with scheme http or https, or a relative path such as
	// "/builds/7". Required, 2,048 bytes.
	URL string
}

// check reports every fault of the draft that can be seen without the catalog
// and the database: those that stay, and those that depend on the time. field
// is what stands before the names of its fields.
func (d Draft) check(field string, now time.Time) (faulty, untimely faults) {
	f := &faulty
	f.text(field+"Origin", d.Origin, true, MaxTitleChars)
	f.text(field+"Title", d.Title, true, MaxTitleChars)
	f.text(field+"Topic", d.Topic, false, MaxTitleChars)
	f.text(field+"Message", d.Message, false, 0)
	if len(d.Message) > MaxMessageBytes {
		f.add(field+"Message", "is %d bytes long, the limit is %d", len(d.Message), MaxMessageBytes)
	}
	d.checkActions(field, f)
	f.severity(field+"Severity", d.Severity)
	if d.Link != "" {
		f.url(field+"Link", d.Link)
	}
	if d.Icon != "" {
		f.url(field+"Icon", d.Icon)
	}
	f.metadata(field+"Metadata", d.Metadata)
	f.text(field+"Scope", d.Scope, false, MaxTitleChars)
	f.text(field+"IdempotencyKey", d.IdempotencyKey, false, MaxTitleChars)
	if d.KeepPlace && d.Scope == "" {
		f.add(field+"KeepPlace", "there is no scope, and so no place to keep")
	}
	if d.KeepPlace && !d.NotBefore.IsZero() {
		f.add(field+"NotBefore", "cannot be combined with keeping the place of an earlier post")
	}
	return faulty, d.checkTimes(field, now)
}

func (d Draft) checkActions(field string, f *faults) {
	if len(d.Actions) > MaxActions {
		f.add(field+"Actions", "has %d entries, the limit is %d", len(d.Actions), MaxActions)
		return
	}
	for i, a := range d.Actions {
		action := field + "Actions[" + strconv.Itoa(i) + "]."
		f.text(action+"Title", a.Title, true, MaxTitleChars)
		f.url(action+"URL", a.URL)
	}
}

const (
	maxScheduleYears = 1    // how far ahead a notification can be scheduled
	maxYear          = 9999 // the last that RFC 3339 can write
)

// checkTimes reports what is wrong with the draft at this moment.
func (d Draft) checkTimes(field string, now time.Time) (f faults) {
	if !d.Expires.IsZero() && d.Expires.UnixMilli() <= now.UnixMilli() {
		f.add(field+"Expires", "is not in the future")
	}
	if d.Expires.UTC().Year() > maxYear {
		f.add(field+"Expires", "is after the year %d", maxYear)
	}
	if d.NotBefore.After(now.AddDate(maxScheduleYears, 0, 0)) {
		f.add(field+"NotBefore", "is more than a year ahead")
	}
	if !d.Expires.IsZero() && d.scheduled(now) && d.Expires.UnixMilli() <= d.NotBefore.UnixMilli() {
		f.add(field+"Expires", "is not after the time it appears")
	}
	return f
}

// scheduled reports whether the draft is to appear later than now.
func (d Draft) scheduled(now time.Time) bool { return d.NotBefore.UnixMilli() > now.UnixMilli() }
