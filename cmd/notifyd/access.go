package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/auth"
)

// guestRef is the user of requests without credentials.
const guestRef = "default/guest"

// access says who is accepted, and what they may do.
type access struct {
	verifier notifications.Verifier // nil: no tokens
	secrets  notifications.Verifier // nil: no secrets
	guest    notifications.Identity // zero: no guests
	policy   notifications.Policy

	reloaders []reloader // of secrets and legacy keys
}

// authenticates reports whether a caller can prove who they are.
func (c *config) authenticates() bool {
	return c.jwksURL != "" || len(c.secretFiles) > 0 || len(c.legacyKeyFiles) > 0
}

// acceptsGuests reports whether requests without credentials are accepted.
func (c *config) acceptsGuests() bool {
	if c.guest != nil {
		return *c.guest
	}
	return !c.authenticates()
}

// checkAccess reports all faults of the settings for tokens, secrets and
// guests.
func (c *config) checkAccess() error {
	const maxSecrets = 2
	var faults []error
	if len(c.secretFiles) > maxSecrets {
		faults = append(faults, c.fault("external-caller-secret-file", "%d files are given, a rotation needs two", len(c.secretFiles)))
	}
	if c.externalUser != "" && len(c.secretFiles) == 0 {
		faults = append(faults, c.fault("external-caller-user", "needs --external-caller-secret-file"))
	}
	return errors.Join(append(faults, c.checkTokens(), c.checkGuest(), c.checkPolicy())...)
}

