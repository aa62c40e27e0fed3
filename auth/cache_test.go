package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

func TestTokenCache(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	keys, others := jwkset.NewMemoryStorage(), jwkset.NewMemoryStorage()
	expiring := func(d time.Duration) jwt.MapClaims {
		return jwt.MapClaims{"sub": "jane", "exp": float64(now.Add(d).Unix())}
	}
	var c tokenCache
	c.add("an hour", "key", keys, expiring(time.Hour), now)
	c.add("ten seconds", "key", keys, expiring(10*time.Second), now)
	c.add("no exp", "key", keys, jwt.MapClaims{}, now)
	long := strings.Repeat("x", maxCachedTokenBytes+1)
	c.add(long, "key", keys, expiring(time.Hour), now)
	for _, tt := range []struct {
		token string
		keys  jwkset.Storage
		after time.Duration
		want  bool
	}{
		{"an hour", keys, 0, true},
		{"an hour", keys, time.Minute - 1, true},
		{"an hour", keys, time.Minute, false},
		{"an hour", others, 0, false},
		{"ten seconds", keys, 10*time.Second - 1, true},
		{"ten seconds", keys, 10 * time.Second, false},
		{"no exp", keys, 0, false},
		{"unknown", keys, 0, false},
		{long, keys, 0, false},
	} {
		if _, got := c.find(tt.token).verified(tt.keys, now.Add(tt.after)); got != tt.want {
			t.Errorf("%.20s after %v: verified %v, want %v", tt.token, tt.after, got, tt.want)
		}
	}
	mine, _ := c.find("an hour").verified(keys, now)
	mine["sub"] = "john"
	if again, _ := c.find("an hour").verified(keys, now); again["sub"] != "jane" {
		t.Error("a caller can change the cache")
	}
	for i := range 2 * maxCachedTokens {
		c.add(fmt.Sprint(i), "key", keys, expiring(time.Hour), now)
	}
	if len(c.tokens) > maxCachedTokens {
		t.Errorf("keeps %d tokens, want at most %d", len(c.tokens), maxCachedTokens)
	}
}
