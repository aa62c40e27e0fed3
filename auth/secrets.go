package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/notifications-go/notifications"
)

const (
	// minSecretBytes is the minimum length of a shared secret.
	minSecretBytes = 16
	// maxSecrets is how many secrets can be active: the current one and,
	// during a rotation, its successor.
	maxSecrets = 2
)

// externalService is the service that holders of a shared secret act as by
// default.
const externalService = "external"

// Secrets is a [notifications.Verifier] of shared secrets. [NewSecrets] makes
// one; the zero value refuses every secret. It is safe for concurrent use.
type Secrets struct {
	digests [][sha256.Size]byte
	holder  notifications.Identity
}

// NewSecrets returns a verifier of one active secret, or of two during a
// rotation. All secrets identify the same caller: the service "external" if
// actAs is the zero Identity, and otherwise actAs, which must be a user with a
// name.
//
// A secret is at least 16 bytes long and is compared byte for byte: cut off the
// line break of a secret read from a file. A secret that an HTTP header cannot
// carry is a fault: one that contains a control character, or begins or ends
// with a space. NewSecrets reports all faults at once.
func NewSecrets(actAs notifications.Identity, secrets ...string) (*Secrets, error) {
	var faults []error
	if actAs.IsZero() {
		actAs = notifications.ServiceAccount(externalService)
	} else if actAs.Kind != notifications.KindUser || actAs.Name == "" {
		faults = append(faults, errors.New("auth: actAs must be a user with a name"))
	}
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		faults = append(faults, fmt.Errorf("auth: %d secrets, must be 1, or %d during a rotation", len(secrets), maxSecrets))
	}
	s := &Secrets{holder: actAs}
	for i, secret := range secrets {
		if len(secret) < minSecretBytes {
			faults = append(faults, fmt.Errorf("auth: secret %d is %d bytes long, must be at least %d", i+1, len(secret), minSecretBytes))
		}
		if strings.ContainsFunc(secret, isControl) || strings.Trim(secret, " ") != secret {
			faults = append(faults, fmt.Errorf("auth: secret %d contains a control character, or begins or ends with a space", i+1))
		}
		s.digests = append(s.digests, sha256.Sum256([]byte(secret)))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// isControl reports whether r is a control character. HTTP allows none of them
// in a header but the tab, and that not at the ends (RFC 9110, section 5.5).
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Verify returns the identity given to [NewSecrets] if the secret is active,
// and an error that matches [notifications.ErrUnauthenticated] if it is not. The
// time it takes does not depend on how many bytes are right, nor on which of
// two secrets matches. It does not use the context.
func (s *Secrets) Verify(_ context.Context, secret string) (notifications.Identity, error) {
	digest := sha256.Sum256([]byte(secret))
	match := 0
	for i := range s.digests {
		match |= subtle.ConstantTimeCompare(digest[:], s.digests[i][:])
	}
	if match == 0 {
		return notifications.Identity{}, unauthenticated(errors.New("the secret is not active"))
	}
	return s.holder, nil
}
