package run

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/httpapi"
)

// What the tokens say of themselves. They outlive every run.
const (
	issuer   = "https://issuer.example"
	audience = "notifications"
	keyID    = "key-1"
	keysPath = "/keys"
	validity = 7 * 24 * time.Hour
)

// server is the HTTP API on a port of loopback, together with the key set of an
// issuer of tokens, which it fetches as it would anywhere.
type server struct {
	url   string
	key   *ecdsa.PrivateKey
	http  *http.Server
	ended chan error
}

func startServer(ctx context.Context, svc *notifications.Service) (*server, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keys, err := keySet(key)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := "http://" + listener.Addr().String()
	verifier, err := auth.NewJWTVerifier(auth.JWTConfig{JWKSURL: base + keysPath, Issuer: issuer, Audience: audience})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	api, err := httpapi.New(svc, httpapi.Config{Verifier: verifier})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &server{url: base + httpapi.DefaultPrefix, key: key, ended: make(chan error, 1)}
	s.http = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == keysPath {
			_, _ = w.Write(keys) // a client that left cannot be told
			return
		}
		api.ServeHTTP(w, r)
	})}
	go func() { s.ended <- s.http.Serve(listener) }()
	return s, nil
}

func (s *server) close() error {
	err := s.http.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// keySet is the JSON Web Key Set (RFC 7517) with the public key.
func keySet(key *ecdsa.PrivateKey) ([]byte, error) {
	point, err := key.PublicKey.Bytes() // 4, and the coordinates (SEC 1)
	if err != nil {
		return nil, err
	}
	x, y := point[1:len(point)/2+1], point[len(point)/2+1:]
	text := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":%q,"x":%q,"y":%q}]}`, keyID, text(x), text(y)), nil
}

// token is that of a user, or of the poster for an empty name.
func (s *server) token(user string) (string, error) {
	subject := fill.Poster.Name
	if user != "" {
		subject = "user:" + user
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": subject, "iss": issuer, "aud": audience, "exp": time.Now().Add(validity).Unix(),
	})
	token.Header["kid"] = keyID
	return token.SignedString(s.key)
}
