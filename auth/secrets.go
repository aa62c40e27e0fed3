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
	// minSecretBytes is the least length of a shared secret.
	minSecretBytes = 16
	// maxSecrets is how many may be active: the current one and, while it is
	// being replaced, the other.
	maxSecrets = 2
)

// externalService is who the holder of a shared secret is.
const externalService = "external"

// Secrets tells whether somebody holds a shared secret. It is made by
// [NewSecrets] and is safe for concurrent use.
type Secrets struct {
	digests [][sha256.Size]byte
	holder  notifications.Identity
}

// NewSecrets makes Secrets of one active secret, or of two while one replaces
// the other. Whoever shows either is the same identity: the service
// "external", or the user actAs names; the zero actAs is the service.
//
// A secret is at least 16 bytes long and is taken as it is: whoever reads it
// from a file cuts off the line break. One that an HTTP header cannot carry,
// because of a control character, or a space at an end, is refused. All
// faults are reported at once, without the secrets.
func NewSecrets(actAs notifications.Identity, secrets ...string) (*Secrets, error) {
	var faults []error
	if actAs.IsZero() {
		actAs = notifications.ServiceAccount(externalService)
	} else if actAs.Kind != notifications.KindUser || actAs.Name == "" {
		faults = append(faults, errors.New("auth: the holder of a secret can act as a user alone"))
	}
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		faults = append(faults, fmt.Errorf("auth: %d secrets, there must be 1 or, for rotation, %d", len(secrets), maxSecrets))
	}
	s := &Secrets{holder: actAs}
	for i, secret := range secrets {
		if len(secret) < minSecretBytes {
			faults = append(faults, fmt.Errorf("auth: secret %d is %d bytes long, at least %d are required", i+1, len(secret), minSecretBytes))
		}
		if strings.ContainsFunc(secret, isControl) || strings.Trim(secret, " ") != secret {
			faults = append(faults, fmt.Errorf("auth: secret %d has a control character, or a space at an end", i+1))
		}
		s.digests = append(s.digests, sha256.Sum256([]byte(secret)))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// isControl reports what a field value of HTTP cannot hold (RFC 9110, section
// 5.5), and the tab, which it can hold inside alone.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Verify returns the identity of whoever shows the secret, and
// [notifications.ErrUnauthenticated] if it is not an active one. How long it takes does not
// depend on how much of a secret is right, nor on which one it is.
func (s *Secrets) Verify(_ context.Context, secret string) (notifications.Identity, error) {
	shown := sha256.Sum256([]byte(secret))
	match := 0
	for i := range s.digests {
		match |= subtle.ConstantTimeCompare(shown[:], s.digests[i][:])
	}
	if match == 0 {
		return notifications.Identity{}, unauthenticated(errors.New("the secret is not an active one"))
	}
	return s.holder, nil
}
