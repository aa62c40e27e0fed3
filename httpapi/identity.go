package httpapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// authenticator identifies the caller of a request.
type authenticator struct {
	verifier notifications.Verifier
	secrets  notifications.Verifier
	guest    notifications.Identity
	custom   func(*http.Request) (notifications.Identity, error)
	origins  *http.CrossOriginProtection
}

func newAuthenticator(cfg Config) (authenticator, error) {
	a := authenticator{
		verifier: cfg.Verifier, secrets: cfg.Secrets, guest: cfg.Guest, custom: cfg.Identify,
		origins: http.NewCrossOriginProtection(),
	}
	var faults []error
	for name, verifier := range map[string]notifications.Verifier{"Verifier": cfg.Verifier, "Secrets": cfg.Secrets} {
		if v := reflect.ValueOf(verifier); v.Kind() == reflect.Pointer && v.IsNil() {
			faults = append(faults, fmt.Errorf("httpapi: Config.%s is a nil %T; leave it out instead", name, verifier))
		}
	}
	ownWays := cfg.Verifier != nil || cfg.Secrets != nil || !cfg.Guest.IsZero()
	switch {
	case cfg.Identify != nil && ownWays:
		faults = append(faults, errors.New("httpapi: Config.Identify excludes Verifier, Secrets and Guest"))
	case cfg.Identify == nil && !ownWays:
		faults = append(faults, errors.New("httpapi: nobody can be identified: set Config.Verifier, Secrets, Guest or Identify"))
	}
	if !cfg.Guest.IsZero() && (cfg.Guest.Kind != notifications.KindUser || cfg.Guest.Name == "") {
		faults = append(faults, errors.New("httpapi: Config.Guest is not a user"))
	}
	a.guest.Guest = !cfg.Guest.IsZero()
	for _, origin := range cfg.TrustedOrigins {
		if err := a.origins.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("httpapi: Config.TrustedOrigins: %w", err))
		}
	}
	return a, errors.Join(faults...)
}

// identify returns the caller of a request. It refuses addresses from which too
// many requests without valid credentials have come.
func (a *api) identify(r *http.Request) (notifications.Identity, error) {
	from, now := network(address(r, a.proxies)), time.Now()
	credentials, given := a.who.credentials(r)
	wait := a.rates.failures.Wait(from, now)
	if wait > 0 && given && !a.rates.valid.Has(credentials) {
		return notifications.Identity{}, tooOftenError{"requests without valid credentials", wait}
	}
	who, err := a.who.identify(r)
	switch {
	case errors.Is(err, notifications.ErrUnauthenticated):
		a.rates.valid.Remove(credentials)
		if wait, _ := a.rates.failures.Take(from, now); wait > 0 {
			return notifications.Identity{}, tooOftenError{"requests without valid credentials", wait}
		}
	case err == nil && given && a.rates.failures != nil:
		a.rates.valid.Add(credentials)
	}
	return who, err
}

var credentialsSeed = maphash.MakeSeed()

// credentials returns a hash of the headers that decide who the caller is, and
// whether there are any.
func (a authenticator) credentials(r *http.Request) (hash uint64, given bool) {
	names := []string{"Authorization", wire.SecretHeader}
	switch {
	case a.custom != nil:
		names = []string{"Authorization", "Cookie"} // of most hosts
	case len(r.Header.Values("Authorization")) > 0:
		names = names[:1]
	}
	var sum maphash.Hash
	sum.SetSeed(credentialsSeed)
	for _, name := range names {
		for _, value := range r.Header.Values(name) {
			given = true
			_, _ = sum.WriteString(name + ":" + value + "\n") // cannot fail
		}
	}
	return sum.Sum64(), given
}

// identify returns the caller. If there is a bearer token, only the token
// counts.
func (a authenticator) identify(r *http.Request) (notifications.Identity, error) {
	authorization := r.Header.Values("Authorization")
	switch {
	case a.custom != nil:
		return a.fromHost(r)
	case len(authorization) > 0:
		return a.fromToken(r.Context(), authorization)
	case len(r.Header.Values(wire.SecretHeader)) > 0:
		return a.fromSecret(r.Context(), r.Header.Values(wire.SecretHeader))
	case !a.guest.IsZero():
		return a.guest, a.checkOrigin(r)
	default:
		return notifications.Identity{}, notifications.ErrUnauthenticated
	}
}

