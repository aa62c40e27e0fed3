package main

import (
	"bytes"
	"flag"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// load reads settings as the server does.
func load(args, environ []string) (*config, error) {
	return loadConfig(flag.NewFlagSet("test", flag.ContinueOnError), args, environ)
}

// samples returns three values for each setting. None is the default.
func samples(s setting) [3]string {
	switch {
	case s.name == "log-format":
		return [3]string{"json", "text", "json"}
	case s.name == "log-level":
		return [3]string{"debug", "warn", "error"}
	case s.name == "rate-limits":
		return [3]string{"reads=1", "reads=2", "reads=3"}
	case s.arg == "NETWORK":
		return [3]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	case s.arg == "":
		return [3]string{"true", "false", "true"}
	case s.arg == "N":
		return [3]string{"5", "6", "7"}
	case s.arg == "DURATION":
		return [3]string{"1s", "2s", "3s"}
	}
	return [3]string{"one", "two", "three"}
}

// bare returns a configuration without the places of its values.
func bare(c *config) config {
	b := *c
	b.file, b.places = "", nil
	return b
}

// Flags override the environment, which overrides the file: for every setting,
// with every combination of these.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	for _, s := range new(config).settings() {
		if s.name == "config" { // it names the file
			continue
		}
		values := samples(s)
		for combination := 1; combination < 1<<3; combination++ {
			var args, environ []string
			var strongest string
			if combination&1 != 0 {
				strongest = values[0]
				args = append(args, "--config", file(t, "notifyd.yaml", s.name+": "+strongest+"\n"))
			}
			if combination&2 != 0 {
				strongest = values[1]
				environ = append(environ, "PATH=/bin", s.environment()+"="+strongest)
			}
			if combination&4 != 0 {
				strongest = values[2]
				args = append(args, "--"+s.name+"="+strongest)
			}
			got, err := load(args, environ)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			want, err := load([]string{"--" + s.name + "=" + strongest}, nil)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if !reflect.DeepEqual(bare(got), bare(want)) {
				t.Errorf("%s from sources %03b: not the value %s of the strongest", s.name, combination, strongest)
			}
		}
	}
}

