package httpapi

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// OpenAPI is the OpenAPI 3.0 document of the operations. The handler serves it
// at openapi.yaml under the prefix.
//
//go:embed openapi.yaml
var OpenAPI []byte

// route is one operation of the API.
type route struct {
	operationID string // as in openapi.yaml
	method      string
	path        string // under the prefix
	public      bool   // needs no identity
	stream      bool   // may last longer than Config.Timeout
	// permission is the first permission that the service asks for. The handler
	// asks for it only after invalid input: a caller who lacks it must not
	// learn what is wrong.
	permission notifications.Permission
	handle     func(a *api, w http.ResponseWriter, r *http.Request, who notifications.Identity) error
}

// routes lists every operation.
var routes = []route{
	{"createNotification", "POST", "/notifications", false, false, notifications.PermissionCreate, (*api).createNotification},
	{"getNotifications", "GET", "/notifications", false, false, notifications.PermissionList, (*api).getNotifications},
	{"getNotificationsCount", "GET", "/notifications/count", false, false, notifications.PermissionList, (*api).getNotificationsCount},
	{"setRead", "PUT", "/notifications/read", false, false, notifications.PermissionUpdateRead, (*api).setRead},
	{"setState", "PUT", "/notifications/state", false, false, notifications.PermissionUpdateRead, (*api).setState},
	{"getStatus", "GET", "/notifications/status", false, false, notifications.PermissionList, (*api).getStatus},
	{"getTopics", "GET", "/notifications/topics", false, false, notifications.PermissionList, (*api).getTopics},
	{"streamNotifications", "GET", "/notifications/stream", false, true, notifications.PermissionList, (*api).streamNotifications},
	{"withdrawByScope", "POST", "/notifications/withdraw", false, false, notifications.PermissionDelete, (*api).withdrawByScope},
	{"getNotification", "GET", "/notifications/{id}", false, false, notifications.PermissionList, (*api).getNotification},
	{"withdrawNotification", "DELETE", "/notifications/{id}", false, false, notifications.PermissionDelete, (*api).withdrawNotification},
	{"getReach", "GET", "/notifications/{id}/reach", false, false, notifications.PermissionReach, (*api).getReach},
	{"getOpenAPI", "GET", "/openapi.yaml", true, false, "", (*api).getOpenAPI},
	{"getHealth", "GET", "/healthz", true, false, "", (*api).getHealth},
	{"getReadiness", "GET", "/readyz", true, false, "", (*api).getReadiness},
}

// routesByPath groups the table: path → method → route. HEAD is handled as GET;
// net/http drops the body.
func routesByPath() map[string]map[string]route {
	paths := map[string]map[string]route{}
	for _, rt := range routes {
		if paths[rt.path] == nil {
			paths[rt.path] = map[string]route{}
		}
		paths[rt.path][rt.method] = rt
		if rt.method == http.MethodGet {
			paths[rt.path][http.MethodHead] = rt
		}
	}
	return paths
}

// methods serves the routes of one path.
func (a *api) methods(byMethod map[string]route) http.Handler {
	allowed := []string{http.MethodOptions}
	for method := range byMethod {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rt, found := byMethod[r.Method]
		switch {
		case found:
			a.run(rt, w, r)
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", allow)
			writeProblem(w, wire.Problem{Status: http.StatusMethodNotAllowed, Detail: "the path does not support this method, it supports " + allow})
		}
	})
}

// run handles one operation. It identifies the caller before anything else.
func (a *api) run(rt route, w http.ResponseWriter, r *http.Request) {
	noteOperation(r, rt.operationID)
	if a.timeout > 0 && !rt.stream {
		ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	var who notifications.Identity
	var err error
	if !rt.public {
		w.Header().Set("Cache-Control", "private, no-cache")
		w.Header().Add("Vary", "Authorization, Cookie, "+wire.SecretHeader)
		who, err = a.identify(r)
		noteCaller(r, who)
		r = withMarked(r)
		if err == nil {
			err = a.rates.allow(r.Context(), rt, who)
		}
	}
	if err == nil {
		err = rt.handle(a, w, r, who)
		if err != nil && isInputError(err) {
			err = a.afterPermission(r, rt, who, err)
		}
	}
	if err != nil {
		a.answerError(w, r, err)
	}
}

// answerError writes the problem that an error is.
func (a *api) answerError(w http.ResponseWriter, r *http.Request, err error) {
	noteError(r, err)
	p := problemOf(err)
	if p.Status == http.StatusUnauthorized {
		p.Detail = a.who.challenge(w)
	}
	setRetryAfter(w, err)
	a.rates.delay(r.Context(), err)
	writeProblem(w, p)
}

// afterPermission returns the input error to a caller who has the permission,
// and to others the error that they lack it. Of what the service has read, it has
// asked itself, about the input.
func (a *api) afterPermission(r *http.Request, rt route, who notifications.Identity, inputError error) error {
	if rt.public || errors.As(inputError, new(answeredError)) {
		return inputError
	}
	if err := a.svc.Authorize(r.Context(), who, rt.permission); err != nil {
		return err
	}
	return inputError
}
