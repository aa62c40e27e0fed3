package notifications

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/strictjson"
)

// Limits of a post. Characters are Unicode code points.
const (
	MaxTitleChars    = 255      // also of origin, topic, scope, the title of an action and an idempotency key
	MaxMessageBytes  = 64 << 10 // of UTF-8
	MaxActions       = 16       // in one post
	MaxURLBytes      = 2048     // of an action, a link or an icon
	MaxMetadataBytes = 16 << 10 // of JSON as it was sent
	MaxTargets       = 1000     // users and groups, each counted once
	maxRefBytes      = 255      // of a canonical ref, after its kind; also of the name of an Identity
)

// Severity says how much a notification matters.
type Severity string

// The severities, from the least to the most severe. The empty Severity is
// SeverityNormal in a [Draft], and no filter in a [Filter].
const (
	SeverityLow      Severity = "low"
	SeverityNormal   Severity = "normal"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// severities in the order of their ranks, by which they are stored.
var severities = []Severity{SeverityLow, SeverityNormal, SeverityHigh, SeverityCritical}

var severityRank = map[Severity]int{SeverityLow: 0, "": 1, SeverityNormal: 1, SeverityHigh: 2, SeverityCritical: 3}

// Draft is a notification to be posted. Text must be valid UTF-8 without NUL.
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
	// later post of the same identity with the same origin and scope takes its
	// place: where both are addressed to the same user or group, the later one
	// remains, on top and unread. Empty is none.
	Scope string
	// KeepPlace, with a Scope, replaces the content of the earlier post and
	// leaves its id, its place and what readers did with it. It must be
	// addressed to the same users and groups: [ErrTargetsDiffer]. Where there
	// is no earlier post it is an ordinary one.
	KeepPlace bool

	// Expires is when the notification disappears, to the millisecond. It
	// must be in the future. Zero is never.
	Expires time.Time
	// NotBefore is when the notification appears, to the millisecond, with
	// that instant as its time of creation; a year ahead at most. Zero, and
	// whatever is not in the future, is now. It excludes KeepPlace.
	NotBefore time.Time

	// IdempotencyKey, up to 255 characters, makes it safe to post again: the
	// same identity, key and content are answered with the id of the first
	// time, for as long as Config.IdempotencyWindow. Other content is
	// [ErrKeyReused]. Empty is none.
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

// Audience says whom a notification is for. The zero Audience is nobody, and
// posting to it is an error. Repeating a target changes nothing.
type Audience struct {
	users, groups []string
	everyone      bool
}

// Users is an audience of the named users.
func Users(refs ...string) Audience { return Audience{users: slices.Clone(refs)} }

// Groups is an audience of those who are members of the named groups at the
// time they read.
func Groups(refs ...string) Audience { return Audience{groups: slices.Clone(refs)} }

// Everyone is an audience of every user, now and later: a system notification.
func Everyone() Audience { return Audience{everyone: true} }

// And returns the union of two audiences.
func (a Audience) And(b Audience) Audience {
	return Audience{
		users:    slices.Concat(a.users, b.users),
		groups:   slices.Concat(a.groups, b.groups),
		everyone: a.everyone || b.everyone,
	}
}

// check reports every fault of the draft that can be seen without asking the
// catalog or the database.
func (d Draft) check() faults {
	var f faults
	f.text("origin", d.Origin, true, MaxTitleChars)
	f.text("title", d.Title, true, MaxTitleChars)
	f.text("topic", d.Topic, false, MaxTitleChars)
	f.text("message", d.Message, false, 0)
	if len(d.Message) > MaxMessageBytes {
		f.add("message", "is %d bytes long, the limit is %d", len(d.Message), MaxMessageBytes)
	}
	if len(d.Actions) > MaxActions {
		f.add("actions", "has %d entries, the limit is %d", len(d.Actions), MaxActions)
		return f
	}
	for i, a := range d.Actions {
		field := "actions[" + strconv.Itoa(i) + "]"
		f.text(field+".title", a.Title, true, MaxTitleChars)
		f.url(field+".url", a.URL)
	}
	f.severity("severity", d.Severity)
	if d.Link != "" {
		f.url("link", d.Link)
	}
	if d.Icon != "" {
		f.url("icon", d.Icon)
	}
	f.metadata("metadata", d.Metadata)
	f.text("scope", d.Scope, false, MaxTitleChars)
	f.text("Idempotency-Key", d.IdempotencyKey, false, MaxTitleChars)
	if d.KeepPlace && d.Scope == "" {
		f.add("resurface", "is false, which needs a scope")
	}
	if d.KeepPlace && !d.NotBefore.IsZero() {
		f.add("notBefore", "cannot be combined with resurface false, which keeps the place")
	}
	return f
}

const (
	maxScheduleYears = 1    // how far ahead a notification can be scheduled
	maxYear          = 9999 // the last that RFC 3339 can write
)

// checkTimes reports what is wrong with the draft at this moment.
func (d Draft) checkTimes(now time.Time) faults {
	var f faults
	if !d.Expires.IsZero() && d.Expires.UnixMilli() <= now.UnixMilli() {
		f.add("expires", "is not in the future")
	}
	if d.Expires.UTC().Year() > maxYear {
		f.add("expires", "is after the year %d", maxYear)
	}
	if d.NotBefore.After(now.AddDate(maxScheduleYears, 0, 0)) {
		f.add("notBefore", "is more than a year ahead")
	}
	if !d.Expires.IsZero() && d.scheduled(now) && d.Expires.UnixMilli() <= d.NotBefore.UnixMilli() {
		f.add("expires", "is not after notBefore")
	}
	return f
}

// scheduled reports whether the draft is to appear later than now.
func (d Draft) scheduled(now time.Time) bool { return d.NotBefore.UnixMilli() > now.UnixMilli() }

// severity checks a severity, which may be empty.
func (f *faults) severity(field string, s Severity) {
	if _, known := severityRank[s]; !known {
		f.add(field, "must be one of critical, high, normal, low")
	}
}

// metadata checks a JSON object.
func (f *faults) metadata(field string, object json.RawMessage) {
	if object == nil {
		return
	}
	if len(object) > MaxMetadataBytes {
		f.add(field, "is %d bytes long, the limit is %d", len(object), MaxMetadataBytes)
		return
	}
	var fault strictjson.Fault
	if err := strictjson.CheckObject(field, object, 1); errors.As(err, &fault) {
		f.add(fault.Field, "%s", fault.Reason)
	}
}

// text checks one field: required, valid UTF-8 without NUL, at most limit
// characters (0: no such limit).
func (f *faults) text(field, s string, required bool, limit int) {
	switch {
	case s == "" && required:
		f.add(field, "is required and must not be empty")
	case !utf8.ValidString(s):
		f.add(field, "is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		f.add(field, "contains the NUL character")
	case limit > 0 && utf8.RuneCountInString(s) > limit:
		f.add(field, "is %d characters long, the limit is %d", utf8.RuneCountInString(s), limit)
	}
}

// url checks the target of an action. Only what a browser follows without
// running anything is let through: http, https, and paths of the same site.
func (f *faults) url(field, s string) {
	before := len(*f)
	f.text(field, s, true, 0)
	if len(*f) > before {
		return
	}
	if len(s) > MaxURLBytes {
		f.add(field, "is %d bytes long, the limit is %d", len(s), MaxURLBytes)
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, unfitForURL):
		f.add(field, "is not a URL")
	case u.Scheme == "http" || u.Scheme == "https":
		if u.Host == "" || u.Opaque != "" {
			f.add(field, "names no host")
		}
	case u.Scheme != "":
		f.add(field, "has scheme %q, only http and https are accepted", u.Scheme)
	case strings.HasPrefix(s, "//"):
		f.add(field, "must begin with http:, https: or a path")
	}
}

// unfitForURL reports characters browsers strip or read as another: white
// space and controls hide a scheme, a backslash passes for a slash.
func unfitForURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\'
}

// target is one recipient as the caller named it.
type target struct {
	kind  Kind
	index int    // among those of its kind
	ref   string // as written
	canon string // as the catalog writes it
}

// field is where the target was written.
func (t target) field() string {
	list := "targetUsers"
	if t.kind == KindGroup {
		list = "targetGroups"
	}
	return list + "[" + strconv.Itoa(t.index) + "]"
}

// targets lists the named recipients in the order they were written.
func (a Audience) targets() []target {
	all := make([]target, 0, len(a.users)+len(a.groups))
	for i, ref := range a.users {
		all = append(all, target{kind: KindUser, index: i, ref: ref})
	}
	for i, ref := range a.groups {
		all = append(all, target{kind: KindGroup, index: i, ref: ref})
	}
	return all
}
