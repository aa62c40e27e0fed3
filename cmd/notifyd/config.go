package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

// config holds all settings of notifyd.
type config struct {
	file string

	listen, prefix       string
	tlsCert, tlsKey      string
	corsOrigins          []string
	allowedHosts         []string
	logFormat, logLevel  string
	database             string
	databasePasswordFile string
	databaseReplica      string
	minConns, maxConns   int
	connIdleTimeout      time.Duration
	acquireTimeout       time.Duration
	databaseWait         time.Duration
	statementTimeout     time.Duration
	lockTimeout          time.Duration
	pgbouncer            bool
	bell                 string // "": depends on the database
	bellCredentials      string
	catalogFiles         []string
	openCatalog          bool

	jwksURL, jwtIssuer, jwtAudience, jwtUserClaim string
	jwksInsecure                                  bool
	jwksMaxStale, jwtMaxLifetime                  time.Duration
	secretFiles                                   []string
	externalUser                                  string
	legacyKeyFiles                                []string
	guest                                         *bool // nil: not given
	usersMayBroadcast                             *bool // nil: not given

	retention         time.Duration // zero: keep all
	purgeInterval     time.Duration
	idempotencyWindow time.Duration

	readHeaderTimeout, readTimeout, writeTimeout, idleTimeout time.Duration
	shutdownTimeout                                           time.Duration
	maxHeaderBytes, maxBodyBytes                              int
	streamMax, streamMaxPerUser                               int
	rateLimits                                                httpapi.RateLimits
	trustedProxies                                            []netip.Prefix

	// policy is the section policy of the file; nil if there is none.
	policy []notifications.Rule
	// places says where the value of each given setting comes from.
	places map[string]string
}

// setting is one row of the table of settings. Flags, environment, file and
// help all use the table.
type setting struct {
	name string // of the flag, and of the key in the file
	arg  string // the name of the value in the help; "" for a switch
	def  string // the default; "" for none
	many bool   // takes several values
	set  func(values []string) error
	help string
}

// environment returns the name of the setting's environment variable.
func (s setting) environment() string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// section is a part of the table, with its heading in the help.
type section struct {
	title    string
	settings []setting
}

