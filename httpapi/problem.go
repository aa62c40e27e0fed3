package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// errMediaType reports a body that is not declared as JSON, or is compressed.
var errMediaType = errors.New("httpapi: the body must be of type application/json, in UTF-8, not compressed")

// errCrossOrigin reports a write that another site made a browser send.
var errCrossOrigin = errors.New("httpapi: refused a write from another origin")

// problems maps errors to answers; the first match counts. The details are
// constant, so internal errors never reach a client.
var problems = []struct {
	err    error
	status int
	detail string
}{
	{notifications.ErrUnauthenticated, http.StatusUnauthorized, ""}, // see authenticator.challenge
	{errCrossOrigin, http.StatusForbidden, "writes from another origin are not accepted"},
	{notifications.ErrForbidden, http.StatusForbidden, "the caller may not do this"},
	{notifications.ErrNotFound, http.StatusNotFound, "the notification does not exist, or the caller must not see it"},
	{notifications.ErrKeyReused, http.StatusConflict, "the Idempotency-Key was used before, for a post with other content"},
	{notifications.ErrTargetsDiffer, http.StatusConflict, "with resurface=false a post must have the same targets as the post it replaces"},
	{notifications.ErrPosition, http.StatusConflict, "the position is too old, or is not of this database; list again"},
	{errMediaType, http.StatusUnsupportedMediaType, "the body must be of type application/json, in UTF-8, not compressed"},
	{notifications.ErrTooMany, http.StatusTooManyRequests, "the caller asks for too much at once or too often; try again later"},
	{notifications.ErrUnavailable, http.StatusServiceUnavailable, "the database or another dependency is unavailable; try again later"},
}

// isInputError reports whether err is about the request's input, found here or
// by the service.
func isInputError(err error) bool {
	var invalid *notifications.InvalidError
	var tooLarge *http.MaxBytesError
	return errors.As(err, &invalid) || errors.As(err, &tooLarge) || errors.Is(err, errMediaType)
}

func problemOf(err error) wire.Problem {
	var invalid *notifications.InvalidError
	if errors.As(err, &invalid) {
		return invalidFields(invalid.Fields)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return wire.Problem{Status: http.StatusRequestEntityTooLarge, Detail: "the body is too large"}
	}
	for _, known := range problems {
		if errors.Is(err, known.err) {
			return wire.Problem{Status: known.status, Detail: known.detail}
		}
	}
	return wire.Problem{Status: http.StatusInternalServerError}
}

// maxProblem is the length of the longest body of a problem, in bytes. Names of
// fields may be the client's, so an answer must not grow with the request.
const maxProblem = 64 << 10

// invalidFields lists bad fields, and says how many there is no room for.
func invalidFields(fields []notifications.FieldError) wire.Problem {
	const (
		most, longest = 100, 300       // fields, and bytes of each text
		room          = maxProblem / 2 // leaves enough for the rest of the body
	)
	p := wire.Problem{Status: http.StatusBadRequest, Detail: "the request has invalid fields"}
	size := 0
	for i, f := range fields {
		next := wire.InvalidField{Field: shortened(f.Field, longest), Detail: shortened(f.Reason, longest)}
		encoded, _ := json.Marshal(next) // of strings: cannot fail
		if size += len(encoded); i >= most || size > room {
			p.Detail += fmt.Sprintf("; %d more are not listed", len(fields)-i)
			break
		}
		p.Errors = append(p.Errors, next)
	}
	return p
}

// writeProblem writes a problem, with the headers that its status needs.
func writeProblem(w http.ResponseWriter, p wire.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	h := w.Header()
	later := p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests
	if later && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	h.Set("Content-Type", "application/problem+json")
	body, _ := json.Marshal(p) // of strings and numbers: cannot fail
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may have left
}
