package httpapi

import (
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
)

// markedCookie tells whichever instance answers next what the caller's browser
// has seen marked. It is set only where reads may come from a replica. Another
// user of the browser, and whoever makes it up, gets newer answers for it.
const markedCookie = "notifications-marked"

// markedFor is how long the cookie is kept, and so how far a replica may be
// behind before marks made by another instance are missing there.
const markedFor = time.Minute

// setMarked sets the cookie. Without a path it is sent to …/notifications and
// below (RFC 6265, section 5.1.4), which is where the reads are under every
// mount and behind every proxy.
func (a *api) setMarked(w http.ResponseWriter, who notifications.Identity) {
	if marked := a.svc.Marked(who); marked != "" {
		http.SetCookie(w, &http.Cookie{
			Name: markedCookie, Value: marked, MaxAge: int(markedFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
}

// withMarked passes the cookie on.
func withMarked(r *http.Request) *http.Request {
	cookie, err := r.Cookie(markedCookie)
	if err != nil {
		return r
	}
	return r.WithContext(notifications.AfterMark(r.Context(), cookie.Value))
}
