package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/internal/strictjson"
)

// maxPosition limits pageNumber × pageSize.
const maxPosition = 1_000_000_000

// decodeBody reads the body of an operation without parameters. The decoders
// here check only what JSON adds: types, nulls, unknown fields, empty arrays.
// The service checks the rest.
func (a *api) decodeBody(w http.ResponseWriter, r *http.Request, who notifications.Identity) (in bodyFields, err error) {
	body, err := a.readBody(w, r)
	if err != nil {
		return in, err
	}
	parse := func() (*strictjson.Reader, error) {
		parsed, err := strictjson.Parse(body)
		return parsed, asInvalid(err)
	}
	if len(body) > longBody {
		in.Reader, err = inTurn(r.Context(), a.rates.reads, who, true, parse)
	} else {
		in.Reader, err = parse()
	}
	if err != nil {
		return in, err
	}
	var params *notifications.InvalidError
	if errors.As(takesNoParams(r), &params) {
		for _, f := range params.Fields {
			in.Reject(f.Field, f.Reason)
		}
	}
	return in, nil
}

func takesNoParams(r *http.Request) error {
	q, err := parseParams(r)
	if err != nil {
		return err
	}
	return q.err()
}

// decodeDraft reads the body of a post, and its header Idempotency-Key.
// malformed names the fields that have the wrong form, such as a number for a
// text; the draft holds the others.
func (a *api) decodeDraft(w http.ResponseWriter, r *http.Request, who notifications.Identity) (d notifications.Draft, malformed, err error) {
	in, err := a.decodeBody(w, r, who)
	if err != nil {
		return d, nil, err
	}
	d = notifications.Draft{
		IdempotencyKey: decodeIdempotencyKey(r, in),
		Origin:         in.String("origin"), Title: in.String("title"),
		Message: in.String("message"), Topic: in.String("topic"),
		To: decodeAudience(in),
	}
	in.Objects("actions", func(i int, action *strictjson.Reader) {
		for len(d.Actions) < i && i <= notifications.MaxActions { // not objects
			d.Actions = append(d.Actions, notifications.ActionDraft{})
		}
		d.Actions = append(d.Actions, notifications.ActionDraft{Title: action.String("title"), URL: action.String("url")})
	})
	d.Severity = decodeSeverity(in, "severity")
	d.Link, d.Icon, d.Metadata = in.String("link"), in.String("icon"), in.Raw("metadata")
	d.Scope = in.String("scope")
	resurface, given := in.Bool("resurface")
	d.KeepPlace = given && !resurface
	d.Expires, d.NotBefore = in.instant("expires"), in.instant("notBefore")
	return d, asInvalid(in.Faults()...), nil
}

// decodeIdempotencyKey reads the header Idempotency-Key. The whole value is the
// key, with quotes if the client sends any.
func decodeIdempotencyKey(r *http.Request, in bodyFields) string {
	const name = wire.IdempotencyKeyHeader
	given := r.Header.Values(name)
	switch {
	case len(given) == 0:
		return ""
	case len(given) > 1:
		in.Reject(name, fmt.Sprintf("is given %d times", len(given)))
	case given[0] == "" || strings.ContainsFunc(given[0], notPrintableASCII): // the service limits its length
		in.Reject(name, "must have printable ASCII characters and no others")
	default:
		return given[0]
	}
	return ""
}

func notPrintableASCII(c rune) bool { return c < ' ' || c > '~' }

// decodeState reads the body of setState.
func (a *api) decodeState(w http.ResponseWriter, r *http.Request, who notifications.Identity) (sel notifications.Selection, byFilter bool, change notifications.StateChange, err error) {
	in, err := a.decodeBody(w, r, who)
	if err != nil {
		return sel, false, change, err
	}
	sel, byFilter = decodeSelection(in)
	change.Read, change.Saved, change.Archived = in.flag("read"), in.flag("saved"), in.flag("archived")
	return sel, byFilter, change, in.err(sel)
}

// decodeSelection reads either ids, or a filter, with or without seen or upTo.
func decodeSelection(in bodyFields) (sel notifications.Selection, byFilter bool) {
	ids, byIDs := in.Strings("ids")
	var filter *notifications.Filter
	in.Object("filter", func(object *strictjson.Reader) {
		filter = new(decodeFilter(bodyFields{object}))
	})
	seen, upTo := in.text("seen"), in.text("upTo")
	switch {
	case byIDs && filter != nil:
		in.Reject("ids", "give either ids or filter")
	case byIDs:
		if upTo != "" {
			in.Reject("upTo", "goes with filter, not with ids")
		}
		if seen != "" {
			in.Reject("seen", "goes with filter, not with ids")
		}
		return notifications.ByIDs(ids...), false
	case filter != nil && seen != "":
		if upTo != "" {
			in.Reject("upTo", "give either seen or upTo")
		}
		return notifications.ByFilterSeen(*filter, notifications.Position(seen)), true
	case filter != nil && upTo != "":
		return notifications.ByFilterUpTo(*filter, upTo), true
	case filter != nil:
		return notifications.ByFilter(*filter), true
	}
	return notifications.Selection{}, false // the service refuses it
}

