package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/database"
	"gorm.io/gorm"
)

// openDatabase returns a new SQLite file, in place of the host's database.
func openDatabase() (db *gorm.DB, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	if db, err = database.OpenSQLite(filepath.Join(dir, "example.db")); err != nil {
		panic(err)
	}
	return db, func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
		_ = os.RemoveAll(dir)
	}
}

func Example() {
	ctx := context.Background()
	db, remove := openDatabase()
	defer remove()

	teams := func(_ context.Context, user string) ([]string, error) {
		return map[string][]string{"jane": {"ops"}, "john": {"ops"}}[user], nil
	}
	svc, err := notifications.New(notifications.Config{
		DB: db, Catalog: catalog.Open(teams), Policy: notifications.AllowAll{},
	})
	if err != nil {
		panic(err)
	}
	if err := svc.Migrate(ctx); err != nil {
		panic(err)
	}

	ci, jane := notifications.ServiceAccount("ci"), notifications.User("jane")
	posted, err := svc.Post(ctx, ci, notifications.Draft{
		Origin: "ci", Title: "Build 7 is done",
		To: notifications.Groups("ops").And(notifications.Users("kim")),
	})
	if err != nil {
		panic(err)
	}
	if err := svc.MarkRead(ctx, jane, posted.ID, true); err != nil {
		panic(err)
	}
	for _, user := range []string{"jane", "john", "kim", "eve"} {
		unread, err := svc.Count(ctx, notifications.User(user), notifications.Filter{Read: notifications.Unread})
		if err != nil {
			panic(err)
		}
		page, err := svc.List(ctx, notifications.User(user), notifications.ListQuery{Limit: 10})
		if err != nil {
			panic(err)
		}
		fmt.Println(user, "sees", len(page.Items), "of which unread", unread)
	}
	// Output:
	// jane sees 1 of which unread 0
	// john sees 1 of which unread 1
	// kim sees 1 of which unread 1
	// eve sees 0 of which unread 0
}

// An InvalidError reports all faults at once, with the names of the fields.
func ExampleInvalidError() {
	ctx := context.Background()
	db, remove := openDatabase()
	defer remove()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}})
	if err != nil {
		panic(err)
	}
	_, err = svc.Post(ctx, notifications.ServiceAccount("ci"), notifications.Draft{
		Title:   "Build 7 is done",
		Actions: []notifications.ActionDraft{{Title: "Open", URL: "javascript:alert(1)"}},
	})
	var invalid *notifications.InvalidError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			fmt.Println(f.Field, f.Reason)
		}
	}
	// Output:
	// Origin is required and must not be empty
	// Actions[0].URL has scheme "javascript", only http and https are accepted
	// To is empty: name Users or Groups, or say Everyone
}

// New reports every missing setting, and what to use.
func ExampleNew_mistakes() {
	_, err := notifications.New(notifications.Config{})
	fmt.Println(err)
	// Output:
	// notifications: Config.DB is required
	// notifications: Config.Catalog is required; catalog.Open takes users on trust
	// notifications: Config.Policy is required; AllowAll permits everything to everybody
}
