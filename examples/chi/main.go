// Chi is a backend on chi and PostgreSQL that has users, teams, sessions and
// roles of its own, and now also an inbox:
//
//	createdb teams
//	export DATABASE_URL=postgres:///teams ADMIN_PASSWORD='correct horse'
//	go -C examples/chi run .
//
// A page to sign in and read is at http://127.0.0.1:8080. Or:
//
//	curl -c admin -d 'name=admin' -d "password=$ADMIN_PASSWORD" http://127.0.0.1:8080/sign-in
//	curl -b admin -d 'name=jane&password=battery+staple&team=ops' http://127.0.0.1:8080/users
//	curl -b admin -d 'title=Lunch is served' http://127.0.0.1:8080/teams/ops/posts
//	curl -c jane -d 'name=jane&password=battery+staple' http://127.0.0.1:8080/sign-in
//	curl -b jane http://127.0.0.1:8080/api/notifications/notifications
//
// people.go has what the inbox asks the host: who is who, and who may do what.
// app.go writes to the host's tables and the inbox in the same transactions.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/notifications-go/notifications"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := run(ctx, settings{
		databaseURL: os.Getenv("DATABASE_URL"), adminPassword: os.Getenv("ADMIN_PASSWORD"), listen: "127.0.0.1:8080", log: log,
		listening: func(addr string) { log.Info("listening", "url", "http://"+addr) },
	})
	if err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

type settings struct {
	databaseURL, adminPassword, listen string
	log                                *slog.Logger
	listening                          func(addr string) // called once requests are served
}

// run serves until ctx ends, and then finishes what it is doing.
func run(ctx context.Context, s settings) (err error) {
	db, err := gorm.Open(postgres.Open(s.databaseURL), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(10)

	a, err := newApp(ctx, db, s)
	if err != nil {
		return err
	}
	handler, err := a.routes()
	if err != nil {
		return err
	}

	// What the inbox does in the background ends before the pool is closed.
	background, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.inbox.Run(background); err != nil {
			s.log.Error("background", "error", err)
		}
	})
	defer wg.Wait()
	defer stop()
	return serve(ctx, handler, s)
}

// newApp makes the tables and what works on them.
func newApp(ctx context.Context, db *gorm.DB, s settings) (*app, error) {
	if err := db.WithContext(ctx).Exec(schema).Error; err != nil {
		return nil, err
	}
	host := people{db}
	inbox, err := notifications.New(notifications.Config{
		DB: db, Catalog: host, Policy: roles{host}, Logger: s.log,
		GroupHistory:  notifications.HistorySinceJoining, // members see what was posted since they joined
		SystemHistory: notifications.HistoryRead,         // and what is older than their account counts as read
		Retention:     90 * 24 * time.Hour,
	})
	if err != nil {
		return nil, err
	}
	if err := inbox.Migrate(ctx); err != nil {
		return nil, err
	}
	a := &app{db: db, people: host, inbox: inbox, log: s.log}
	return a, a.ensureAdmin(ctx, s.adminPassword)
}

// serve serves until ctx ends, and then lets the requests finish that are being
// served.
func serve(ctx context.Context, handler http.Handler, s settings) error {
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.listening(listener.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