// sections returns the table. Its settings write to c.
func (c *config) sections() []section {
	return []section{
		{"Server", []setting{
			{"listen", "HOST:PORT", "127.0.0.1:" + defaultPort, false, address(&c.listen), "Address to listen on; port 0 takes a free port. Without :PORT it is " + defaultPort + "."},
			{"prefix", "PATH", "/api/notifications", false, text(&c.prefix), "Path of the API. Paths without this prefix work too."},
			{"tls-cert", "FILE", "", false, text(&c.tlsCert), "Certificate with its chain, in PEM, read again on SIGHUP. With --tls-key, the server uses HTTPS."},
			{"tls-key", "FILE", "", false, text(&c.tlsKey), "Private key of the certificate, in PEM."},
			{"cors-origin", "ORIGIN", "", true, list(&c.corsOrigins), "Origin of web pages that may call the API, https://host[:port]."},
			{"allowed-host", "HOST", "", true, list(&c.allowedHosts), "Name of this server besides localhost, 127.0.0.1 and [::1], without a port. Where guests are accepted, other names are answered with 421."},
			{"log-format", "FORMAT", "text", false, oneOf(&c.logFormat, "text", "json"), "text or json; logs go to standard error."},
			{"log-level", "LEVEL", "info", false, oneOf(&c.logLevel, "debug", "info", "warn", "error"), "debug, info, warn or error."},
			{"config", "FILE", "", false, text(&c.file), "YAML file with settings (its keys are the names of the flags) and policy rules."},
		}},
		{"Database", []setting{
			{"database", "URL", "sqlite:notifications.db", false, text(&c.database), "sqlite:PATH or postgres://…; created if it does not exist. PG* variables complete the URL."},
			{"database-password-file", "FILE", "", false, text(&c.databasePasswordFile), "File with the password for PostgreSQL."},
			{"database-replica", "URL", "", false, text(&c.databaseReplica), "Streaming standby of --database, postgres://…, that answers lists and counts. It may be down. Password file and pool settings are those of --database."},
			{"database-min-conns", "N", "3", false, number(&c.minConns, 0), "Connections to PostgreSQL that are kept open."},
			{"database-max-conns", "N", "12", false, number(&c.maxConns, 1), "Largest number of connections to PostgreSQL."},
			{"database-idle-timeout", "DURATION", "60s", false, duration(&c.connIdleTimeout), "How long an unused connection to PostgreSQL is kept."},
			{"database-wait", "DURATION", "30s", false, duration(&c.databaseWait), "How long the start waits for a PostgreSQL that is not up yet."},
			{"database-acquire-timeout", "DURATION", "60s", false, duration(&c.acquireTimeout), "How long a request waits for a connection to PostgreSQL. After that it is answered with 503."},
			{"statement-timeout", "DURATION", "30s", false, duration(&c.statementTimeout), "How long PostgreSQL works on one statement of a request. Migrations and purges have no limit."},
			{"lock-timeout", "DURATION", "10s", false, duration(&c.lockTimeout), "How long a statement of a request waits for a lock in PostgreSQL."},
			{"pgbouncer", "", "false", false, toggle(&c.pgbouncer), "--database is PgBouncer, which refuses the two timeouts at connect, and may forget prepared statements: neither is used."},
		}},
		{"Several instances", []setting{
			{"bell", "postgres|URL|none", "", false, text(&c.bell), "How instances wake each other after a change: postgres (LISTEN and NOTIFY of --database), nats://HOST:PORT or tls://HOST:PORT of NATS servers, with commas between several, or none. Without it postgres on PostgreSQL and none on SQLite. Instances also look once in a second."},
			{"bell-credentials-file", "FILE", "", false, text(&c.bellCredentials), "Credentials for NATS (a .creds file), read at each connection. User and password can be in the URL."},
		}},
		{"Users and groups", []setting{
			{"catalog", "FILE", "", true, list(&c.catalogFiles), "Entity file with users and groups, read again on SIGHUP. Replaces the built-in example."},
			{"open-catalog", "", "false", false, toggle(&c.openCatalog), "Accept every name of a user or group; groups have no members."},
		}},
		{"Access", []setting{
			{"jwks-url", "URL", "", false, text(&c.jwksURL), "Public keys of the accepted tokens: https://…, or file:PATH if --listen is on loopback."},
			{"jwks-insecure", "", "false", false, toggle(&c.jwksInsecure), "Accept a --jwks-url http://… of another machine. Who can change what that machine answers can issue tokens."},
			{"jwks-max-stale", "DURATION", "1h", false, duration(&c.jwksMaxStale), "How long keys are used that no fetch has confirmed. After that tokens are answered with 503. An issuer that empties its key set revokes its tokens within this time."},
			{"jwt-issuer", "ISSUER", "", false, text(&c.jwtIssuer), "Required value of a token's claim iss."},
			{"jwt-audience", "AUDIENCE", "", false, text(&c.jwtAudience), "Required value of a token's claim aud, or one of its values."},
			{"jwt-max-lifetime", "DURATION", "90d", false, duration(&c.jwtMaxLifetime), "Longest time from a token's claim iat, or without it from now, to its claim exp."},
			{"jwt-user-claim", "CLAIM", "", false, text(&c.jwtUserClaim), "Claim that names the user. Without it the claim sub does, as user:namespace/name."},
			{"external-caller-secret-file", "FILE", "", true, list(&c.secretFiles), "File with a secret for the header notifications-secret, read again on SIGHUP. Give two files during a rotation."},
			{"external-caller-user", "REF", "", false, text(&c.externalUser), "User that holders of the secret act as. Without it they are a service and have no inbox."},
			{"legacy-key-file", "FILE", "", true, list(&c.legacyKeyFiles), "File with a base64 key of older Backstage service tokens (HS256), read again on SIGHUP."},
			{"guest", "", "", false, optionalToggle(&c.guest), "Accept requests without credentials as the user " + guestRef + ". On by default if no other way is configured and --listen is on loopback."},
			{"users-may-broadcast", "", "", false, optionalToggle(&c.usersMayBroadcast), "Let every user post to everybody. Without it services can, and on loopback the guest. Not together with a policy."},
		}},
		{"Notifications", []setting{
			{"retention", "DURATION", "", false, duration(&c.retention), "Remove notifications older than this, unless a user saved them. Without it they are never too old."},
			{"purge-interval", "DURATION", "1h", false, duration(&c.purgeInterval), "How often old, expired, withdrawn and replaced notifications are deleted. This also happens at the start."},
			{"idempotency-window", "DURATION", "168h", false, duration(&c.idempotencyWindow), "How long an idempotency key is remembered."},
		}},
		{"Limits", []setting{
			{"read-header-timeout", "DURATION", "10s", false, duration(&c.readHeaderTimeout), "Time to receive the head of a request."},
			{"read-timeout", "DURATION", "30s", false, duration(&c.readTimeout), "Time to receive a whole request. Streams last longer."},
			{"write-timeout", "DURATION", "75s", false, duration(&c.writeTimeout), "Time from the head of a request to the end of its answer. After nine tenths of it the answer is 503. Streams last longer."},
			{"idle-timeout", "DURATION", "2m", false, duration(&c.idleTimeout), "Time until an unused connection is closed."},
			{"shutdown-timeout", "DURATION", "30s", false, duration(&c.shutdownTimeout), "Time to finish requests in flight after SIGTERM or SIGINT."},
			{"max-header-bytes", "N", "65536", false, number(&c.maxHeaderBytes, 1), "Largest head of a request. A larger one is answered with 431."},
			{"max-body-bytes", "N", "1048576", false, number(&c.maxBodyBytes, 1), "Largest body of a request. A larger one is answered with 413."},
			{"rate-limits", "NAME=N,…", defaultRateLimits, false, rateLimits(&c.rateLimits), "Requests of one caller in a second (reads, marks, posts) and in an hour (posts-per-hour), and in a second those from one address without valid credentials (failures). Three seconds' worth may come at once; a search counts as ten reads, and 64 KiB of a list as one more. More are answered with 429. Also how many reads and how many writes of all callers are at work at once (reads-at-once, writes-at-once); others wait. A name that is left out, or is 0, has no limit; off is none at all."},
			{"stream-max", "N", strconv.Itoa(httpapi.DefaultStreams), false, number(&c.streamMax, 1), "Most streams at once. More are answered with 503."},
			{"stream-max-per-user", "N", strconv.Itoa(httpapi.DefaultStreamsPerUser), false, number(&c.streamMaxPerUser, 1), "Most streams of one user at once. More are answered with 429."},
			{"trusted-proxy", "NETWORK", "", true, networks(&c.trustedProxies), "Address or network (CIDR) of a proxy whose header X-Forwarded-For says where a request comes from."},
		}},
	}
}