func (c *config) checkTokens() error {
	settings := map[string]string{"jwks-url": c.jwksURL, "jwt-issuer": c.jwtIssuer, "jwt-audience": c.jwtAudience}
	var given, missing []string
	for _, name := range []string{"jwks-url", "jwt-issuer", "jwt-audience"} {
		if settings[name] == "" {
			missing = append(missing, "--"+name)
		} else {
			given = append(given, name)
		}
	}
	var faults []error
	if len(given) > 0 && len(missing) > 0 {
		faults = append(faults, c.fault(given[0], "needs %s", strings.Join(missing, " and ")))
	}
	if c.jwtUserClaim != "" && c.jwksURL == "" {
		faults = append(faults, c.fault("jwt-user-claim", "needs --jwks-url"))
	}
	if u, err := url.Parse(c.jwksURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.jwksInsecure {
		faults = append(faults, c.fault("jwks-url", "http:// to another machine lets the network choose the keys; use https://, or accept that with --jwks-insecure"))
	}
	if strings.HasPrefix(c.jwksURL, "file:") && !c.onLoopback() {
		faults = append(faults, c.fault("jwks-url", "keys from a file are for development, and need a --listen on loopback, not %s", c.listen))
	}
	return errors.Join(faults...)
}

func (c *config) checkGuest() error {
	const ways = "--jwks-url, --external-caller-secret-file or --legacy-key-file"
	switch {
	case c.authenticates() || c.guest != nil && *c.guest:
		return nil
	case c.guest != nil:
		return c.fault("guest", "no caller could authenticate; set %s", ways)
	case !c.onLoopback():
		return c.fault("listen", "%s can be reached from other machines, and every caller would be accepted as a guest; set %s, or accept guests with --guest", c.listen, ways)
	}
	return nil
}

// acceptedCallers is the last part of the line printed at the start.
func (c *config) acceptedCallers() string {
	var who []string
	if c.jwksURL != "" {
		who = append(who, "tokens of "+c.jwtIssuer)
	}
	if len(c.secretFiles) > 0 {
		who = append(who, "the shared secret")
	}
	if len(c.legacyKeyFiles) > 0 {
		who = append(who, "older Backstage service tokens")
	}
	if c.acceptsGuests() {
		who = append(who, "requests without credentials as "+guestRef)
	}
	return strings.Join(who, ", ") + " (to change this, use --jwks-url, --external-caller-secret-file, --legacy-key-file or --guest)"
}

// newAccess reads the files that the settings name. It reports all faults at
// once.
func newAccess(ctx context.Context, c *config, catalog notifications.Catalog, log *slog.Logger) (access, error) {
	var a access
	var errs [3]error
	errs[0] = a.acceptTokens(ctx, c, log)
	errs[1] = a.acceptSecrets(c, catalog)
	a.policy, errs[2] = newPolicy(c, catalog)
	if c.acceptsGuests() {
		a.guest = notifications.User(guestRef)
	}
	return a, errors.Join(errs[:]...)
}

// acceptTokens sets the verifier, if tokens are accepted.
func (a *access) acceptTokens(ctx context.Context, c *config, log *slog.Logger) error {
	published, err := newJWTVerifier(ctx, c, log)
	if err != nil || len(c.legacyKeyFiles) == 0 {
		a.verifier = published
		return err
	}
	read := func() (notifications.Verifier, error) {
		keys, err := readLegacyKeys(c)
		if err != nil {
			return nil, err
		}
		return auth.NewLegacyVerifier(published, keys...)
	}
	first, err := read()
	if err != nil {
		return err
	}
	slot := newVerifierSlot(first)
	a.verifier = slot
	a.reloaders = append(a.reloaders, slot.reloaderOf("the legacy keys", read))
	return nil
}

// acceptSecrets sets secrets, if secrets are accepted.
func (a *access) acceptSecrets(c *config, catalog notifications.Catalog) error {
	if len(c.secretFiles) == 0 {
		return nil
	}
	read := func() (notifications.Verifier, error) { return newSecrets(c, catalog) }
	first, err := read()
	if err != nil {
		return err
	}
	slot := newVerifierSlot(first)
	a.secrets = slot
	a.reloaders = append(a.reloaders, slot.reloaderOf("the secrets", read))
	return nil
}

// newJWTVerifier returns nil if no tokens with published keys are accepted.
func newJWTVerifier(ctx context.Context, c *config, log *slog.Logger) (notifications.Verifier, error) {
	if c.jwksURL == "" {
		return nil, nil
	}
	cfg := auth.JWTConfig{
		JWKSURL: c.jwksURL, Issuer: c.jwtIssuer, Audience: c.jwtAudience,
		MaxLifetime: c.jwtMaxLifetime, MaxStale: c.jwksMaxStale, Logger: log,
	}
	if c.jwtUserClaim != "" {
		cfg.Subject = auth.UserClaim(c.jwtUserClaim)
	}
	v, err := auth.NewJWTVerifier(cfg)
	if err == nil && strings.HasPrefix(c.jwksURL, "file:") { // an issuer may start later, a file is there or mistyped
		err = v.Ready(ctx)
	}
	if err != nil {
		return nil, c.fault("jwks-url", "%w", err)
	}
	return v, nil
}

func readLegacyKeys(c *config) ([][]byte, error) {
	var keys [][]byte
	var faults []error
	for _, file := range c.legacyKeyFiles {
		text, err := readSecret(file)
		if err != nil {
			faults = append(faults, c.fault("legacy-key-file", "%w", err))
			continue
		}
		// Backstage accepts both alphabets of base64.
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		key, err := base64.RawStdEncoding.DecodeString(text)
		if err == nil {
			_, err = auth.NewLegacyVerifier(nil, key) // each key alone, so that the error names its file
		}
		if err != nil {
			faults = append(faults, c.fault("legacy-key-file", "%s: %w", file, err))
		}
		keys = append(keys, key)
	}
	return keys, errors.Join(faults...)
}

// newSecrets reads the files of the secrets.
func newSecrets(c *config, catalog notifications.Catalog) (notifications.Verifier, error) {
	var actAs notifications.Identity
	var secrets []string
	var faults []error
	if c.externalUser != "" {
		actAs = notifications.User(c.externalUser)
		if _, err := catalog.Canonical(notifications.KindUser, c.externalUser); err != nil {
			faults = append(faults, c.fault("external-caller-user", "%q %w", c.externalUser, err))
		}
	}
	for _, file := range c.secretFiles {
		secret, err := readSecret(file)
		if err != nil {
			faults = append(faults, c.fault("external-caller-secret-file", "%w", err))
			continue
		}
		if _, err := auth.NewSecrets(actAs, secret); err != nil { // each secret alone, so that the error names its file
			faults = append(faults, c.fault("external-caller-secret-file", "%s: %w", file, err))
		}
		secrets = append(secrets, secret)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return auth.NewSecrets(actAs, secrets...)
}

// readSecret returns the content of a file without the line break that editors
// and echo add at the end.
func readSecret(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s: is empty", file)
	}
	return secret, nil
}
