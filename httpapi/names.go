package httpapi

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// wireNames maps fields of the library to their names in requests. A missing
// field has the same name, with a small first letter.
var wireNames = map[string]string{
	"URL":            "url",
	"KeepPlace":      "resurface",
	"IdempotencyKey": wire.IdempotencyKeyHeader,
	"Text":           "containsText",
	"System":         "messageScope",
	"Limit":          "pageSize",
	"Offset":         "pageNumber",
	"After":          "cursor",
	"IDs":            "ids",
	"change":         "read",
}

// asAsked replaces the names of the library's fields in err by those of the
// request. also holds additional names of one operation.
func asAsked(err error, also map[string]string) error {
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	named := make([]notifications.FieldError, len(invalid.Fields))
	for i, f := range invalid.Fields {
		named[i] = notifications.FieldError{Field: wirePath(f.Field, also), Reason: f.Reason}
	}
	return answeredError{&notifications.InvalidError{Fields: named}}
}

// answeredError is what the service says of input that it could read. The policy
// has allowed the caller to ask.
type answeredError struct{ *notifications.InvalidError }

// Unwrap returns the *notifications.InvalidError.
func (e answeredError) Unwrap() error { return e.InvalidError }

// wirePath translates each part of a path such as "Actions[0].URL", except the
// keys of Metadata, which the caller chose.
func wirePath(path string, also map[string]string) string {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if wire, known := also[part]; known {
			parts[i] = wire
			continue
		}
		name, index, _ := strings.Cut(part, "[")
		if index != "" {
			index = "[" + index
		}
		parts[i] = wireName(name) + index
		if name == "Metadata" {
			break
		}
	}
	return strings.Join(parts, ".")
}

func wireName(name string) string {
	if wire, known := wireNames[name]; known {
		return wire
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// targetNames maps the library's names of a post's targets to those in the
// request: "To[2]" may be "targetGroups[0]". It is nil if err is not about
// targets.
func targetNames(err error, to notifications.Audience) map[string]string {
	var invalid *notifications.InvalidError
	if !errors.As(err, &invalid) || !slices.ContainsFunc(invalid.Fields, isTarget) {
		return nil
	}
	lists := map[notifications.Kind]string{notifications.KindUser: "targetUsers", notifications.KindGroup: "targetGroups"}
	names, next := map[string]string{"To": "targetUsers"}, map[notifications.Kind]int{}
	for i, ref := range to.Refs() {
		names["To["+strconv.Itoa(i)+"]"] = lists[ref.Kind] + "[" + strconv.Itoa(next[ref.Kind]) + "]"
		next[ref.Kind]++
	}
	return names
}

func isTarget(f notifications.FieldError) bool { return strings.HasPrefix(f.Field, "To") }
