package notifications

import (
	"fmt"
	"strings"
)

// MaxPageBytes limits the size of a page, in bytes of JSON. A longer page is
// cut, and then has a Next.
const MaxPageBytes = 8 << 20

// largestNotification is at least the size of any notification, and fixedBytes
// of its parts that are no text, in bytes of JSON. An escape takes twice the
// bytes of its character, and six bytes in a text of characters that fill three
// (U+2028).
const (
	fixedBytes          = 400
	bytesOfName         = 6 * MaxTitleChars
	bytesOfAction       = 80 + bytesOfName + 2*MaxURLBytes
	largestNotification = fixedBytes + 4*bytesOfName + 2*MaxMessageBytes + 2*2*MaxURLBytes + MaxMetadataBytes + MaxActions*bytesOfAction +
		2*(maxRefBytes+len("service:"))
)

// mayExceed reports whether so many rows may have more than MaxPageBytes. Fewer
// need no measuring.
func mayExceed(rows int) bool { return rows > MaxPageBytes/largestNotification }

func (q ListQuery) large() bool { return mayExceed(q.Limit + 1) }

// whole reports whether the page must not be cut: the pages after it would
// leave notifications out.
func (q ListQuery) whole() bool { return q.Whole || q.Offset > 0 }

const joinMessages = " JOIN notification_messages msg ON msg.id = page.message_id"

// beginPage begins the relation page of a list. endPage ends it, and joins the
// messages to it, and it to what comes before. A large page ends with the first message that exceeds MaxPageBytes:
// the database adds up the lengths without reading the texts.
func (q ListQuery) beginPage(order string) string {
	if !q.large() {
		return "("
	}
	return "(SELECT page.*, sum(" + storedBytes + ") OVER (" + order + " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before FROM ("
}

func (q ListQuery) endPage() string {
	if !q.large() {
		return ") page ON TRUE LEFT" + joinMessages
	}
	return ") page" + joinMessages + ") page ON TRUE LEFT" + joinMessages + fmt.Sprintf(" AND coalesce(page.bytes_before, 0) <= %d", MaxPageBytes)
}

// storedBytes is SQL for the size of a message. It is no more than
// listedRow.size, in which escapes count.
var storedBytes = func() string {
	var sum strings.Builder
	fmt.Fprint(&sum, fixedBytes)
	for _, c := range shownColumns {
		if c.is == typeText {
			sum.WriteString(" + coalesce(octet_length(msg." + c.name + "), 0)")
		}
	}
	return sum.String()
}()

// size returns the size of the row in JSON, or a little more.
func (r *listedRow) size() int {
	size := fixedBytes
	for i, c := range shownColumns {
		if c.is != typeText {
			continue
		}
		text := asText(r.values[i])
		size += len(text)
		if c.name != "actions" && c.name != "metadata" { // JSON as it is sent
			size += escapes(text)
		}
	}
	return size
}

// escapes returns the number of bytes that a text is longer in JSON.
func escapes(text string) (n int) {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\' || c == '\t' || c == '\n' || c == '\r':
			n++
		case c < ' ':
			n += 5
		}
	}
	return n + 3*(strings.Count(text, "\u2028")+strings.Count(text, "\u2029"))
}