// Each row of the table sets a field of its own.
func TestEverySettingHasItsField(t *testing.T) {
	t.Parallel()
	defaults, err := load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	fieldOf := map[string]string{}
	for _, s := range new(config).settings() {
		if s.name == "config" {
			continue
		}
		changed, err := load([]string{"--" + s.name + "=" + samples(s)[0]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		before, after := reflect.ValueOf(bare(defaults)), reflect.ValueOf(bare(changed))
		for i := range before.NumField() {
			if fmt.Sprint(before.Field(i)) != fmt.Sprint(after.Field(i)) {
				fields = append(fields, before.Type().Field(i).Name)
			}
		}
		if len(fields) != 1 {
			t.Fatalf("%s changes the fields %q", s.name, fields)
		}
		if other := fieldOf[fields[0]]; other != "" {
			t.Errorf("%s and %s change the same field, %s", s.name, other, fields[0])
		}
		fieldOf[fields[0]] = s.name
	}
}

// The environment can name the file.
func TestConfigFileFromEnvironment(t *testing.T) {
	t.Parallel()
	path := file(t, "notifyd.yaml", "listen: localhost:1\n")
	c, err := load(nil, []string{"NOTIFYD_CONFIG=" + path})
	if err != nil {
		t.Fatal(err)
	}
	if c.listen != "localhost:1" || c.place("listen") != path+":1: listen" {
		t.Errorf("listen is %s from %s", c.listen, c.place("listen"))
	}
}

// Durations can be in days.
func TestDays(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d": 24 * time.Hour, "65535d": 65535 * 24 * time.Hour, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
	} {
		c, err := load([]string{"--retention=" + value, "--idle-timeout=" + value}, nil)
		if err != nil || c.retention != want || c.idleTimeout != want {
			t.Errorf("%s is %v and %v, %v", value, c.retention, c.idleTimeout, err)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	path := file(t, "notifyd.yaml", "catalog: [a, b]\nlegacy-key-file: one\ncors-origin:\n  - https://x\n  - https://y\n")
	c, err := load([]string{"--config=" + path, "--cors-origin", "p", "--cors-origin", "q,r"}, []string{"NOTIFYD_CATALOG=c,d,e"})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []struct {
		name      string
		got, want []string
	}{
		{"catalog", c.catalogFiles, []string{"c", "d", "e"}},
		{"legacy-key-file", c.legacyKeyFiles, []string{"one"}},
		{"cors-origin", c.corsOrigins, []string{"p", "q,r"}},
	} {
		if !slices.Equal(l.got, l.want) {
			t.Errorf("%s is %q, want %q", l.name, l.got, l.want)
		}
	}
}

// An invalid setting keeps notifyd from starting. The error names its place.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args, environ []string
		file          string // "PATH:" in want
		want          []string
	}{
		"unknown flag":              {args: []string{"--nope"}, want: []string{"-nope"}},
		"mistyped flag":             {args: []string{"--lisen=:1"}, want: []string{"-lisen, did you mean --listen?"}},
		"mistyped variable":         {environ: []string{"NOTIFYD_LISTNE=:1"}, want: []string{"NOTIFYD_LISTNE: there is no such setting, did you mean NOTIFYD_LISTEN?"}},
		"mistyped key":              {file: "listn: x\n", want: []string{"PATH:1: listn: there is no such setting, did you mean listen?"}},
		"flag without value":        {args: []string{"--listen"}, want: []string{"-listen"}},
		"argument":                  {args: []string{"--guest", "false"}, want: []string{`"false"`}},
		"flag given twice":          {args: []string{"--prefix=/a", "--prefix=/b"}, want: []string{"--prefix: takes one value, 2 are given"}},
		"unknown variable":          {environ: []string{"NOTIFYD_NOPE=1"}, want: []string{"NOTIFYD_NOPE: there is no such setting"}},
		"variable for policy":       {environ: []string{"NOTIFYD_POLICY=1"}, want: []string{"NOTIFYD_POLICY: there is no such setting"}},
		"lower case variable":       {environ: []string{"NOTIFYD_listen=1"}, want: []string{"NOTIFYD_listen: there is no such setting"}},
		"unknown key":               {file: "\nlisten: localhost:1\nnope: 1\n", want: []string{"PATH:3: nope: there is no such setting"}},
		"key with underscores":      {file: "log_level: info\n", want: []string{"PATH:1: log_level: there is no such setting"}},
		"config in the file":        {file: "config: x\n", want: []string{"PATH:1: config: cannot be given in the file"}},
		"duplicate key":             {file: "prefix: /a\nprefix: /b\n", want: []string{"PATH: [2:1]", "prefix"}},
		"two documents":             {file: "prefix: /a\n---\nguest: true\n", want: []string{"PATH: holds several documents"}},
		"no mapping":                {file: "- guest\n", want: []string{"PATH: does not consist of settings"}},
		"no YAML":                   {file: "prefix: \"\n", want: []string{"PATH: [1:9]"}},
		"null":                      {file: "prefix:\n", want: []string{"PATH:1: prefix: has no value"}},
		"list for a scalar":         {file: "prefix: [/a, /b]\n", want: []string{"PATH:1: prefix: takes one value, 2 are given"}},
		"mapping for a scalar":      {file: "prefix: {a: b}\n", want: []string{"PATH:1: prefix: must be a plain value"}},
		"alias":                     {file: "prefix: &a /a\n", want: []string{"PATH:1: prefix: must be a plain value"}},
		"merge key":                 {file: "<<: {guest: true}\n", want: []string{"PATH:1: <<: there is no such setting"}},
		"unknown key in a rule":     {file: "policy:\n  - allow: [notifications.list]\n    user: x\n", want: []string{"PATH:1: policy: [3:5]", `"user"`}},
		"policy is no list":         {file: "policy: {allow: x}\n", want: []string{"PATH:1: policy:"}},
		"missing file":              {args: []string{"--config=/does/not/exist"}, want: []string{"--config: open /does/not/exist"}},
		"empty flag":                {args: []string{"--jwks-url="}, want: []string{"--jwks-url: is empty"}},
		"empty variable":            {environ: []string{"NOTIFYD_JWKS_URL="}, want: []string{"NOTIFYD_JWKS_URL: is empty"}},
		"empty list":                {file: "catalog: []\n", want: []string{"PATH:1: catalog: is empty"}},
		"empty item":                {environ: []string{"NOTIFYD_CATALOG=a,,b"}, want: []string{"NOTIFYD_CATALOG: is empty"}},
		"duration without unit":     {file: "read-timeout: 30\n", want: []string{`PATH:1: read-timeout: "30" is not a duration`}},
		"no duration":               {args: []string{"--idle-timeout=soon"}, want: []string{`--idle-timeout: "soon" is not a duration`}},
		"zero duration":             {args: []string{"--write-timeout=0s"}, want: []string{`--write-timeout: "0s" is not a duration`}},
		"negative duration":         {args: []string{"--shutdown-timeout=-1s"}, want: []string{`--shutdown-timeout: "-1s" is not a duration`}},
		"half a day":                {args: []string{"--retention=0.5d"}, want: []string{`--retention: "0.5d" is not a duration`}},
		"days and hours":            {args: []string{"--retention=1d12h"}, want: []string{`--retention: "1d12h" is not a duration`}},
		"no days":                   {args: []string{"--retention=0d"}, want: []string{`--retention: "0d" is not a duration`}},
		"negative days":             {args: []string{"--retention=-1d"}, want: []string{`--retention: "-1d" is not a duration`}},
		"just the unit":             {args: []string{"--retention=d"}, want: []string{`--retention: "d" is not a duration`}},
		"too many days":             {args: []string{"--retention=65536d"}, want: []string{`--retention: "65536d" is not a duration`}},
		"no number":                 {environ: []string{"NOTIFYD_MAX_BODY_BYTES=1k"}, want: []string{`NOTIFYD_MAX_BODY_BYTES: "1k" is not a whole number from 1`}},
		"negative number":           {args: []string{"--database-min-conns=-1"}, want: []string{`--database-min-conns: "-1" is not a whole number from 0`}},
		"zero connections":          {args: []string{"--database-max-conns=0"}, want: []string{`--database-max-conns: "0" is not a whole number from 1`}},
		"no bool":                   {environ: []string{"NOTIFYD_GUEST=yes"}, want: []string{`NOTIFYD_GUEST: "yes" is neither true nor false`}},
		"overridden value":          {args: []string{"--log-level=info"}, environ: []string{"NOTIFYD_LOG_LEVEL=loud"}, want: []string{`NOTIFYD_LOG_LEVEL: "loud" is not one of debug, info, warn, error`}},
		"log format":                {args: []string{"--log-format=xml"}, want: []string{`--log-format: "xml" is not one of text, json`}},
		"listen on a port alone":    {args: []string{"--listen=7007"}, want: []string{`--listen: "7007" is not of the form HOST:PORT`}},
		"listen without a port":     {args: []string{"--listen=::1:"}, want: []string{`--listen: "::1:" is not of the form HOST:PORT`}},
		"listen on a host, outside": {args: []string{"--listen=10.0.0.1"}, want: []string{"--listen: 10.0.0.1:7007 can be reached from other machines"}},
		"listen on a strange port":  {args: []string{"--listen=localhost:65536"}, want: []string{`--listen: "65536" is not a port`}},
		"relative prefix":           {args: []string{"--prefix=api"}, want: []string{`--prefix: "api" is not a plain path`}},
		"prefix with a query":       {args: []string{"--prefix=/api?x"}, want: []string{`--prefix: "/api?x" is not a plain path`}},
		"certificate without key":   {file: "tls-cert: a.pem\n", want: []string{"PATH:1: tls-cert: needs --tls-key"}},
		"key without certificate":   {args: []string{"--tls-key=a.pem"}, want: []string{"--tls-key: needs --tls-cert"}},
		"every origin":              {args: []string{"--cors-origin=*"}, want: []string{`--cors-origin: "*" is not of the form`}},
		"wildcard origin":           {args: []string{"--cors-origin=https://*.example"}, want: []string{`--cors-origin: "https://*.example" is not of the form`}},
		"origin with a path":        {args: []string{"--cors-origin=https://a.example/"}, want: []string{`--cors-origin: "https://a.example/" is not of the form`}},
		"allowed host with a port":  {args: []string{"--allowed-host=inbox.example:80"}, want: []string{`--allowed-host: "inbox.example:80" is not the name or address of a host`}},
		"every host":                {args: []string{"--allowed-host=*"}, want: []string{`--allowed-host: "*" is not the name`}},
		"allowed host, no guests":   {args: []string{"--allowed-host=a", "--external-caller-secret-file=x"}, want: []string{"--allowed-host: is for a server that accepts guests"}},
		"database":                  {args: []string{"--database=notifications.db"}, want: []string{"--database: must be sqlite:PATH or postgres://"}},
		"database URL":              {args: []string{"--database=postgres://db:port/x"}, want: []string{"--database: ", "invalid port"}},
		"database without path":     {args: []string{"--database=sqlite:"}, want: []string{"--database: must be sqlite:PATH or postgres://"}},
		"password for a file":       {args: []string{"--database-password-file=x"}, want: []string{"--database-password-file: is for PostgreSQL"}},
		"replica of a file":         {args: []string{"--database-replica=postgres://db/x"}, want: []string{"--database-replica: needs --database postgres://"}},
		"replica in a file":         {args: []string{"--database=postgres://db/x", "--database-replica=sqlite:x"}, want: []string{"--database-replica: must be postgres://"}},
		"replica URL":               {environ: []string{"NOTIFYD_DATABASE=postgres://db/x", "NOTIFYD_DATABASE_REPLICA=postgres://db:port/x"}, want: []string{"NOTIFYD_DATABASE_REPLICA: ", "invalid port"}},
		"pool":                      {args: []string{"--database-min-conns=9", "--database-max-conns=8"}, want: []string{"--database-min-conns: 9 is more than --database-max-conns, 8"}},
		"two catalogs":              {args: []string{"--open-catalog", "--catalog=x"}, want: []string{"--open-catalog: cannot be combined with --catalog"}},
		"URL alone":                 {args: []string{"--jwks-url=https://a"}, want: []string{"--jwks-url: needs --jwt-issuer and --jwt-audience"}},
		"issuer alone":              {args: []string{"--jwt-issuer=a"}, want: []string{"--jwt-issuer: needs --jwks-url and --jwt-audience"}},
		"no audience":               {args: []string{"--jwks-url=https://a", "--jwt-issuer=a"}, want: []string{"--jwks-url: needs --jwt-audience"}},
		"claim alone":               {args: []string{"--jwt-user-claim=email"}, want: []string{"--jwt-user-claim: needs --jwks-url"}},
		"external user alone":       {args: []string{"--external-caller-user=default/jane"}, want: []string{"--external-caller-user: needs --external-caller-secret-file"}},
		"three secrets":             {environ: []string{"NOTIFYD_EXTERNAL_CALLER_SECRET_FILE=a,b,c"}, want: []string{"NOTIFYD_EXTERNAL_CALLER_SECRET_FILE: 3 files"}},
		"keys from a file, outside": {args: []string{"--jwks-url=file:x", "--jwt-issuer=a", "--jwt-audience=b", "--listen=:0"}, want: []string{"--jwks-url: keys from a file", "loopback"}},
		"keys over http":            {args: []string{"--jwks-url=http://issuer.example/jwks", "--jwt-issuer=a", "--jwt-audience=b"}, want: []string{"--jwks-url: http:// to another machine", "--jwks-insecure"}},
		"keys over HTTP":            {args: []string{"--jwks-url=HTTP://127.0.0.1.example/jwks", "--jwt-issuer=a", "--jwt-audience=b"}, want: []string{"--jwks-insecure"}},
		"missing file of keys":      {args: []string{"--jwks-url=file:/no/keys", "--jwt-issuer=a", "--jwt-audience=b"}, want: []string{"--jwks-url: ", "/no/keys: no such file"}},
		"broadcasts beside a policy": {args: []string{"--users-may-broadcast"}, file: "policy:\n  - allow: [notifications.list]\n    users: ['*']\n",
			want: []string{"--users-may-broadcast: is for a server without a policy"}},
		"all at once": {
			args: []string{"--read-timeout=1"}, environ: []string{"NOTIFYD_NOPE=1", "NOTIFYD_GUEST=2"}, file: "a: 1\nb: 2\n",
			want: []string{"--read-timeout:", "NOTIFYD_NOPE:", "NOTIFYD_GUEST:", "PATH:1: a:", "PATH:2: b:"},
		},
		"all rules at once": {
			args: []string{"--listen=x:y", "--prefix=x", "--tls-cert=x", "--database=x", "--open-catalog", "--catalog=x", "--jwt-issuer=x"},
			want: []string{"--listen:", "--prefix:", "--tls-cert:", "--database:", "--open-catalog:", "--jwt-issuer:"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := tt.args
			path := filepath.Join(t.TempDir(), "none")
			if tt.file != "" {
				path = file(t, "notifyd.yaml", tt.file)
				args = append(slices.Clone(args), "--config="+path)
			}
			var want []string
			for _, part := range tt.want {
				want = append(want, strings.ReplaceAll(part, "PATH:", path+":"))
			}
			refused(t, invoke(t, tt.environ, args...), exitUsage, want...)
		})
	}
}

// No message about settings contains a password.
func TestFaultsHoldNoPassword(t *testing.T) {
	t.Parallel()
	const password = "hunter2-and-more"
	url := "postgres://notifyd:" + password + "@db.example/notifications"
	for name, r := range map[string]result{
		"misspelt scheme": invoke(t, nil, "--database=postgre://notifyd:"+password+"@db.example/x"),
		"no scheme":       invoke(t, []string{"NOTIFYD_DATABASE=" + password}),
		"duplicate key":   invoke(t, nil, "--config="+file(t, "c.yaml", "database: "+url+"\nguest: true\nguest: true\n")),
		"no YAML":         invoke(t, nil, "--config="+file(t, "c.yaml", "database: "+url+"\nprefix: \"\n")),
		"bad rule":        invoke(t, nil, "--config="+file(t, "c.yaml", "database: "+url+"\npolicy:\n  - alow: x\n")),
		"bad replica":     invoke(t, nil, "--database="+url, "--database-replica="+strings.Replace(url, "@", "@@", 1)),
		"replica of none": invoke(t, nil, "--database-replica="+url),
		"replica scheme":  invoke(t, nil, "--database="+url, "--database-replica=postgre"+strings.TrimPrefix(url, "postgres")),
		"two values":      invoke(t, nil, "--database="+url, "--database="+url),
		"other fault":     invoke(t, nil, "--database="+url, "--log-level=x"),
	} {
		refused(t, r, exitUsage)
		if strings.Contains(r.stderr, password) {
			t.Errorf("%s: the password is in %q", name, r.stderr)
		}
	}
}

// A file may have CRLF line ends, a byte order mark, quotes and blocks.
func TestFileForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"prefix: /x\r\nguest: true\r\n",
		"\uFEFFprefix: /x\nguest: true\n",
		"# nothing\n\"prefix\": '/x' # why\nguest: 'true'\n",
		"{prefix: /x, guest: true}",
		"prefix: >-\n  /x\nguest: true\n",
		"---\nprefix: /x\nguest: true\n",
	} {
		c, err := load([]string{"--config=" + file(t, "c.yaml", text)}, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c.prefix != "/x" || !c.acceptsGuests() {
			t.Errorf("%q: prefix is %q", text, c.prefix)
		}
	}
	if _, err := load([]string{"--config=" + file(t, "c.yaml", "# nothing\n")}, nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// The help has every setting, every variable and every default.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"migrate", "--help"}, {"migrate", "-h"}, {"migrate", "export", "--help"}, {"migrate", "baseline", "-h"}, {"explain", "--help"}, {"erase-user", "--help"}} {
		r := invoke(t, nil, args...)
		if r.status != 0 || r.stderr != "" {
			t.Errorf("%q: exit status %d: %s", args, r.status, r.stderr)
		}
		for _, s := range new(config).settings() {
			for _, part := range []string{"\n  --" + s.name, s.help, "\n      " + s.environment(), s.def} {
				if !strings.Contains(r.stdout, part) {
					t.Errorf("%q: the help lacks %q", args, part)
				}
			}
		}
	}
	for word, cmd := range commands {
		var help bytes.Buffer
		cmd.help(&help)
		args := slices.DeleteFunc([]string{word, "--help"}, func(s string) bool { return s == "" })
		if r := invoke(t, nil, args...); r.status != 0 || r.stdout != help.String() {
			t.Errorf("%q: exit status %d, and other help", args, r.status)
		}
		words := strings.Fields("help " + word)
		if r := invoke(t, nil, words...); r.status != 0 || r.stdout != help.String() {
			t.Errorf("%q: exit status %d, and other help", words, r.status)
		}
		if word != "" && !strings.Contains(usage, "notifyd "+word) {
			t.Errorf("the help lacks the command %s", word)
		}
	}
	if r := invoke(t, nil, "dev-token", "--help"); !strings.Contains(r.stdout, "--expires DURATION") {
		t.Errorf("the help of dev-token is %q", r.stdout)
	}
}

