// Package auth identifies the callers of an HTTP API. It verifies JSON Web
// Tokens signed with published keys ([JWTVerifier]), shared secrets
// ([Secrets]), and the service tokens of older Backstage backends
// ([NewLegacyVerifier]). Each of these is a [notifications.Verifier].
//
// A host that identifies its users by its own sessions does not need this
// package, and links no JWT library unless it imports it.
//
// The constructors start nothing. They report all faults of a configuration at
// once, in one error; the text of each fault begins "auth:". Verify returns an
// error that matches [notifications.ErrUnauthenticated] if the token or secret
// is invalid, and one that matches [notifications.ErrUnavailable] if it could
// not be checked. No error contains a token, a secret or a key.
package auth

import (
	"fmt"
	"strings"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/fold"
)

// isBuiltIn reports whether a name is that of a service that a shared secret or
// the keys of older Backstage backends stand for, or looks like it in a log: in
// another case, with white space around it, or as "service:external". No other
// token can be one of them.
func isBuiltIn(name string) bool {
	name = strings.TrimPrefix(fold.ASCII(strings.TrimSpace(name)), string(notifications.KindService)+":")
	return name == externalService || name == legacyService
}

// unauthenticated returns ErrUnauthenticated with a reason. The reason is for
// logs: it must not contain a token or a secret.
func unauthenticated(reason error) error {
	return fmt.Errorf("%w: %w", notifications.ErrUnauthenticated, reason)
}

// unavailable returns ErrUnavailable for the failure of what. The caller can
// still find err, such as context.Canceled, with errors.Is.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", notifications.ErrUnavailable, what, err)
}
