package notificationstest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
)

// description is what is known, or wanted, of a notification: its fields that
// are not zero.
type description []field

type field struct{ name, value string }

// describeDraft names the fields of a draft that are not zero.
func describeDraft(draft notifications.Draft) (d description) {
	d.text("title", draft.Title)
	d.text("origin", draft.Origin)
	if !draft.To.Equal(notifications.Audience{}) {
		d.text("to", draft.To.String())
	}
	d.text("message", draft.Message)
	d.text("topic", draft.Topic)
	d.text("severity", string(draft.Severity))
	for _, a := range draft.Actions {
		d.text("action", a.Title+" "+a.URL)
	}
	d.text("link", draft.Link)
	d.text("icon", draft.Icon)
	d.text("metadata", string(draft.Metadata))
	d.text("scope", draft.Scope)
	d.flag("keep place", draft.KeepPlace)
	d.instant("expires", draft.Expires)
	d.instant("not before", draft.NotBefore)
	d.text("idempotency key", draft.IdempotencyKey)
	return d
}

func (d *description) text(name, value string) {
	if value != "" {
		*d = append(*d, field{name, value})
	}
}

func (d *description) flag(name string, is bool) {
	if is {
		*d = append(*d, field{name, "true"})
	}
}

// instant is a time as it is stored, to the millisecond.
func (d *description) instant(name string, at time.Time) {
	if !at.IsZero() {
		*d = append(*d, field{name, at.UTC().Format("2006-01-02T15:04:05.000Z")})
	}
}

// has reports whether d has all fields of want.
func (d description) has(want description) bool {
	return !slices.ContainsFunc(want, func(f field) bool { return !slices.Contains(d, f) })
}

// String returns `title "Welcome", origin "shop"`.
func (d description) String() string {
	if len(d) == 0 {
		return "anything"
	}
	parts := make([]string, len(d))
	for i, f := range d {
		parts[i] = f.name + " " + strconv.Quote(shortened(f.value))
	}
	return strings.Join(parts, ", ")
}

// shortened is what fits into a line of a failure.
func shortened(s string) string {
	const limit = 120 // characters
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// only keeps the title, and the fields that are named in one of the wanted.
func (d description) only(wanted []description) description {
	return slices.DeleteFunc(slices.Clone(d), func(f field) bool {
		return f.name != "title" && !slices.ContainsFunc(wanted, func(w description) bool {
			return slices.ContainsFunc(w, func(g field) bool { return g.name == f.name })
		})
	})
}

// find returns, for each of want, the index of the first of got that is so and
// that those before it have left; or what is wrong, to follow "jane sees ".
func find(got, want []description) (found []int, failure string) {
	var missing []description
	taken := map[int]string{}
	for _, w := range want {
		i := 0
		for i < len(got) && (taken[i] != "" || !got[i].has(w)) {
			i++
		}
		if i == len(got) {
			missing = append(missing, w)
			continue
		}
		found, taken[i] = append(found, i), " (found)"
	}
	if len(missing) == 0 {
		return found, ""
	}
	var text strings.Builder
	text.WriteString("no notification with")
	for _, m := range missing {
		text.WriteString("\n\t" + m.String())
	}
	text.WriteString("\nbut")
	if len(got) == 0 {
		text.WriteString(" none at all")
	}
	for i, d := range got {
		text.WriteString("\n\t" + d.only(want).String() + taken[i])
	}
	return nil, text.String()
}

// findNone returns what is wrong if one of got is as one of unwanted says, or if
// there are some and unwanted is empty.
func findNone(got, unwanted []description) (failure string) {
	for _, d := range got {
		if len(unwanted) == 0 || slices.ContainsFunc(unwanted, d.has) {
			failure += "\n\t" + d.only(unwanted).String()
		}
	}
	if failure == "" {
		return ""
	}
	return "what must not be posted:" + failure
}