// decodeWithdraw reads the body of withdrawByScope.
func (a *api) decodeWithdraw(w http.ResponseWriter, r *http.Request, who notifications.Identity) (key notifications.ScopeKey, err error) {
	in, err := a.decodeBody(w, r, who)
	if err != nil {
		return key, err
	}
	key = notifications.ScopeKey{Origin: in.String("origin"), Scope: in.String("scope")}
	return key, in.err(key)
}

// decodeAudience reads the targets. As in the plugin, no targets at all mean
// everybody. An empty array is an error, and so is null.
func decodeAudience(in bodyFields) notifications.Audience {
	users, groups := in.targets("targetUsers"), in.targets("targetGroups")
	if users == nil && groups == nil {
		return notifications.Everyone()
	}
	return notifications.Users(users...).And(notifications.Groups(groups...))
}

// targets returns nil if the field is absent.
func (f bodyFields) targets(name string) []string {
	refs, given := f.Strings(name)
	if f.IsNull(name) || given && len(refs) == 0 {
		f.Reject(name, "names nobody; leave out both targetUsers and targetGroups to address everybody")
	}
	return refs
}

// checkable is what a decoder returns. Check names the fields of a wrong value.
type checkable interface{ Check() error }

// err returns nil if every field has the right form, and otherwise the faults of
// form and of value.
func (f bodyFields) err(decoded checkable) error {
	malformed := asInvalid(f.Faults()...)
	if malformed == nil {
		return nil
	}
	return withFaultsOf(malformed, asAsked(decoded.Check(), nil))
}

// bodyFields reads an object with the methods of params.
type bodyFields struct{ *strictjson.Reader }

func (f bodyFields) raw(name string) string { return f.String(name) }

// text returns a text. An empty text is an error; empty is returned for an
// absent one.
func (f bodyFields) text(name string) string {
	if string(f.Raw(name)) == `""` {
		f.Reject(name, mustNotBeEmpty)
	}
	return f.String(name)
}

// flag returns a bool, and nil if it is absent.
func (f bodyFields) flag(name string) *bool {
	if v, given := f.Bool(name); given {
		return &v
	}
	return nil
}

func (f bodyFields) choice(name string, allowed ...string) string {
	return f.Choice(name, allowed...)
}

// instant returns a time, and the zero time if it is absent. A client can send
// the zero time itself, the start of year 1; it becomes one nanosecond later.
func (f bodyFields) instant(name string) time.Time {
	s := f.text(name)
	if s == "" {
		return time.Time{}
	}
	at, wrong := parseInstant(s)
	if wrong != "" {
		f.Reject(name, wrong)
	} else if at.IsZero() {
		at = at.Add(1)
	}
	return at
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

// asInvalid turns faults of the body into one InvalidError; nil if there are
// none.
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

// withFaultsOf adds to the fields of a wrong form those of a wrong value. A
// field of a wrong form has no value, and neither has what is inside.
func withFaultsOf(malformed, invalid error) error {
	var form, values *notifications.InvalidError
	if !errors.As(malformed, &form) || !errors.As(invalid, &values) {
		return malformed
	}
	all := slices.Clone(form.Fields)
	for _, f := range values.Fields {
		explained := func(of notifications.FieldError) bool {
			rest, ok := strings.CutPrefix(f.Field, of.Field)
			inside := ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
			return inside || instead[f.Field] == of.Field
		}
		if !slices.ContainsFunc(form.Fields, explained) {
			all = append(all, f)
		}
	}
	return &notifications.InvalidError{Fields: all}
}

// instead maps a field that may seem to be missing to the one that was meant to
// be given in its place, and is malformed.
var instead = map[string]string{"targetUsers": "targetGroups", "ids": "filter"}

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
	in.Limit, in.Offset, in.Whole = decodePaging(q)
	return in, a.finish(q, who, in, nil)
}

// decodeCount reads the query string of getNotificationsCount.
func (a *api) decodeCount(r *http.Request, who notifications.Identity) (notifications.Filter, error) {
	q, err := parseParams(r)
	if err != nil {
		return notifications.Filter{}, err
	}
	filter := decodeFilter(q)
	return filter, a.finish(q, who, filter, nil)
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
	return id, read, a.finish(q, who, notifications.ByIDs(id), map[string]string{"IDs[0]": "messageId"})
}

// decodeInbox reads the query string of getStatus and getTopics.
func (a *api) decodeInbox(r *http.Request, who notifications.Identity) (notifications.SystemFilter, error) {
	q, err := parseParams(r)
	if err != nil {
		return 0, err
	}
	system := decodeMessageScope(q)
	return system, a.finish(q, who, notifications.Filter{}, nil)
}

