package notifications

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"gorm.io/gorm"
)

// The errors of this package, for [errors.Is]. Every error of a [Service]
// matches one of them or is an [*InvalidError]. Any other error is a defect of
// this package or a fault of the host's configuration.
var (
	// ErrUnauthenticated: there is no caller, or their proof is invalid.
	ErrUnauthenticated = errors.New("notifications: not authenticated")

	// ErrForbidden: the policy denies the operation, the catalog does not know
	// the reader or the user who posts, or a service asks for an inbox.
	ErrForbidden = errors.New("notifications: not allowed")

	// ErrNotFound: there is no such notification, or the caller must not see
	// it. The two cases cannot be told apart.
	ErrNotFound = errors.New("notifications: not found")

	// ErrUnavailable: the database, the catalog, the policy or the keys did not
	// answer. The same call may succeed later. Nothing was done, with one
	// exception: if the context ends or the database goes away during a commit,
	// the outcome is unknown.
	ErrUnavailable = errors.New("notifications: unavailable")

	// ErrTooMany: the caller asks for too much at once or too often. Nothing was
	// done. The same call may succeed later.
	ErrTooMany = errors.New("notifications: too many at once")

	// ErrKeyReused: the same identity used the idempotency key for other
	// content. Nothing was stored. The host's transaction, if any, can go on.
	ErrKeyReused = errors.New("notifications: the idempotency key was used for other content")

	// ErrTargetsDiffer: a post with KeepPlace has another audience than the
	// post it would replace. Nothing was stored. The host's transaction, if
	// any, can go on.
	ErrTargetsDiffer = errors.New("notifications: a post that keeps its place must have the same targets")

	// ErrPosition: a [Position] is of another database, of one that was restored,
	// or too old. Nothing was done. List again, and use the new position. The
	// host's transaction, if any, can go on.
	ErrPosition = errors.New("notifications: the position cannot be used any more")

	// ErrRetry: the host's transaction conflicts with another one and cannot go
	// on (PostgreSQL's serialization_failure 40001 and deadlock_detected 40P01,
	// SQLite's SQLITE_BUSY). Roll it back and run all of it again. An error
	// that matches ErrRetry also matches [ErrUnavailable].
	ErrRetry = errors.New("notifications: the transaction must be run again")

	// ErrNoTransaction: the argument of [Service.WithTx] or [Service.WithSQLTx]
	// is not a transaction of Config.DB, or has ended. Nothing was done.
	ErrNoTransaction = errors.New("notifications: no transaction")

	// ErrBound: a Service bound to a transaction cannot do this. Use the
	// Service that [New] returned.
	ErrBound = errors.New("notifications: the Service is bound to a transaction")
)

// InvalidError reports invalid input. It names every bad field. It is always
// returned as a pointer.
type InvalidError struct {
	// Fields holds 1 to 100 entries, in the order of the fields. If there are
	// more bad fields, the last Reason says how many.
	Fields []FieldError
}

// FieldError is one bad field of an [InvalidError].
type FieldError struct {
	// Field is the path of the field in the argument: "Title",
	// "Actions[0].URL", "To[2]" for the third of Draft.To.Refs(), "[3].Title"
	// in the fourth draft of [Service.PostMany]. It is the name of the argument
	// if that has no fields.
	Field string
	// Reason says what is wrong with the field. It may be shown to the caller.
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

// Invalid returns an [*InvalidError] about one field.
func Invalid(field, reason string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Reason: reason}}}
}

// faults collects bad fields, so that one error reports all of them.
type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// maxFaults limits the entries of an InvalidError.
const maxFaults = 100

// err returns nil if there are no faults.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	if more := len(f) - maxFaults; more > 0 {
		f = slices.Clone(f[:maxFaults])
		f[maxFaults-1].Reason += fmt.Sprintf("; %d more fields are invalid", more)
	}
	return &InvalidError{Fields: f}
}

// unavailable marks err as a failure of a dependency. It wraps err, so a
// cancelled context can still be recognised.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

// hostError is the failure of a policy or a catalog. Of the errors of this
// package it matches ErrUnavailable, and ErrRetry if two transactions met, so
// that the host's error is never taken for an answer to the caller.
type hostError struct {
	what  string
	cause error
}

func (e *hostError) Error() string {
	return ErrUnavailable.Error() + ": " + e.what + ": " + e.cause.Error()
}

// Is implements [errors.Is].
func (e *hostError) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return true
	case ErrRetry:
		return isConflict(e.cause)
	}
	return !isAnswer(target) && errors.Is(e.cause, target)
}

// As implements [errors.As].
func (e *hostError) As(target any) bool {
	_, invalid := target.(**InvalidError)
	return !invalid && errors.As(e.cause, target)
}

// isAnswer reports whether target is an error of this package that answers a
// caller.
func isAnswer(target error) bool {
	_, invalid := target.(*InvalidError) //nolint:errorlint // what is asked for, not its causes
	return invalid || slices.Contains([]error{
		ErrUnauthenticated, ErrForbidden, ErrNotFound, ErrKeyReused, ErrTargetsDiffer, ErrPosition, ErrNoTransaction, ErrBound,
	}, target)
}

// failed converts an error of the database. Errors of this package stay as they
// are, a conflict between transactions becomes ErrRetry, and all others become
// ErrUnavailable.
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

// isOurs reports whether err is one of this package's errors.
func isOurs(err error) bool {
	return slices.ContainsFunc([]error{ErrNotFound, ErrForbidden, ErrKeyReused, ErrTargetsDiffer, ErrPosition, ErrUnavailable, ErrTooMany, ErrNoTransaction},
		func(known error) bool { return errors.Is(err, known) })
}

// isDuplicate reports whether a row is there already, on PostgreSQL.
func isDuplicate(err error) bool {
	const uniqueViolation = "23505"
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && coded.SQLState() == uniqueViolation || errors.Is(err, gorm.ErrDuplicatedKey)
}

// isCut reports whether the error is the end of a connection, or that nothing
// was sent because the connection had ended before.
func isCut(err error) bool {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		const adminShutdown, crashShutdown, connectionFailure = "57P01", "57P02", "08006"
		return slices.Contains([]string{adminShutdown, crashShutdown, connectionFailure}, coded.SQLState())
	}
	var unsent interface{ SafeToRetry() bool } // of pgx
	return errors.As(err, &unsent) && unsent.SafeToRetry() || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isConflict reports whether the error is a conflict between two transactions.
// PostgreSQL's drivers give its SQLSTATE; SQLite's drivers have only a text in
// common.
func isConflict(err error) bool {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		const serializationFailure, deadlockDetected = "40001", "40P01" // PostgreSQL's manual, appendix A
		return coded.SQLState() == serializationFailure || coded.SQLState() == deadlockDetected
	}
	return strings.Contains(err.Error(), "database is locked")
}
