package catalog

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/fold"
)

// maxNameBytes limits a name without its kind.
const maxNameBytes = 255

// The faults of a ref. Callers see these texts.
var (
	errForm    = errors.New("must be of the form namespace/name")
	errUTF8    = errors.New("is not valid UTF-8")
	errBlank   = errors.New("contains white space or control characters")
	errTooLong = fmt.Errorf("is longer than %d bytes", maxNameBytes)
)

// canonical returns the canonical form of an entity's name: "default/jane". A
// ref without a namespace gets the given one; if that is empty too, it is an
// error.
func canonical(kind notifications.Kind, ref, namespace string) (string, error) {
	if err := checkKind(kind); err != nil {
		return "", err
	}
	if !utf8.ValidString(ref) {
		return "", errUTF8
	}
	// Folded before the checks, so that they check the name that is kept.
	name := fold.ASCII(ref)
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		if err := checkPrefix(kind, prefix); err != nil {
			return "", err
		}
		name = rest
	}
	if namespace != "" && !strings.Contains(name, "/") {
		name = fold.ASCII(namespace) + "/" + name
	}
	space, base, ok := strings.Cut(name, "/")
	switch {
	case !ok || space == "" || base == "" || strings.Contains(base, "/") || strings.Contains(name, ":"):
		return "", errForm
	case strings.ContainsFunc(name, isBlank):
		return "", errBlank
	case len(name) > maxNameBytes:
		return "", errTooLong
	}
	return name, nil
}

// checkPrefix compares the kind before a ref with the expected kind.
func checkPrefix(kind notifications.Kind, prefix string) error {
	switch {
	case prefix == string(kind):
		return nil
	case checkKind(notifications.Kind(prefix)) == nil:
		return fmt.Errorf("names a %s, a %s is expected", prefix, kind)
	case prefix == "" || strings.Contains(prefix, "/"):
		return errForm
	}
	return fmt.Errorf("names an entity of another kind, a %s is expected", kind)
}

// checkKind refuses kinds other than users and groups.
func checkKind(kind notifications.Kind) error {
	if kind != notifications.KindUser && kind != notifications.KindGroup {
		return fmt.Errorf("a catalog has no entities of the kind %q", kind)
	}
	return nil
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
