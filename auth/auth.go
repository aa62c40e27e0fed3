// Package auth has the verifiers of proofs that reach a server: JSON Web
// Tokens signed with published keys ([JWTVerifier]), shared secrets
// ([Secrets]), and the service tokens of older Backstage backends
// ([NewLegacyVerifier]). Each is a [notifications.Verifier].
//
// A host that identifies its users itself, by its own sessions, does not need
// this package, and links no JWT library without it.
//
// Constructors report configuration faults in errors that begin "auth:".
// Verify returns [notifications.ErrUnauthenticated] for a proof that does not
// hold and [notifications.ErrUnavailable] where it could not find out, both to
// be tested with [errors.Is].
package auth

import (
	"fmt"

	"github.com/notifications-go/notifications"
)

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
