package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
)

const (
	secret      = "correct horse battery staple"
	otherSecret = "staple battery horse correct"
	legacyKey   = "c2l4dGVlbiBieXRlcyBvciBtb3Jl" // "sixteen bytes or more"
)

// issued issues a token and returns it with its key file.
func issued(t *testing.T, args ...string) (token, keys string) {
	t.Helper()
	keys = filepath.Join(t.TempDir(), "keys.json")
	return issuedInto(t, keys, args...), keys
}

func issuedInto(t *testing.T, keys string, args ...string) string {
	t.Helper()
	r := invoke(t, nil, append([]string{"dev-token", "--keys", keys}, args...)...)
	if r.status != 0 {
		t.Fatalf("exit status %d: %s", r.status, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// jwtArgs are the settings that accept the tokens of dev-token.
func jwtArgs(keys string) []string {
	return []string{"--jwks-url=file:" + keys, "--jwt-issuer=notifyd-dev", "--jwt-audience=notifications"}
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// Whether requests without credentials are accepted, for every combination of
// settings.
func effectOfGuest(t *testing.T) {
	_, keys := issued(t, "--user=default/jane")
	secretArg := "--external-caller-secret-file=" + file(t, "secret", secret)
	legacyArg := "--legacy-key-file=" + file(t, "key", legacyKey)
	const outside = "--listen=0.0.0.0:0"
	tests := map[string]struct {
		args    []string
		in      bool
		refused string // the error at the start
	}{
		"nothing said":                {in: true},
		"asked for":                   {args: []string{"--guest"}, in: true},
		"turned off, nothing else":    {args: []string{"--guest=false"}, refused: "--guest: no caller could authenticate"},
		"keys":                        {args: jwtArgs(keys)},
		"secret":                      {args: []string{secretArg}},
		"legacy key":                  {args: []string{legacyArg}},
		"secret and off":              {args: []string{secretArg, "--guest=false"}},
		"keys and asked for":          {args: append(jwtArgs(keys), "--guest"), in: true},
		"secret and asked for":        {args: []string{secretArg, "--guest=true"}, in: true},
		"legacy key and asked for":    {args: []string{legacyArg, "--guest"}, in: true},
		"outside, nothing said":       {args: []string{outside}, refused: "--listen: 0.0.0.0:0 can be reached from other machines"},
		"outside, turned off":         {args: []string{outside, "--guest=false"}, refused: "--guest: no caller could authenticate"},
		"outside, asked for":          {args: []string{outside, "--guest"}, in: true},
		"outside, secret":             {args: []string{outside, secretArg}},
		"outside, legacy key":         {args: []string{outside, legacyArg}},
		"outside, URL of keys":        {args: []string{outside, "--jwks-url=http://127.0.0.1:1", "--jwt-issuer=a", "--jwt-audience=b"}},
		"outside, secret and guest":   {args: []string{outside, secretArg, "--guest"}, in: true},
		"outside, keys from a file":   {args: append(jwtArgs(keys), outside), refused: "--jwks-url: keys from a file"},
		"outside, file keys, guest":   {args: append(jwtArgs(keys), outside, "--guest"), refused: "--jwks-url: keys from a file"},
		"every interface, by no host": {args: []string{"--listen=:0"}, refused: "--listen: :0 can be reached from other machines"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.refused != "" {
				refused(t, invoke(t, nil, withDefaults(t, tt.args)...), exitUsage, tt.refused)
				return
			}
			i := serving(t, tt.args...)
			i.url = strings.Replace(i.url, "[::]", "localhost", 1) // a name that is answered
			want := http.StatusUnauthorized
			if tt.in {
				want = http.StatusOK
			}
			i.get(t, "/notifications").want(t, want)
			if told := strings.Contains(i.line, "requests without credentials as default/guest"); told != tt.in {
				t.Errorf("the line at the start is %q", i.line)
			}
		})
	}
}

// Holders of both secrets are a service, which posts and has no inbox.
func effectOfSecret(t *testing.T) {
	i := serving(t,
		"--external-caller-secret-file", file(t, "new", secret+"\n"),
		"--external-caller-secret-file", file(t, "old", otherSecret+"\r\n"))
	for _, s := range []string{secret, otherSecret} {
		i.post(t, "default/jane", "notifications-secret: "+s).want(t, http.StatusOK)
		i.get(t, "/notifications", "notifications-secret: "+s).want(t, http.StatusForbidden)
	}
	i.post(t, "default/jane", "notifications-secret: "+secret+"x").want(t, http.StatusUnauthorized)
	i.post(t, "default/jane", bearer("x"), "notifications-secret: "+secret).want(t, http.StatusUnauthorized)
}

// Errors of the files name the setting and the file.
func TestRefusedSecretFiles(t *testing.T) {
	t.Parallel()
	short, empty, broken := file(t, "short", "hunter2"), file(t, "empty", "\n"), file(t, "lines", secret+"\n\n")
	noBase64, shortKey := file(t, "text", "not base64!"), file(t, "weak", "c2hvcnQ=")
	r := invoke(t, []string{"NOTIFYD_LEGACY_KEY_FILE=" + noBase64 + "," + shortKey + ",/no/key"}, withDefaults(t, []string{
		"--external-caller-secret-file", short, "--external-caller-secret-file", empty, "--external-caller-user", "jane",
	})...)
	refused(t, r, exitUsage,
		"--external-caller-secret-file: "+short+": ", "at least 16",
		"--external-caller-secret-file: "+empty+": is empty",
		`--external-caller-user: "jane" must be of the form namespace/name`,
		"NOTIFYD_LEGACY_KEY_FILE: "+noBase64+": ",
		"NOTIFYD_LEGACY_KEY_FILE: "+shortKey+": ", "at least 16",
		"NOTIFYD_LEGACY_KEY_FILE: open /no/key: ")
	if strings.Contains(r.stderr, "hunter2") {
		t.Errorf("a secret is in %q", r.stderr)
	}
	refused(t, invoke(t, nil, withDefaults(t, []string{"--external-caller-secret-file", broken})...), exitUsage, broken+": ", "control character")
	refused(t, invoke(t, nil, withDefaults(t, []string{"--external-caller-secret-file", "/no/secret"})...), exitUsage, "--external-caller-secret-file: open /no/secret: ")
}

// The claim sub says whether a token belongs to a user or a service. Tokens
// with another issuer, audience or key are refused.
func effectOfTokens(t *testing.T) {
	jane, keys := issued(t, "--user=default/jane")
	john := issuedInto(t, keys, "--user=user:default/john")
	ci := issuedInto(t, keys, "--service=ci")
	elsewhere := issuedInto(t, keys, "--user=default/jane", "--issuer=elsewhere")
	others := issuedInto(t, keys, "--user=default/jane", "--audience=others")
	stranger, _ := issued(t, "--user=default/jane")
	i := serving(t, jwtArgs(keys)...)

	i.post(t, "default/jane", bearer(ci)).want(t, http.StatusOK)
	i.get(t, "/notifications", bearer(ci)).want(t, http.StatusForbidden)
	if ids := i.get(t, "/notifications", bearer(jane)).ids(t); len(ids) != 1 {
		t.Errorf("jane sees %q", ids)
	}
	if ids := i.get(t, "/notifications", bearer(john)).ids(t); len(ids) != 0 {
		t.Errorf("john sees %q", ids)
	}
	for _, token := range []string{elsewhere, others, stranger, jane + "x"} {
		i.get(t, "/notifications", bearer(token)).want(t, http.StatusUnauthorized)
	}
	i.get(t, "/notifications").want(t, http.StatusUnauthorized)
	i.get(t, "/readyz").want(t, http.StatusOK)
}

// A key that is published later is found without a restart. Without keys the
// server is up and not ready.
func TestKeysComeLater(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.json")
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, keys) }))
	t.Cleanup(issuer.Close)
	i := serving(t, "--jwks-url="+issuer.URL, "--jwt-issuer=notifyd-dev", "--jwt-audience=notifications")
	i.get(t, "/healthz").want(t, http.StatusOK)
	i.get(t, "/readyz").want(t, http.StatusServiceUnavailable)
	token := issuedInto(t, keys, "--user=default/jane")
	eventually(t, "the keys are there", func() bool {
		return i.get(t, "/notifications", bearer(token)).status == http.StatusOK
	})
	i.get(t, "/readyz").want(t, http.StatusOK)
}

