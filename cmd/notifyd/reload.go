package main

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/notifications-go/notifications"
)

// reloader reads files again that a setting names.
type reloader struct {
	what string // in the log
	// read puts the new content into use. If that has a fault, it returns the
	// fault and changes nothing.
	read func() error
}

// reload reads all files again, each for itself: a fault of one does not keep
// the others from being used.
func (s *server) reload() {
	reloadCatalog(s.catalog, s.log)
	for _, r := range s.reloaders {
		if err := r.read(); err != nil {
			s.log.Error(r.what+" could not be read again and stay as they are", "error", err)
			continue
		}
		s.log.Info(r.what + " were read again")
	}
}

// verifierSlot is a verifier that a reload replaces while requests use it.
type verifierSlot struct {
	now atomic.Pointer[notifications.Verifier]
}

func newVerifierSlot(v notifications.Verifier) *verifierSlot {
	s := &verifierSlot{}
	s.now.Store(&v)
	return s
}

// Verify implements [notifications.Verifier].
func (s *verifierSlot) Verify(ctx context.Context, token string) (notifications.Identity, error) {
	return (*s.now.Load()).Verify(ctx, token)
}

// Ready asks the verifier, if it can tell.
func (s *verifierSlot) Ready(ctx context.Context) error {
	if v, ok := (*s.now.Load()).(interface{ Ready(context.Context) error }); ok {
		return v.Ready(ctx)
	}
	return nil
}

// Expires asks the verifier when a token expires, if it can tell.
func (s *verifierSlot) Expires(token string) time.Time {
	if v, ok := (*s.now.Load()).(interface{ Expires(string) time.Time }); ok {
		return v.Expires(token)
	}
	return time.Time{}
}

// reloaderOf returns a reloader that puts the verifier that read returns into
// the slot.
func (s *verifierSlot) reloaderOf(what string, read func() (notifications.Verifier, error)) reloader {
	return reloader{what, func() error {
		v, err := read()
		if err == nil {
			s.now.Store(&v)
		}
		return err
	}}
}

// certificateSlot is a certificate that a reload replaces while handshakes use
// it.
type certificateSlot struct {
	now atomic.Pointer[tls.Certificate]
}

// loadCertificate returns nil if HTTPS is not configured.
func loadCertificate(c *config) (*certificateSlot, error) {
	if c.tlsCert == "" {
		return nil, nil
	}
	s := &certificateSlot{}
	return s, s.read(c)
}

func (s *certificateSlot) read(c *config) error {
	certificate, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
	if err != nil {
		return c.fault("tls-cert", "%w", err)
	}
	s.now.Store(&certificate)
	return nil
}

// config returns the configuration of a server with this certificate.
func (s *certificateSlot) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.now.Load(), nil },
		MinVersion:     tls.VersionTLS12,
	}
}
