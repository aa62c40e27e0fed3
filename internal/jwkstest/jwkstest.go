// Package jwkstest issues tokens for tests: it has an issuer with a key, and a
// JWKS endpoint on loopback.
package jwkstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// The claims of an Issuer's tokens.
const (
	Name     = "https://issuer.example"
	Audience = "notifications"
	keyID    = "key-1"
)

// Issuer signs tokens and publishes its key. It is safe for concurrent use.
type Issuer struct {
	// JWKSURL is the address of the key set.
	JWKSURL string
	key     *ecdsa.PrivateKey
}

// New starts an issuer. It stops when the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: keyID, ALG: jwkset.AlgES256, USE: jwkset.UseSig},
	})
	if err != nil {
		t.Fatal(err)
	}
	store := jwkset.NewMemoryStorage()
	if err := store.KeyWrite(context.Background(), jwk); err != nil {
		t.Fatal(err)
	}
	body, err := store.JSONPublic(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return &Issuer{JWKSURL: server.URL, key: key}
}

// Token returns a token for the subject, valid for an hour.
func (i *Issuer) Token(t testing.TB, subject string) string {
	t.Helper()
	return i.TokenUntil(t, subject, time.Now().Add(time.Hour))
}

// ExpiredToken returns a token for the subject that was valid until an hour
// ago.
func (i *Issuer) ExpiredToken(t testing.TB, subject string) string {
	t.Helper()
	return i.TokenUntil(t, subject, time.Now().Add(-time.Hour))
}

// TokenUntil returns a token for the subject that expires at a time.
func (i *Issuer) TokenUntil(t testing.TB, subject string, expires time.Time) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": subject, "iss": Name, "aud": Audience, "exp": expires.Unix(),
	})
	token.Header["kid"] = keyID
	signed, err := token.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
