package main

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bell/natsbell"
	"github.com/notifications-go/notifications/bell/pgbell"
)

// The values of --bell besides NATS URLs.
const (
	bellNone     = "none"
	bellPostgres = "postgres"
)

// bellKind is --bell, or its default for the database.
func (c *config) bellKind() string {
	switch {
	case c.bell != "":
		return c.bell
	case isPostgresURL(c.database):
		return bellPostgres
	}
	return bellNone
}

// checkBell never quotes the URL, because it may contain a password.
func (c *config) checkBell() error {
	var faults []error
	kind := c.bellKind()
	isNATS := kind != bellNone && kind != bellPostgres
	if kind == bellPostgres && !isPostgresURL(c.database) {
		faults = append(faults, c.fault("bell", "postgres needs --database postgres://…"))
	}
	if isNATS && !areNATSURLs(kind) {
		faults = append(faults, c.fault("bell", "must be postgres, none, or one or more of nats://HOST:PORT and tls://HOST:PORT with commas between them"))
	}
	if c.bellCredentials != "" && !isNATS {
		faults = append(faults, c.fault("bell-credentials-file", "needs --bell nats://…"))
	}
	return errors.Join(faults...)
}

// areNATSURLs reports whether s has URLs of NATS servers with commas between
// them.
func areNATSURLs(s string) bool {
	for one := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return false
		}
	}
	return true
}

// openBell returns the bell of --bell, nil for none, and a function that closes
// its connection. Its server may be away: the bell connects when it can. Errors
// and logs contain no password.
func openBell(c *config, log *slog.Logger) (notifications.Bell, func(), error) {
	nothing := func() {}
	switch c.bellKind() {
	case bellNone:
		return nil, nothing, nil
	case bellPostgres:
		bell, err := openPostgresBell(c, log)
		return bell, nothing, err
	}
	conn, err := connectNATS(c, log)
	if err != nil {
		return nil, nothing, err
	}
	bell, err := natsbell.New(conn, "")
	return bell, conn.Close, err
}

func openPostgresBell(c *config, log *slog.Logger) (notifications.Bell, error) {
	cfg, err := postgresConfig(c, log)
	if err != nil {
		return nil, err
	}
	conn, err := cfg.Conn()
	if err != nil {
		return nil, usageError{c.fault("database", "%w", err)}
	}
	return pgbell.New(pgbell.Config{Conn: conn, Logger: log})
}

func connectNATS(c *config, log *slog.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("notifyd"),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // rings from before are of no use
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(n *nats.Conn) { log.Info("the bell is connected to NATS", "server", n.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(n *nats.Conn) {
			log.Info("the bell is connected to NATS again", "server", n.ConnectedUrlRedacted())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the bell lost its connection to NATS and tries again; changes of other instances are found by polling", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS refuses the bell", "error", err)
		}),
	}
	if c.bellCredentials != "" {
		if _, err := readSecret(c.bellCredentials); err != nil {
			return nil, usageError{c.fault("bell-credentials-file", "%w", err)}
		}
		options = append(options, nats.UserCredentials(c.bellCredentials))
	}
	conn, err := nats.Connect(c.bellKind(), options...)
	if err != nil {
		return nil, usageError{c.fault("bell", "%w", err)}
	}
	if !conn.IsConnected() {
		log.Warn("the bell is not connected to NATS and tries again; changes of other instances are found by polling", "error", conn.LastError())
	}
	return conn, nil
}
