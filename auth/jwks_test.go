package auth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
)

// issuer is a real JWKS endpoint whose answer tests change.
type issuer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	body   string
	hits   int
	held   *hold
}

// hold keeps an issuer from answering.
type hold struct {
	arrived chan struct{} // receives when a request is held
	release chan struct{} // closed to let them go
}

func newIssuer(t testing.TB, keys ...signer) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(t, keys...)
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.hits++
	status, body, held := i.status, i.body, i.held
	i.mu.Unlock()
	if held != nil {
		held.arrived <- struct{}{}
		select {
		case <-held.release:
		case <-r.Context().Done():
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// publish makes the endpoint answer with these keys.
func (i *issuer) publish(t testing.TB, keys ...signer) {
	t.Helper()
	marshals := make([]jwkset.JWKMarshal, len(keys))
	for n, k := range keys {
		marshals[n] = k.jwk(t)
	}
	i.answer(http.StatusOK, keySetJSON(t, marshals...))
}

// answer sets what the endpoint answers.
func (i *issuer) answer(status int, body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

// hold makes the next answers wait for the release.
func (i *issuer) hold() *hold {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held = &hold{arrived: make(chan struct{}, 100), release: make(chan struct{})}
	return i.held
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	oct := jwkset.JWKMarshal{KTY: jwkset.KtyOct, KID: "oct", K: base64.RawURLEncoding.EncodeToString(make([]byte, 32))}
	private := func(m *jwkset.JWKMarshal) {
		key, err := jwkset.NewJWKFromKey(ecKey().key, jwkset.JWKOptions{
			Marshal:  jwkset.JWKMarshalOptions{Private: true},
			Metadata: jwkset.JWKMetadataOptions{KID: "ec"},
		})
		if err != nil {
			t.Fatal(err)
		}
		*m = key.Marshal()
		if m.D == "" {
			t.Fatal("the key has no private part")
		}
	}
	for name, tc := range map[string]struct {
		by     signer
		edit   func(*jwkset.JWKMarshal)
		reason string // empty: the key is usable
	}{
		"as it is":               {ecKey(), func(*jwkset.JWKMarshal) {}, ""},
		"without use":            {ecKey(), func(m *jwkset.JWKMarshal) { m.USE = "" }, ""},
		"without alg":            {ecKey(), func(m *jwkset.JWKMarshal) { m.ALG = "" }, ""},
		"with its private part":  {ecKey(), private, ""},
		"with a certificate URL": {ecKey(), func(m *jwkset.JWKMarshal) { m.X5U, m.X5C = "http://127.0.0.1:1/", []string{"?"} }, ""},
		"for verifying":          {ecKey(), func(m *jwkset.JWKMarshal) { m.KEYOPS = []jwkset.KEYOPS{"verify"} }, ""},
		"for encryption":         {ecKey(), func(m *jwkset.JWKMarshal) { m.USE = jwkset.UseEnc }, `is for the use "enc"`},
		"for wrapping":           {ecKey(), func(m *jwkset.JWKMarshal) { m.KEYOPS = []jwkset.KEYOPS{"wrapKey"} }, "not for verifying"},
		"for another curve":      {ecKey(), func(m *jwkset.JWKMarshal) { m.ALG = jwkset.AlgES384 }, "does not match the curve"},
		"for key agreement":      {ecKey(), func(m *jwkset.JWKMarshal) { m.ALG = jwkset.AlgECDHES }, `is for the algorithm "ECDH-ES"`},
		"without kid":            {ecKey(), func(m *jwkset.JWKMarshal) { m.KID = "" }, "has no kid"},
		"off its curve":          {ecKey(), func(m *jwkset.JWKMarshal) { m.Y = m.X }, "not on the specified curve"},
		"symmetric":              {ecKey(), func(m *jwkset.JWKMarshal) { *m = oct }, "symmetric"},
		"symmetric for HS256":    {ecKey(), func(m *jwkset.JWKMarshal) { *m = oct; m.ALG = jwkset.AlgHS256 }, `is for the algorithm "HS256"`},
		"X25519": {ecKey(), func(m *jwkset.JWKMarshal) {
			*m = jwkset.JWKMarshal{KTY: jwkset.KtyOKP, CRV: jwkset.CrvX25519, X: oct.K, KID: "ec"}
		}, "ecdh"},
		"1024 bits": {smallRSA(), func(*jwkset.JWKMarshal) {}, "RSA key of 1024 bits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			is := newIssuer(t)
			m := tc.by.jwk(t, tc.edit)
			is.answer(http.StatusOK, keySetJSON(t, m))
			v := newVerifier(t, c, is.URL)
			text := goodToken(c, tc.by).signed(t)
			if tc.reason == "" {
				wantIdentity(t, v, text, jane)
				return
			}
			wantError(t, v, text, notifications.ErrUnavailable, tc.reason)

			// Beside a good key it is left out.
			is.answer(http.StatusOK, keySetJSON(t, m, edKey().jwk(t)))
			c.pass(time.Second)
			wantIdentity(t, v, goodToken(c, edKey()).signed(t), jane)
			wantError(t, v, text, notifications.ErrUnauthenticated, jwkset.ErrKeyNotFound.Error())
		})
	}
}

// With a curve and no algorithm in the key, a token of another curve's
// algorithm is refused before any arithmetic.
func TestCurveDecidesTheAlgorithm(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t)
	is.answer(http.StatusOK, keySetJSON(t, ec384Key().jwk(t, func(m *jwkset.JWKMarshal) { m.ALG = "" })))
	v := newVerifier(t, c, is.URL)
	tok := goodToken(c, ecKey())
	tok.header["kid"] = "ec384"
	wantError(t, v, tok.signed(t), notifications.ErrUnauthenticated, `"alg" parameter value "ES384" does not match`)
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	v := newVerifier(t, c, is.URL)
	before, after := goodToken(c, edKey()).signed(t), goodToken(c, rotatedKey()).signed(t)
	wantIdentity(t, v, before, jane)

	is.publish(t, edKey(), rotatedKey())
	c.pass(9 * time.Second)
	wantError(t, v, after, notifications.ErrUnauthenticated, jwkset.ErrKeyNotFound.Error())
	if is.count() != 1 {
		t.Fatalf("fetched %d times within 10 seconds", is.count())
	}
	c.pass(time.Second)
	wantIdentity(t, v, after, jane)
	wantIdentity(t, v, before, jane)

	// A key that is withdrawn is gone once the keys are 5 minutes old.
	is.publish(t, rotatedKey())
	c.pass(5*time.Minute - time.Nanosecond)
	wantIdentity(t, v, before, jane)
	c.pass(time.Nanosecond)
	wantError(t, v, before, notifications.ErrUnauthenticated, jwkset.ErrKeyNotFound.Error())
	wantIdentity(t, v, after, jane)
	if is.count() != 3 {
		t.Errorf("fetched %d times, want 3", is.count())
	}
}

// TestCachedTokensEndWithTheirKey: a cached token is refused once a fetch has
// removed its key.
func TestCachedTokensEndWithTheirKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	v := newVerifier(t, c, is.URL)
	before, after := goodToken(c, edKey()).signed(t), goodToken(c, rotatedKey()).signed(t)
	c.pass(10 * time.Second)
	wantIdentity(t, v, before, jane)
	wantIdentity(t, v, before, jane)
	c.pass(10 * time.Second)
	is.publish(t, rotatedKey())
	wantIdentity(t, v, after, jane) // fetches
	wantError(t, v, before, notifications.ErrUnauthenticated, jwkset.ErrKeyNotFound.Error())
}

