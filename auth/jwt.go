package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/notifications-go/notifications"
)

const (
	// maxTokenBytes bounds a token before anything of it is decoded.
	maxTokenBytes = 32 << 10
	// maxKeyIDBytes bounds the kid of a token, which ends up in logs.
	maxKeyIDBytes = 256
	// tokenLeeway is how far clocks may be apart.
	tokenLeeway = 30 * time.Second
)

// signingMethods are the algorithms a published key may verify. None of them
// is symmetric: with HS256 a public key would be the secret (RFC 8725,
// section 3.1).
var signingMethods = []string{
	"RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512",
	"EdDSA",
}

// JWTConfig says which tokens a [JWTVerifier] takes.
type JWTConfig struct {
	// JWKSURL is where the issuer publishes its keys, as a JWK Set (RFC
	// 7517): an http or https URL, or for development a file, "file:keys.json"
	// or "file:///etc/keys.json", whose path is taken as written. Required.
	JWKSURL string
	// Issuer is what the claim iss must be, byte for byte. Required.
	Issuer string
	// Audience is what the claim aud must be, or hold if it is a list.
	// Required.
	Audience string
	// HTTPClient fetches the keys. Nil is a client that follows no
	// redirects. The context of each fetch ends after 2 seconds.
	HTTPClient *http.Client
	// Subject says who the claims of a proved token speak of. They hold a
	// non-empty string "sub". An error, or an identity that is neither a user
	// nor a service with a name, refuses the token. It must be safe for
	// concurrent use.
	//
	// Nil is the rule of Backstage: a sub of the form "user:namespace/name",
	// in any case, or "namespace/name" is a user, any other is a service
	// named by it. See also [UserClaim].
	Subject func(claims map[string]any) (notifications.Identity, error)
	// Logger hears of keys that cannot be fetched. Nil discards.
	Logger *slog.Logger
}

// JWTVerifier is a [notifications.Verifier] of JSON Web Tokens (RFC 7519) signed with the
// published keys of one issuer. It is made by [NewJWTVerifier] and is safe for
// concurrent use.
//
// A token must be signed by an asymmetric algorithm (RS, PS and ES with 256,
// 384 or 512 bits, or EdDSA) with the key its kid names; iss, aud, exp and sub
// are required, and nbf is honoured, clocks being at most 30 seconds apart.
// Tokens above 32 KiB, and those whose header says crit, jku, jwk or x5u, are
// refused.
//
// Keys are fetched when they are first needed, again when they are 5 minutes
// old, and when a token names an unknown one, at most every 10 seconds. While
// they cannot be fetched, those fetched before keep working, and a token that
// names another is answered with [notifications.ErrUnavailable]. So is every token before
// any key was fetched; that is tried again every second, as long as somebody
// asks.
//
// That a token was proved is remembered for a minute at most, and not beyond
// its exp or the next fetch of the keys. JWTConfig.Subject is asked each time.
type JWTVerifier struct {
	keys    *keySet
	cache   tokenCache
	parser  *jwt.Parser
	subject func(map[string]any) (notifications.Identity, error)
}

// NewJWTVerifier makes a JWTVerifier. It fetches nothing and starts nothing.
// It reports all faults of the configuration at once.
func NewJWTVerifier(cfg JWTConfig) (*JWTVerifier, error) {
	return newJWTVerifier(cfg, time.Now)
}