// fromHost asks the host's Identify.
func (a authenticator) fromHost(r *http.Request) (notifications.Identity, error) {
	who, err := a.custom(r)
	switch {
	case err == nil && who.IsZero():
		return who, notifications.ErrUnauthenticated
	case err == nil && !hasBearer(r):
		return who, a.checkOrigin(r)
	case err == nil, errors.Is(err, notifications.ErrUnauthenticated), errors.Is(err, notifications.ErrForbidden):
		return who, err
	default:
		return who, fmt.Errorf("%w: identify: %s", notifications.ErrUnavailable, err.Error()) // as text: the host's error may match another answer
	}
}

// hasBearer reports whether a request carries a bearer token, which browsers
// never add by themselves, unlike cookies and other schemes.
func hasBearer(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer")
}

// fromToken verifies the Authorization header (RFC 6750, section 2.1).
func (a authenticator) fromToken(ctx context.Context, headers []string) (notifications.Identity, error) {
	scheme, token, _ := strings.Cut(headers[0], " ")
	switch {
	case len(headers) != 1, !strings.EqualFold(scheme, "Bearer"), token == "":
		return notifications.Identity{}, fmt.Errorf("%w: the Authorization header is not one bearer token", notifications.ErrUnauthenticated)
	case a.verifier == nil:
		return notifications.Identity{}, fmt.Errorf("%w: no verifier is configured", notifications.ErrUnauthenticated)
	}
	return a.verifier.Verify(ctx, token)
}

func (a authenticator) fromSecret(ctx context.Context, headers []string) (notifications.Identity, error) {
	if len(headers) != 1 || a.secrets == nil {
		return notifications.Identity{}, fmt.Errorf("%w: not one secret, or no secrets are configured", notifications.ErrUnauthenticated)
	}
	return a.secrets.Verify(ctx, headers[0])
}

// expires returns when the credentials of an identified request expire, and the
// zero time if that is not known.
func (a authenticator) expires(r *http.Request) time.Time {
	v, ok := a.verifier.(interface{ Expires(token string) time.Time })
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || token == "" {
		return time.Time{}
	}
	return v.Expires(token)
}

// checkOrigin refuses a write that another site made the browser send. It is
// for identities that the browser adds itself.
func (a authenticator) checkOrigin(r *http.Request) error {
	if err := a.origins.Check(r); err != nil {
		return errCrossOrigin
	}
	return nil
}

// ready asks those verifiers that have a method Ready.
func (a authenticator) ready(ctx context.Context) error {
	for _, v := range []notifications.Verifier{a.verifier, a.secrets} {
		if v, ok := v.(interface{ Ready(context.Context) error }); ok {
			if err := v.Ready(ctx); err != nil {
				return fmt.Errorf("%w: keys: %w", notifications.ErrUnavailable, err)
			}
		}
	}
	return nil
}

// challenge sets the header WWW-Authenticate (RFC 9110, section 11.6.1) and
// returns the detail of the answer. Both name only the configured ways to
// authenticate.
func (a authenticator) challenge(w http.ResponseWriter) string {
	const realm = ` realm="notifications"`
	add := func(scheme string) { w.Header().Add("WWW-Authenticate", scheme+realm) }
	var ways []string
	if a.custom != nil {
		add("Session")
		ways = append(ways, "a signed-in user")
	}
	if a.verifier != nil {
		add("Bearer")
		ways = append(ways, "a valid bearer token")
	}
	if a.secrets != nil {
		if a.verifier == nil {
			add(wire.SecretHeader)
		}
		ways = append(ways, "the header "+wire.SecretHeader)
	}
	if len(ways) == 0 { // only guests are configured, and the request had a token or a secret
		add("Bearer")
		ways = append(ways, "a request without credentials")
	}
	return "this needs " + strings.Join(ways, " or ")
}
