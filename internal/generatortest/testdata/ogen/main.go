// The program calls every operation with the client ogen generates. Its
// arguments are the address of a server with an empty inbox and a token.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/go-faster/jx"
	"github.com/notifications-go/notifications/internal/generatortest/generated"
	"github.com/ogen-go/ogen/ogenerrors"
)

// security has a token, and no shared secret.
type security struct{ token string }

func (s security) BearerToken(context.Context, generated.OperationName) (generated.BearerToken, error) {
	return generated.BearerToken{Token: s.token}, nil
}

func (security) SharedSecret(context.Context, generated.OperationName) (generated.SharedSecret, error) {
	return generated.SharedSecret{}, ogenerrors.ErrSkipClientSecurity
}

func main() {
	ctx := context.Background()
	client, err := generated.NewClient(os.Args[1], security{os.Args[2]})
	check(err)
	id := post(ctx, client)
	read(ctx, client, id)
	mark(ctx, client, id)
	end(ctx, client, id)
	askServer(ctx, client)
}

func post(ctx context.Context, client *generated.Client) (id string) {
	body := &generated.CreateBody{
		Origin: "ci", Title: "Build failed", Topic: generated.NewOptNilString("builds"), TargetUsers: []string{"jane"},
		Scope: generated.NewOptNilString("main"), Severity: generated.NewOptNilCreateBodySeverity(generated.CreateBodySeverityHigh),
		Expires:  generated.NewOptNilDateTime(time.Now().Add(time.Hour)),
		Metadata: generated.NewOptNilCreateBodyMetadata(generated.CreateBodyMetadata{"branch": jx.Raw(`"main"`)}),
	}
	params := generated.CreateNotificationParams{IdempotencyKey: generated.NewOptString("key")}
	created := answer[*generated.CreateNotificationOKHeaders](client.CreateNotification(ctx, body, params))
	body.Link = generated.NewOptNilString("ftp://example.com")
	faulty := answer[*generated.InvalidHeaders](client.CreateNotification(ctx, body, params))
	equal("faulty", faulty.Response.Errors[0].Field, "link")
	return created.Response.MessageId
}

func read(ctx context.Context, client *generated.Client, id string) {
	query := generated.GetNotificationsParams{
		MinSeverity: generated.NewOptMinSeverity(generated.MinSeverityHigh), OrderBy: generated.NewOptGetNotificationsOrderBy(generated.GetNotificationsOrderByTitle),
		PageSize: generated.NewOptInt(5), Topic: generated.NewOptString("builds"), CreatedAfter: generated.NewOptDateTime(time.Now().Add(-time.Hour)),
	}
	list := answer[*generated.NotificationsHeaders](client.GetNotifications(ctx, query))
	equal("list", len(list.Response), 1)
	listed := list.Response[0]
	equal("listed", listed.ID, id)
	equal("listed", listed.Metadata.Value, generated.NotificationMetadata{"branch": jx.Raw(`"main"`)})
	query.IfNoneMatch = generated.NewOptString(list.ETag)
	again := answer[*generated.ListNotModified](client.GetNotifications(ctx, query))
	equal("list again", again.ETag, list.ETag)
	one := answer[*generated.NotificationHeaders](client.GetNotification(ctx, generated.GetNotificationParams{ID: id}))
	equal("one", one.Response, listed)
	count := answer[*generated.GetNotificationsCountOKHeaders](client.GetNotificationsCount(ctx, generated.GetNotificationsCountParams{Read: generated.NewOptBool(false)}))
	equal("count", count.Response.Count, int64(1))
	topics := answer[*generated.TopicsHeaders](client.GetTopics(ctx, generated.GetTopicsParams{}))
	equal("topics", topics.Response.Topics, []generated.TopicCount{{Topic: "builds", Unread: 1, Total: 1}})
	equal("origins", topics.Response.Origins, []generated.OriginCount{{Origin: "ci", Unread: 1, Total: 1}})
}

func mark(ctx context.Context, client *generated.Client, id string) {
	answer[*generated.SetReadOK](client.SetRead(ctx, generated.SetReadParams{MessageId: id, Read: true}))
	updated := answer[*generated.UpdatedHeaders](client.SetState(ctx, &generated.StateBody{
		Filter: generated.NewOptNilStateFilter(generated.StateFilter{
			Topic: generated.NewOptNilString("builds"), Read: generated.NewOptNilStateFilterRead(generated.NewBoolStateFilterRead(true)),
		}),
		Saved: generated.NewOptNilBool(true),
	}))
	equal("updated", updated.Response.Updated, int64(1))
	status := answer[*generated.StatusHeaders](client.GetStatus(ctx, generated.GetStatusParams{}))
	equal("status", status.Response, generated.Status{Read: 1, Saved: 1})
	reach := answer[*generated.ReachHeaders](client.GetReach(ctx, generated.GetReachParams{ID: id}))
	equal("reach", reach.Response.Audiences, []generated.Audience{{Audience: "user:jane", Size: generated.NewOptInt(1)}})
	equal("reach", reach.Response.Read, int64(1))
}

func end(ctx context.Context, client *generated.Client, id string) {
	withdrawn := answer[*generated.WithdrawnHeaders](client.WithdrawByScope(ctx, &generated.WithdrawBody{Origin: "ci", Scope: "main"}))
	equal("withdrawn", withdrawn.Response.Withdrawn, int64(1))
	gone := answer[*generated.NotFoundHeaders](client.WithdrawNotification(ctx, generated.WithdrawNotificationParams{ID: id}))
	equal("gone", gone.Response.Status, 404)
}

func askServer(ctx context.Context, client *generated.Client) {
	health := answer[*generated.HealthHeaders](client.GetHealth(ctx))
	equal("health", health.Response.Status, generated.HealthStatusOk)
	ready := answer[*generated.HealthHeaders](client.GetReadiness(ctx))
	equal("readiness", ready.Response.Status, generated.HealthStatusOk)
	document, err := io.ReadAll(answer[*generated.GetOpenAPIOKHeaders](client.GetOpenAPI(ctx)).Response.Data)
	check(err)
	equal("document", strings.Contains(string(document), "openapi: 3"), true)
}

// answer returns the answer, which must be of type T.
func answer[T any](got any, err error) T {
	check(err)
	t, ok := got.(T)
	if !ok {
		panic(fmt.Sprintf("got %T %+v, want %T", got, got, t))
	}
	return t
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