func TestInventedKidsCauseFewFetches(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	v := newVerifier(t, c, is.URL)
	wantIdentity(t, v, goodToken(c, edKey()).signed(t), jane)
	for i := range 100 {
		tok := goodToken(c, unknownKey())
		tok.header["kid"] = fmt.Sprint("invented-", i)
		wantError(t, v, tok.signed(t), notifications.ErrUnauthenticated, jwkset.ErrKeyNotFound.Error())
		c.pass(time.Second)
	}
	if got := is.count(); got < 10 || got > 11 {
		t.Errorf("fetched %d times in 100 seconds, want once every 10", got)
	}
}

func TestIssuerDownAtStart(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	is.answer(http.StatusInternalServerError, "")
	v := newVerifier(t, c, is.URL)
	text := goodToken(c, edKey()).signed(t)
	for range 5 { // the 4 after the first are answered from its failure
		wantError(t, v, text, notifications.ErrUnavailable, "status 500")
		if err := v.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
			t.Fatalf("Ready = %v, want ErrUnavailable", err)
		}
	}
	if is.count() != 1 {
		t.Errorf("fetched %d times at once, want 1", is.count())
	}
	is.publish(t, edKey())
	c.pass(time.Second)
	if err := v.Ready(t.Context()); err != nil {
		t.Fatalf("Ready = %v once the issuer is up", err)
	}
	wantIdentity(t, v, text, jane)
	if is.count() != 2 {
		t.Errorf("fetched %d times, want 2", is.count())
	}
}

func TestIssuerThatRefusesConnections(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	is.Close()
	v := newVerifier(t, c, is.URL)
	wantError(t, v, goodToken(c, edKey()).signed(t), notifications.ErrUnavailable, "refused")
}

