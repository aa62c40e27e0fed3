package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// errMediaType is a body that does not say it is JSON, or is compressed.
var errMediaType = errors.New("httpapi: the body must be of type application/json, in UTF-8, not compressed")

// errCrossOrigin is a write a browser was made to send by another site.
var errCrossOrigin = errors.New("httpapi: refused cross-origin")

// problems maps errors to answers; the first match counts. Details are written
// here, so nothing internal gets out.
var problems = []struct {
	err    error
	status int
	detail string
}{
	{notifications.ErrUnauthenticated, http.StatusUnauthorized, ""}, // see authenticator.challenge
	{errCrossOrigin, http.StatusForbidden, "writes from another origin are not accepted"},
	{notifications.ErrForbidden, http.StatusForbidden, "the caller may not do this"},
	{notifications.ErrNotFound, http.StatusNotFound, "there is nothing here for the caller"},
	{notifications.ErrKeyReused, http.StatusConflict, "the Idempotency-Key was used before, for a post with other content"},
	{notifications.ErrTargetsDiffer, http.StatusConflict, "with resurface false a post must have the targets of the one it replaces"},
	{errMediaType, http.StatusUnsupportedMediaType, "the body must be of type application/json, in UTF-8, not compressed"},
	{notifications.ErrUnavailable, http.StatusServiceUnavailable, "something this service depends on is away; try again later"},
}

// isInputError reports whether err is about what the caller sent, found
// before or after the service was asked.
func isInputError(err error) bool {
	var invalid *notifications.InvalidError
	var tooLarge *http.MaxBytesError
	return errors.As(err, &invalid) || errors.As(err, &tooLarge) || errors.Is(err, errMediaType)
}

func problemOf(err error) wire.Problem {
	var invalid *notifications.InvalidError
	if errors.As(err, &invalid) {
		p := wire.Problem{Status: http.StatusBadRequest, Detail: "the request has invalid fields"}
		for _, f := range invalid.Fields {
			p.Errors = append(p.Errors, wire.InvalidField{Field: f.Field, Detail: f.Reason})
		}
		return p
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

// writeProblem answers with a problem and the headers its status asks for.
func writeProblem(w http.ResponseWriter, p wire.Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	h := w.Header()
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	h.Set("Content-Type", "application/problem+json")
	body, _ := json.Marshal(p) // of strings and numbers: cannot fail
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that left cannot be told
}
