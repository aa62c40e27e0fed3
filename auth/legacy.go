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

// legacyService is the subject of the service tokens of older Backstage
// backends. They do not say which plugin is calling.
const legacyService = "backstage-server"

// minLegacyKeyBytes is the least length of a key. Backstage makes 24 bytes.
const minLegacyKeyBytes = 16

// legacyVerifier judges HS256 tokens and passes others on.
type legacyVerifier struct {
	next   notifications.Verifier // nil: nobody
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

// NewLegacyVerifier returns a [notifications.Verifier] of the service tokens that Backstage
// backends shared a key for (backend.auth.keys) before they published keys.
// It judges the tokens whose header says HS256, and hands all others to next,
// which may be nil: nobody takes them then.
//
// A token must be signed with one of the keys, have the sub
// "backstage-server" and an exp that is not over, by a clock at most 30
// seconds apart; nbf is honoured; kid, iss and aud do not matter. It speaks
// of the service "backstage-server".
//
// Keys are raw bytes, decoded from the base64 they are configured in, at
// least 16 each. Several are for rotation. All faults are reported at once.
//
// The Verifier has a method Ready(context.Context) error: that of next, where
// next has one.
func NewLegacyVerifier(next notifications.Verifier, keys ...[]byte) (notifications.Verifier, error) {
	return newLegacyVerifier(time.Now, next, keys...)
}

func newLegacyVerifier(now func() time.Time, next notifications.Verifier, keys ...[]byte) (notifications.Verifier, error) {
	if len(keys) == 0 {
		return nil, errors.New("auth: a legacy key is required")
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
			faults = append(faults, fmt.Errorf("auth: legacy key %d is %d bytes long, at least %d are required", i+1, len(key), minLegacyKeyBytes))
		}
		v.keys.Keys = append(v.keys.Keys, bytes.Clone(key))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return v, nil
}

// Verify implements [notifications.Verifier].
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
	if err := header.plain(); err != nil {
		return notifications.Identity{}, unauthenticated(err)
	}
	if _, err := v.parser.Parse(token, func(*jwt.Token) (any, error) { return v.keys, nil }); err != nil {
		return notifications.Identity{}, unauthenticated(err)
	}
	return notifications.ServiceAccount(legacyService), nil
}

// Ready asks the next verifier.
func (v *legacyVerifier) Ready(ctx context.Context) error {
	if next, ok := v.next.(interface{ Ready(context.Context) error }); ok {
		return next.Ready(ctx)
	}
	return nil
}
