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
	maxNamed         = 10_000   // users and groups of a post as the caller named them, repetitions too
	maxNameBytes     = 1024     // of a user or group as the caller named it
	maxRefBytes      = 255      // of the canonical name of a user or group; also of the name of an Identity
)

// Draft is a notification to be posted. Its texts must be valid UTF-8 without
// control characters below U+0020, except TAB, LF and CR. Lengths in characters count Unicode code points. The zero Draft is
// invalid: Origin, Title and To are required.
type Draft struct {
	// Origin names the sender, such as "ci". Required, up to 255 characters.
	Origin string
	// Title is the line that is shown first. Required, up to 255 characters.
	Title string
	// Message is the body, up to 64 KiB. Empty means none.
	Message string
	// Topic groups notifications, up to 255 characters. Empty means none.
	Topic string
	// Actions are links shown with the notification, up to 16.
	Actions []ActionDraft
	// To is the audience, up to 1,000 users and groups, or up to 10,000 with
	// repetitions. Required: an empty audience never means everybody.
	To Audience

	// Severity is empty for SeverityNormal.
	Severity Severity
	// Link is the URL to open, with the rules of ActionDraft.URL. Empty means
	// none.
	Link string
	// Icon is the URL or path of a picture, with the rules of ActionDraft.URL.
	// Empty means none.
	Icon string
	// Metadata is a JSON object for the programs of the readers, up to 16 KiB.
	// It is returned byte for byte. Duplicate keys and control characters are errors, as in a
	// request. Nil means none.
	Metadata json.RawMessage

	// Scope names the subject, up to 255 characters. A later post by the same
	// identity with the same Origin and Scope replaces this one for the users
	// and groups that both are addressed to: they see the later post, unread,
	// in its own place. Empty means that nothing is replaced.
	Scope string
	// KeepPlace, together with Scope, replaces the content of the earlier post
	// and keeps its id, its place in lists and its readers' marks. Both posts
	// must have the same audience, otherwise the error is [ErrTargetsDiffer].
	// If there is no earlier post, this is an ordinary post.
	KeepPlace bool

	// Expires is when the notification disappears, to the millisecond. It must
	// be in the future. Zero means never.
	Expires time.Time
	// NotBefore is when the notification appears, to the millisecond, at most a
	// year ahead. It is then also the time of creation. Zero or a time in the
	// past means now. It cannot be combined with KeepPlace.
	NotBefore time.Time

	// IdempotencyKey makes it safe to repeat a post, up to 255 characters. A
	// post by the same identity with the same key and content returns the id of
	// the first one; with other content it returns [ErrKeyReused].
	// Config.IdempotencyWindow says how long a key is remembered, also when the
	// notification is gone. Content includes Expires and NotBefore. The key is
	// stored as it is: do not put names of users into it. Empty means none.
	IdempotencyKey string
}

// ActionDraft is a link to be shown with a notification.
type ActionDraft struct {
	// Title is the text of the link. Required, up to 255 characters.
	Title string
	// URL is absolute with scheme http or https, or a relative path such as
	// "/builds/7". Required, up to 2,048 bytes.
	URL string
}

// check reports the faults of the draft that need neither the catalog nor the
// database. untimely are the faults that depend on the time: a repeated post
// does not report them. field is the prefix of the names of its fields.
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
	maxScheduleYears = 1    // how far ahead a post can be scheduled
	maxYear          = 9999 // RFC 3339 has four digits for the year
)

// checkTimes reports the faults that depend on the time.
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

// scheduled reports whether the notification is to appear later than now.
func (d Draft) scheduled(now time.Time) bool { return d.NotBefore.UnixMilli() > now.UnixMilli() }