// decodeStream reads the query string and the header of streamNotifications.
// after is the name of what the position comes from. A browser that reconnects
// sends the same query string again: the header is newer.
func (a *api) decodeStream(r *http.Request, who notifications.Identity) (query notifications.WatchQuery, after string, err error) {
	q, err := parseParams(r)
	if err != nil {
		return query, "", err
	}
	query = notifications.WatchQuery{
		System:      decodeMessageScope(q),
		MinSeverity: decodeSeverity(q, "minSeverity"),
		Topic:       q.text("topic"),
		Origin:      q.text("origin"),
		After:       notifications.Position(q.text("after")),
	}
	after = "after"
	if given := r.Header.Values(wire.LastEventIDHeader); len(given) > 0 {
		after, query.After = wire.LastEventIDHeader, notifications.Position(given[0])
		if len(given) > 1 || given[0] == "" {
			q.reject(after, "must have one value, which is not empty")
		}
	}
	return query, after, a.finish(q, who, query, map[string]string{"After": after})
}

// decodeID reads the id from the path of an operation without parameters. The
// router matches the escaped path, so the id is unescaped here.
func decodeID(r *http.Request) (string, error) {
	id, err := url.PathUnescape(mux.Vars(r)["id"])
	if err != nil {
		return "", notifications.Invalid("id", "is not well-formed")
	}
	if err := takesNoParams(r); err != nil {
		return "", withFaultsOf(err, asAsked(notifications.ByIDs(id).Check(), map[string]string{"IDs[0]": "id"}))
	}
	return id, nil
}

// fields is the source of a filter: a query string, or an object in a body.
type fields interface {
	raw(name string) string // may be empty
	text(name string) string
	choice(name string, allowed ...string) string
	instant(name string) time.Time
}

// decodeFilter reads the filter that lists, counts and setState share.
func decodeFilter(in fields) notifications.Filter {
	return notifications.Filter{
		Text:         in.raw("containsText"), // empty selects all
		CreatedAfter: in.instant("createdAfter"),
		System:       decodeMessageScope(in),
		Read: map[string]notifications.ReadFilter{
			"true": notifications.Read, "false": notifications.Unread,
		}[in.choice("read", "true", "false")],
		Saved: map[string]notifications.SavedFilter{
			"true": notifications.Saved, "false": notifications.NotSaved,
		}[in.choice("saved", "true", "false")],
		Archived: map[string]notifications.ArchivedFilter{
			"true": notifications.Archived, "all": notifications.ArchivedOrNot,
		}[in.choice("archived", "true", "false", "all")],
		MinSeverity: decodeSeverity(in, "minSeverity"),
		Topic:       in.text("topic"),
		Origin:      in.text("origin"),
	}
}

// decodeMessageScope reads messageScope. As in the plugin, its default is user.
func decodeMessageScope(in fields) notifications.SystemFilter {
	switch in.choice("messageScope", "user", "system", "all") {
	case "all":
		return notifications.SystemOrNot
	case "system":
		return notifications.System
	default:
		return notifications.NotSystem
	}
}

func decodeSeverity(in fields, name string) notifications.Severity {
	return notifications.Severity(in.choice(name, "critical", "high", "normal", "low"))
}

// decodePaging converts page numbers, which start at 1, to a limit and an
// offset. If both parameters are 0 there is no paging, but the limit still
// applies. A page that is asked for by its number must not be cut, because the
// next one would leave notifications out.
func decodePaging(q *params) (limit, offset int, whole bool) {
	size := q.number("pageSize", notifications.DefaultLimit, notifications.MaxLimit)
	number := q.number("pageNumber", 1, maxPosition)
	switch {
	case q.has("cursor") && q.has("pageNumber"):
		q.reject("pageNumber", "cannot be combined with cursor")
	case size == 0 && number == 0:
		return notifications.MaxLimit, 0, false
	case size == 0:
		q.reject("pageSize", "is 0, which means no paging, but pageNumber is not 0")
	case number == 0:
		q.reject("pageNumber", "is 0, which means no paging, but pageSize is not 0")
	case size*number > maxPosition:
		q.reject("pageNumber", "times pageSize is more than %d", maxPosition)
	}
	return size, max(size*(number-1), 0), q.has("pageNumber")
}

// finish reports the faults of the parameters, and if there are any, the wrong
// values of what was decoded too; also is as for asAsked. It also reads the
// parameter user of an older revision of the plugin, which may only name the
// caller.
func (a *api) finish(q *params, who notifications.Identity, decoded checkable, also map[string]string) error {
	user := q.text("user")
	if err := q.err(); err != nil {
		return withFaultsOf(err, asAsked(decoded.Check(), also))
	}
	if user != "" && !a.svc.SameUser(who, user) {
		return fmt.Errorf("%w: the parameter user names another user", notifications.ErrForbidden)
	}
	return nil
}
