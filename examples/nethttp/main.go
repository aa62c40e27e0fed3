// Nethttp embeds the inbox into a backend on net/http that has its own
// sessions: Identify reads the host's cookie, and users need no catalog.
//
//	go run ./examples/nethttp
//	curl -c jar 'http://127.0.0.1:8080/login?user=jane'
//	curl -b jar 'http://127.0.0.1:8080/api/notifications/notifications'
package main

import (
	"context"
	"crypto/rand"
	"log"
	"net/http"
	"sync"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", which needs no cgo
)

func main() {
	handler, err := newHandler(context.Background(), "nethttp.db")
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on http://127.0.0.1:8080")
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", handler))
}

func newHandler(ctx context.Context, path string) (http.Handler, error) {
	// The host's own database: what matters for SQLite is in its address.
	db, err := gorm.Open(sqlite.New(sqlite.Config{
		DriverName: "sqlite", DSN: "file:" + path + "?_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate&_synchronous=FULL",
	}))
	if err != nil {
		return nil, err
	}
	svc, err := notifications.New(notifications.Config{
		DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{},
	})
	if err != nil {
		return nil, err
	}
	if err := svc.Migrate(ctx); err != nil {
		return nil, err
	}
	var host sessions
	inbox, err := httpapi.New(svc, httpapi.Config{Identify: host.identify})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/notifications/", inbox)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		user := r.URL.Query().Get("user")
		http.SetCookie(w, &http.Cookie{Name: "session", Value: host.open(user), HttpOnly: true, SameSite: http.SameSiteLaxMode})
		_, err := svc.Post(r.Context(), notifications.ServiceAccount("shop"), notifications.Draft{
			Origin: "shop", Title: "Welcome, " + user, To: notifications.Users(user),
		})
		if err != nil {
			http.Error(w, "no welcome today", http.StatusInternalServerError)
		}
	})
	return mux, nil
}

// sessions stands for the sessions the host has.
type sessions struct {
	mu    sync.Mutex
	users map[string]string
}

func (s *sessions) open(user string) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]string{}
	}
	id = rand.Text()
	s.users[id] = user
	return id
}

// identify says who sends a request; nobody is the zero Identity.
func (s *sessions) identify(r *http.Request) (notifications.Identity, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return notifications.Identity{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user, known := s.users[cookie.Value]
	if !known {
		return notifications.Identity{}, nil
	}
	return notifications.User(user), nil
}
