package api_test

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/notifications-go/notifications/api"
)

func ExampleCreateBody() {
	err := json.NewEncoder(os.Stdout).Encode(api.CreateBody{
		Origin:      "ci",
		Title:       "Build 4711 failed",
		TargetUsers: []string{"default/jane"},
		Severity:    api.SeverityHigh,
		Expires:     api.Time{Time: time.Date(2025, 3, 21, 1, 0, 0, 0, time.FixedZone("CET", 3600))},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: {"origin":"ci","title":"Build 4711 failed","targetUsers":["default/jane"],"severity":"high","expires":"2025-03-21T00:00:00.000Z"}
}

func ExampleNotification() {
	const body = `[{"id":"019593fa-5d95-7c3a-9d21-6f0b8a4e5c17","created":"2025-03-14T09:26:53.589Z","readByUser":false,"isSystem":false,
		"origin":"ci","title":"Build 4711 failed","actions":[],"severity":"high","saved":false,"archived":false}]`
	var page []api.Notification
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		log.Fatal(err)
	}
	fmt.Println(page[0].Title, "at", page[0].Created)
	fmt.Println("expires:", !page[0].Expires.IsZero())
	// Output:
	// Build 4711 failed at 2025-03-14T09:26:53.589Z
	// expires: false
}
