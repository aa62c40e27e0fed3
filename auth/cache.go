package auth

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// tokenCacheAge is how long a verified token is not verified again.
	tokenCacheAge = time.Minute
	// maxCachedTokens is how many tokens are cached, and maxCachedTokenBytes
	// how long a cached token may be.
	maxCachedTokens     = 4096
	maxCachedTokenBytes = 4 << 10
)

// tokenCache keeps the claims of verified tokens for tokenCacheAge, but not
// after the token expires or the keys are fetched again. It saves the check of
// the signature, the most expensive part of a request outside the database.
//
// The cache is keyed by hashes, so that a memory dump of it shows no tokens.
type tokenCache struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]cachedToken
}

type cachedToken struct {
	kid    string         // of the key that signed the token
	keys   jwkset.Storage // the key set that verified the token
	until  time.Time
	claims jwt.MapClaims
}

// find returns the entry of a token, or the zero cachedToken if there is none.
func (c *tokenCache) find(token string) cachedToken {
	if len(token) > maxCachedTokenBytes {
		return cachedToken{}
	}
	key := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[key]
}

// verified returns a copy of the claims if these keys verified the token and
// the entry is not too old.
func (t cachedToken) verified(keys jwkset.Storage, now time.Time) (jwt.MapClaims, bool) {
	if t.keys == nil || t.keys != keys || !now.Before(t.until) {
		return nil, false
	}
	return maps.Clone(t.claims), true
}

// add stores a verified token. It empties a full cache first: tokens that are
// still in use are verified once more.
func (c *tokenCache) add(token, kid string, keys jwkset.Storage, claims jwt.MapClaims, now time.Time) {
	expires, err := claims.GetExpirationTime()
	if len(token) > maxCachedTokenBytes || err != nil || expires == nil {
		return
	}
	until := now.Add(tokenCacheAge)
	if expires.Before(until) {
		until = expires.Time
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil || len(c.tokens) >= maxCachedTokens {
		c.tokens = make(map[[sha256.Size]byte]cachedToken)
	}
	c.tokens[sha256.Sum256([]byte(token))] = cachedToken{kid, keys, until, maps.Clone(claims)}
}
