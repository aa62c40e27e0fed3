// Live shows new notifications as they come: in a page with EventSource, and in
// a Go program with Service.Watch.
//
//	go run ./examples/live
//	open http://127.0.0.1:8080/
//	curl -d title=Hello http://127.0.0.1:8080/post
package main

import (
	"context"
	_ "embed"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/httpapi"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", which needs no cgo
)

//go:embed page.html
var page []byte

var jane = notifications.User("jane")

func main() {
	ctx := context.Background()
	svc, handler, err := newHandler(ctx, "live.db")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(svc.Run(ctx)) }()
	go follow(ctx, svc, func(n notifications.Notification) { log.Printf("%s: %s", n.Origin, n.Title) })
	log.Println("listening on http://127.0.0.1:8080")
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", handler))
}

// follow calls act with each of jane's notifications, from now on. When a watch
// ends, it continues after the last event.
func follow(ctx context.Context, svc *notifications.Service, act func(notifications.Notification)) {
	var after notifications.Position
	for ctx.Err() == nil {
		for event, err := range svc.Watch(ctx, jane, notifications.WatchQuery{After: after}) {
			if err != nil {
				if !errors.Is(err, notifications.ErrUnavailable) {
					log.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond) // until Run has begun, or the database is back
				break
			}
			if event.Kind == notifications.EventNotification {
				act(event.Notification)
			}
			after = event.Position
		}
	}
}

func newHandler(ctx context.Context, path string) (*notifications.Service, http.Handler, error) {
	db, err := gorm.Open(sqlite.New(sqlite.Config{
		DriverName: "sqlite", DSN: "file:" + path + "?_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate&_synchronous=FULL",
	}))
	if err != nil {
		return nil, nil, err
	}
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		return nil, nil, err
	}
	if err := svc.Migrate(ctx); err != nil {
		return nil, nil, err
	}
	inbox, err := httpapi.New(svc, httpapi.Config{Guest: jane}) // read your session instead
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/notifications/", inbox)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("POST /post", func(w http.ResponseWriter, r *http.Request) {
		_, err := svc.Post(r.Context(), notifications.ServiceAccount("shop"), notifications.Draft{
			Origin: "shop", Title: r.FormValue("title"), To: notifications.Users(jane.Name),
		})
		if err != nil {
			http.Error(w, "not posted", http.StatusBadRequest)
		}
	})
	return svc, mux, nil
}
