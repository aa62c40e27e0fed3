// Gorillamux embeds the inbox into a backend on gorilla/mux, under
// /api/notifications beside the host's own routes, with the host's users and
// groups, policy and logger.
//
//	go run ./examples/gorillamux
//	curl -H 'X-User: jane' http://127.0.0.1:8080/deploy
//	curl -H 'X-User: john' http://127.0.0.1:8080/api/notifications/notifications
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/gorilla/mux"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", which needs no cgo
)

func main() {
	handler, err := newHandler(context.Background(), "gorillamux.db", slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on http://127.0.0.1:8080")
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", handler))
}

// teams stands for the host's table of users and groups.
var teams = map[string][]string{"jane": {"ops"}, "john": {"ops"}, "kim": {}}

// members refuses who is not in the host's table; everybody else may read, and
// only ops may post.
type members struct{}

func (members) Decide(_ context.Context, r notifications.Request) (notifications.Decision, error) {
	groups, known := teams[r.Who.Name]
	posts := r.Permission == notifications.PermissionCreate || r.Permission == notifications.PermissionCreateSystem
	if !known || (posts && len(groups) == 0) {
		return notifications.Deny, nil
	}
	return notifications.Allow, nil
}

func newHandler(ctx context.Context, path string, logger *slog.Logger) (http.Handler, error) {
	db, err := gorm.Open(sqlite.New(sqlite.Config{
		DriverName: "sqlite", DSN: "file:" + path + "?_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate&_synchronous=FULL",
	}))
	if err != nil {
		return nil, err
	}
	svc, err := notifications.New(notifications.Config{
		DB:      db,
		Catalog: catalog.Open(func(_ context.Context, user string) ([]string, error) { return teams[user], nil }),
		Policy:  members{},
		Logger:  logger,
	})
	if err != nil {
		return nil, err
	}
	if err := svc.Migrate(ctx); err != nil {
		return nil, err
	}
	inbox, err := httpapi.New(svc, httpapi.Config{Logger: logger, Identify: func(r *http.Request) (notifications.Identity, error) {
		return caller(r), nil
	}})
	if err != nil {
		return nil, err
	}
	router := mux.NewRouter()
	router.PathPrefix("/api/notifications").Handler(inbox)
	router.HandleFunc("/deploy", func(w http.ResponseWriter, r *http.Request) {
		posted, err := svc.Post(r.Context(), caller(r), notifications.Draft{
			Origin: "deploy", Title: "A new version is live", To: notifications.Groups("ops"),
		})
		if err != nil {
			http.Error(w, "not announced", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintln(w, "announced as", posted.ID)
	})
	return router, nil
}

// caller stands for the host's authentication. A header proves nothing where
// no proxy sets it.
func caller(r *http.Request) notifications.Identity {
	user := r.Header.Get("X-User")
	if user == "" {
		return notifications.Identity{}
	}
	return notifications.User(user)
}
