package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// topicsOf makes empty arrays, not null, if there is nothing.
func topicsOf(t notifications.Topics) wire.Topics {
	body := wire.Topics{Topics: make([]wire.TopicCount, len(t.Topics)), Origins: make([]wire.OriginCount, len(t.Origins))}
	for i, c := range t.Topics {
		body.Topics[i] = wire.TopicCount{Topic: c.Name, Unread: c.Unread, Total: c.Total}
	}
	for i, c := range t.Origins {
		body.Origins[i] = wire.OriginCount{Origin: c.Name, Unread: c.Unread, Total: c.Total}
	}
	return body
}

func statusOf(s notifications.Status) wire.Status {
	return wire.Status{Unread: s.Unread, Read: s.Read, Saved: s.Saved, Archived: s.Archived}
}

// reachOf leaves out unknown sizes.
func reachOf(r notifications.Reach) wire.Reach {
	body := wire.Reach{
		Audiences: make([]wire.Audience, len(r.Audiences)),
		Delivered: r.Delivered, Read: r.Read, Saved: r.Saved, Archived: r.Archived,
	}
	for i, a := range r.Audiences {
		body.Audiences[i].Audience = a.Audience
		if a.Size >= 0 {
			body.Audiences[i].Size = &a.Size
		}
	}
	return body
}

// setPosition sets the header, of a 304 too: the client has the same answer at a
// later position.
func setPosition(w http.ResponseWriter, at notifications.Position) {
	if at != "" {
		w.Header().Set(wire.PositionHeader, string(at))
	}
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the body is not HTML
	err := enc.Encode(v)
	return buf.Bytes(), err
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	writeBody(w, body)
	return nil
}

func writeBody(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may have left
}

// pollInterval is how long a client that polls should wait.
const pollInterval = 30 * time.Second

func setPollInterval(w http.ResponseWriter) {
	w.Header().Set(wire.PollIntervalHeader, strconv.Itoa(int(pollInterval.Seconds())))
}

// writeTagged is writeJSON with an ETag.
func writeTagged(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	writeTaggedBody(w, r, body)
	return nil
}

// writeTaggedBody is writeBody with an ETag (RFC 9110, section 8.8.3) over the
// body and the header Link. A client that polls gets 304 if nothing changed.
func writeTaggedBody(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := xxhash.New()
	_, _ = sum.Write(body) // cannot fail
	if !notModified(w, r, sum) {
		writeBody(w, body)
	}
}

// notModified sets the ETag of an answer, given the hash of its body. It
// answers with 304 and returns true if the client has this answer.
func notModified(w http.ResponseWriter, r *http.Request, sum *xxhash.Digest) bool {
	_, _ = sum.WriteString(w.Header().Get("Link")) // cannot fail
	tag := `"` + strconv.FormatUint(sum.Sum64(), 36) + `"`
	w.Header().Set("ETag", "W/"+tag)
	if !matches(r.Header.Values("If-None-Match"), tag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// matches compares weakly (RFC 9110, section 13.1.2). Tags of this package
// contain no comma, so it may split the header at commas.
func matches(ifNoneMatch []string, tag string) bool {
	for _, line := range ifNoneMatch {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// nextLink returns a link to the next page (RFC 8288). The reference is only a
// query, so it is right under every mount and behind every proxy.
func nextLink(params url.Values, q notifications.ListQuery, next string) string {
	params.Del("pageNumber")
	params.Set("pageSize", strconv.Itoa(q.Limit)) // also if paging was off
	params.Set("cursor", next)
	return "<?" + params.Encode() + `>; rel="next"`
}
