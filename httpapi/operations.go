package httpapi

import (
	"net/http"

	"github.com/notifications-go/notifications"
)

// The operations: each decodes, calls the service, and encodes.

func (a *api) createNotification(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	draft, err := a.decodeDraft(w, r)
	if err != nil {
		return err
	}
	id, err := a.svc.Post(r.Context(), who, draft)
	if err != nil {
		return err
	}
	return writeJSON(w, createdBody{MessageID: id, Msgid: id})
}

func (a *api) getNotifications(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	query, err := a.decodeList(r, who)
	if err != nil {
		return err
	}
	page, err := a.svc.List(r.Context(), who, query)
	if err != nil {
		return err
	}
	if page.Next != "" {
		w.Header().Set("Link", nextLink(r.URL.Query(), query, page.Next))
	}
	writeTaggedBody(w, r, encodeNotifications(page.Items))
	return nil
}

func (a *api) getNotificationsCount(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	filter, err := a.decodeCount(r, who)
	if err != nil {
		return err
	}
	n, err := a.svc.Count(r.Context(), who, filter)
	if err != nil {
		return err
	}
	return writeTagged(w, r, countBody{Count: n})
}

func (a *api) setRead(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	id, read, err := a.decodeSetRead(r, who)
	if err != nil {
		return err
	}
	if err := a.svc.MarkRead(r.Context(), who, id, read); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *api) getOpenAPI(w http.ResponseWriter, _ *http.Request, _ notifications.Identity) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, err := w.Write(OpenAPI)
	return err
}

func (a *api) getHealth(w http.ResponseWriter, _ *http.Request, _ notifications.Identity) error {
	return writeJSON(w, healthBody{Status: "ok"})
}

func (a *api) getReadiness(w http.ResponseWriter, r *http.Request, _ notifications.Identity) error {
	if err := a.svc.Ready(r.Context()); err != nil {
		return err
	}
	if err := a.who.ready(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, healthBody{Status: "ok"})
}
