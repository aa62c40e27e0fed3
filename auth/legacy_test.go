package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
)

var (
	legacyKey    = []byte("0123456789abcdef")
	oldLegacyKey = []byte("the key that is being replaced")
	server       = notifications.ServiceAccount("backstage-server")
)

// legacyToken is a service token as Backstage makes it.
func legacyToken(c *clock) token {
	return token{
		header: map[string]any{"kid": nil},
		claims: jwt.MapClaims{"sub": "backstage-server", "exp": c.now().Add(time.Hour).Unix()},
	}
}

// Each row changes one thing of a valid token.
func TestLegacyToken(t *testing.T) {
	t.Parallel()
	c := newClock()
	v, err := auth.NewLegacyVerifierAt(c.now, nil, legacyKey, oldLegacyKey)
	if err != nil {
		t.Fatal(err)
	}
	in := func(d time.Duration) int64 { return c.now().Add(d).Unix() }
	notLegacy := "not a legacy service token"
	for name, tc := range map[string]struct {
		key    []byte
		method jwt.SigningMethod
		change func(token)
		reason string // empty: the token is valid
	}{
		"as it is":              {},
		"the other key":         {key: oldLegacyKey},
		"a kid":                 {change: func(k token) { k.header["kid"] = "x" }},
		"iss and aud":           {change: func(k token) { k.claims["iss"], k.claims["aud"] = "x", "y" }},
		"expired within leeway": {change: func(k token) { k.claims["exp"] = in(-29 * time.Second) }},
		"expired":               {change: func(k token) { k.claims["exp"] = in(-30 * time.Second) }, reason: jwt.ErrTokenExpired.Error()},
		"no expiry":             {change: func(k token) { delete(k.claims, "exp") }, reason: "exp claim is required"},
		"not yet valid":         {change: func(k token) { k.claims["nbf"] = in(31 * time.Second) }, reason: jwt.ErrTokenNotValidYet.Error()},
		"another subject":       {change: func(k token) { k.claims["sub"] = "Backstage-server" }, reason: jwt.ErrTokenInvalidSubject.Error()},
		"a user":                {change: func(k token) { k.claims["sub"] = "user:default/jane" }, reason: jwt.ErrTokenInvalidSubject.Error()},
		"no subject":            {change: func(k token) { delete(k.claims, "sub") }, reason: "sub claim is required"},
		"a wrong key":           {key: []byte("fedcba9876543210"), reason: jwt.ErrTokenSignatureInvalid.Error()},
		"an empty key":          {key: []byte{}, reason: jwt.ErrTokenSignatureInvalid.Error()},
		"crit":                  {change: func(k token) { k.header["crit"] = []string{"exp"} }, reason: "header crit"},
		"jku":                   {change: func(k token) { k.header["jku"] = "x" }, reason: "header jku"},
		"jwk":                   {change: func(k token) { k.header["jwk"] = "x" }, reason: "header jwk"},
		"x5u":                   {change: func(k token) { k.header["x5u"] = "x" }, reason: "header x5u"},
		"HS512":                 {method: jwt.SigningMethodHS512, reason: notLegacy},
		"HS384":                 {method: jwt.SigningMethodHS384, reason: notLegacy},
		"oversize":              {change: func(k token) { k.claims["pad"] = strings.Repeat("x", 32<<10) }, reason: notLegacy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := legacyToken(c)
			key, method := tc.key, tc.method
			if key == nil {
				key = legacyKey
			}
			if method == nil {
				method = jwt.SigningMethodHS256
			}
			if tc.change != nil {
				tc.change(tok)
			}
			text := tok.signedWith(t, method, key)
			if tc.reason == "" {
				wantIdentity(t, v, text, server)
				return
			}
			wantError(t, v, text, notifications.ErrUnauthenticated, tc.reason)
		})
	}
}

func TestLegacyAndPublishedKeysAreApart(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	published := newVerifier(t, c, is.URL)
	v, err := auth.NewLegacyVerifierAt(c.now, published, legacyKey)
	if err != nil {
		t.Fatal(err)
	}
	wantIdentity(t, v, legacyToken(c).signedWith(t, jwt.SigningMethodHS256, legacyKey), server)
	if is.count() != 0 {
		t.Error("a legacy token caused a fetch of the keys")
	}
	text := legacyToken(c).signedWith(t, jwt.SigningMethodHS256, legacyKey)
	wantError(t, v, text[:len(text)-1]+spare(text[len(text)-1]), notifications.ErrUnauthenticated, jwt.ErrTokenMalformed.Error())
	wantError(t, published, legacyToken(c).signedWith(t, jwt.SigningMethodHS256, legacyKey), notifications.ErrUnauthenticated, "not accepted")
	wantIdentity(t, v, goodToken(c, edKey()).signed(t), jane)
	wantError(t, v, "garbage", notifications.ErrUnauthenticated, "not a JWT")
	wantError(t, v, goodToken(c, unknownKey()).signed(t), notifications.ErrUnauthenticated, "key not found")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Verify(ctx, legacyToken(c).signedWith(t, jwt.SigningMethodHS256, legacyKey))
	if !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Verify = %v when cancelled, want ErrUnavailable", err)
	}
}

// opaque accepts one token that is not a JWT.
type opaque struct{}

func (opaque) Verify(_ context.Context, token string) (notifications.Identity, error) {
	if token != "opaque" {
		return notifications.Identity{}, notifications.ErrUnauthenticated
	}
	return jane, nil
}

func TestLegacyPassesOnWhatItCannotRead(t *testing.T) {
	t.Parallel()
	v, err := auth.NewLegacyVerifier(opaque{}, legacyKey)
	if err != nil {
		t.Fatal(err)
	}
	wantIdentity(t, v, "opaque", jane)
}

func TestLegacyReadiness(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t)
	ready := func(next notifications.Verifier) error {
		v, err := auth.NewLegacyVerifier(next, legacyKey)
		if err != nil {
			t.Fatal(err)
		}
		return v.(interface{ Ready(context.Context) error }).Ready(t.Context())
	}
	if err := ready(nil); err != nil {
		t.Errorf("Ready = %v alone", err)
	}
	if err := ready(opaque{}); err != nil {
		t.Errorf("Ready = %v before one that is always ready", err)
	}
	if err := ready(newVerifier(t, c, is.URL)); !errors.Is(err, notifications.ErrUnavailable) {
		t.Errorf("Ready = %v before one without keys, want ErrUnavailable", err)
	}
}

func TestLegacyKeyFaults(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewLegacyVerifier(nil); err == nil {
		t.Error("no key was accepted")
	}
	_, err := auth.NewLegacyVerifier(nil, []byte("0123456789abcde"), legacyKey, nil)
	if err == nil || !strings.Contains(err.Error(), "key 1 is 15 bytes") || !strings.Contains(err.Error(), "key 3 is 0 bytes") {
		t.Errorf("NewLegacyVerifier = %v, want both short keys named", err)
	}
	if err != nil && strings.Contains(err.Error(), "0123456789abcde") {
		t.Errorf("the error contains the key: %v", err)
	}
}

func TestLegacyKeyIsCopied(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := []byte("a key the host wipes later")
	text := legacyToken(c).signedWith(t, jwt.SigningMethodHS256, key)
	v, err := auth.NewLegacyVerifierAt(c.now, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	wantIdentity(t, v, text, server)
}
