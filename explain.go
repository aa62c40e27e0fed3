package notifications

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Explanation is why a user sees a notification or does not.
type Explanation struct {
	// Visible tells whether he sees it: it can be fetched by its id.
	Visible bool
	// Listed tells whether it is in his lists unless they ask otherwise:
	// visible and not archived.
	Listed bool
	// Reasons has at least one entry.
	Reasons []Reason
}

// Reason is one fact of an [Explanation].
type Reason struct {
	Code ReasonCode
	// Audience is the canonical ref of the user or group concerned, or
	// "system"; empty where the fact is about the notification as a whole.
	Audience string
	// At is since when it is so, or, with ReasonScheduled, until when; zero
	// where that does not apply or is not known.
	At time.Time
	// By is, with ReasonReplaced, the id of the later notification; with
	// ReasonNotAddressed the id of one that took over some of the audiences,
	// if any.
	By string
}

// ReasonCode says what sort of fact a [Reason] is.
type ReasonCode string

// The facts that let a user see a notification.
const (
	ReasonDirect ReasonCode = "direct" // it is addressed to him
	ReasonGroup  ReasonCode = "group"  // it is addressed to a group he is in
	ReasonSystem ReasonCode = "system" // it is addressed to everybody
)

// The facts that hide a notification from him.
const (
	ReasonUnknown      ReasonCode = "unknown"       // there is no such notification, or it was purged
	ReasonNoSuchUser   ReasonCode = "no-such-user"  // the catalog does not know the user
	ReasonNotAddressed ReasonCode = "not-addressed" // it is addressed to nobody he is or belongs to
	ReasonScheduled    ReasonCode = "scheduled"     // it is not to be seen yet
	ReasonExpired      ReasonCode = "expired"       // its time is over
	ReasonWithdrawn    ReasonCode = "withdrawn"     // it was taken back
	ReasonReplaced     ReasonCode = "replaced"      // a later post of its scope took its place
	ReasonBeforeJoined ReasonCode = "before-joined" // it is from before he joined the group, or had an account
)

// What he did with it. ReasonArchived keeps it out of lists.
const (
	ReasonArchived ReasonCode = "archived"
	ReasonRead     ReasonCode = "read" // or counts as read, being older than his account
	ReasonSaved    ReasonCode = "saved"
)

// Explain tells why the user, in any form the catalog accepts, sees the
// notification or not. It needs [PermissionExplain], and tells whatever there
// is to tell: it is for whoever runs the service.
func (s *Service) Explain(ctx context.Context, who Identity, id, user string) (Explanation, error) {
	if err := s.Authorize(ctx, who, PermissionExplain); err != nil {
		return Explanation{}, err
	}
	var bad faults
	id, ok := canonicalID(id)
	if !ok {
		bad.add("id", "is not a UUID")
	}
	ref, err := s.canonical(KindUser, user)
	if err != nil {
		bad.add("user", "%s", err)
	}
	if err := bad.err(); err != nil {
		return Explanation{}, err
	}
	missing, err := s.catalog.Missing(ctx, []string{ref})
	if err != nil {
		return Explanation{}, unavailable("catalog", err)
	}
	in, err := s.inboxOf(ctx, ref)
	if err != nil {
		return Explanation{}, err
	}
	facts, err := s.store.facts(ctx, in, id)
	if err != nil {
		return Explanation{}, err
	}
	return facts.explain(in, len(missing) > 0), nil
}

// facts is what the database knows of one message and one reader.
type facts struct {
	message   *messageRow // nil if there is none
	addressed []string    // the reader's audiences it is delivered to
	state     *stateRow   // nil if there is none
}

func (s *store) facts(ctx context.Context, in inbox, id string) (facts, error) {
	var f facts
	var messages []messageRow
	db := s.door(ctx, s.db)
	if err := db.Where("id = ?", id).Limit(1).Find(&messages).Error; err != nil {
		return f, failed(err)
	}
	if len(messages) == 0 {
		return f, nil
	}
	f.message = &messages[0]
	err := s.door(ctx, s.db).Raw("SELECT d.audience FROM notification_deliveries d WHERE d.message_id = ?"+
		" AND d.audience IN (SELECT a.value FROM "+s.dialect.audiences+") ORDER BY d.audience",
		id, sourcesJSON(in.sources(ScopeAll))).Find(&f.addressed).Error
	if err != nil {
		return f, failed(err)
	}
	var states []stateRow
	if err := s.door(ctx, s.db).Where("user_ref = ? AND message_id = ?", in.user, id).Limit(1).Find(&states).Error; err != nil {
		return f, failed(err)
	}
	if len(states) > 0 {
		f.state = &states[0]
	}
	return f, nil
}

