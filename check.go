package notifications

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/strictjson"
)

// Checks of single fields. Drafts, filters and queries share them.

// severity checks a severity. Empty is valid.
func (f *faults) severity(field string, s Severity) {
	if _, known := severityRank[s]; !known {
		f.add(field, "must be one of critical, high, normal, low")
	}
}

// metadata checks that a value is a JSON object, read as strictly as a request.
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

// text checks that a field is valid UTF-8 without controls, has at most limit
// characters (0: any number) and, if required, is not empty.
func (f *faults) text(field, s string, required bool, limit int) {
	switch {
	case s == "" && required:
		f.add(field, "is required and must not be empty")
	case !utf8.ValidString(s):
		f.add(field, "is not valid UTF-8")
	case strings.ContainsFunc(s, strictjson.IsControl):
		f.add(field, strictjson.HasControl)
	case limit > 0 && utf8.RuneCountInString(s) > limit:
		f.add(field, "is %d characters long, the limit is %d", utf8.RuneCountInString(s), limit)
	}
}

// url checks a link. It accepts only links that a browser follows without
// running code: http, https, and paths on the same site.
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

// unfitForURL reports characters that browsers drop or replace: white space and
// controls can hide a scheme, and a backslash counts as a slash.
func unfitForURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\'
}