// settings returns the rows of all sections.
func (c *config) settings() []setting {
	var all []setting
	for _, s := range c.sections() {
		all = append(all, s.settings...)
	}
	return all
}

// The kinds of settings. Each returns a function that stores the values of a
// setting, or returns their fault.

func text(to *string) func([]string) error {
	return scalar(to, func(s string) (string, error) { return s, nil })
}

// defaultPort is the port of a --listen without one.
const defaultPort = "7007"

// address takes HOST:PORT, or a host alone. It leaves everything else to
// checkListen.
func address(to *string) func([]string) error {
	return scalar(to, func(s string) (string, error) {
		_, err := netip.ParseAddr(strings.Trim(s, "[]"))
		_, notNumber := strconv.Atoi(s)
		if err == nil || !strings.Contains(s, ":") && notNumber != nil {
			return net.JoinHostPort(strings.Trim(s, "[]"), defaultPort), nil
		}
		return s, nil
	})
}

func list(to *[]string) func([]string) error {
	return func(values []string) error {
		if len(values) == 0 || slices.Contains(values, "") {
			return errEmpty
		}
		*to = values
		return nil
	}
}

func toggle(to *bool) func([]string) error {
	return scalar(to, parseBool)
}

func optionalToggle(to **bool) func([]string) error {
	return scalar(to, func(s string) (*bool, error) {
		b, err := parseBool(s)
		return &b, err
	})
}

