package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
	"go.uber.org/goleak"
)

// signer is a private key an issuer signs with.
type signer struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
}

// generated makes keys once for all tests: RSA keys are slow to make.
func generated(kid string, method jwt.SigningMethod, generate func() (crypto.Signer, error)) func() signer {
	return sync.OnceValue(func() signer {
		key, err := generate()
		if err != nil {
			panic(err)
		}
		return signer{kid: kid, method: method, key: key}
	})
}

func newRSA(bits int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
}

func newEC(curve elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
}

func newEd25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

var (
	rsaKey     = generated("rsa", jwt.SigningMethodRS256, newRSA(2048))
	smallRSA   = generated("small", jwt.SigningMethodRS256, newRSA(1024))
	ecKey      = generated("ec", jwt.SigningMethodES256, newEC(elliptic.P256()))
	ec384Key   = generated("ec384", jwt.SigningMethodES384, newEC(elliptic.P384()))
	ec521Key   = generated("ec521", jwt.SigningMethodES512, newEC(elliptic.P521()))
	edKey      = generated("ed", jwt.SigningMethodEdDSA, newEd25519)
	rotatedKey = generated("rotated", jwt.SigningMethodEdDSA, newEd25519)
	unknownKey = generated("unknown", jwt.SigningMethodEdDSA, newEd25519)
)

// jwk returns the published form of the key.
func (s signer) jwk(t testing.TB, edit ...func(*jwkset.JWKMarshal)) jwkset.JWKMarshal {
	t.Helper()
	key, err := jwkset.NewJWKFromKey(s.key.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: s.kid, ALG: jwkset.ALG(s.method.Alg()), USE: jwkset.UseSig},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := key.Marshal()
	for _, e := range edit {
		e(&m)
	}
	return m
}

