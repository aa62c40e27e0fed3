package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/near"
	"github.com/notifications-go/notifications/internal/strictjson"
)

// params reads a query string strictly: no parameter twice, and no unknown
// ones. It collects all faults, and reads a faulty parameter as absent.
type params struct {
	values url.Values
	asked  []string // the names that the operation knows
	faults []notifications.FieldError
}

func parseParams(r *http.Request) (*params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, notifications.Invalid("query", "is not a well-formed query string")
	}
	const most = 16 // no operation has more parameters
	return &params{values: values, asked: make([]string, 0, most)}, nil
}

func (q *params) reject(name, format string, args ...any) {
	q.faults = append(q.faults, notifications.FieldError{Field: name, Reason: fmt.Sprintf(format, args...)})
}

func (q *params) has(name string) bool { return len(q.values[name]) > 0 }

// require reports the parameters that are absent.
func (q *params) require(names ...string) {
	for _, name := range names {
		if !q.has(name) {
			q.reject(name, "is required")
		}
	}
}

// raw returns a parameter; it may be empty.
func (q *params) raw(name string) string {
	q.asked = append(q.asked, name)
	given := q.values[name]
	switch {
	case len(given) == 0:
		return ""
	case len(given) > 1:
		q.reject(name, "is given %d times", len(given))
		return ""
	case !utf8.ValidString(given[0]) || strings.ContainsFunc(given[0], strictjson.IsControl):
		q.reject(name, "is not valid UTF-8, or contains a control character other than TAB, LF and CR")
		return ""
	}
	return given[0]
}

const mustNotBeEmpty = "must not be empty"

// text returns a parameter. An empty one is an error; empty is returned for an
// absent one.
func (q *params) text(name string) string {
	s := q.raw(name)
	if given := q.values[name]; len(given) == 1 && given[0] == "" {
		q.reject(name, mustNotBeEmpty)
	}
	return s
}

// choice returns a parameter that has one of the allowed values, and "" if it
// is absent.
func (q *params) choice(name string, allowed ...string) string {
	s := q.text(name)
	if s != "" && !slices.Contains(allowed, s) {
		q.reject(name, "must be one of %s", strings.Join(allowed, ", "))
		return ""
	}
	return s
}

// number returns a decimal number from 0 to limit, and fallback if it is
// absent.
func (q *params) number(name string, fallback, limit int) int {
	s := q.text(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n > uint64(limit) {
		q.reject(name, "must be a whole number between 0 and %d", limit)
		return fallback
	}
	return int(n)
}

// instant returns a time, and the zero time if it is absent.
func (q *params) instant(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	at, wrong := parseInstant(s)
	if wrong != "" {
		if strings.Contains(s, " ") {
			wrong += `; a "+" is sent as %2B`
		}
		q.reject(name, "%s", wrong)
	}
	return at
}

// parseInstant reads a time of RFC 3339, which allows small letters. wrong is
// the fault, or empty.
func parseInstant(s string) (at time.Time, wrong string) {
	at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if err != nil || strings.Contains(s, ",") {
		return time.Time{}, "must be a date and time of RFC 3339, such as 2023-10-30T13:48:34.931Z"
	}
	return at, ""
}

// err reports every fault, and every unknown parameter.
func (q *params) err() error {
	var unknown []string
	for name := range q.values {
		if !slices.Contains(q.asked, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	const suggestions = 20 // a search for a near word takes time
	for i, name := range unknown {
		reason := "is not a known parameter"
		if i < suggestions {
			if meant := near.Word(name, q.asked); meant != "" {
				reason += ", did you mean " + meant + "?"
			}
		}
		q.reject(strings.ToValidUTF8(name, "\uFFFD"), "%s", reason)
	}
	if len(q.faults) == 0 {
		return nil
	}
	return &notifications.InvalidError{Fields: q.faults}
}
