package httpapi

import (
	"net/http"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// The operations. Each decodes the request, calls the service and encodes the
// result.

func (a *api) createNotification(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	draft, malformed, err := a.decodeDraft(w, r, who)
	if err != nil {
		return err
	}
	if malformed != nil {
		invalid := a.svc.Check(r.Context(), who, draft)
		return withFaultsOf(malformed, asAsked(invalid, targetNames(invalid, draft.To)))
	}
	posted, err := inTurn(r.Context(), a.rates.writes, who, hasLongBody(r), func() (notifications.Posted, error) { return a.svc.Post(r.Context(), who, draft) })
	if err != nil {
		return asAsked(err, targetNames(err, draft.To))
	}
	return writeJSON(w, wire.Created{MessageID: posted.ID, Msgid: posted.ID})
}

func (a *api) getNotifications(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	query, err := a.decodeList(r, who)
	if err != nil {
		return err
	}
	page, err := a.fetch(r.Context(), who, query)
	if err != nil {
		return asAsked(err, nil)
	}
	if page.Next != "" {
		w.Header().Set("Link", nextLink(r.URL.Query(), query, page.Next))
	}
	setPosition(w, page.Position)
	setPollInterval(w)
	return a.writeList(w, r, who, page.Items)
}

func (a *api) getNotificationsCount(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	filter, err := a.decodeCount(r, who)
	if err != nil {
		return err
	}
	a.rates.chargeSearch(who, filter)
	var at notifications.Position
	n, err := readInTurn(r.Context(), a, who, filter.Text != "", func() (n int64, err error) {
		n, at, err = a.svc.CountAt(r.Context(), who, filter)
		return n, err
	})
	if err != nil {
		return asAsked(err, nil)
	}
	setPosition(w, at)
	setPollInterval(w)
	return writeTagged(w, r, wire.Count{Count: n})
}

func (a *api) setRead(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	id, read, err := a.decodeSetRead(r, who)
	if err != nil {
		return err
	}
	_, err = inTurn(r.Context(), a.rates.writes, who, false, func() (struct{}, error) { return struct{}{}, a.svc.MarkRead(r.Context(), who, id, read) })
	if err != nil {
		return asAsked(err, map[string]string{"id": "messageId"})
	}
	a.setMarked(w, r, who)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *api) setState(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	selection, byFilter, change, err := a.decodeState(w, r, who)
	if err != nil {
		return err
	}
	n, err := inTurn(r.Context(), a.rates.writes, who, byFilter, func() (int64, error) { return a.svc.SetState(r.Context(), who, selection, change) })
	if err != nil {
		return asAsked(err, nil)
	}
	a.setMarked(w, r, who)
	return writeJSON(w, wire.Updated{Updated: n})
}

func (a *api) getStatus(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	system, err := a.decodeInbox(r, who)
	if err != nil {
		return err
	}
	status, err := readInTurn(r.Context(), a, who, false, func() (notifications.Status, error) { return a.svc.Status(r.Context(), who, system) })
	if err != nil {
		return err
	}
	setPosition(w, status.Position)
	setPollInterval(w)
	return writeTagged(w, r, statusOf(status))
}

func (a *api) getTopics(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	system, err := a.decodeInbox(r, who)
	if err != nil {
		return err
	}
	topics, err := readInTurn(r.Context(), a, who, false, func() (notifications.Topics, error) { return a.svc.Topics(r.Context(), who, system) })
	if err != nil {
		return err
	}
	return writeTagged(w, r, topicsOf(topics))
}

func (a *api) getNotification(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	id, err := decodeID(r)
	if err != nil {
		return err
	}
	n, err := readInTurn(r.Context(), a, who, false, func() (notifications.Notification, error) { return a.svc.Get(r.Context(), who, id) })
	if err != nil {
		return err
	}
	writeTaggedBody(w, r, encodeNotification(&n))
	return nil
}

func (a *api) withdrawNotification(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	id, err := decodeID(r)
	if err != nil {
		return err
	}
	_, err = inTurn(r.Context(), a.rates.writes, who, true, func() (struct{}, error) { return struct{}{}, a.svc.Withdraw(r.Context(), who, id) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) withdrawByScope(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	key, err := a.decodeWithdraw(w, r, who)
	if err != nil {
		return err
	}
	n, err := inTurn(r.Context(), a.rates.writes, who, true, func() (int64, error) { return a.svc.WithdrawScope(r.Context(), who, key) })
	if err != nil {
		return asAsked(err, nil)
	}
	return writeJSON(w, wire.Withdrawn{Withdrawn: n})
}

func (a *api) getReach(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	id, err := decodeID(r)
	if err != nil {
		return err
	}
	reach, err := readInTurn(r.Context(), a, who, false, func() (notifications.Reach, error) { return a.svc.Reach(r.Context(), who, id) })
	if err != nil {
		return err
	}
	return writeJSON(w, reachOf(reach))
}

func (a *api) getOpenAPI(w http.ResponseWriter, _ *http.Request, _ notifications.Identity) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, err := w.Write(OpenAPI)
	return err
}

func (a *api) getHealth(w http.ResponseWriter, _ *http.Request, _ notifications.Identity) error {
	return writeJSON(w, wire.Health{Status: "ok"})
}

func (a *api) getReadiness(w http.ResponseWriter, r *http.Request, _ notifications.Identity) error {
	if err := a.svc.Ready(r.Context()); err != nil {
		return err
	}
	if err := a.who.ready(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, wire.Health{Status: "ok"})
}
