package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

// What the tokens say of themselves.
const (
	issuerName    = "https://issuer.example"
	audienceClaim = "notifications"
	keyName       = "key-1"
)

// server is the HTTP API on a port of loopback, with an issuer of tokens
// beside it, whose keys it fetches as it would anywhere.
type server struct {
	url    string
	tokens map[string]string // by user; "" is the poster
	http   []*http.Server
	ended  chan error
}

// startServer serves svc to the users and to the poster.
func startServer(ctx context.Context, svc *notifications.Service, users []string) (*server, error) {
	s := &server{tokens: map[string]string{}, ended: make(chan error, 2)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keys, err := keySet(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, user := range append([]string{""}, users...) {
		subject := "user:" + user
		if user == "" {
			subject = poster.Name
		}
		if s.tokens[user], err = sign(key, subject); err != nil {
			return nil, err
		}
	}
	jwksURL, err := s.serve(ctx, keys)
	if err != nil {
		return nil, err
	}
	verifier, err := notifications.NewJWTVerifier(notifications.JWTConfig{
		JWKSURL: jwksURL, Issuer: issuerName, Audience: audienceClaim,
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	api, err := httpapi.New(svc, httpapi.Config{Verifier: verifier})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	url, err := s.serve(ctx, api)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.url = url + httpapi.DefaultPrefix
	return s, nil
}

// serve answers on a free port.
func (s *server) serve(ctx context.Context, handler http.Handler) (url string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: wireTimeout}
	s.http = append(s.http, server)
	go func() { s.ended <- server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

func (s *server) close() error {
	var errs []error
	for _, server := range s.http {
		errs = append(errs, server.Close())
		if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keySet publishes the key.
func keySet(ctx context.Context, key *ecdsa.PrivateKey) (http.Handler, error) {
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: keyName, ALG: jwkset.AlgES256, USE: jwkset.UseSig},
	})
	if err != nil {
		return nil, err
	}
	store := jwkset.NewMemoryStorage()
	if err := store.KeyWrite(ctx, jwk); err != nil {
		return nil, err
	}
	body, err := store.JSONPublic(ctx)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // a client that left cannot be told
	}), nil
}

// sign makes a token that outlives every run.
func sign(key *ecdsa.PrivateKey, subject string) (string, error) {
	const validity = 7 * 24 * time.Hour
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": subject, "iss": issuerName, "aud": audienceClaim, "exp": time.Now().Add(validity).Unix(),
	})
	token.Header["kid"] = keyName
	return token.SignedString(key)
}