// Keys may come over plain HTTP from this machine, and from another one only if
// that is asked for.
func effectOfJWKSInsecure(t *testing.T) {
	const documentation = "192.0.2.1" // RFC 5737: nobody's
	args := []string{"--jwt-issuer=a", "--jwt-audience=b"}
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		serving(t, append(args, "--jwks-url=http://"+host+":1/")...).get(t, "/healthz").want(t, http.StatusOK)
	}
	args = append(args, "--jwks-url=http://"+documentation+"/")
	refused(t, invoke(t, nil, withDefaults(t, args)...), exitUsage, "--jwks-insecure")
	serving(t, append(args, "--jwks-insecure")...).get(t, "/healthz").want(t, http.StatusOK)
}

// Keys that cannot be confirmed are dropped, after an hour unless that is
// changed.
func effectOfJWKSMaxStale(t *testing.T) {
	jane, keys := issued(t, "--user=default/jane")
	usual, quick := serving(t, jwtArgs(keys)...), serving(t, append(jwtArgs(keys), "--jwks-max-stale=10ms")...)
	usual.get(t, "/notifications", bearer(jane)).want(t, http.StatusOK)
	quick.get(t, "/notifications", bearer(jane)).want(t, http.StatusOK)
	if err := os.WriteFile(keys, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token is not accepted", func() bool {
		return quick.get(t, "/notifications", bearer(jane)).status == http.StatusServiceUnavailable
	})
	usual.get(t, "/notifications", bearer(jane)).want(t, http.StatusOK)
}