// keySetJSON writes a JWK Set.
func keySetJSON(t testing.TB, keys ...jwkset.JWKMarshal) string {
	t.Helper()
	text, err := json.Marshal(jwkset.JWKSMarshal{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock {
	return &clock{t: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const (
	testIssuer   = "https://issuer.example"
	testAudience = "backstage"
)

// token is a token before it is signed, so that a test can change one part of it.
type token struct {
	by     signer
	header map[string]any // besides alg and kid; nil deletes
	claims jwt.MapClaims
}

// goodToken is valid for an hour.
func goodToken(c *clock, by signer) token {
	return token{by: by, header: map[string]any{}, claims: jwt.MapClaims{
		"iss": testIssuer,
		"aud": testAudience,
		"sub": "user:default/jane",
		"exp": c.now().Add(time.Hour).Unix(),
	}}
}

// signed returns the text of the token.
func (k token) signed(t testing.TB) string {
	t.Helper()
	return k.signedWith(t, k.by.method, k.by.key)
}

func (k token) signedWith(t testing.TB, method jwt.SigningMethod, key any) string {
	t.Helper()
	raw := jwt.NewWithClaims(method, k.claims)
	raw.Header["kid"] = k.by.kid
	maps.Copy(raw.Header, k.header)
	maps.DeleteFunc(raw.Header, func(_ string, v any) bool { return v == nil })
	text, err := raw.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// newVerifier makes a verifier of the tokens of goodToken.
func newVerifier(t testing.TB, c *clock, address string, edit ...func(*auth.JWTConfig)) *auth.JWTVerifier {
	t.Helper()
	cfg := auth.JWTConfig{JWKSURL: address, Issuer: testIssuer, Audience: testAudience}
	for _, e := range edit {
		e(&cfg)
	}
	v, err := auth.NewJWTVerifierAt(cfg, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// jane is the identity that the tokens of goodToken stand for.
var jane = notifications.User("default/jane")

func wantIdentity(t *testing.T, v notifications.Verifier, token string, want notifications.Identity) {
	t.Helper()
	if who, err := v.Verify(t.Context(), token); err != nil || who != want {
		t.Fatalf("Verify = %v, %v; want %v", who, err, want)
	}
}

// wantError expects an error that matches kind, gives the reason and does not
// contain the token.
func wantError(t *testing.T, v notifications.Verifier, token string, kind error, reason string) {
	t.Helper()
	who, err := v.Verify(t.Context(), token)
	if !who.IsZero() || !errors.Is(err, kind) || !strings.Contains(err.Error(), reason) {
		t.Fatalf("Verify = %v, %v; want %v because of %q", who, err, kind, reason)
	}
	if signature := token[strings.LastIndex(token, ".")+1:]; len(signature) > 8 && strings.Contains(err.Error(), signature) {
		t.Fatalf("the error contains the token: %v", err)
	}
}

func TestJWTOfEachKind(t *testing.T) {
	t.Parallel()
	c := newClock()
	signers := map[string]signer{"ES256": ecKey(), "ES384": ec384Key(), "ES512": ec521Key(), "EdDSA": edKey()}
	for _, m := range []jwt.SigningMethod{
		jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512,
		jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512,
	} {
		s := rsaKey()
		s.kid, s.method = m.Alg(), m
		signers[m.Alg()] = s
	}
	var keys []signer
	for _, s := range signers {
		keys = append(keys, s)
	}
	v := newVerifier(t, c, newIssuer(t, keys...).URL)
	for name, s := range signers {
		t.Run(name, func(t *testing.T) {
			wantIdentity(t, v, goodToken(c, s).signed(t), jane)
		})
	}
}

func TestJWTSubject(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	byRule := newVerifier(t, c, is.URL)
	byEmail := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) {
		cfg.Subject = auth.UserClaim("email")
	})
	user, service := notifications.User, notifications.ServiceAccount
	for _, tc := range []struct {
		sub   string
		email any
		rule  notifications.Identity
		mail  notifications.Identity // zero: refused
	}{
		{"user:default/jane", "jane@example.com", user("default/jane"), user("jane@example.com")},
		{"default/jane", nil, user("default/jane"), service("default/jane")},
		{"User:Default/Jane", "", user("Default/Jane"), notifications.Identity{}},
		{"u\u017fer:default/jane", nil, service("u\u017fer:default/jane"), service("u\u017fer:default/jane")}, // a long s
		{"ci", 7, service("ci"), notifications.Identity{}},
		{"user:jane", nil, service("user:jane"), service("user:jane")},
		{"user:", nil, service("user:"), service("user:")},
		{"user:default/", nil, service("user:default/"), service("user:default/")},
		{"/jane", nil, service("/jane"), service("/jane")},
		{"a/b/c", nil, service("a/b/c"), service("a/b/c")},
		{"group:default/ops", nil, service("group:default/ops"), service("group:default/ops")},
		{"user:group:default/ops", nil, service("user:group:default/ops"), service("user:group:default/ops")},
		{"https://example.com/ci", nil, service("https://example.com/ci"), service("https://example.com/ci")},
	} {
		t.Run(tc.sub, func(t *testing.T) {
			tok := goodToken(c, edKey())
			tok.claims["sub"] = tc.sub
			if tc.email != nil {
				tok.claims["email"] = tc.email
			}
			wantIdentity(t, byRule, tok.signed(t), tc.rule)
			if tc.mail.IsZero() {
				wantError(t, byEmail, tok.signed(t), notifications.ErrUnauthenticated, "claim email is not a string or is empty")
				return
			}
			wantIdentity(t, byEmail, tok.signed(t), tc.mail)
		})
	}
}

func TestJWTSubjectWithoutIdentity(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	for name, tc := range map[string]struct {
		who    notifications.Identity
		err    error
		reason string
	}{
		"error":    {jane, errors.New("not one of ours"), "not one of ours"},
		"zero":     {notifications.Identity{}, nil, "neither a user nor a service"},
		"no name":  {notifications.User(""), nil, "neither a user nor a service"},
		"no kind":  {notifications.Identity{Name: "jane"}, nil, "neither a user nor a service"},
		"a group":  {notifications.Identity{Kind: notifications.KindGroup, Name: "default/ops"}, nil, "neither a user nor a service"},
		"external": {notifications.ServiceAccount("external"), nil, "built-in service"},
		"legacy":   {notifications.ServiceAccount("backstage-server"), nil, "built-in service"},
		"an alien": {notifications.Identity{Kind: "alien", Name: "default/ops"}, nil, "neither a user nor a service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) {
				cfg.Subject = func(map[string]any) (notifications.Identity, error) { return tc.who, tc.err }
			})
			wantError(t, v, goodToken(c, edKey()).signed(t), notifications.ErrUnauthenticated, tc.reason)
		})
	}
}

// A token whose sub is a built-in service is refused, whatever the rule makes of
// it. A user of such a name is somebody else.
func TestJWTOfABuiltInService(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	for name, subject := range map[string]func(map[string]any) (notifications.Identity, error){
		"default":   nil,
		"UserClaim": auth.UserClaim("email"),
		"own":       func(map[string]any) (notifications.Identity, error) { return jane, nil },
	} {
		v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) { cfg.Subject = subject })
		for _, sub := range []string{"external", "backstage-server", "External", "BACKSTAGE-SERVER", " external\t", "service:external", "Service:Backstage-Server"} {
			t.Run(name+" "+sub, func(t *testing.T) {
				tok := goodToken(c, edKey())
				tok.claims["sub"] = sub
				for range 2 { // the second one is cached
					wantError(t, v, tok.signed(t), notifications.ErrUnauthenticated, "built-in service")
				}
			})
		}
	}
	v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) { cfg.Subject = auth.UserClaim("email") })
	tok := goodToken(c, edKey())
	tok.claims["email"] = "external"
	wantIdentity(t, v, tok.signed(t), notifications.User("external"))
	for _, other := range []string{"externals", "\u212abackstage-server", "plugin:external"} {
		tok := goodToken(c, edKey())
		tok.claims["sub"] = other
		wantIdentity(t, v, tok.signed(t), notifications.ServiceAccount(other))
	}
}