func TestKeysSurviveABadAnswer(t *testing.T) {
	t.Parallel()
	huge := keySetJSON(t, rotatedKey().jwk(t)) + strings.Repeat(" ", 1<<20)
	for name, tc := range map[string]struct {
		status int
		body   string
	}{
		"500":           {http.StatusInternalServerError, keySetJSON(t, rotatedKey().jwk(t))},
		"204":           {http.StatusNoContent, ""},
		"empty":         {http.StatusOK, ""},
		"no keys":       {http.StatusOK, `{"keys":[]}`},
		"keys null":     {http.StatusOK, `{"keys":null}`},
		"no member":     {http.StatusOK, `{}`},
		"null":          {http.StatusOK, `null`},
		"garbage":       {http.StatusOK, `<html>`},
		"garbage keys":  {http.StatusOK, `{"keys":[null,7,"x",{},{"kid":"rotated","kty":"OKP","crv":"Ed25519","x":"AA"}]}`},
		"huge":          {http.StatusOK, huge},
		"not an object": {http.StatusOK, `[` + strings.Repeat(`{},`, 10) + `{}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			is := newIssuer(t, edKey())
			v := newVerifier(t, c, is.URL)
			good := goodToken(c, edKey())
			good.claims["exp"] = c.now().Add(24 * time.Hour).Unix()
			text := good.signed(t)
			wantIdentity(t, v, text, jane)

			is.answer(tc.status, tc.body)
			for range 3 {
				c.pass(15 * time.Minute)
				wantIdentity(t, v, text, jane)
			}
			c.pass(10 * time.Second)
			wantError(t, v, goodToken(c, rotatedKey()).signed(t), notifications.ErrUnavailable, "key set")
			if is.count() < 3 {
				t.Errorf("fetched %d times: the bad answer was not seen", is.count())
			}
			if err := v.Ready(t.Context()); err != nil {
				t.Errorf("Ready = %v with good keys", err)
			}

			is.publish(t, edKey(), rotatedKey())
			c.pass(10 * time.Second)
			wantIdentity(t, v, goodToken(c, rotatedKey()).signed(t), jane)
		})
	}
}

// Keys that no fetch has confirmed are dropped: an emptied key set revokes.
func TestStaleKeysAreDropped(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"emptied": `{"keys":[]}`, "down": "<html>"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			is := newIssuer(t, edKey())
			v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) { cfg.MaxStale = 20 * time.Minute })
			good := goodToken(c, edKey())
			good.claims["exp"] = c.now().Add(24 * time.Hour).Unix()
			text := good.signed(t)
			wantIdentity(t, v, text, jane)

			is.answer(http.StatusOK, body)
			c.pass(20*time.Minute - time.Nanosecond)
			wantIdentity(t, v, text, jane)
			if err := v.Ready(t.Context()); err != nil {
				t.Errorf("Ready = %v before the keys are too old", err)
			}
			c.pass(time.Nanosecond)
			if err := v.Ready(t.Context()); !errors.Is(err, notifications.ErrUnavailable) {
				t.Errorf("Ready = %v, want ErrUnavailable", err)
			}
			wantError(t, v, text, notifications.ErrUnavailable, "key set")

			is.publish(t, edKey())
			c.pass(time.Second)
			wantIdentity(t, v, text, jane)
			// Keys that nobody needed for long are fetched again, not refused.
			c.pass(20 * time.Minute)
			wantIdentity(t, v, text, jane)
			c.pass(20 * time.Minute)
			if err := v.Ready(t.Context()); err != nil {
				t.Errorf("Ready = %v of an issuer that answers", err)
			}
		})
	}
}

// hung is a connection that ignores its context, to an issuer that does not
// answer.
type hung struct{ release chan struct{} }

func (h hung) RoundTrip(*http.Request) (*http.Response, error) {
	<-h.release
	return nil, errors.New("hung up")
}

// switchable sends requests where a test says.
type switchable struct{ http.RoundTripper }

// After a failed fetch, tokens of known keys do not wait for the next one.
func TestKnownKeysDoNotWaitForAHungIssuer(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	network := &switchable{is.Client().Transport}
	v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) {
		cfg.HTTPClient = &http.Client{Transport: network}
	})
	text := goodToken(c, edKey()).signed(t)
	wantIdentity(t, v, text, jane)
	is.answer(http.StatusInternalServerError, "")
	c.pass(5 * time.Minute)
	wantIdentity(t, v, text, jane)

	h := hung{make(chan struct{})}
	defer close(h.release)
	network.RoundTripper = h
	c.pass(10 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if who, err := v.Verify(ctx, text); who != jane || err != nil {
		t.Errorf("Verify = %v, %v; want %v", who, err, jane)
	}
}

// A fetch goes on when the caller that started it gives up, and serves the next.
func TestCancelledCaller(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	text := goodToken(c, edKey()).signed(t)
	v := newVerifier(t, c, is.URL)
	held := is.hold()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-held.arrived
		cancel()
	}()
	cancelled := func() {
		t.Helper()
		_, err := v.Verify(ctx, text)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, notifications.ErrUnavailable) || errors.Is(err, notifications.ErrUnauthenticated) {
			t.Errorf("Verify = %v, want context.Canceled and ErrUnavailable", err)
		}
	}
	cancelled()
	close(held.release)
	wantIdentity(t, v, text, jane)
	if is.count() != 1 {
		t.Errorf("fetched %d times, want 1", is.count())
	}
	cancelled() // with the keys at hand too
}

func TestConcurrentVerificationFetchesOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey(), ecKey(), rsaKey())
	v := newVerifier(t, c, is.URL)
	texts := []string{goodToken(c, edKey()).signed(t), goodToken(c, ecKey()).signed(t), goodToken(c, rsaKey()).signed(t)}
	held := is.hold()
	go func() {
		<-held.arrived
		close(held.release)
	}()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if who, err := v.Verify(t.Context(), texts[i%len(texts)]); err != nil || who != jane {
				t.Errorf("Verify = %v, %v", who, err)
			}
		})
	}
	wg.Wait()
	if is.count() != 1 {
		t.Errorf("fetched %d times, want 1", is.count())
	}
}

// deadlines records the time that is left for each request, and fails it.
type deadlines struct{ left chan time.Duration }

func (d deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	deadline, ok := r.Context().Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	d.left <- time.Until(deadline)
	return nil, errors.New("no route")
}

func TestFetchIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := deadlines{make(chan time.Duration, 1)}
	v := newVerifier(t, c, "https://issuer.example/jwks", func(cfg *auth.JWTConfig) {
		cfg.HTTPClient = &http.Client{Transport: d}
	})
	wantError(t, v, goodToken(c, edKey()).signed(t), notifications.ErrUnavailable, "no route")
	if left := <-d.left; left > 2*time.Second {
		t.Errorf("a fetch may take %v, want at most 2s", left)
	}
}

func TestFetchFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t, edKey())
	redirect := httptest.NewServer(http.RedirectHandler(is.URL, http.StatusFound))
	t.Cleanup(redirect.Close)
	text := goodToken(c, edKey()).signed(t)
	wantError(t, newVerifier(t, c, redirect.URL), text, notifications.ErrUnavailable, "status 302")
	if is.count() != 0 {
		t.Error("the redirect was followed")
	}
	// The host's own client decides for itself.
	wantIdentity(t, newVerifier(t, c, redirect.URL, func(cfg *auth.JWTConfig) {
		cfg.HTTPClient = redirect.Client()
	}), text, jane)
}

func TestKeysFromAFile(t *testing.T) {
	t.Parallel()
	c := newClock()
	path := filepath.Join(t.TempDir(), "dev keys%20.json")
	write := func(keys ...signer) {
		var marshals []jwkset.JWKMarshal
		for _, k := range keys {
			marshals = append(marshals, k.jwk(t))
		}
		if err := os.WriteFile(path, []byte(keySetJSON(t, marshals...)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	before, after := goodToken(c, edKey()).signed(t), goodToken(c, rotatedKey()).signed(t)
	verifiers := []*auth.JWTVerifier{
		newVerifier(t, c, "file:"+relative), newVerifier(t, c, "file:"+path), newVerifier(t, c, "file://"+path),
	}
	for _, v := range verifiers {
		wantError(t, v, before, notifications.ErrUnavailable, "no such file")
	}
	write(edKey())
	c.pass(time.Second)
	for _, v := range verifiers {
		wantIdentity(t, v, before, jane)
	}
	write(edKey(), rotatedKey())
	c.pass(10 * time.Second)
	for _, v := range verifiers {
		wantIdentity(t, v, after, jane)
	}
	wantError(t, newVerifier(t, c, "file:"+filepath.Dir(path)), before, notifications.ErrUnavailable, "not a regular file")
}

func TestFailedFetchIsLogged(t *testing.T) {
	t.Parallel()
	c := newClock()
	is := newIssuer(t)
	var out bytes.Buffer
	v := newVerifier(t, c, is.URL, func(cfg *auth.JWTConfig) {
		cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
	})
	text := goodToken(c, edKey()).signed(t)
	wantError(t, v, text, notifications.ErrUnavailable, "no keys")
	if !strings.Contains(out.String(), "the JWK Set has no keys") || strings.Contains(out.String(), text) {
		t.Errorf("logged %q", out.String())
	}
}

// FuzzKeySet: no answer of an issuer causes a panic.
func FuzzKeySet(f *testing.F) {
	for _, k := range []signer{rsaKey(), ecKey(), edKey(), ec521Key()} {
		f.Add([]byte(keySetJSON(f, k.jwk(f))))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA","kid":"a"},null]}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = auth.ParseKeys(body)
	})
}
