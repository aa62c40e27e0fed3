package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/notifications-go/notifications"
)

// SIGHUP reads the catalog again. If a file has a fault the catalog stays as it
// is.
func TestReload(t *testing.T) {
	t.Parallel()
	const guest, ann = "kind: User\nmetadata: {name: guest}\n", "---\nkind: User\nmetadata: {name: ann}\n"
	path := file(t, "users.yaml", guest)
	i := spawn(t, "--catalog", path)
	reload := func(content, told string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := i.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		i.stderr.wait(t, told)
	}
	i.post(t, "default/ann").want(t, http.StatusBadRequest)
	reload(guest+ann, "users=2 groups=0")
	i.post(t, "default/ann").want(t, http.StatusOK)
	reload("kind: User\nmetadata: {nam: ann}\n", "stays as it is")
	i.post(t, "default/ann").want(t, http.StatusOK)
	i.get(t, "/notifications").want(t, http.StatusOK)
	reload("", path+": defines no user and no group any more")
	i.get(t, "/notifications").want(t, http.StatusOK)
	reload(guest, "users=1 groups=0")
	i.post(t, "default/ann").want(t, http.StatusBadRequest)

	for args, told := range map[string]string{"--open-catalog": "no files to read again", "--guest": "users=3 groups=2"} {
		j := spawn(t, args)
		if err := j.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		j.stderr.wait(t, told)
		j.get(t, "/notifications").want(t, http.StatusOK)
	}
}

// SIGHUP reads secrets, legacy keys and certificates again. A new one that is
// good is used, a broken one is not, each for itself.
func TestReloadOfSecrets(t *testing.T) {
	t.Parallel()
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	oldCertificate, oldKey := selfSigned(t)
	newCertificate, newKey := selfSigned(t)
	certFile, keyFile := file(t, "cert.pem", string(oldCertificate)), file(t, "key.pem", string(oldKey))
	secretFile, legacyFile := file(t, "secret", secret), file(t, "legacy", legacyKey)
	i := spawn(t, "--tls-cert", certFile, "--tls-key", keyFile, "--external-caller-secret-file", secretFile, "--legacy-key-file", legacyFile)
	hangUp := func(told ...string) {
		t.Helper()
		before := len(i.stderr.String())
		if err := i.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("it says %q", told), func() bool {
			text := i.stderr.String()[before:]
			return !slices.ContainsFunc(told, func(part string) bool { return !strings.Contains(text, part) })
		})
		i.client.CloseIdleConnections() // the next request shakes hands
	}
	posts := func(status int, header string) {
		t.Helper()
		i.post(t, "default/jane", header).want(t, status)
	}
	const oldLegacy, newLegacy = "sixteen bytes or more", "some other secret key"
	both := func(certificate []byte, old, new int) {
		t.Helper()
		i.trust(t, certificate)
		posts(old, "notifications-secret: "+secret)
		posts(old, bearer(legacyToken(t, oldLegacy)))
		posts(new, "notifications-secret: "+otherSecret)
		posts(new, bearer(legacyToken(t, newLegacy)))
	}
	both(oldCertificate, http.StatusOK, http.StatusUnauthorized)

	write(certFile, string(newCertificate)) // its key is missing still
	write(secretFile, "short")
	write(legacyFile, "")
	hangUp("the secrets could not be read again", "the legacy keys could not be read again", "the certificate and its key could not be read again")
	both(oldCertificate, http.StatusOK, http.StatusUnauthorized)

	write(keyFile, string(newKey))
	write(secretFile, otherSecret)
	write(legacyFile, base64.StdEncoding.EncodeToString([]byte(newLegacy)))
	hangUp("the secrets were read again", "the legacy keys were read again", "the certificate and its key were read again")
	both(newCertificate, http.StatusUnauthorized, http.StatusOK)
	if text := i.stderr.String(); strings.Contains(text, secret) || strings.Contains(text, otherSecret) {
		t.Error("a secret is in the log")
	}
}

// legacyToken returns a service token of an older Backstage backend.
func legacyToken(t *testing.T, key string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "backstage-server", "exp": time.Now().Add(time.Hour).Unix()})
	signed, err := token.SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// A stream of a token that is verified through a slot ends before the token.
func TestSlotKnowsWhenTokensExpire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    notifications.Verifier
		want time.Time
	}{{expiring{}, time.Unix(7, 0)}, {struct{ notifications.Verifier }{}, time.Time{}}} {
		if at := newVerifierSlot(c.v).Expires("x"); !at.Equal(c.want) {
			t.Errorf("%T expires at %v, want %v", c.v, at, c.want)
		}
	}
}

type expiring struct{ notifications.Verifier }

func (expiring) Expires(string) time.Time { return time.Unix(7, 0) }
