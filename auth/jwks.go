package auth

import (
	"cmp"
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
	// keysTimeout is the longest time of one fetch, and so the longest wait of
	// a request for the keys.
	keysTimeout = 2 * time.Second
	// keysMaxAge is the age at which keys are fetched again.
	keysMaxAge = 5 * time.Minute
	// keysPause is the shortest time between two fetches. Without it, tokens
	// with invented kids would cause a fetch each.
	keysPause = 10 * time.Second
	// keysFirstPause replaces keysPause until a fetch has succeeded.
	keysFirstPause = time.Second
	// keysMaxStale is how long keys stay in use that no fetch has confirmed.
	keysMaxStale = time.Hour
	// maxKeysBytes is the maximum length of a key set.
	maxKeysBytes = 1 << 20
	// minRSABits is the minimum size of an RSA key (RFC 7518, section 3.3).
	minRSABits = 2048
)

// errNoKeys is the fault of a lookup without keys if the last fetch succeeded
// and the keys are old.
var errNoKeys = errors.New("the keys are too old")

// keySet holds the published keys of an issuer. A lookup fetches them if they
// are due. At most one fetch runs at a time, in a goroutine that ends within
// keysTimeout. All requests that need the keys wait for that fetch, so it does
// not end when the request that started it is cancelled.
type keySet struct {
	source func(context.Context) ([]byte, error)
	now    func() time.Time
	log    *slog.Logger
	// maxStale is the age at which keys are dropped; see JWTConfig.MaxStale.
	maxStale time.Duration

	mu      sync.Mutex
	keys    keyfunc.Keyfunc // of the last successful fetch; nil before the first, and when they are dropped
	fetched time.Time       // end of the last successful fetch
	tried   time.Time       // end of the last fetch
	err     error           // of the last fetch
	running chan struct{}   // closed when the running fetch ends; nil when none runs
}

// lookup returns the keys for a token that names kid, and fetches them first if
// they are due. The error, if any, is ErrUnavailable.
func (s *keySet) lookup(ctx context.Context, kid string) (keyfunc.Keyfunc, error) {
	if running := s.refresh(ctx, kid); running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, unavailable("key set", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// After a failed fetch, an unknown key may be one published since.
	if s.keys == nil || s.err != nil && !s.has(ctx, kid) {
		return nil, unavailable("key set", cmp.Or(s.err, errNoKeys))
	}
	return s.keys, nil
}

// ready returns nil while there are keys, and otherwise looks them up.
func (s *keySet) ready(ctx context.Context) error {
	s.mu.Lock()
	s.dropStale(ctx, s.now())
	loaded := s.keys != nil
	s.mu.Unlock()
	if loaded {
		return nil
	}
	_, err := s.lookup(ctx, "")
	return err
}

// refresh starts a fetch if one is due. It returns the channel to wait on before
// the keys are used, or nil if they can be used now.
func (s *keySet) refresh(ctx context.Context, kid string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.dropStale(ctx, now)
	known := s.keys != nil && s.has(ctx, kid)
	if known && now.Sub(s.fetched) < keysMaxAge {
		return nil
	}
	pause := keysPause
	if s.keys == nil {
		pause = keysFirstPause
	}
	dropped := s.keys == nil && s.err == nil // the last fetch succeeded long ago
	if s.running == nil && (dropped || now.Sub(s.tried) >= pause) {
		s.running = make(chan struct{})
		go s.update(s.running)
	}
	// While fetches fail, tokens of known keys do not wait for them.
	if known && s.err != nil {
		return nil
	}
	return s.running
}

// dropStale drops keys that no fetch has confirmed for too long. The caller
// holds mu.
func (s *keySet) dropStale(ctx context.Context, now time.Time) {
	if s.keys == nil || now.Sub(s.fetched) < s.maxStale {
		return
	}
	s.keys = nil
	if s.err != nil {
		s.log.WarnContext(ctx, "the keys are dropped, as none could be fetched for too long", "fetched", s.fetched, "error", s.err)
	}
}

// has reports whether the key kid is known.
func (s *keySet) has(ctx context.Context, kid string) bool {
	_, err := s.keys.Storage().KeyRead(ctx, kid)
	return err == nil
}

// update fetches the keys once. If that fails, it keeps the present ones.
func (s *keySet) update(done chan<- struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "the keys could not be fetched", "error", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.err, s.running = s.now(), err, nil
	if err == nil {
		s.keys, s.fetched = keys, s.tried
	}
	close(done)
}

// fetch reads the source. It fails if that has no usable key.
func (s *keySet) fetch(ctx context.Context) (keyfunc.Keyfunc, error) {
	body, err := s.source(ctx)
	if err != nil {
		return nil, err
	}
	keys, unusable, err := parseKeys(body)
	if err != nil {
		return nil, err
	}
	s.log.DebugContext(ctx, "the keys were fetched", "usable", len(keys), "unusable", unusable)
	storage := jwkset.NewMemoryStorage()
	if err := storage.KeyReplaceAll(ctx, keys); err != nil {
		return nil, err
	}
	return keyfunc.New(keyfunc.Options{Storage: storage})
}

// parseKeys decodes a JWK Set (RFC 7517, section 5). It returns the keys that
// can verify tokens, and an error for each of the others. It fails if no key can.
func parseKeys(body []byte) (keys []jwkset.JWK, unusable []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, nil, fmt.Errorf("not a JWK Set: %w", err)
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		keys = append(keys, key)
	}
	switch {
	case len(keys) > 0:
		return keys, unusable, nil
	case len(unusable) > 0:
		return nil, unusable, fmt.Errorf("the JWK Set has no usable key: %w", unusable[0])
	default:
		return nil, nil, errors.New("the JWK Set has no keys")
	}
}

// curveMethods is the algorithm of each curve (RFC 7518, section 3.4; RFC 8037,
// section 3.1).
var curveMethods = map[jwkset.CRV]jwkset.ALG{
	jwkset.CrvP256:    jwkset.AlgES256,
	jwkset.CrvP384:    jwkset.AlgES384,
	jwkset.CrvP521:    jwkset.AlgES512,
	jwkset.CrvEd25519: jwkset.AlgEdDSA,
}

// parseKey decodes one key. It fails if the key cannot verify tokens.
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
		return jwkset.JWK{}, fmt.Errorf("is for the algorithm %q, which does not match the curve %q", m.ALG, m.CRV)
	}
	// Private and symmetric parameters are not copied, nor are certificates:
	// the key is trusted because of the URL it came from.
	public := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E, KID: m.KID, ALG: m.ALG}
	key, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, err
	}
	switch k := key.Key().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return jwkset.JWK{}, fmt.Errorf("is an RSA key of %d bits, must have at least %d", k.N.BitLen(), minRSABits)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return jwkset.JWK{}, fmt.Errorf("is of the unsupported type %T", k)
	}
	return key, nil
}

// keySource returns a function that reads the key set at an http, https or file
// URL.
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

// fileSource returns a function that reads the key set in a file. The path is a
// file URL without "file:", such as "keys.json", "/etc/keys.json" or
// "///etc/keys.json".
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
		// Opening a named pipe can block for ever.
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

// readKeys reads a key set. It fails if that is longer than maxKeysBytes.
func readKeys(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxKeysBytes+1))
	if err == nil && len(body) > maxKeysBytes {
		err = fmt.Errorf("the key set is longer than %d bytes", maxKeysBytes)
	}
	return body, err
}
