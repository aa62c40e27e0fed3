// The program calls every operation with the client oapi-codegen generates. Its
// arguments are the address of a server with an empty inbox and a token.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"time"

	"github.com/notifications-go/notifications/internal/generatortest/generated"
)

func main() {
	ctx := context.Background()
	client, err := generated.NewClientWithResponses(os.Args[1], generated.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+os.Args[2])
		return nil
	}))
	check(err)
	id := post(ctx, client)
	read(ctx, client, id)
	mark(ctx, client, id)
	end(ctx, client, id)
	askServer(ctx, client)
}

func post(ctx context.Context, client *generated.ClientWithResponses) (id string) {
	severity := generated.CreateBodySeverityHigh
	created, err := client.CreateNotificationWithResponse(ctx, &generated.CreateNotificationParams{IdempotencyKey: new("key")}, generated.CreateBody{
		Origin: "ci", Title: "Build failed", Topic: new("builds"), TargetUsers: &[]string{"jane"}, Scope: new("main"), Severity: &severity,
		Expires: new(time.Now().Add(time.Hour)), Metadata: &map[string]any{"branch": "main"},
	})
	check(err)
	equal("created", created.StatusCode(), http.StatusOK)
	faulty, err := client.CreateNotificationWithResponse(ctx, nil, generated.CreateBody{Origin: "ci"})
	check(err)
	equal("faulty", faulty.StatusCode(), http.StatusBadRequest)
	equal("faulty", (*faulty.ApplicationproblemJSON400.Errors)[0].Field, "title")
	return created.JSON200.MessageId
}

func read(ctx context.Context, client *generated.ClientWithResponses, id string) {
	severity, order := generated.GetNotificationsParamsMinSeverityHigh, generated.GetNotificationsParamsOrderByTitle
	list, err := client.GetNotificationsWithResponse(ctx, &generated.GetNotificationsParams{
		MinSeverity: &severity, OrderBy: &order, PageSize: new(5), Topic: new("builds"), CreatedAfter: new(time.Now().Add(-time.Hour)),
	})
	check(err)
	equal("list", list.StatusCode(), http.StatusOK)
	equal("list", len(*list.JSON200), 1)
	listed := (*list.JSON200)[0]
	equal("listed", listed.Id, id)
	equal("listed", *listed.Metadata, map[string]any{"branch": "main"})
	again, err := client.GetNotificationsWithResponse(ctx, &generated.GetNotificationsParams{
		MinSeverity: &severity, OrderBy: &order, PageSize: new(5), Topic: new("builds"), IfNoneMatch: &list.Headers200.ETag,
	})
	check(err)
	equal("list again", again.StatusCode(), http.StatusNotModified)
	one, err := client.GetNotificationWithResponse(ctx, id, nil)
	check(err)
	equal("one", *one.JSON200, listed)
	count, err := client.GetNotificationsCountWithResponse(ctx, &generated.GetNotificationsCountParams{Read: new(false)})
	check(err)
	equal("count", count.JSON200.Count, int64(1))
	topics, err := client.GetTopicsWithResponse(ctx, nil)
	check(err)
	equal("topics", topics.JSON200.Topics, []generated.TopicCount{{Topic: "builds", Unread: 1, Total: 1}})
	equal("origins", topics.JSON200.Origins, []generated.OriginCount{{Origin: "ci", Unread: 1, Total: 1}})
}

func mark(ctx context.Context, client *generated.ClientWithResponses, id string) {
	marked, err := client.SetReadWithResponse(ctx, &generated.SetReadParams{MessageId: id, Read: true})
	check(err)
	equal("marked", marked.StatusCode(), http.StatusOK)
	filter := generated.StateFilter{Topic: new("builds"), Read: new(generated.StateFilter_Read)}
	check(filter.Read.FromStateFilterRead0(true))
	updated, err := client.SetStateWithResponse(ctx, generated.StateBody{Filter: &filter, Saved: new(true)})
	check(err)
	equal("updated", updated.JSON200.Updated, int64(1))
	status, err := client.GetStatusWithResponse(ctx, nil)
	check(err)
	equal("status", *status.JSON200, generated.Status{Read: 1, Saved: 1})
	reach, err := client.GetReachWithResponse(ctx, id)
	check(err)
	equal("reach", reach.JSON200.Audiences, []generated.Audience{{Audience: "user:jane", Size: new(1)}})
	equal("reach", reach.JSON200.Read, int64(1))
}

func end(ctx context.Context, client *generated.ClientWithResponses, id string) {
	withdrawn, err := client.WithdrawByScopeWithResponse(ctx, generated.WithdrawBody{Origin: "ci", Scope: "main"})
	check(err)
	equal("withdrawn", withdrawn.JSON200.Withdrawn, int64(1))
	gone, err := client.WithdrawNotificationWithResponse(ctx, id)
	check(err)
	equal("gone", gone.StatusCode(), http.StatusNotFound)
	equal("gone", gone.ApplicationproblemJSON404.Status, http.StatusNotFound)
}

func askServer(ctx context.Context, client *generated.ClientWithResponses) {
	health, err := client.GetHealthWithResponse(ctx)
	check(err)
	equal("health", health.JSON200.Status, generated.Ok)
	ready, err := client.GetReadinessWithResponse(ctx)
	check(err)
	equal("readiness", ready.JSON200.Status, generated.Ok)
	document, err := client.GetOpenAPIWithResponse(ctx)
	check(err)
	equal("document", bytes.Contains(document.Body, []byte("openapi: 3")), true) // it decodes no YAML into a file
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s: got %+v, want %+v", what, got, want))
	}
}
