package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/cors"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

// runServe serves until ctx ends.
func runServe(ctx context.Context, p process) error {
	c, err := loadConfig(flag.NewFlagSet("notifyd", flag.ContinueOnError), p.args, p.environ)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return usageError{err}
	}
	log := c.logger(p.stderr)
	s, err := start(ctx, c, log)
	if err != nil {
		if ctx.Err() != nil {
			log.Info("stopped while starting", "error", err)
			return nil
		}
		return err
	}
	fmt.Fprintln(p.stdout, startLine(c, s.listener.Addr()))
	return errors.Join(s.serve(ctx, p.hangup), s.close())
}

// startLine says where the server listens, which databases it uses, and which
// callers it accepts.
func startLine(c *config, address net.Addr) string {
	scheme := "http"
	if c.tlsCert != "" {
		scheme = "https"
	}
	replica := ""
	if c.databaseReplica != "" {
		replica = ", reads from the replica " + postgresName(c.databaseReplica)
	}
	return fmt.Sprintf("notifyd listens on %s://%s%s, uses the database %s%s, and accepts %s",
		scheme, address, strings.TrimRight(c.prefix, "/"), c.databaseName(), replica, c.acceptedCallers())
}

// server is a started notifyd.
type server struct {
	http     *http.Server
	listener net.Listener
	catalog  notifications.Catalog
	db       *gorm.DB
	probe    *gorm.DB // for readiness; nil for SQLite
	replica  *gorm.DB // nil if there is none
	svc      *notifications.Service
	log      *slog.Logger
	patience time.Duration // time for requests in flight at the end

	bell      notifications.Bell // nil if there is none
	closeBell func()

	reloaders []reloader // on SIGHUP, besides the catalog
}

// start does everything up to listening. It reads the files that the settings
// name before it opens the database.
func start(ctx context.Context, c *config, log *slog.Logger) (*server, error) {
	certificate, certificateErr := loadCertificate(c)
	cat, err := loadCatalog(c)
	var who access
	if err == nil {
		who, err = newAccess(ctx, c, cat, log)
	}
	if err := errors.Join(certificateErr, err); err != nil {
		return nil, usageError{err}
	}
	warnOfUnknownUsers(ctx, c, cat, log)
	if err := migrate(ctx, c, cat, log); err != nil {
		return nil, err
	}
	db, probe, err := openServing(ctx, c, log)
	if err != nil {
		return nil, err
	}
	replica, err := openReplica(ctx, c, db, log)
	if err != nil {
		return nil, errors.Join(err, closeDatabase(probe), closeDatabase(db))
	}
	bell, closeBell, err := openBell(c, log)
	if err != nil {
		return nil, errors.Join(err, closeDatabase(replica), closeDatabase(probe), closeDatabase(db))
	}
	s := &server{
		catalog: cat, db: db, probe: probe, replica: replica, bell: bell, closeBell: closeBell, log: log, patience: c.shutdownTimeout, reloaders: who.reloaders,
	}
	if certificate != nil {
		s.reloaders = append(s.reloaders, reloader{"the certificate and its key", func() error { return certificate.read(c) }})
	}
	if err := s.listen(ctx, c, who, certificate); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) close() error {
	s.closeBell()
	return errors.Join(closeDatabase(s.replica), closeDatabase(s.probe), closeDatabase(s.db))
}

// listen creates the HTTP server, and starts to listen.
func (s *server) listen(ctx context.Context, c *config, who access, certificate *certificateSlot) error {
	var err error
	s.svc, err = notifications.New(notifications.Config{
		DB: s.db, Probe: s.probe, MaxReads: c.maxReads(), Replica: s.replica, Catalog: s.catalog, Policy: who.policy, Logger: s.log,
		IdempotencyWindow: c.idempotencyWindow, Retention: c.retention, PurgeInterval: c.purgeInterval, Bell: s.bell,
	})
	if err != nil {
		return err
	}
	api, err := httpapi.New(s.svc, httpapi.Config{
		Prefix:         c.prefix,
		Verifier:       who.verifier,
		Secrets:        who.secrets,
		Guest:          who.guest,
		TrustedOrigins: c.corsOrigins,
		MaxBodyBytes:   int64(c.maxBodyBytes),
		RateLimits:     c.rateLimits,
		Timeout:        c.writeTimeout * 9 / 10, // a client that waits too long gets an answer before its connection is closed
		Streams:        c.streamMax,
		StreamsPerUser: c.streamMaxPerUser,
		TrustedProxies: c.trustedProxies,
		Logger:         s.log,
	})
	if err != nil {
		return err
	}
	s.http = newHTTPServer(c, api, s.log)
	if certificate != nil {
		s.http.TLSConfig = certificate.config()
	}
	s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.listen)
	return err
}

func newHTTPServer(c *config, api http.Handler, log *slog.Logger) *http.Server {
	if c.acceptsGuests() {
		api = allowHosts(api, c.prefix, c.allowedHosts, log)
	}
	return &http.Server{
		Handler:           allowOrigins(api, c.corsOrigins),
		ReadHeaderTimeout: c.readHeaderTimeout,
		ReadTimeout:       c.readTimeout,
		WriteTimeout:      c.writeTimeout,
		IdleTimeout:       c.idleTimeout,
		MaxHeaderBytes:    c.maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// allowOrigins lets web pages of other origins call the API (CORS). Callers are
// never identified by credentials that the browser adds itself, so those are
// not allowed.
func allowOrigins(next http.Handler, origins []string) http.Handler {
	if len(origins) == 0 { // the library would allow all origins
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "X-Request-Id"},
		ExposedHeaders: []string{"ETag", "Link", "Notifications-Poll-Interval", "Notifications-Position", "Retry-After", "X-Request-Id"},
		MaxAge:         int((10 * time.Minute).Seconds()),
	}).Handler(next)
}

// serve handles requests until ctx ends, and then finishes those in flight. The
// background work ends, and streams with it, once no more connections are
// taken: clients reconnect to another server. It has ended before the databases
// are closed.
func (s *server) serve(ctx context.Context, hangup <-chan os.Signal) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.http.RegisterOnShutdown(stop)
	var background sync.WaitGroup
	background.Go(func() {
		if err := s.svc.Run(running); err != nil {
			s.log.Error("the background work ended", "error", err)
		}
	})
	defer background.Wait()
	defer stop()

	ended := make(chan error, 1)
	go func() { ended <- s.accept() }()
	for {
		select {
		case <-hangup:
			s.reload()
		case err := <-ended:
			return err
		case <-ctx.Done():
			return s.shutDown()
		}
	}
}

func (s *server) accept() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// shutDown finishes the requests in flight, or cuts them off after s.patience.
func (s *server) shutDown() error {
	s.log.Info("shutting down: requests in flight are finished, new ones are refused")
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", s.patience, err), s.http.Close())
	}
	return nil
}
