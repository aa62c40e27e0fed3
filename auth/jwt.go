package auth

import (
	"cmp"
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
	"github.com/notifications-go/notifications/internal/fold"
)

const (
	// maxTokenBytes is the maximum length of a token. It is checked before the
	// token is decoded.
	maxTokenBytes = 32 << 10
	// maxKeyIDBytes is the maximum length of the kid of a token. The kid is
	// logged.
	maxKeyIDBytes = 256
	// tokenLeeway is how much the clocks of issuer and verifier may differ.
	tokenLeeway = 30 * time.Second
)

// signingMethods are the accepted algorithms of tokens signed with a published
// key. None is symmetric: a token signed with HS256 and the public key as its
// secret would be valid (RFC 8725, section 2.1).
var signingMethods = []string{
	"RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512",
	"EdDSA",
}

// JWTConfig configures a [JWTVerifier]. JWKSURL, Issuer and Audience are
// required.
type JWTConfig struct {
	// JWKSURL is the URL of the issuer's keys, a JWK Set (RFC 7517) of at most
	// 1 MiB. The scheme is http or https, or file for development:
	// "file:keys.json" or "file:///etc/keys.json", without percent-encoding.
	JWKSURL string
	// Issuer is the required value of the claim iss, compared byte for byte.
	Issuer string
	// Audience is the required value of the claim aud, or of one of its
	// elements if aud is a list.
	Audience string
	// HTTPClient fetches the keys. Nil is a client that does not follow
	// redirects. Each fetch has a context that ends after 2 seconds.
	HTTPClient *http.Client
	// Subject returns the identity that verified claims stand for. The claims
	// always have a "sub", a non-empty string. The token is refused if Subject
	// returns an error, or an identity without a name or of another kind than
	// user and service. Subject must be safe for concurrent use.
	//
	// Independent of Subject, a token is refused if its sub, or the name of
	// its service, is "external" or "backstage-server", in any case of the
	// letters, with white space around it or "service:" before it: these are the
	// services of [Secrets] and [NewLegacyVerifier].
	//
	// Nil is the rule of Backstage: a sub "user:namespace/name", with "user" in
	// ASCII letters of either case, or "namespace/name" names a user, any other sub a
	// service. See also [UserClaim].
	Subject func(claims map[string]any) (notifications.Identity, error)
	// MaxLifetime is the longest time from iat to exp that a token may have.
	// A token without iat, or with one that has not come yet, is measured from
	// now; clocks may then differ by 30 seconds. Zero is no limit; a negative
	// value is a fault.
	MaxLifetime time.Duration
	// MaxStale is how long keys stay in use that no fetch has confirmed: while
	// the issuer does not answer, or its key set is empty or has no usable key.
	// After that they are dropped, and Verify returns
	// [notifications.ErrUnavailable]. So an issuer that empties its key set
	// revokes its tokens within MaxStale. Zero is an hour; a negative value is a
	// fault.
	MaxStale time.Duration
	// Logger receives a warning when the keys cannot be fetched. Nil discards.
	Logger *slog.Logger
}

// JWTVerifier is a [notifications.Verifier] of JSON Web Tokens (RFC 7519) signed
// with the published keys of one issuer. [NewJWTVerifier] makes one; the zero
// value is not usable. It is safe for concurrent use.
//
// A token must name its key in the header kid, and be signed with that key and
// one of the algorithms RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384,
// ES512 and EdDSA. The claims iss, aud, exp and sub are required; a claim nbf
// must have passed. Clocks may differ by 30 seconds. Tokens longer than 32 KiB
// are refused, and so are those with a header crit, jku, jwk or x5u. A header
// typ must be JWT, at+jwt (RFC 9068), vnd.backstage.user or
// vnd.backstage.plugin, in letters of either case and with "application/" before
// it or not: logout tokens, DPoP proofs and the like are no access tokens.
//
// Verify fetches the keys when they are needed: the first time, once they are 5
// minutes old, and when a token names an unknown key, but not within 10 seconds
// of the last attempt. If a fetch fails, the keys of the last successful one
// stay in use up to JWTConfig.MaxStale, and tokens that name another key fail with
// [notifications.ErrUnavailable]. Until a first fetch succeeds, every token fails
// so, and the next attempt can begin after a second.
//
// A verified token is cached for a minute, but not after its exp or the next
// fetch of the keys. JWTConfig.Subject is called for cached tokens too.
type JWTVerifier struct {
	keys    *keySet
	cache   tokenCache
	parser  *jwt.Parser
	subject func(map[string]any) (notifications.Identity, error)

	maxLifetime time.Duration // zero: no limit
}

// NewJWTVerifier returns a JWTVerifier. It does not fetch the keys yet. It
// reports all faults of the configuration at once.
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
	if cfg.MaxLifetime < 0 {
		faults = append(faults, errors.New("auth: JWTConfig.MaxLifetime is negative"))
	}
	if cfg.MaxStale < 0 {
		faults = append(faults, errors.New("auth: JWTConfig.MaxStale is negative"))
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
		keys: &keySet{source: source, now: now, log: cfg.Logger, maxStale: cmp.Or(cfg.MaxStale, keysMaxStale)},
		parser: jwt.NewParser(
			jwt.WithValidMethods(signingMethods),
			jwt.WithIssuer(cfg.Issuer),
			jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(tokenLeeway),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
		),
		subject:     cfg.Subject,
		maxLifetime: cfg.MaxLifetime,
	}, nil
}

