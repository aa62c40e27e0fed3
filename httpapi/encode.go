package httpapi

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
)

// Notifications are encoded without encoding/json: that is faster, and metadata
// stays as it was sent, while encoding/json would compact it.
// FuzzEncodeNotification compares the result with encoding/json over package
// api.

// bodies are buffers for lists, the largest answers. They are pointers, because
// a slice would be allocated each time it is put into the pool.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxKeptBody is the largest buffer that is put back into the pool.
const maxKeptBody = 64 << 10

// withNotifications calls use with a JSON array and a line feed, as
// encoding/json writes it. The body is valid only until use returns.
func withNotifications(items []notifications.Notification, use func(body []byte)) {
	buf := bodies.Get().(*[]byte)
	body := appendNotifications((*buf)[:0], items)
	use(body)
	if cap(body) <= maxKeptBody {
		*buf = body
		bodies.Put(buf)
	}
}

// inPieces encodes a list like withNotifications and calls use with pieces of
// it, each valid only until use returns. It ends with the first error of use.
func inPieces(items []notifications.Notification, use func(piece []byte) error) error {
	const pieceBytes = maxKeptBody / 2
	buf := bodies.Get().(*[]byte)
	piece := append((*buf)[:0], '[')
	for i := range items {
		if i > 0 {
			piece = append(piece, ',')
		}
		piece = slices.Grow(piece, sizeHint(&items[i]))
		piece = appendNotification(piece, &items[i])
		if len(piece) < pieceBytes {
			continue
		}
		if err := use(piece); err != nil {
			return err
		}
		piece = piece[:0]
		runtime.Gosched() // a short request must not wait for all of a long one
	}
	err := use(append(piece, "]\n"...))
	if cap(piece) <= maxKeptBody {
		*buf = piece
		bodies.Put(buf)
	}
	return err
}

func appendNotifications(b []byte, items []notifications.Notification) []byte {
	b = append(b, '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = slices.Grow(b, sizeHint(&items[i]))
		b = appendNotification(b, &items[i])
	}
	return append(b, "]\n"...)
}

// encodeNotification returns a JSON object and a line feed.
func encodeNotification(n *notifications.Notification) []byte {
	return append(appendNotification(make([]byte, 0, sizeHint(n)+1), n), '\n')
}

// sizeHint estimates the length of a notification in JSON. Escapes may make it
// longer.
func sizeHint(n *notifications.Notification) int {
	const names, namesOfAction = 400, 80 // all parts of fixed length
	size := names + len(n.Origin) + len(n.Title) + len(n.Message) + len(n.Topic) +
		len(n.Link) + len(n.Icon) + len(n.Metadata) + len(n.Scope) + len(n.PostedBy)
	for _, a := range n.Actions {
		size += namesOfAction + len(a.Title) + len(a.URL)
	}
	return size
}

// appendNotification writes the plugin's fields first, in the plugin's order,
// and then the others.
func appendNotification(b []byte, n *notifications.Notification) []byte {
	b = appendText(b, `{"id":`, n.ID)
	b = appendTime(b, `,"created":`, n.Created)
	b = appendBool(b, `,"readByUser":`, n.Read)
	b = appendBool(b, `,"isSystem":`, n.System)
	b = appendText(b, `,"origin":`, n.Origin)
	b = appendText(b, `,"title":`, n.Title)
	b = appendOptional(b, `,"message":`, n.Message)
	b = appendOptional(b, `,"topic":`, n.Topic)
	b = appendActions(b, `,"actions":`, n.Actions)
	b = appendText(b, `,"severity":`, string(n.Severity))
	b = appendBool(b, `,"saved":`, n.Saved)
	b = appendBool(b, `,"archived":`, n.Archived)
	b = appendOptional(b, `,"link":`, n.Link)
	b = appendOptional(b, `,"icon":`, n.Icon)
	if len(n.Metadata) > 0 {
		b = append(append(b, `,"metadata":`...), n.Metadata...)
	}
	b = appendOptional(b, `,"scope":`, n.Scope)
	if !n.Updated.IsZero() {
		b = appendTime(b, `,"updated":`, n.Updated)
	}
	if !n.Expires.IsZero() {
		b = appendTime(b, `,"expires":`, n.Expires)
	}
	b = appendOptional(b, `,"postedBy":`, n.PostedBy)
	return append(b, '}')
}

// appendActions writes an array, empty if there are no actions.
func appendActions(b []byte, name string, actions []notifications.Action) []byte {
	b = append(append(b, name...), '[')
	for i, a := range actions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, `{"id":`, a.ID)
		b = appendText(b, `,"title":`, a.Title)
		b = appendText(b, `,"url":`, a.URL)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendOptional leaves out an empty text.
func appendOptional(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(b, name, s)
}

func appendText(b []byte, name, s string) []byte {
	return appendString(append(b, name...), s)
}

func appendBool(b []byte, name string, v bool) []byte {
	b = append(b, name...)
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendTime writes a time in UTC as RFC 3339 with milliseconds.
func appendTime(b []byte, name string, at time.Time) []byte {
	b = append(append(b, name...), '"')
	b = at.AppendFormat(b, time.RFC3339) // six times as fast as a layout with milliseconds
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-len("Z")], '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z', '"')
}

// appendString writes a string literal as encoding/json does without HTML
// escaping. U+2028 and U+2029, which end a line in JavaScript, are escaped.
// U+FFFD replaces invalid UTF-8.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	written := 0
	for i := plainBytes(s); i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		if r < ' ' || r == '"' || r == '\\' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError && size == 1 {
			b = appendEscape(append(b, s[written:i]...), r)
			written = i + size
		}
		i += size
	}
	return append(append(b, s[written:]...), '"')
}

// plainBytes returns the length of a prefix of s that needs no escape. It looks
// at eight bytes at once (Warren, Hacker's Delight, 6-1), so it may stop up to
// seven bytes early.
func plainBytes(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, backslash := x^'"'*ones, x^'\\'*ones
		// A byte below n borrows when n is subtracted; one above 0x7f has its
		// highest bit.
		if ((x-' '*ones)|(quote-ones)|(backslash-ones)|x)&highs != 0 {
			break
		}
	}
	return i
}

// appendEscape writes one character of at most 16 bits as an escape.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
}