func TestJWTLifetime(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	limited := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) { cfg.MaxLifetime = time.Hour })
	unlimited := newVerifier(t, c, is.URL)
	at := func(d time.Duration) any { return c.now().Add(d).Unix() }
	const hour, second = time.Hour, time.Second
	for name, tc := range map[string]struct {
		iat, exp any
		refused  string // empty: accepted
	}{
		"an hour":                {at(0), at(hour), ""},
		"an hour, begun":         {at(-hour / 2), at(hour / 2), ""},
		"more":                   {at(-1 * second), at(hour), "valid for more than 1h0m0s"},
		"a century":              {at(0), at(876_000 * hour), "valid for more than 1h0m0s"},
		"a far exp":              {at(0), 1e18, "valid for more than 1h0m0s"},
		"no iat":                 {nil, at(hour + 30*second), ""},
		"no iat, more":           {nil, at(hour + 31*second), "valid for more than 1h0m0s"},
		"iat to come":            {at(10 * second), at(hour + 30*second), ""},
		"iat and exp much later": {at(100 * hour), at(101 * hour), "valid for more than 1h0m0s"},
		"iat as text":            {"today", at(hour), "iat is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			tok := goodToken(c, edKey())
			tok.claims["exp"] = tc.exp
			if tc.iat != nil {
				tok.claims["iat"] = tc.iat
			}
			if tc.refused == "" {
				wantIdentity(t, limited, tok.signed(t), jane)
			} else {
				wantError(t, limited, tok.signed(t), notifications.ErrUnauthenticated, tc.refused)
			}
			if tc.iat != "today" {
				wantIdentity(t, unlimited, tok.signed(t), jane)
			}
		})
	}
}

