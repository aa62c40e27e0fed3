package httpapi

import (
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
)

// markedCookie tells the next instance which marks the browser has already
// seen. It is set only if reads may come from a replica. For any other user of
// the browser, and with a forged value, it only makes answers newer.
const markedCookie = "notifications-marked"

// markedFor is how long the browser keeps the cookie. If a replica lags more,
// it may lack marks made through another instance.
const markedFor = time.Minute

// setMarked sets the cookie. Without a path, the browser sends it to
// …/notifications and below (RFC 6265, section 5.1.4). All reads are there,
// under every prefix and behind every proxy.
func (a *api) setMarked(w http.ResponseWriter, r *http.Request, who notifications.Identity) {
	if marked := a.svc.Marked(who); marked != "" {
		http.SetCookie(w, &http.Cookie{
			Name: markedCookie, Value: marked, MaxAge: int(markedFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
			Secure: secure(r, a.proxies),
		})
	}
}

// withMarked puts the cookie's value into the request's context.
func withMarked(r *http.Request) *http.Request {
	cookie, err := r.Cookie(markedCookie)
	if err != nil {
		return r
	}
	return r.WithContext(notifications.AfterMark(r.Context(), cookie.Value))
}
