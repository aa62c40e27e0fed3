package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/notifications-go/notifications"
)

// legacyService is the subject of all service tokens of older Backstage
// backends. The tokens do not name the plugin that calls.
const legacyService = "backstage-server"

// minLegacyKeyBytes is the minimum length of a key. Backstage generates keys of
// 24 bytes.
const minLegacyKeyBytes = 16

// legacyVerifier verifies HS256 tokens and passes all others to next.
type legacyVerifier struct {
	next   notifications.Verifier // nil: refuse them
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

// NewLegacyVerifier returns a [notifications.Verifier] of the service tokens of
// older Backstage backends, which sign them with a shared key
// (backend.auth.keys in their configuration). It verifies the tokens whose
// header names the algorithm HS256 and passes all others to next. If next is
// nil, it refuses those.
//
// A token must be signed with one of the keys, its claim sub must be
// "backstage-server", and it must have a claim exp that has not passed. A claim
// nbf must have passed. Clocks may differ by 30 seconds. The claims iss and aud
// and the header kid are ignored. The identity is the service
// "backstage-server".
//
// At least one key is required; give several during a rotation. A key is raw
// bytes, at least 16 of them: Backstage's configuration has it in base64. The
// keys are copied. NewLegacyVerifier reports all faults at once.
//
// The returned Verifier is safe for concurrent use if next is. It also has a
// method Ready(context.Context) error, which calls the method Ready of next if
// next has one, and otherwise returns nil.
func NewLegacyVerifier(next notifications.Verifier, keys ...[]byte) (notifications.Verifier, error) {
	return newLegacyVerifier(time.Now, next, keys...)
}

func newLegacyVerifier(now func() time.Time, next notifications.Verifier, keys ...[]byte) (notifications.Verifier, error) {
	if len(keys) == 0 {
		return nil, errors.New("auth: at least one legacy key is required")
	}
	v := &legacyVerifier{next: next, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithSubject(legacyService),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now),
	)}
	var faults []error
	for i, key := range keys {
		if len(key) < minLegacyKeyBytes {
			faults = append(faults, fmt.Errorf("auth: legacy key %d is %d bytes long, must be at least %d", i+1, len(key), minLegacyKeyBytes))
		}
		v.keys.Keys = append(v.keys.Keys, bytes.Clone(key))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify verifies a token as NewLegacyVerifier describes.
func (v *legacyVerifier) Verify(ctx context.Context, token string) (notifications.Identity, error) {
	header, err := parseHeader(token)
	if err != nil || header.text("alg") != jwt.SigningMethodHS256.Alg() {
		if v.next == nil {
			return notifications.Identity{}, unauthenticated(errors.New("the token is not a legacy service token"))
		}
		return v.next.Verify(ctx, token)
	}
	if err := ctx.Err(); err != nil {
		return notifications.Identity{}, unavailable("token verification", err)
	}
	if err := header.checkParameters(); err != nil {
		return notifications.Identity{}, unauthenticated(err)
	}
	if _, err := v.parser.Parse(token, func(*jwt.Token) (any, error) { return v.keys, nil }); err != nil {
		return notifications.Identity{}, unauthenticated(err)
	}
	return notifications.ServiceAccount(legacyService), nil
}

// Expires calls next.Expires, if there is one. Nobody asks for service tokens,
// because services have no inbox.
func (v *legacyVerifier) Expires(token string) time.Time {
	if next, ok := v.next.(interface{ Expires(string) time.Time }); ok {
		return next.Expires(token)
	}
	return time.Time{}
}

// Ready calls next.Ready, if there is one.
func (v *legacyVerifier) Ready(ctx context.Context) error {
	if next, ok := v.next.(interface{ Ready(context.Context) error }); ok {
		return next.Ready(ctx)
	}
	return nil
}
