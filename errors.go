package notifications

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of this package, to be tested with [errors.Is]. Every error of a
// [Service] matches one of these or [*InvalidError]; any other is a defect of
// this package or of the host's configuration.
var (
	// ErrUnauthenticated: nobody is asking, or the proof does not hold.
	ErrUnauthenticated = errors.New("notifications: not authenticated")

	// ErrForbidden: the policy denies it, the reader is not in the catalog,
	// or a service asks for an inbox.
	ErrForbidden = errors.New("notifications: not allowed")

	// ErrNotFound: no such notification, or none the caller may see. The two
	// are never told apart.
	ErrNotFound = errors.New("notifications: not found")

	// ErrUnavailable: the database, the catalog, the policy or the key set
	// could not answer. The same call may succeed later. Nothing was done,
	// except that a connection lost during a commit leaves that open.
	ErrUnavailable = errors.New("notifications: unavailable")

	// ErrKeyReused: the idempotency key was used by the same identity for
	// other content, and is remembered. Nothing was stored, and a transaction
	// of the host can go on.
	ErrKeyReused = errors.New("notifications: the idempotency key was used for other content")

	// ErrTargetsDiffer: a post that keeps its place is addressed to others
	// than the post it would replace. Nothing was stored, and a transaction of
	// the host can go on.
	ErrTargetsDiffer = errors.New("notifications: a post that keeps its place must have the same targets")

	// ErrRetry: a transaction of the host met another one and cannot go on
	// (PostgreSQL's serialization_failure 40001 and deadlock_detected 40P01;
	// SQLITE_BUSY of SQLite). Roll it back and run all of it again. It always
	// comes together with [ErrUnavailable].
	ErrRetry = errors.New("notifications: the transaction must be run again")

	// ErrNoTransaction: [Service.WithTx] or [Service.WithSQLTx] was given
	// something that is no transaction of Config.DB, or no longer one. Nothing
	// was done.
	ErrNoTransaction = errors.New("notifications: no transaction")

	// ErrBound: a Service bound to a transaction cannot do this. Ask the
	// Service that [New] made.
	ErrBound = errors.New("notifications: the Service is bound to a transaction")
)

// InvalidError reports input that cannot be accepted. It names every bad
// field, not only the first one. It is never returned by value.
type InvalidError struct {
	// Fields holds at least one entry, in the order of the input.
	Fields []FieldError
}

// FieldError is one bad field of an [InvalidError].
type FieldError struct {
	// Field is the path of the field in the argument: "Title",
	// "Actions[0].URL", "To[2]" for the third of Draft.To.Refs(), "[3].Title"
	// in the fourth draft of [Service.PostMany]; or the name of the argument.
	Field string
	// Reason says what is wrong with it, in words fit for the caller.
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

// failed is what an operation on the database returns: errors of this package
// as they are, a conflict between transactions as ErrRetry, and anything else
// as a failure of the database.
func failed(err error) error {
	switch {
	case err == nil || isOurs(err):
		return err
	case isConflict(err):
		return unavailable("database", fmt.Errorf("%w: %w", ErrRetry, err))
	default:
		return unavailable("database", err)
	}
}

// isOurs reports whether err is one of this package.
func isOurs(err error) bool {
	return slices.ContainsFunc([]error{ErrNotFound, ErrForbidden, ErrKeyReused, ErrTargetsDiffer, ErrUnavailable, ErrNoTransaction},
		func(known error) bool { return errors.Is(err, known) })
}

// isConflict reports whether two transactions met, by the SQLSTATE that
// PostgreSQL's drivers give and the text that SQLite's have in common.
func isConflict(err error) bool {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		const serializationFailure, deadlockDetected = "40001", "40P01" // PostgreSQL's manual, appendix A
		return coded.SQLState() == serializationFailure || coded.SQLState() == deadlockDetected
	}
	return strings.Contains(err.Error(), "database is locked")
}