// Each row changes one thing of a valid token.
func TestInvalidJWT(t *testing.T) {
	t.Parallel()
	c := newClock()
	bare := rsaKey() // published without alg
	bare.kid = "bare"
	is := newIssuer(t)
	is.answer(http.StatusOK, keySetJSON(t, rsaKey().jwk(t), ecKey().jwk(t), ec384Key().jwk(t), edKey().jwk(t),
		bare.jwk(t, func(m *jwkset.JWKMarshal) { m.ALG = "" })))
	v := newVerifier(t, c, is.URL)

	claim := func(name string, value any) func(*token) {
		return func(k *token) { k.claims[name] = value }
	}
	without := func(name string) func(*token) {
		return func(k *token) { delete(k.claims, name) }
	}
	header := func(name string, value any) func(*token) {
		return func(k *token) { k.header[name] = value }
	}
	in := func(d time.Duration) int64 { return c.now().Add(d).Unix() }

	for name, tc := range map[string]struct {
		by     func() signer
		change func(*token)
		reason string // empty: the token is valid
	}{
		"audience in a list":     {edKey, claim("aud", []string{"x", testAudience}), ""},
		"expired within leeway":  {edKey, claim("exp", in(-29*time.Second)), ""},
		"begins within leeway":   {edKey, claim("nbf", in(30*time.Second)), ""},
		"issued later":           {edKey, claim("iat", in(time.Hour)), ""},
		"wrong issuer":           {edKey, claim("iss", testIssuer+"/"), jwt.ErrTokenInvalidIssuer.Error()},
		"issuer of another case": {edKey, claim("iss", strings.ToUpper(testIssuer)), jwt.ErrTokenInvalidIssuer.Error()},
		"no issuer":              {edKey, without("iss"), "iss claim is required"},
		"issuer in a list":       {edKey, claim("iss", []string{testIssuer}), "iss is invalid"},
		"wrong audience":         {edKey, claim("aud", "other"), jwt.ErrTokenInvalidAudience.Error()},
		"wrong audiences":        {edKey, claim("aud", []string{"a", "b"}), jwt.ErrTokenInvalidAudience.Error()},
		"no audience":            {edKey, without("aud"), "aud claim is required"},
		"empty audience list":    {edKey, claim("aud", []string{}), "aud claim is required"},
		"expired":                {edKey, claim("exp", in(-30*time.Second)), jwt.ErrTokenExpired.Error()},
		"no expiry":              {edKey, without("exp"), "exp claim is required"},
		"expiry 0":               {edKey, claim("exp", 0), "exp claim is required"},
		"expiry null":            {edKey, claim("exp", nil), "exp is invalid"},
		"expiry as text":         {edKey, claim("exp", strconv.FormatInt(in(time.Hour), 10)), "exp is invalid"},
		"not yet valid":          {edKey, claim("nbf", in(31*time.Second)), jwt.ErrTokenNotValidYet.Error()},
		"begin as text":          {edKey, claim("nbf", "yesterday"), "nbf is invalid"},
		"no subject":             {edKey, without("sub"), "claim sub"},
		"empty subject":          {edKey, claim("sub", ""), "claim sub"},
		"subject null":           {edKey, claim("sub", nil), "claim sub"},
		"subject a number":       {edKey, claim("sub", 7), "claim sub"},
		"unknown kid":            {edKey, header("kid", "nobody's"), jwkset.ErrKeyNotFound.Error()},
		"kid of another case":    {edKey, header("kid", "ED"), jwkset.ErrKeyNotFound.Error()},
		"no kid":                 {edKey, header("kid", nil), "no kid"},
		"empty kid":              {edKey, header("kid", ""), "no kid"},
		"kid a number":           {edKey, header("kid", 7), "no kid"},
		"kid of 257 bytes":       {edKey, header("kid", strings.Repeat("k", 257)), "kid of the token is 257 bytes"},
		"crit":                   {edKey, header("crit", []string{"exp"}), "header crit"},
		"crit empty":             {edKey, header("crit", []string{}), "header crit"},
		"jku":                    {edKey, header("jku", is.URL), "header jku"},
		"jwk":                    {edKey, header("jwk", edKey().jwk(t)), "header jwk"},
		"x5u":                    {edKey, header("x5u", is.URL), "header x5u"},
		"x5u empty":              {edKey, header("x5u", ""), "header x5u"},
		"no typ":                 {edKey, header("typ", nil), ""},
		"typ jwt":                {edKey, header("typ", "jwt"), ""},
		"typ with application/":  {edKey, header("typ", "application/jwt"), ""},
		"access token":           {edKey, header("typ", "at+jwt"), ""},
		"access token in full":   {edKey, header("typ", "application/AT+JWT"), ""},
		"Backstage user":         {edKey, header("typ", "vnd.backstage.user"), ""},
		"Backstage plugin":       {edKey, header("typ", "vnd.backstage.plugin"), ""},
		"Backstage limited user": {edKey, header("typ", "vnd.backstage.limited-user"), "typ of the token"},
		"logout token":           {edKey, header("typ", "logout+jwt"), "typ of the token"},
		"DPoP proof":             {edKey, header("typ", "dpop+jwt"), "typ of the token"},
		"ID token":               {edKey, header("typ", "ID"), "typ of the token"},
		"typ empty":              {edKey, header("typ", ""), "typ of the token"},
		"typ a number":           {edKey, header("typ", 7), "typ of the token"},
		"typ of a Kelvin sign":   {edKey, header("typ", "vnd.bac\u212astage.user"), "typ of the token"},
		"key of another":         {edKey, func(k *token) { k.by.key = unknownKey().key }, jwt.ErrTokenSignatureInvalid.Error()},
		"kid of another":         {edKey, header("kid", "ec"), `"alg" parameter value "ES256" does not match`},
		"RS512 by a key for RS256": {rsaKey, func(k *token) { k.by.method = jwt.SigningMethodRS512 },
			`"alg" parameter value "RS256" does not match`},
		"PS256 by a key for RS256": {rsaKey, func(k *token) { k.by.method = jwt.SigningMethodPS256 },
			`"alg" parameter value "RS256" does not match`},
		"PS384 by a key for any RSA": {func() signer { return bare }, func(k *token) { k.by.method = jwt.SigningMethodPS384 }, ""},
		"ES256 and the kid of an RSA key": {ecKey, header("kid", "bare"),
			jwt.ErrInvalidKeyType.Error()},
		"oversize": {edKey, claim("pad", strings.Repeat("x", 32<<10)), "the limit is 32768"},
		"large":    {edKey, claim("pad", strings.Repeat("x", 23<<10)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := goodToken(c, tc.by())
			wantIdentity(t, v, tok.signed(t), jane)
			tc.change(&tok)
			if tc.reason == "" {
				wantIdentity(t, v, tok.signed(t), jane)
				return
			}
			wantError(t, v, tok.signed(t), notifications.ErrUnauthenticated, tc.reason)
		})
	}
}

