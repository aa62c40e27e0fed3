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
	// tokenCacheAge is how long a proved token is taken for proved.
	tokenCacheAge = time.Minute
	// maxCachedTokens and maxCachedTokenBytes bound what the cache keeps.
	maxCachedTokens     = 4096
	maxCachedTokenBytes = 4 << 10
)

// tokenCache remembers the claims of tokens that were proved, for a minute, or
// until the token expires or the keys are fetched again, whichever is first:
// proving one takes longer than anything else of a request but the database.
// It keeps hashes, so whoever reads the memory finds no tokens here.
type tokenCache struct {
	mu     sync.Mutex
	proved map[[sha256.Size]byte]provedToken
}

type provedToken struct {
	kid    string         // that it names
	keys   jwkset.Storage // that proved it
	until  time.Time
	claims jwt.MapClaims
}

// find returns what was remembered of a token, the zero provedToken if
// nothing was.
func (c *tokenCache) find(token string) provedToken {
	if len(token) > maxCachedTokenBytes {
		return provedToken{}
	}
	key := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proved[key]
}

// proof returns a copy of the claims of a token that these keys have proved.
func (t provedToken) proof(keys jwkset.Storage, now time.Time) (jwt.MapClaims, bool) {
	if t.keys == nil || t.keys != keys || !now.Before(t.until) {
		return nil, false
	}
	return maps.Clone(t.claims), true
}

// add remembers a token that was proved. A full cache starts anew: whoever is
// still there is proved again.
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
	if c.proved == nil || len(c.proved) >= maxCachedTokens {
		c.proved = make(map[[sha256.Size]byte]provedToken)
	}
	c.proved[sha256.Sum256([]byte(token))] = provedToken{kid, keys, until, maps.Clone(claims)}
}
