package notifications

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of this package, to be tested with [errors.Is]. Every error a
// verb of [Service] returns matches one of these or [*InvalidError]; whatever
// matches none of them is a defect of this package or of the host's
// configuration.
var (
	// ErrUnauthenticated: nobody is asking, or what was shown to prove who
	// is asking does not hold.
	ErrUnauthenticated = errors.New("notifications: not authenticated")

	// ErrForbidden: the policy denies it, the reader is not in the catalog,
	// or the identity is a service and so has no inbox.
	ErrForbidden = errors.New("notifications: not allowed")

	// ErrNotFound: no such notification, or none the caller may see. The two
	// are never told apart.
	ErrNotFound = errors.New("notifications: not found")

	// ErrUnavailable: the database, the catalog, the policy or the key set
	// could not answer. The same call may succeed later. What was asked for
	// was not done, except that a connection lost during a commit leaves that
	// open.
	ErrUnavailable = errors.New("notifications: unavailable")
)

// InvalidError reports input that cannot be accepted. It names every bad
// field, not only the first one. It is never returned by value.
type InvalidError struct {
	// Fields holds at least one entry, in the order of the input.
	Fields []FieldError
}

// FieldError is one bad field of an [InvalidError].
type FieldError struct {
	// Field is the name used by the HTTP contract, which Go callers see too:
	// "title", "actions[0].url", "targetUsers[2]", "pageSize".
	Field string
	// Reason says what is wrong with it, in a form fit for the caller's eyes.
	Reason string
}

// Error lists the bad fields and the reasons.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Reason
	}
	return "notifications: invalid input: " + strings.Join(parts, "; ")
}

// Invalid returns an [*InvalidError] for one field.
func Invalid(field, reason string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Reason: reason}}}
}

// faults collects bad fields, so that a caller hears of all of them at once.
type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// err returns nil when there is nothing to report.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &InvalidError{Fields: f}
}

// unavailable marks err as a failure of something this package depends on.
// A context that was cancelled or ran out stays recognisable underneath.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
