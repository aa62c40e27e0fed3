package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func devTokenHelp(w io.Writer) {
	fmt.Fprint(w, `notifyd dev-token issues a token for development. It prints the token, and on
standard error the command of a server that accepts the token. It discards the
private key and adds the public key to a file. A server accepts such a file only
on loopback.

Usage:
  TOKEN=$(notifyd dev-token --user default/jane)

  --user REF
      User of the token, namespace/name. Either --user or --service is required.
  --service NAME
      Service of the token.
  --keys FILE
      File that the public key is added to, created if needed. Default dev-keys.json
  --issuer ISSUER
      Issuer of the token. Default notifyd-dev
  --audience AUDIENCE
      Audience of the token. Default notifications
  --expires DURATION
      How long the token is valid. Default 24h
`)
}

// devToken holds the command's flags.
type devToken struct {
	user, service    string
	keys             string
	issuer, audience string
	expires          time.Duration
}

// runDevToken issues a token and adds its public key to the file.
func runDevToken(_ context.Context, p process) error {
	d := devToken{expires: 24 * time.Hour}
	flags := flag.NewFlagSet("dev-token", flag.ContinueOnError)
	flags.StringVar(&d.user, "user", "", "")
	flags.StringVar(&d.service, "service", "", "")
	flags.StringVar(&d.keys, "keys", "dev-keys.json", "")
	flags.StringVar(&d.issuer, "issuer", "notifyd-dev", "")
	flags.StringVar(&d.audience, "audience", "notifications", "")
	flags.Func("expires", "", func(s string) (err error) {
		d.expires, err = parseDuration(s)
		return err
	})
	if err := parseFlags(flags, p.args); err != nil {
		return err
	}
	subject, err := d.subject()
	if err := errors.Join(err, d.check()); err != nil {
		return usageError{err}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	kid := rand.Text()
	token, err := d.sign(subject, kid, private)
	if err != nil {
		return err
	}
	if err := addKey(d.keys, kid, public); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "A server that accepts this token:\n  notifyd --jwks-url %s --jwt-issuer %s --jwt-audience %s\n",
		shellWord("file:"+d.keys), shellWord(d.issuer), shellWord(d.audience))
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

// subject returns the claim sub, which tells users from services.
func (d devToken) subject() (string, error) {
	switch {
	case d.user == "" && d.service == "":
		return "", errors.New("--user or --service is required")
	case d.user != "" && d.service != "":
		return "", errors.New("--user and --service exclude each other")
	case d.service != "":
		if strings.ContainsAny(d.service, "/:") {
			return "", fmt.Errorf(`--service: %q contains "/" or ":" and might be taken for a user`, d.service)
		}
		if d.service == "external" || d.service == "backstage-server" {
			return "", fmt.Errorf("--service: %q is a built-in service, and servers refuse its tokens", d.service)
		}
		return d.service, nil
	}
	ref := strings.TrimPrefix(d.user, "user:")
	namespace, name, _ := strings.Cut(ref, "/")
	if namespace == "" || name == "" || strings.ContainsAny(name, "/:") || strings.Contains(namespace, ":") {
		return "", fmt.Errorf("--user: %q is not of the form namespace/name", d.user)
	}
	return "user:" + ref, nil
}

func (d devToken) check() error {
	var faults []error
	for _, f := range []struct{ name, value string }{
		{"--keys", d.keys}, {"--issuer", d.issuer}, {"--audience", d.audience},
	} {
		if f.value == "" {
			faults = append(faults, fmt.Errorf("%s: %w", f.name, errEmpty))
		}
	}
	if d.expires <= 0 {
		faults = append(faults, fmt.Errorf("--expires: %v is not above zero", d.expires))
	}
	return errors.Join(faults...)
}

func (d devToken) sign(subject, kid string, key ed25519.PrivateKey) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer:    d.issuer,
		Subject:   subject,
		Audience:  jwt.ClaimStrings{d.audience},
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(d.expires)),
	})
	token.Header["kid"] = kid
	return token.SignedString(key)
}

// addKey adds a public key to a JWK Set (RFC 7517, and RFC 8037 for Ed25519).
// It keeps the other keys.
func addKey(file, kid string, key ed25519.PublicKey) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(data, &set); err != nil {
			return fmt.Errorf("%s: is not a key set and stays as it is: %w", file, err)
		}
		if set.Keys == nil {
			return fmt.Errorf("%s: is not a key set and stays as it is", file)
		}
	}
	jwk, err := json.Marshal(map[string]string{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
		"kid": kid, "x": base64.RawURLEncoding.EncodeToString(key),
	})
	if err != nil {
		return err
	}
	set.Keys = append(set.Keys, jwk)
	data, err = json.MarshalIndent(set, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(file, append(data, '\n'))
}

// replaceFile replaces a file, so that a reader sees either the old or the new
// content.
func replaceFile(file string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()) // any server may read public keys
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// shellPlain matches words that a shell does not change.
var shellPlain = regexp.MustCompile(`^[\w./:@%+,=-]+$`)

// shellWord quotes s if a shell would change or split it.
func shellWord(s string) string {
	if shellPlain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
