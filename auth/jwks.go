package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
)

const (
	// keysTimeout bounds one attempt to fetch the keys, and so the wait of
	// everybody who needs them.
	keysTimeout = 2 * time.Second
	// keysMaxAge is how old fetched keys get before they are fetched again.
	keysMaxAge = 5 * time.Minute
	// keysPause is kept between two attempts once keys were fetched, so that
	// tokens with invented kids cannot make us hammer the issuer.
	keysPause = 10 * time.Second
	// keysFirstPause is kept between two attempts until then.
	keysFirstPause = time.Second
	// maxKeysBytes bounds a key set.
	maxKeysBytes = 1 << 20
	// minRSABits is what RFC 7518, section 3.3, requires.
	minRSABits = 2048
)

// keySet holds the published keys of an issuer. It fetches them when somebody
// asks and they are due, one attempt at a time, in a goroutine that lives no
// longer than keysTimeout: the attempt serves everybody who waits, so it does
// not end with the request of the one who caused it.
type keySet struct {
	source func(context.Context) ([]byte, error)
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	keys    keyfunc.Keyfunc // those of the last good attempt; nil before
	fetched time.Time       // when that was
	tried   time.Time       // when the last attempt ended
	err     error           // what it failed with
	flight  chan struct{}   // closed when the running attempt ends; nil when none runs
}

// lookup returns the keys to verify a token with, fetched anew where that may
// bring the key the token names. It fails with ErrUnavailable alone.
func (s *keySet) lookup(ctx context.Context, kid string) (keyfunc.Keyfunc, error) {
	if flight := s.refresh(ctx, kid); flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, unavailable("key set", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A key that is not there may have been published since: who cannot look
	// cannot tell.
	if s.keys == nil || s.err != nil && !s.has(ctx, kid) {
		return nil, unavailable("key set", s.err)
	}
	return s.keys, nil
}

// ready returns nil once keys were fetched, and tries to fetch them until then.
func (s *keySet) ready(ctx context.Context) error {
	s.mu.Lock()
	loaded := s.keys != nil
	s.mu.Unlock()
	if loaded {
		return nil
	}
	_, err := s.lookup(ctx, "")
	return err
}

// refresh starts an attempt if one is due, and returns what to wait for
// before using the keys: nil when they can be used as they are.
func (s *keySet) refresh(ctx context.Context, kid string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	known := s.keys != nil && s.has(ctx, kid)
	if known && now.Sub(s.fetched) < keysMaxAge {
		return nil
	}
	pause := keysPause
	if s.keys == nil {
		pause = keysFirstPause
	}
	if s.flight == nil && now.Sub(s.tried) >= pause {
		s.flight = make(chan struct{})
		go s.attempt(s.flight)
	}
	// While the issuer is away a good key must not cost a wait each time.
	if known && s.err != nil {
		return nil
	}
	return s.flight
}

// has reports whether there is a key of that name.
func (s *keySet) has(ctx context.Context, kid string) bool {
	_, err := s.keys.Storage().KeyRead(ctx, kid)
	return err == nil
}

// attempt fetches the keys once and keeps those there are when it fails.
func (s *keySet) attempt(done chan<- struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "keys were not fetched", "error", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.err, s.flight = s.now(), err, nil
	if err == nil {
		s.keys, s.fetched = keys, s.tried
	}
	close(done)
}

// fetch reads the source. It fails rather than return no keys at all.
func (s *keySet) fetch(ctx context.Context) (keyfunc.Keyfunc, error) {
	body, err := s.source(ctx)
	if err != nil {
		return nil, err
	}
	keys, unfit, err := parseKeys(body)
	if err != nil {
		return nil, err
	}
	s.log.DebugContext(ctx, "keys were fetched", "usable", len(keys), "unfit", unfit)
	storage := jwkset.NewMemoryStorage()
	if err := storage.KeyReplaceAll(ctx, keys); err != nil {
		return nil, err
	}
	return keyfunc.New(keyfunc.Options{Storage: storage})
}

// parseKeys reads a JWK Set (RFC 7517, section 5) and returns the keys of it
// that can verify tokens, and why the others cannot. Having none is an error.
func parseKeys(body []byte) (keys []jwkset.JWK, unfit []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, nil, fmt.Errorf("not a JWK Set: %w", err)
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if err != nil {
			unfit = append(unfit, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		keys = append(keys, key)
	}
	switch {
	case len(keys) > 0:
		return keys, unfit, nil
	case len(unfit) > 0:
		return nil, unfit, fmt.Errorf("the JWK Set has no usable key: %w", unfit[0])
	default:
		return nil, nil, errors.New("the JWK Set has no keys")
	}
}

// curveMethods are the only algorithms the curves go with (RFC 7518, section
// 3.4; RFC 8037, section 3.1).
var curveMethods = map[jwkset.CRV]jwkset.ALG{
	jwkset.CrvP256:    jwkset.AlgES256,
	jwkset.CrvP384:    jwkset.AlgES384,
	jwkset.CrvP521:    jwkset.AlgES512,
	jwkset.CrvEd25519: jwkset.AlgEdDSA,
}

// parseKey reads one key that can verify tokens.
func parseKey(raw json.RawMessage) (jwkset.JWK, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return jwkset.JWK{}, err
	}
	if method, ok := curveMethods[m.CRV]; ok && m.ALG == "" {
		m.ALG = method
	}
	switch {
	case m.KID == "":
		return jwkset.JWK{}, errors.New("has no kid")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return jwkset.JWK{}, fmt.Errorf("is for the use %q", m.USE)
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return jwkset.JWK{}, errors.New("is not for verifying")
	case m.ALG != "" && !slices.Contains(signingMethods, m.ALG.String()):
		return jwkset.JWK{}, fmt.Errorf("is for the algorithm %q", m.ALG)
	case m.CRV != "" && m.ALG != curveMethods[m.CRV]:
		return jwkset.JWK{}, fmt.Errorf("is for the algorithm %q, which does not go with the curve %q", m.ALG, m.CRV)
	}
	// Private and symmetric parameters are left behind, and so are
	// certificates: the key is trusted for where it came from.
	public := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E, KID: m.KID, ALG: m.ALG}
	key, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, err
	}
	switch k := key.Key().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return jwkset.JWK{}, fmt.Errorf("is an RSA key of %d bits, at least %d are required", k.N.BitLen(), minRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return jwkset.JWK{}, fmt.Errorf("is a %T", k)
	}
	return key, nil
}