// A token may be valid for 90 days, unless that is changed.
func effectOfJWTMaxLifetime(t *testing.T) {
	ninety, keys := issued(t, "--user=default/jane", "--expires=90d")
	longer := issuedInto(t, keys, "--user=default/jane", "--expires=91d")
	i := serving(t, jwtArgs(keys)...)
	i.get(t, "/notifications", bearer(ninety)).want(t, http.StatusOK)
	i.get(t, "/notifications", bearer(longer)).want(t, http.StatusUnauthorized)
	i = serving(t, append(jwtArgs(keys), "--jwt-max-lifetime=65535d")...)
	i.get(t, "/notifications", bearer(longer)).want(t, http.StatusOK)
}

// The configured claim, if the token has it, names the user.
func effectOfUserClaim(t *testing.T) {
	token, keys := issued(t, "--service=ci", "--issuer=default/john")
	args := []string{"--jwks-url=file:" + keys, "--jwt-issuer=default/john", "--jwt-audience=notifications"}
	serving(t, args...).get(t, "/notifications", bearer(token)).want(t, http.StatusForbidden)

	i := serving(t, append(args, "--jwt-user-claim=iss")...)
	i.post(t, "default/john", bearer(token)).want(t, http.StatusOK)
	if ids := i.get(t, "/notifications", bearer(token)).ids(t); len(ids) != 1 {
		t.Errorf("john sees %q", ids)
	}
}

// Service tokens of older Backstage backends are accepted in addition to
// others.
func effectOfLegacyKeys(t *testing.T) {
	jane, keys := issued(t, "--user=default/jane")
	args := append(jwtArgs(keys), "--legacy-key-file", file(t, "old", "c29tZSBvdGhlciBzZWNyZXQga2V5\n"), "--legacy-key-file", file(t, "key", legacyKey+"\n"),
		"--legacy-key-file", file(t, "url", "-_-_-_-_-_-_-_-_-_-_-_-_\n"))
	i := serving(t, args...)
	sign := func(key string) string { return legacyToken(t, key) }
	i.post(t, "default/jane", bearer(sign("sixteen bytes or more"))).want(t, http.StatusOK)
	i.post(t, "default/jane", bearer(sign("some other secret key"))).want(t, http.StatusOK)
	i.post(t, "default/jane", bearer(sign(strings.Repeat("\xfb\xff\xbf", 6)))).want(t, http.StatusOK)
	i.post(t, "default/jane", bearer(sign(legacyKey))).want(t, http.StatusUnauthorized)
	i.get(t, "/notifications", bearer(jane)).want(t, http.StatusOK)
}

// Without a policy users read, mark and post, services post to everybody too,
// and nobody touches the posts of others.
func TestDefaultPolicy(t *testing.T) {
	t.Parallel()
	jane, service := notifications.User("default/jane"), notifications.ServiceAccount("external")
	guest := notifications.Identity{Kind: notifications.KindUser, Name: guestRef, Guest: true}
	gone := notifications.User("default/gone")
	const list, update, create, remove, reach, broadcast = notifications.PermissionList, notifications.PermissionUpdateRead,
		notifications.PermissionCreate, notifications.PermissionDelete, notifications.PermissionReach, notifications.PermissionCreateSystem
	for _, tt := range []struct {
		who     notifications.Identity
		flags   []string
		allowed []notifications.Permission
	}{
		{jane, nil, []notifications.Permission{list, update, create, remove, reach}},
		{jane, []string{"--users-may-broadcast"}, []notifications.Permission{list, update, create, remove, reach, broadcast}},
		{guest, nil, []notifications.Permission{list, update, create, remove, reach, broadcast}},
		{guest, []string{"--users-may-broadcast=false"}, []notifications.Permission{list, update, create, remove, reach}},
		{guest, []string{"--listen=0.0.0.0:0", "--guest"}, []notifications.Permission{list, update, create, remove, reach}},
		{guest, []string{"--listen=0.0.0.0:0", "--guest", "--users-may-broadcast"}, []notifications.Permission{list, update, create, remove, reach, broadcast}},
		{gone, nil, []notifications.Permission{list, update}}, // and the service refuses these
		{gone, []string{"--users-may-broadcast"}, []notifications.Permission{list, update}},
		{notifications.User("gone"), nil, []notifications.Permission{list, update}},
		{gone, []string{"--open-catalog"}, []notifications.Permission{list, update, create, remove, reach}},
		{service, []string{"--users-may-broadcast=false"}, []notifications.Permission{list, update, create, remove, reach, broadcast}},
	} {
		s := wired(t, tt.flags...)
		for _, permission := range notifications.Permissions() {
			err := s.svc.Authorize(t.Context(), tt.who, permission)
			if allowed := err == nil; allowed != slices.Contains(tt.allowed, permission) || !allowed && !errors.Is(err, notifications.ErrForbidden) {
				t.Errorf("%q: %s, %s: %v", tt.flags, tt.who, permission, err)
			}
		}
	}
}