func number(to *int, least int) func([]string) error {
	return scalar(to, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least {
			return 0, fmt.Errorf("%q is not a whole number from %d", s, least)
		}
		return n, nil
	})
}

func duration(to *time.Duration) func([]string) error {
	return scalar(to, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err != nil || d <= 0 {
			return 0, fmt.Errorf("%q is not a duration above zero, such as 500ms, 30s, 2m or 90d", s)
		}
		return d, nil
	})
}

// parseDuration is [time.ParseDuration] with whole days of 24 hours.
func parseDuration(s string) (time.Duration, error) {
	number, inDays := strings.CutSuffix(s, "d")
	if !inDays {
		return time.ParseDuration(s)
	}
	days, err := strconv.ParseUint(number, 10, 16) // at most 179 years; a Duration ends at 292
	return time.Duration(days) * 24 * time.Hour, err
}

func oneOf(to *string, choices ...string) func([]string) error {
	return scalar(to, func(s string) (string, error) {
		if !slices.Contains(choices, s) {
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(choices, ", "))
		}
		return s, nil
	})
}

// scalar takes one value, which must not be empty: an unset shell variable must
// not look like an absent setting.
func scalar[T any](to *T, parse func(string) (T, error)) func([]string) error {
	return func(values []string) error {
		if len(values) != 1 {
			return fmt.Errorf("takes one value, %d are given", len(values))
		}
		if values[0] == "" {
			return errEmpty
		}
		v, err := parse(values[0])
		if err != nil {
			return err
		}
		*to = v
		return nil
	}
}

var errEmpty = errors.New("is empty")

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// place names a setting as it was given: a flag, a variable, or a line of the
// file.
func (c *config) place(name string) string {
	if p, ok := c.places[name]; ok {
		return p
	}
	return "--" + name
}

// fault returns a fault of a setting's value.
func (c *config) fault(name, format string, args ...any) error {
	return fmt.Errorf("%s: %w", c.place(name), fmt.Errorf(format, args...))
}

// check reports the faults of settings that are valid alone but not together.
func (c *config) check() error {
	return errors.Join(c.checkServer(), c.checkDatabase(), c.checkBell(), c.checkCatalog(), c.checkAccess())
}

func (c *config) checkServer() error {
	var faults []error
	if err := checkListen(c.listen); err != nil {
		faults = append(faults, c.fault("listen", "%w", err))
	}
	if !strings.HasPrefix(c.prefix, "/") || strings.ContainsAny(c.prefix, "?#% ") {
		faults = append(faults, c.fault("prefix", "%q is not a plain path that begins with a slash", c.prefix))
	}
	if c.tlsCert != "" && c.tlsKey == "" {
		faults = append(faults, c.fault("tls-cert", "needs --tls-key"))
	}
	if c.tlsKey != "" && c.tlsCert == "" {
		faults = append(faults, c.fault("tls-key", "needs --tls-cert"))
	}
	faults = append(faults, c.checkHosts()...)
	for _, origin := range c.corsOrigins {
		// In the CORS library a star matches any characters.
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil || strings.Contains(origin, "*") {
			faults = append(faults, c.fault("cors-origin", "%q is not of the form https://host or https://host:port", origin))
		}
	}
	return errors.Join(faults...)
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not of the form HOST:PORT", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func (c *config) checkCatalog() error {
	if c.openCatalog && len(c.catalogFiles) > 0 {
		return c.fault("open-catalog", "cannot be combined with --catalog")
	}
	return nil
}

// onLoopback reports whether only this machine can reach the server.
func (c *config) onLoopback() bool {
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return false
	}
	return isLoopback(host)
}

// isLoopback reports whether the host is this machine, by its name or address.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// logger returns a logger that writes to w in the format and at the level of
// the settings.
func (c *config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.logLevel)) // the table allows only valid levels
	options := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