// keySource returns what reads the key set at an http, https or file URL.
func keySource(address string, client *http.Client) (func(context.Context) ([]byte, error), error) {
	if path, ok := strings.CutPrefix(address, "file:"); ok {
		return fileSource(path)
	}
	u, err := url.Parse(address)
	switch {
	case address == "":
		return nil, errors.New("auth: JWTConfig.JWKSURL is required")
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("auth: JWTConfig.JWKSURL is not an http, https or file URL")
	}
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	return func(ctx context.Context) ([]byte, error) { return get(ctx, client, address) }, nil
}

// get fetches a key set over HTTP.
func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	return readKeys(resp.Body)
}

// fileSource reads a key set from a file: "keys.json", "/etc/keys.json" or
// "///etc/keys.json", the part of a file URL after its scheme.
func fileSource(path string) (func(context.Context) ([]byte, error), error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest
		if !strings.HasPrefix(path, "/") {
			return nil, errors.New("auth: JWTConfig.JWKSURL names a host; write file:PATH or file:///PATH")
		}
	}
	if path == "" {
		return nil, errors.New("auth: JWTConfig.JWKSURL names no file")
	}
	return func(context.Context) ([]byte, error) {
		// Opening a named pipe could block for ever.
		if info, err := os.Stat(path); err != nil {
			return nil, err
		} else if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return readKeys(f)
	}, nil
}

// readKeys reads a key set up to its limit.
func readKeys(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxKeysBytes+1))
	if err == nil && len(body) > maxKeysBytes {
		err = fmt.Errorf("the key set is longer than %d bytes", maxKeysBytes)
	}
	return body, err
}