// The rules in the help are valid.
func TestHelpOfPolicy(t *testing.T) {
	t.Parallel()
	_, example, found := strings.Cut(settingsHelp, "\n  policy:")
	c, err := load([]string{"--config=" + file(t, "notifyd.yaml", "policy:"+strings.ReplaceAll(example, "\n  ", "\n"))}, nil)
	if err != nil || !found || len(c.policy) != 2 {
		t.Fatalf("%d rules, %v", len(c.policy), err)
	}
	cat, err := loadCatalog(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPolicy(c, cat); err != nil {
		t.Error(err)
	}
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	refused(t, invoke(t, nil, "serve"), exitUsage, `"serve"`, "notifyd --help")
	refused(t, invoke(t, nil, "version", "--nope"), exitUsage, "-nope")
	refused(t, invoke(t, nil, "--version", "--nope"), exitUsage, "-version")
	refused(t, invoke(t, nil, "help", "serve"), exitUsage, `"serve"`, "notifyd --help")
	refused(t, invoke(t, nil, "migrate", "now"), exitUsage, `"migrate now"`, "notifyd migrate --help")
	refused(t, invoke(t, nil, "migrate", "--dry-run", "now"), exitUsage, `"now"`)
	refused(t, invoke(t, nil, "migrate", "--nope"), exitUsage, "-nope")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"version", "--version", "-version"} {
		r := invoke(t, nil, word)
		if r.status != 0 || !strings.HasPrefix(r.stdout, "notifyd ") || !strings.Contains(r.stdout, " go1.") {
			t.Errorf("%s: exit status %d: %q", word, r.status, r.stdout)
		}
	}
}

// A --listen without a port takes the default one.
func TestListenWithoutPort(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:7007", "localhost": "localhost:7007", "::1": "[::1]:7007", "[::1]": "[::1]:7007",
		"notifyd.example": "notifyd.example:7007", ":80": ":80", "localhost:80": "localhost:80", "[::1]:80": "[::1]:80",
	} {
		c, err := load([]string{"--listen=" + given}, nil)
		if err != nil || c.listen != want {
			t.Errorf("%s became %q, %v; want %s", given, c.listen, err, want)
		}
		if c.onLoopback() != (strings.Contains(want, "1]") || strings.HasPrefix(want, "127.") || strings.HasPrefix(want, "localhost")) {
			t.Errorf("%s is on loopback: %v", given, c.onLoopback())
		}
	}
}

func TestOnLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.1.2.3:80": true, "localhost:0": true, "[::1]:0": true, "[::ffff:127.0.0.1]:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "10.0.0.1:0": false, "notifyd:0": false,
		"localhost.example:0": false, "127.0.0.1.example:0": false,
	} {
		if got := (&config{listen: address}).onLoopback(); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