// A user posts to users, and to everybody only if that is asked for.
func effectOfUsersMayBroadcast(t *testing.T) {
	jane, keys := issued(t, "--user=default/jane")
	ci := issuedInto(t, keys, "--service=ci")
	const system = `{"origin":"test","title":"to everybody"}`
	i := serving(t, jwtArgs(keys)...)
	i.do(t, http.MethodPost, "/notifications", system, bearer(jane)).want(t, http.StatusForbidden)
	i.do(t, http.MethodPost, "/notifications", system, bearer(ci)).want(t, http.StatusOK)
	i.post(t, "default/john", bearer(jane)).want(t, http.StatusOK)
	i = serving(t, append(jwtArgs(keys), "--users-may-broadcast")...)
	i.do(t, http.MethodPost, "/notifications", system, bearer(jane)).want(t, http.StatusOK)
}

// The policy of the file restricts what accepted callers may do.
func TestPolicy(t *testing.T) {
	t.Parallel()
	jane, keys := issued(t, "--user=default/jane")
	john := issuedInto(t, keys, "--user=default/john")
	guest := issuedInto(t, keys, "--user=default/guest")
	ci := issuedInto(t, keys, "--service=ci")
	i := serving(t, append(jwtArgs(keys), "--config", file(t, "notifyd.yaml", `
policy:
  - allow: [notifications.create]
    services: [ci]
  - allow: [notifications.list]
    groups: [default/ops]
  - allow: [notifications.create.system, notifications.create]
    users: [default/jane]
`))...)
	const system = `{"origin":"test","title":"to everybody"}`
	i.post(t, "default/jane", bearer(ci)).want(t, http.StatusOK)
	i.do(t, http.MethodPost, "/notifications", system, bearer(ci)).want(t, http.StatusForbidden)
	i.do(t, http.MethodPost, "/notifications", system, bearer(jane)).want(t, http.StatusOK)
	i.get(t, "/notifications", bearer(jane)).want(t, http.StatusOK)
	i.get(t, "/notifications", bearer(john)).want(t, http.StatusOK)
	i.post(t, "default/jane", bearer(john)).want(t, http.StatusForbidden)
	i.get(t, "/notifications", bearer(guest)).want(t, http.StatusForbidden)
}

func TestRefusedPolicy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"policy: []\n": "no rules",
		"policy:\n  - allow: [notifications.crate]\n    users: ['*']\n":                         `"notifications.crate"`,
		"policy:\n  - users: ['*']\n":                                                           "names no permission",
		"policy:\n  - allow: [notifications.list]\n":                                            "names no user, group or service",
		"policy:\n  - allow: [notifications.list]\n    users: [jane]\n":                         `"jane"`,
		"policy:\n  - allow: [notifications.list]\n    allow: [notifications.list]\n":           "already defined",
		"policy:\n  - allow: notifications.list\n    users: ['*']\n":                            "sequence",
		"policy:\n  - allow: [notifications.list]\n    users: ['*']\n    permissions: [nope]\n": "permissions",
	} {
		path := file(t, "notifyd.yaml", text)
		refused(t, invoke(t, nil, withDefaults(t, []string{"--config", path})...), exitUsage, path, want)
	}
}

// A user whom the settings accept but the catalog does not know is logged.
func TestUnknownUsersAreLogged(t *testing.T) {
	t.Parallel()
	catalogArg := "--catalog=" + file(t, "users.yaml", "kind: User\nmetadata: {name: jane}\n")
	i := serving(t, catalogArg)
	i.get(t, "/notifications").want(t, http.StatusForbidden)
	i.stderr.wait(t, "user=default/guest")
	i = serving(t, catalogArg, "--external-caller-secret-file", file(t, "secret", secret), "--external-caller-user=default/jim")
	i.stderr.wait(t, "user=default/jim")
	i = serving(t, catalogArg, "--external-caller-secret-file", file(t, "secret", secret), "--external-caller-user=default/jane")
	if text := i.stderr.String(); strings.Contains(text, "WARN") {
		t.Errorf("warned of jane: %s", text)
	}
}
