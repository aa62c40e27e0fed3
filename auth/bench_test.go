package auth_test

import (
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
)

func BenchmarkVerify(b *testing.B) {
	c := newClock()
	published := newVerifier(b, c, newIssuer(b, ecKey()).URL)
	legacy, err := auth.NewLegacyVerifierAt(c.now, published, legacyKey)
	if err != nil {
		b.Fatal(err)
	}
	secrets, err := auth.NewSecrets(notifications.Identity{}, "the first of the secrets", "the second of the secrets")
	if err != nil {
		b.Fatal(err)
	}
	token := goodToken(c, ecKey()).signed(b)
	long := goodToken(c, ecKey())
	long.claims["pad"] = strings.Repeat("x", 4<<10) // too long for the cache
	uncached := long.signed(b)
	legacyToken := legacyToken(c).signedWith(b, jwt.SigningMethodHS256, legacyKey)
	for _, bc := range []struct {
		name string
		do   func() error
	}{
		{"cached token", func() error { _, err := published.Verify(b.Context(), token); return err }},
		{"uncached token", func() error { _, err := published.Verify(b.Context(), uncached); return err }},
		{"legacy token", func() error { _, err := legacy.Verify(b.Context(), legacyToken); return err }},
		{"token behind legacy", func() error { _, err := legacy.Verify(b.Context(), token); return err }},
		{"secret", func() error { _, err := secrets.Verify(b.Context(), "the second of the secrets"); return err }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			do := func() {
				if err := bc.do(); err != nil {
					b.Fatal(err)
				}
			}
			do() // fetches the keys and fills the cache
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}