func TestJWTForged(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, rsaKey(), edKey())
	v := newVerifier(t, c, is.URL)
	good := goodToken(c, edKey()).signed(t)
	wantIdentity(t, v, good, jane)
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(rsaKey().key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	encode := base64.RawURLEncoding.EncodeToString
	unaccepted, malformed := "algorithm of the token is not accepted", "not a JWT"
	other := goodToken(c, edKey())
	other.claims["sub"] = "user:default/root"
	otherParts := strings.Split(other.signed(t), ".")

	for name, tc := range map[string]struct{ token, reason string }{
		"alg none":                            {goodToken(c, edKey()).signedWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), unaccepted},
		"alg None":                            {encode([]byte(`{"alg":"None","kid":"ed"}`)) + "." + parts[1] + ".", unaccepted},
		"HS256 keyed with the public RSA key": {goodToken(c, rsaKey()).signedWith(t, jwt.SigningMethodHS256, public), unaccepted},
		"HS512 keyed with the public key":     {goodToken(c, rsaKey()).signedWith(t, jwt.SigningMethodHS512, der), unaccepted},
		"alg a number":                        {encode([]byte(`{"alg":7,"kid":"ed"}`)) + "." + parts[1] + "." + parts[2], unaccepted},
		"no alg":                              {encode([]byte(`{"kid":"ed"}`)) + "." + parts[1] + "." + parts[2], unaccepted},
		"header null":                         {encode([]byte(`null`)) + "." + parts[1] + "." + parts[2], unaccepted},
		"header a list":                       {encode([]byte(`[]`)) + "." + parts[1] + "." + parts[2], "not a JSON object"},
		"header not base64":                   {"!" + good, "not base64url"},
		"header padded":                       {parts[0] + "=." + parts[1] + "." + parts[2], "not base64url"},
		"claims of another token":             {parts[0] + "." + otherParts[1] + "." + parts[2], jwt.ErrTokenSignatureInvalid.Error()},
		"claims not base64":                   {parts[0] + ".!." + parts[2], jwt.ErrTokenMalformed.Error()},
		"claims null":                         {parts[0] + "." + encode([]byte(`null`)) + "." + parts[2], jwt.ErrTokenSignatureInvalid.Error()},
		"no signature":                        {parts[0] + "." + parts[1] + ".", jwt.ErrTokenSignatureInvalid.Error()},
		"two parts":                           {parts[0] + "." + parts[1], jwt.ErrTokenMalformed.Error()},
		"four parts":                          {good + ".x", jwt.ErrTokenMalformed.Error()},
		"signature with spare bits set":       {good[:len(good)-1] + spare(good[len(good)-1]), jwt.ErrTokenMalformed.Error()},
		"line break":                          {good + "\n", malformed},
		"space":                               {good + " ", jwt.ErrTokenMalformed.Error()},
		"with its scheme":                     {"Bearer " + good, "not base64url"},
		"empty":                               {"", malformed},
		"garbage":                             {"garbage", malformed},
		"dots":                                {"...", "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, v, tc.token, notifications.ErrUnauthenticated, tc.reason)
		})
	}
}

// spare sets a bit of the last base64url digit that is not part of a byte.
func spare(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, digit)|1])
}

func TestJWTNeedsNoFetchToRefuse(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	v := newVerifier(t, c, is.URL)
	tok := goodToken(c, edKey())
	tok.header["crit"] = []string{"exp"}
	wantError(t, v, tok.signed(t), notifications.ErrUnauthenticated, "crit")
	wantError(t, v, "garbage", notifications.ErrUnauthenticated, "not a JWT")
	if is.count() != 0 {
		t.Errorf("the keys were fetched %d times for tokens that no key can verify", is.count())
	}
}

func TestJWTConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := auth.NewJWTVerifier(auth.JWTConfig{})
	for _, field := range []string{"JWKSURL", "Issuer", "Audience"} {
		if err == nil || !strings.Contains(err.Error(), "JWTConfig."+field+" is required") {
			t.Errorf("NewJWTVerifier = %v, want it to name %s", err, field)
		}
	}
	for address, ok := range map[string]bool{
		"http://issuer.example/jwks":  true,
		"https://issuer.example/jwks": true,
		"HTTPS://issuer.example":      true,
		"file:keys.json":              true,
		"file:/etc/keys.json":         true,
		"file:///etc/keys.json":       true,
		"file:":                       false,
		"file://":                     false,
		"file://host/keys.json":       false,
		"keys.json":                   false,
		"/etc/keys.json":              false,
		"issuer.example/jwks":         false,
		"ftp://issuer.example/jwks":   false,
		"http://":                     false,
		"http://:80/jwks":             false,
		"http:issuer.example":         false,
		"http://issuer.example:x/":    false,
		" https://issuer.example":     false,
	} {
		_, err := auth.NewJWTVerifier(auth.JWTConfig{JWKSURL: address, Issuer: "i", Audience: "a"})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "JWTConfig.JWKSURL") {
			t.Errorf("NewJWTVerifier for %q = %v", address, err)
		}
	}
}

// NewJWTVerifier uses the real clock, and leaves no goroutine. Not parallel: the
// check would see the goroutines of other tests.
func TestJWTLeavesNothingBehind(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	is := newIssuer(t, edKey())
	v, err := auth.NewJWTVerifier(auth.JWTConfig{JWKSURL: is.URL, Issuer: testIssuer, Audience: testAudience, HTTPClient: is.Client()})
	if err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("net/http/httptest.(*Server).goServe.func1"))
	c := &clock{t: time.Now()}
	wantIdentity(t, v, goodToken(c, edKey()).signed(t), jane)
	is.Close()
	goleak.VerifyNone(t, ignore)
}

// FuzzVerify: the good token is the only valid text.
func FuzzVerify(f *testing.F) {
	c := newClock()
	path := filepath.Join(f.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(keySetJSON(f, edKey().jwk(f), rsaKey().jwk(f), ecKey().jwk(f))), 0o600); err != nil {
		f.Fatal(err)
	}
	v, err := auth.NewLegacyVerifierAt(c.now, newVerifier(f, c, "file:"+path), legacyKey)
	if err != nil {
		f.Fatal(err)
	}
	good := goodToken(c, edKey()).signed(f)
	f.Add(good)
	f.Add(good + "\n")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(goodToken(c, edKey()).signedWith(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType))
	f.Add(goodToken(c, edKey()).signedWith(f, jwt.SigningMethodHS256, []byte("another key altogether")))
	f.Add("e30.e30.e30")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","alg":"RS256","kid":"rsa"}`)) + ".bnVsbA.")
	f.Fuzz(func(t *testing.T, text string) {
		who, err := v.Verify(t.Context(), text)
		switch {
		case text == good:
			if err != nil {
				t.Fatalf("the good token: %v", err)
			}
		case err == nil || !who.IsZero():
			t.Fatalf("%q is %v", text, who)
		case !errors.Is(err, notifications.ErrUnauthenticated):
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// TestExpires: the verifiers know when a token that they accept expires,
// whether it is cached or not.
func TestExpires(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	published := newVerifier(t, c, is.URL)
	legacy, err := auth.NewLegacyVerifierAt(c.now, published, legacyKey)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := auth.NewLegacyVerifierAt(c.now, opaque{}, legacyKey)
	if err != nil {
		t.Fatal(err)
	}
	text := goodToken(c, edKey()).signed(t)
	expires := func(v notifications.Verifier) time.Time {
		return v.(interface{ Expires(string) time.Time }).Expires(text)
	}
	for range 2 {
		wantIdentity(t, published, text, jane)
		for _, v := range []notifications.Verifier{published, legacy} {
			if at := expires(v); !at.Equal(c.now().Add(time.Hour)) {
				t.Errorf("it expires at %v", at)
			}
		}
	}
	if at := expires(alone); !at.IsZero() {
		t.Errorf("what is not known is %v", at)
	}
	for _, unreadable := range []string{"", "x", "a.b.c"} {
		if at := published.Expires(unreadable); !at.IsZero() {
			t.Errorf("%q expires at %v", unreadable, at)
		}
	}
}
