package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The printed command starts a server that accepts the token, even if a shell
// would split a name.
func TestDevToken(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "jane's keys.json")
	r := invoke(t, nil, "dev-token", "--user=default/jane", "--keys", keys, "--issuer=me & you", "--audience=$everybody")
	if r.status != 0 || strings.Count(r.stdout, "\n") != 1 {
		t.Fatalf("exit status %d: %s%s", r.status, r.stdout, r.stderr)
	}
	const quoted = `'\''`
	want := "notifyd --jwks-url 'file:" + strings.ReplaceAll(keys, "'", quoted) + "' --jwt-issuer 'me & you' --jwt-audience '$everybody'\n"
	if !strings.HasSuffix(r.stderr, want) {
		t.Errorf("it prints %q", r.stderr)
	}
	i := serving(t, "--jwks-url", "file:"+keys, "--jwt-issuer", "me & you", "--jwt-audience", "$everybody")
	i.get(t, "/notifications", bearer(strings.TrimSpace(r.stdout))).want(t, http.StatusOK)
}

func TestDevTokenDefaults(t *testing.T) {
	t.Parallel()
	_, keys := issued(t, "--user=default/jane")
	r := invoke(t, nil, "dev-token", "--user=default/john", "--keys", keys)
	if want := "  notifyd --jwks-url file:" + keys + " --jwt-issuer notifyd-dev --jwt-audience notifications\n"; !strings.HasSuffix(r.stderr, want) {
		t.Errorf("it prints %q", r.stderr)
	}
}

// Keys are added to the file. None of them is private.
func TestDevTokenKeys(t *testing.T) {
	t.Parallel()
	const before = `{"keys": [{"kty": "RSA", "kid": "from elsewhere", "n": "AQAB", "e": "AQAB", "note": 1.50}]}`
	keys := file(t, "keys.json", before)
	issuedInto(t, keys, "--user=default/jane")
	issuedInto(t, keys, "--service=ci")
	data, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 3 || string(set.Keys[0]["kid"]) != `"from elsewhere"` || string(set.Keys[0]["note"]) != "1.50" {
		t.Errorf("the keys are %s", data)
	}
	if string(set.Keys[1]["kid"]) == string(set.Keys[2]["kid"]) {
		t.Error("two keys have one id")
	}
	for _, key := range set.Keys {
		if _, private := key["d"]; private {
			t.Errorf("a private key is in %s", data)
		}
	}
	others, err := filepath.Glob(filepath.Join(filepath.Dir(keys), "*"))
	if err != nil || len(others) != 1 {
		t.Errorf("beside the keys there are %q, %v", others, err)
	}
}

// The lifetime of a token can be in days.
func TestDevTokenExpires(t *testing.T) {
	t.Parallel()
	token, _ := issued(t, "--user=default/jane", "--expires=2d")
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		t.Fatal(err)
	}
	if lasts := claims.ExpiresAt.Sub(claims.IssuedAt.Time); lasts != 48*time.Hour {
		t.Errorf("it holds for %v", lasts)
	}
}

// A file that is not a key set stays as it is.
func TestDevTokenLeavesOtherFiles(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "hello", "{}", "[]", "null", `{"keys": 1}`, `{"dependencies": {}}`} {
		path := file(t, "package.json", content)
		refused(t, invoke(t, nil, "dev-token", "--user=default/jane", "--keys", path), exitFailure, path+": is not a key set and stays as it is")
		if data, err := os.ReadFile(path); err != nil || string(data) != content {
			t.Errorf("%q became %q, %v", content, data, err)
		}
	}
	refused(t, invoke(t, nil, "dev-token", "--user=default/jane", "--keys=/no/directory/keys.json"), exitFailure, "/no/directory")
}

func TestRefusedDevToken(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--user or --service is required":            {},
		"--user and --service exclude each other":    {"--user=default/jane", "--service=ci"},
		`--user: "jane" is not of the form`:          {"--user=jane"},
		`--user: "group:a/b" is not of the form`:     {"--user=group:a/b"},
		`--user: "a/b/c" is not of the form`:         {"--user=a/b/c"},
		`--user: "/jane" is not of the form`:         {"--user=/jane"},
		`--service: "default/jane" contains`:         {"--service=default/jane"},
		`--service: "user:jane" contains`:            {"--service=user:jane"},
		`--service: "external" is a built-in`:        {"--service=external"},
		"--keys: is empty":                           {"--user=default/jane", "--keys="},
		"--issuer: is empty":                         {"--user=default/jane", "--issuer="},
		"--audience: is empty":                       {"--user=default/jane", "--audience="},
		"--expires: 0s is not above zero":            {"--user=default/jane", "--expires=0"},
		`invalid value "soon" for flag -expires`:     {"--user=default/jane", "--expires=soon"},
		`unexpected argument "default/jane"`:         {"default/jane"},
		"flag provided but not defined: -listen":     {"--user=default/jane", "--listen=:1"},
		"flag needs an argument: -user":              {"--user"},
		"--user: \"user:\" is not of the form":       {"--user=user:"},
		"--user: \"default/\" is not of the form":    {"--user=default/"},
		"--user: \"default/a:b\" is not of the form": {"--user=default/a:b"},
	} {
		refused(t, invoke(t, nil, append([]string{"dev-token"}, args...)...), exitUsage, want)
	}
}