// Verify returns the identity that the token stands for. The error matches
// [notifications.ErrUnauthenticated] if the token is invalid; its text gives the
// reason and is safe to log. The error matches [notifications.ErrUnavailable] if
// ctx is done or the key could not be fetched.
func (v *JWTVerifier) Verify(ctx context.Context, token string) (notifications.Identity, error) {
	if err := ctx.Err(); err != nil {
		return notifications.Identity{}, unavailable("token verification", err)
	}
	cached := v.cache.find(token)
	kid := cached.kid
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
	claims, verified := cached.verified(keys.Storage(), now)
	if !verified {
		claims = jwt.MapClaims{}
		if _, err := v.parser.ParseWithClaims(token, claims, keys.KeyfuncCtx(ctx)); err != nil {
			return notifications.Identity{}, unauthenticated(err)
		}
		if err := v.checkLifetime(claims, now); err != nil {
			return notifications.Identity{}, unauthenticated(err)
		}
		v.cache.add(token, kid, keys.Storage(), claims, now)
	}
	return v.identify(claims)
}

// Expires returns the claim exp of a token that Verify has accepted. It does not
// verify the token again.
func (v *JWTVerifier) Expires(token string) time.Time {
	claims := jwt.MapClaims{}
	if _, _, err := v.parser.ParseUnverified(token, claims); err != nil {
		return time.Time{}
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return time.Time{}
	}
	return expires.Time
}

// checkLifetime refuses a token that is valid for too long.
func (v *JWTVerifier) checkLifetime(claims jwt.MapClaims, now time.Time) error {
	if v.maxLifetime == 0 {
		return nil
	}
	expires, err := claims.GetExpirationTime()
	if err != nil {
		return err
	}
	issued, err := claims.GetIssuedAt()
	if err != nil {
		return err
	}
	limit := v.maxLifetime
	from := now
	if issued != nil && issued.Before(now) {
		from = issued.Time
	} else {
		limit += tokenLeeway
	}
	if expires.Sub(from) > limit {
		return fmt.Errorf("the token is valid for more than %v", v.maxLifetime)
	}
	return nil
}

// identify returns the identity that verified claims stand for.
func (v *JWTVerifier) identify(claims jwt.MapClaims) (notifications.Identity, error) {
	sub, err := claims.GetSubject()
	if err != nil || sub == "" {
		return notifications.Identity{}, unauthenticated(errors.New("the claim sub is not a string or is empty"))
	}
	who, err := v.subject(claims)
	switch {
	case err != nil:
		return notifications.Identity{}, unauthenticated(err)
	case who.Name == "", who.Kind != notifications.KindUser && who.Kind != notifications.KindService:
		return notifications.Identity{}, unauthenticated(errors.New("the claims name neither a user nor a service"))
	case isBuiltIn(sub), who.Kind == notifications.KindService && isBuiltIn(who.Name):
		return notifications.Identity{}, unauthenticated(errors.New("the claims name a built-in service"))
	}
	return who, nil
}

// Ready returns nil once the keys have been fetched. Until then it fetches them,
// as often as Verify would, and returns an error that matches
// [notifications.ErrUnavailable] if that fails or ctx is done first.
func (v *JWTVerifier) Ready(ctx context.Context) error {
	return v.keys.ready(ctx)
}

// UserClaim returns a function for JWTConfig.Subject, for issuers that name
// users in another claim than sub, such as "email" or "preferred_username". A
// token with the claim stands for the user it names, unchanged. A token without
// the claim stands for the service that sub names. A token is refused if the
// claim is empty or not a string. The function is safe for concurrent use.
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

// backstageSubject is the default of JWTConfig.Subject.
func backstageSubject(claims map[string]any) (notifications.Identity, error) {
	sub, _ := claims["sub"].(string)
	ref := sub
	if kind, rest, ok := strings.Cut(sub, ":"); ok && fold.ASCII(kind) == string(notifications.KindUser) {
		ref = rest
	}
	namespace, name, ok := strings.Cut(ref, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") || strings.Contains(ref, ":") {
		return notifications.ServiceAccount(sub), nil
	}
	return notifications.User(ref), nil
}

// joseHeader is the header of a token that has not been verified (RFC 7515,
// section 4).
type joseHeader map[string]any

// parseHeader decodes the header of a token, and nothing else of it.
func parseHeader(token string) (joseHeader, error) {
	if len(token) > maxTokenBytes {
		return nil, fmt.Errorf("the token is %d bytes long, the limit is %d", len(token), maxTokenBytes)
	}
	segment, _, ok := strings.Cut(token, ".")
	// Go's base64 skips line breaks. RFC 7515, section 2, forbids them.
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

// text returns the member of that name if it is a string, and otherwise "".
func (h joseHeader) text(name string) string {
	s, _ := h[name].(string)
	return s
}

// tokenTypes are the accepted values of the header typ, without "application/"
// and in lower case (RFC 7519, section 5.1; RFC 9068, section 2.1; Backstage).
var tokenTypes = []string{"jwt", "at+jwt", "vnd.backstage.user", "vnd.backstage.plugin"}

// checkParameters refuses a header that requires an extension (crit), because
// none is supported, that brings a key of its own (jku, jwk, x5u), or whose typ
// is that of another kind of token (RFC 8725, section 3.11).
func (h joseHeader) checkParameters() error {
	for _, name := range []string{"crit", "jku", "jwk", "x5u"} {
		if _, ok := h[name]; ok {
			return fmt.Errorf("the token has the header %s", name)
		}
	}
	if _, ok := h["typ"]; ok {
		kind := strings.TrimPrefix(fold.ASCII(h.text("typ")), "application/")
		if !slices.Contains(tokenTypes, kind) {
			return errors.New("the typ of the token is not that of an access token")
		}
	}
	return nil
}

// publishedKey returns the kid of the key that signed the token. It fails for a
// token that no published key can verify, so that such a token causes no fetch.
func (h joseHeader) publishedKey() (string, error) {
	if err := h.checkParameters(); err != nil {
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
