package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/strictjson"
)

// maxPosition bounds pageNumber × pageSize.
const maxPosition = 1_000_000_000

// decodeDraft reads the body of a post. What the service checks of a draft is
// left to it; what only the wire has (types, nulls, unknown fields, empty
// target arrays) is checked here.
func (a *api) decodeDraft(w http.ResponseWriter, r *http.Request) (notifications.Draft, error) {
	if q, err := parseParams(r); err != nil {
		return notifications.Draft{}, err
	} else if err := q.err(); err != nil { // it takes none
		return notifications.Draft{}, err
	}
	body, err := a.readBody(w, r)
	if err != nil {
		return notifications.Draft{}, err
	}
	in, err := strictjson.Parse(body)
	if err != nil {
		return notifications.Draft{}, asInvalid(err)
	}
	d := notifications.Draft{
		Origin: in.String("origin"), Title: in.String("title"),
		Message: in.String("message"), Topic: in.String("topic"),
		To: decodeAudience(in),
	}
	in.Objects("actions", func(_ int, action *strictjson.Reader) {
		d.Actions = append(d.Actions, notifications.ActionDraft{Title: action.String("title"), URL: action.String("url")})
	})
	return d, asInvalid(in.Faults()...)
}

// decodeAudience: no targets at all is everybody, as the plugin has it, but
// an array that is there and empty is a mistake.
func decodeAudience(in *strictjson.Reader) notifications.Audience {
	users, someUsers := in.Strings("targetUsers")
	groups, someGroups := in.Strings("targetGroups")
	if !someUsers && !someGroups {
		return notifications.Everyone()
	}
	const advice = "is empty; leave out both targetUsers and targetGroups to address everybody"
	if someUsers && len(users) == 0 {
		in.Reject("targetUsers", advice)
	}
	if someGroups && len(groups) == 0 {
		in.Reject("targetGroups", advice)
	}
	return notifications.Users(users...).And(notifications.Groups(groups...))
}

func (a *api) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, errMediaType
	}
	charset, coding := params["charset"], r.Header.Get("Content-Encoding")
	if charset != "" && !strings.EqualFold(charset, "utf-8") || coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.maxBody))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		return nil, notifications.Invalid("body", "could not be read to its end")
	}
	return body, err
}

// asInvalid turns faults of the body into the one error for bad fields.
func asInvalid[E error](faults ...E) error {
	var invalid notifications.InvalidError
	for _, err := range faults {
		var f strictjson.Fault
		if errors.As(err, &f) {
			invalid.Fields = append(invalid.Fields, notifications.FieldError{Field: f.Field, Reason: f.Reason})
		}
	}
	if len(invalid.Fields) == 0 {
		return nil
	}
	return &invalid
}

// decodeList reads the query string of getNotifications.
func (a *api) decodeList(r *http.Request, who notifications.Identity) (notifications.ListQuery, error) {
	q, err := parseParams(r)
	if err != nil {
		return notifications.ListQuery{}, err
	}
	in := notifications.ListQuery{
		Filter:    decodeFilter(q),
		OrderBy:   notifications.Order(q.choice("orderBy", "created", "title", "message", "topic", "origin")),
		Ascending: q.choice("orderByDirec", "asc", "desc") == "asc",
		After:     q.text("cursor"),
	}
	in.Limit, in.Offset = decodePaging(q)
	return in, a.finish(q, who)
}

// decodeCount reads the query string of getNotificationsCount.
func (a *api) decodeCount(r *http.Request, who notifications.Identity) (notifications.Filter, error) {
	q, err := parseParams(r)
	if err != nil {
		return notifications.Filter{}, err
	}
	filter := decodeFilter(q)
	return filter, a.finish(q, who)
}

// decodeSetRead reads the query string of setRead.
func (a *api) decodeSetRead(r *http.Request, who notifications.Identity) (id string, read bool, err error) {
	q, err := parseParams(r)
	if err != nil {
		return "", false, err
	}
	q.require("messageId", "read")
	id = q.text("messageId")
	read = q.choice("read", "true", "false") == "true"
	return id, read, a.finish(q, who)
}

// decodeFilter reads what list and count have in common.
func decodeFilter(q *params) notifications.Filter {
	return notifications.Filter{
		Text:         q.raw("containsText"), // empty is no filter
		CreatedAfter: q.instant("createdAfter"),
		Scope: map[string]notifications.Scope{
			"user": notifications.ScopeUser, "system": notifications.ScopeSystem, "all": notifications.ScopeAll,
		}[q.choice("messageScope", "user", "system", "all")],
		Read: map[string]notifications.ReadFilter{
			"true": notifications.Read, "false": notifications.Unread,
		}[q.choice("read", "true", "false")],
	}
}

// decodePaging turns page numbers, which begin at 1, into a limit and an
// offset. Both 0 is no paging: the longest page there is.
func decodePaging(q *params) (limit, offset int) {
	size := q.number("pageSize", notifications.DefaultLimit, notifications.MaxLimit)
	number := q.number("pageNumber", 1, maxPosition)
	switch {
	case q.has("cursor") && q.has("pageNumber"):
		q.reject("pageNumber", "cannot be combined with cursor")
	case size == 0 && number == 0:
		return notifications.MaxLimit, 0
	case size == 0:
		q.reject("pageSize", "is 0, which means no paging, but pageNumber is not 0")
	case number == 0:
		q.reject("pageNumber", "is 0, which means no paging, but pageSize is not 0")
	case size*number > maxPosition:
		q.reject("pageNumber", "times pageSize is more than %d", maxPosition)
	}
	return size, max(size*(number-1), 0)
}

// finish reads the parameter user, which an older revision of the plugin had,
// and reports the faults. It may only name the caller.
func (a *api) finish(q *params, who notifications.Identity) error {
	user := q.text("user")
	if err := q.err(); err != nil {
		return err
	}
	if user != "" && !a.svc.SameUser(who, user) {
		return fmt.Errorf("%w: parameter user names somebody else", notifications.ErrForbidden)
	}
	return nil
}
