package main

import (
	_ "embed"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/httpapi"
)

//go:embed page.html
var page []byte

// routes are the host's, and those of the inbox under /api/notifications.
func (a *app) routes() (http.Handler, error) {
	inbox, err := httpapi.New(a.inbox, httpapi.Config{Identify: a.identify, Logger: a.log})
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Mount("/api/notifications", inbox)
	r.Group(func(r chi.Router) {
		r.Use(http.NewCrossOriginProtection().Handler) // the inbox has its own
		r.Get("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
		r.Post("/sign-in", a.handle(a.signIn))
		r.Post("/sign-out", a.handle(a.signOut))
		r.Post("/users", a.handle(a.admins(a.postUser)))
		r.Delete("/users/{name}", a.handle(a.admins(a.deleteUser)))
		r.Post("/teams/{team}/posts", a.handle(a.postToTeam))
	})
	return r, nil
}

type handler func(w http.ResponseWriter, r *http.Request) error

func (a *app) postUser(w http.ResponseWriter, r *http.Request) error {
	err := a.addUser(r.Context(), newUser{
		name: r.PostFormValue("name"), password: r.PostFormValue("password"), team: r.PostFormValue("team"), role: "member",
	})
	if err == nil {
		w.WriteHeader(http.StatusCreated)
	}
	return err
}

func (a *app) deleteUser(w http.ResponseWriter, r *http.Request) error {
	err := a.removeUser(r.Context(), chi.URLParam(r, "name"))
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// postToTeam posts as who asks; roles decides whether they may.
func (a *app) postToTeam(w http.ResponseWriter, r *http.Request) error {
	who, err := a.identify(r)
	if err != nil {
		return err
	}
	_, err = a.inbox.Post(r.Context(), who, notifications.Draft{
		Origin: "teams", Title: r.PostFormValue("title"), To: notifications.Groups(chi.URLParam(r, "team")),
	})
	if err == nil {
		w.WriteHeader(http.StatusCreated)
	}
	return err
}

// admins lets nobody else in.
func (a *app) admins(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := a.identify(r)
		if err != nil {
			return err
		}
		if who.IsZero() {
			return notifications.ErrUnauthenticated
		}
		admin, err := a.people.isAdmin(r.Context(), who.Name)
		if err != nil {
			return err
		}
		if !admin {
			return notifications.ErrForbidden
		}
		return next(w, r)
	}
}

// handle answers errors. Only what a caller sent wrongly is told.
func (a *app) handle(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := next(w, r)
		var invalid *notifications.InvalidError
		switch {
		case err == nil:
		case errors.As(err, &invalid):
			http.Error(w, invalid.Error(), http.StatusBadRequest)
		case errors.Is(err, notifications.ErrUnauthenticated):
			http.Error(w, "sign in first", http.StatusUnauthorized)
		case errors.Is(err, notifications.ErrForbidden):
			http.Error(w, "not allowed", http.StatusForbidden)
		case errors.Is(err, notifications.ErrNotFound):
			http.Error(w, "not found", http.StatusNotFound)
		default:
			a.log.Error("request failed", "path", r.URL.Path, "error", err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	}
}