func newJWTVerifier(cfg JWTConfig, now func() time.Time) (*JWTVerifier, error) {
	source, err := keySource(cfg.JWKSURL, cfg.HTTPClient)
	faults := []error{err}
	if cfg.Issuer == "" {
		faults = append(faults, errors.New("auth: JWTConfig.Issuer is required"))
	}
	if cfg.Audience == "" {
		faults = append(faults, errors.New("auth: JWTConfig.Audience is required"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Subject == nil {
		cfg.Subject = backstageSubject
	}
	return &JWTVerifier{
		keys: &keySet{source: source, now: now, log: cfg.Logger},
		parser: jwt.NewParser(
			jwt.WithValidMethods(signingMethods),
			jwt.WithIssuer(cfg.Issuer),
			jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(tokenLeeway),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
		),
		subject: cfg.Subject,
	}, nil
}

// Verify returns who the token speaks of. It answers [notifications.ErrUnauthenticated],
// with a reason fit for logs, for a token that does not hold, and
// [notifications.ErrUnavailable] when ctx is done or the key could not be fetched.
func (v *JWTVerifier) Verify(ctx context.Context, token string) (notifications.Identity, error) {
	if err := ctx.Err(); err != nil {
		return notifications.Identity{}, unavailable("token verification", err)
	}
	known := v.cache.find(token)
	kid := known.kid
	if kid == "" {
		header, err := parseHeader(token)
		if err != nil {
			return notifications.Identity{}, unauthenticated(err)
		}
		if kid, err = header.publishedKey(); err != nil {
			return notifications.Identity{}, unauthenticated(err)
		}
	}
	keys, err := v.keys.lookup(ctx, kid)
	if err != nil {
		return notifications.Identity{}, err
	}
	now := v.keys.now()
	claims, proved := known.proof(keys.Storage(), now)
	if !proved {
		claims = jwt.MapClaims{}
		if _, err := v.parser.ParseWithClaims(token, claims, keys.KeyfuncCtx(ctx)); err != nil {
			return notifications.Identity{}, unauthenticated(err)
		}
		v.cache.add(token, kid, keys.Storage(), claims, now)
	}
	return v.identify(claims)
}

// identify reads who is meant from claims that were proved.
func (v *JWTVerifier) identify(claims jwt.MapClaims) (notifications.Identity, error) {
	if sub, err := claims.GetSubject(); err != nil || sub == "" {
		return notifications.Identity{}, unauthenticated(errors.New("the claim sub is not a string or is empty"))
	}
	who, err := v.subject(claims)
	switch {
	case err != nil:
		return notifications.Identity{}, unauthenticated(err)
	case who.Name == "", who.Kind != notifications.KindUser && who.Kind != notifications.KindService:
		return notifications.Identity{}, unauthenticated(errors.New("the claims name neither a user nor a service"))
	}
	return who, nil
}

// Ready reports whether tokens can be judged: nil once keys were fetched.
// Until then it tries to fetch them, under the limits of Verify, and answers
// [notifications.ErrUnavailable] if that fails.
func (v *JWTVerifier) Ready(ctx context.Context) error {
	return v.keys.ready(ctx)
}

// UserClaim is a JWTConfig.Subject for issuers that name users in a claim of
// their own, such as "email" or "preferred_username". A token that has the
// claim speaks of the user it names, taken as it is; one that does not have
// it, of the service named by sub, whatever its form. A claim that is empty
// or no string refuses the token.
func UserClaim(claim string) func(claims map[string]any) (notifications.Identity, error) {
	return func(claims map[string]any) (notifications.Identity, error) {
		value, ok := claims[claim]
		if !ok {
			sub, _ := claims["sub"].(string)
			return notifications.ServiceAccount(sub), nil
		}
		name, _ := value.(string)
		if name == "" {
			return notifications.Identity{}, fmt.Errorf("the claim %s is not a string or is empty", claim)
		}
		return notifications.User(name), nil
	}
}

// backstageSubject is the rule of JWTConfig.Subject when that is nil.
func backstageSubject(claims map[string]any) (notifications.Identity, error) {
	sub, _ := claims["sub"].(string)
	ref := sub
	if kind, rest, ok := strings.Cut(sub, ":"); ok && strings.EqualFold(kind, string(notifications.KindUser)) {
		ref = rest
	}
	namespace, name, ok := strings.Cut(ref, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") || strings.Contains(ref, ":") {
		return notifications.ServiceAccount(sub), nil
	}
	return notifications.User(ref), nil
}

// joseHeader is the header of a token nobody has verified yet (RFC 7515,
// section 4).
type joseHeader map[string]any

// parseHeader reads the header and nothing else of a token.
func parseHeader(token string) (joseHeader, error) {
	if len(token) > maxTokenBytes {
		return nil, fmt.Errorf("the token is %d bytes long, the limit is %d", len(token), maxTokenBytes)
	}
	segment, _, ok := strings.Cut(token, ".")
	// Go's base64 skips line breaks; RFC 7515, section 2, allows none.
	if !ok || strings.ContainsAny(token, "\r\n") {
		return nil, errors.New("the token is not a JWT")
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, fmt.Errorf("the header of the token is not base64url: %w", err)
	}
	var h joseHeader
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("the header of the token is not a JSON object: %w", err)
	}
	return h, nil
}

// text returns a member that is a string, and "" for any other.
func (h joseHeader) text(name string) string {
	s, _ := h[name].(string)
	return s
}

// plain refuses headers that want something done that is not done here (crit)
// or bring their own key along.
func (h joseHeader) plain() error {
	for _, name := range []string{"crit", "jku", "jwk", "x5u"} {
		if _, ok := h[name]; ok {
			return fmt.Errorf("the token has the header %s", name)
		}
	}
	return nil
}

// publishedKey returns the kid of a token that a published key may verify. It
// spares a fetch of the keys for tokens that none of them could prove.
func (h joseHeader) publishedKey() (string, error) {
	if err := h.plain(); err != nil {
		return "", err
	}
	if !slices.Contains(signingMethods, h.text("alg")) {
		return "", errors.New("the algorithm of the token is not accepted")
	}
	kid := h.text("kid")
	if kid == "" {
		return "", errors.New("the token has no kid")
	}
	if len(kid) > maxKeyIDBytes {
		return "", fmt.Errorf("the kid of the token is %d bytes long, the limit is %d", len(kid), maxKeyIDBytes)
	}
	return kid, nil
}