// explain draws the conclusion. What hides a message from everybody comes
// first, then whether it is addressed to the reader, then what he did with it.
func (f facts) explain(in inbox, noSuchUser bool) Explanation {
	var e Explanation
	if f.message == nil {
		e.Reasons = []Reason{{Code: ReasonUnknown}}
		return e
	}
	hidden := f.hidden(in)
	if noSuchUser {
		hidden = append(hidden, Reason{Code: ReasonNoSuchUser, Audience: in.user})
	}
	reached := false
	for _, audience := range f.addressed {
		r := f.addressedBy(in, audience)
		reached = reached || r.Code != ReasonBeforeJoined
		e.Reasons = append(e.Reasons, r)
	}
	if len(f.addressed) == 0 && f.message.WithdrawnAt == nil {
		r := Reason{Code: ReasonNotAddressed, By: value(f.message.ReplacedBy)}
		hidden = append(hidden, r)
	}
	e.Reasons = append(hidden, e.Reasons...)
	e.Visible = len(hidden) == 0 && reached
	e.Listed = e.Visible && (f.state == nil || f.state.ArchivedAt == nil)
	e.Reasons = append(e.Reasons, f.marks(in)...)
	return e
}

// hidden is what hides the message from everybody.
func (f facts) hidden(in inbox) []Reason {
	var list []Reason
	m := f.message
	switch {
	case m.WithdrawnAt != nil && m.Audiences == "[]": // nothing was left to withdraw
		list = append(list, Reason{Code: ReasonReplaced, At: instant(m.WithdrawnAt), By: value(m.ReplacedBy)})
	case m.WithdrawnAt != nil:
		list = append(list, Reason{Code: ReasonWithdrawn, At: instant(m.WithdrawnAt)})
	}
	if m.ExpiresAt != nil && *m.ExpiresAt <= in.now.UnixMilli() {
		list = append(list, Reason{Code: ReasonExpired, At: instant(m.ExpiresAt)})
	}
	if due := idTime(m.ID); m.Scheduled && due.After(in.now) {
		list = append(list, Reason{Code: ReasonScheduled, At: due})
	}
	return list
}

// addressedBy is what a delivery to one of the reader's audiences means.
func (f facts) addressedBy(in inbox, audience string) Reason {
	i := slices.IndexFunc(in.sources(ScopeAll), func(s source) bool { return s.Audience == audience })
	since := in.sources(ScopeAll)[i].Since
	r := Reason{Code: ReasonGroup, Audience: audience}
	switch {
	case f.message.ID < since:
		r.Code, r.At = ReasonBeforeJoined, idTime(since)
	case audience == in.user:
		r.Code = ReasonDirect
	case audience == systemAudience:
		r.Code = ReasonSystem
	}
	return r
}

// marks is what the reader did with the message.
func (f facts) marks(in inbox) []Reason {
	if f.state == nil {
		if in.readUntouched(f.message.IsSystem, f.message.ID) {
			return []Reason{{Code: ReasonRead, At: idTime(in.readBefore)}}
		}
		return nil
	}
	var list []Reason
	for _, mark := range []struct {
		at   *int64
		code ReasonCode
	}{{f.state.ReadAt, ReasonRead}, {f.state.SavedAt, ReasonSaved}, {f.state.ArchivedAt, ReasonArchived}} {
		if mark.at != nil {
			list = append(list, Reason{Code: mark.code, At: instant(mark.at)})
		}
	}
	return list
}

// String is the reason in words, for those who run the service.
func (r Reason) String() string {
	var b strings.Builder
	b.WriteString(string(r.Code))
	if r.Audience != "" {
		b.WriteString(" " + r.Audience)
	}
	if r.By != "" {
		b.WriteString(" by " + r.By)
	}
	if !r.At.IsZero() {
		b.WriteString(" " + r.At.Format(time.RFC3339Nano))
	}
	return b.String()
}
