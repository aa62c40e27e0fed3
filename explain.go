package notifications

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Explanation says why a user sees a notification or does not.
type Explanation struct {
	// Visible reports whether the user can see it, as [Service.Get] does.
	Visible bool
	// Listed reports whether a list with the zero [Filter] shows it: it is
	// visible and not archived.
	Listed bool
	// Reasons holds at least one entry.
	Reasons []Reason
}

// Reason is one fact of an [Explanation].
type Reason struct {
	Code ReasonCode
	// Audience is the canonical ref of the user or group concerned, or "system"
	// for everybody. It is empty if the reason concerns the notification as a
	// whole.
	Audience string
	// At is when the fact began. With ReasonScheduled it is when the
	// notification appears. Zero if it has no time or the time is unknown.
	At time.Time
	// By is the id of the later notification with ReasonReplaced. With
	// ReasonNotAddressed it is the id of a notification that replaced this one
	// for some of its audiences, if there is one.
	By string
}

// ReasonCode is the kind of a [Reason].
type ReasonCode string

// The facts that let a user see a notification.
const (
	ReasonDirect ReasonCode = "direct" // it is addressed to the user
	ReasonGroup  ReasonCode = "group"  // it is addressed to a group the user is in
	ReasonSystem ReasonCode = "system" // it is addressed to everybody
)

// The facts that hide a notification from a user.
const (
	ReasonUnknown      ReasonCode = "unknown"       // there is no such notification, or it was purged
	ReasonNoSuchUser   ReasonCode = "no-such-user"  // the catalog does not know the user
	ReasonNotAddressed ReasonCode = "not-addressed" // it is addressed neither to the user nor to one of their groups
	ReasonScheduled    ReasonCode = "scheduled"     // it appears later
	ReasonExpired      ReasonCode = "expired"       // it has expired
	ReasonWithdrawn    ReasonCode = "withdrawn"     // it was withdrawn
	ReasonReplaced     ReasonCode = "replaced"      // a later post with the same scope replaced it
	ReasonBeforeJoined ReasonCode = "before-joined" // it is older than the user's membership or account
)

// The user's marks. An archived notification is not listed.
const (
	ReasonArchived ReasonCode = "archived"
	ReasonRead     ReasonCode = "read" // marked as read, or older than the account with HistoryRead
	ReasonSaved    ReasonCode = "saved"
)

// ExplainQuery is the question to [Service.Explain]. Both fields are required.
type ExplainQuery struct {
	// ID is the id of the notification.
	ID string
	// User is a name in any form the catalog accepts. The catalog need not know
	// the user.
	User string
}

// Explain says why a user sees a notification or does not. It needs
// [PermissionExplain]. It tells everything, also about notifications of others,
// so give that permission to operators only.
func (s *Service) Explain(ctx context.Context, who Identity, q ExplainQuery) (Explanation, error) {
	ctx, err := s.begin(ctx, reads, Request{Who: who, Permission: PermissionExplain, ID: q.ID, User: q.User})
	if err != nil {
		return Explanation{}, err
	}
	var bad faults
	id, ok := canonicalID(q.ID)
	if !ok {
		bad.add("ID", "is not a UUID")
	}
	user, err := s.canonical(KindUser, q.User)
	if err != nil {
		bad.add("User", "%s", err)
	}
	if err := bad.err(); err != nil {
		return Explanation{}, err
	}
	known, err := s.exists(ctx, user)
	if err != nil {
		return Explanation{}, err
	}
	in, err := s.inboxOf(ctx, user)
	if err != nil {
		return Explanation{}, err
	}
	facts, err := s.store.facts(ctx, in, id)
	if err != nil {
		return Explanation{}, err
	}
	return facts.explain(in, !known), nil
}

// facts is what the database holds about one message and one reader.
type facts struct {
	message   *messageRow // nil if there is none
	addressed []string    // the reader's audiences that it is delivered to
	state     *stateRow   // nil if there is none
}

func (s *store) facts(ctx context.Context, in inbox, id string) (f facts, err error) {
	m, err := s.message(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.message = &m
	var audiences []string
	for _, source := range in.sources(SystemOrNot) {
		audiences = append(audiences, source.Audience)
	}
	err = s.read(ctx, func(db *gorm.DB) (err error) {
		if f.addressed, err = s.deliveredTo(db, id, audiences); err != nil {
			return err
		}
		var states []stateRow
		if err := find(db, s.sql("SELECT user_ref, message_id, read_at, saved_at, archived_at FROM notification_states"+
			" WHERE user_ref = ? AND message_id = ?", in.audience, id), &states); err != nil {
			return err
		}
		if len(states) > 0 {
			f.state = &states[0]
		}
		return nil
	})
	return f, err
}

// explain lists the reasons in this order: those that hide the message, those
// of the reader's audiences, the reader's marks.
func (f facts) explain(in inbox, noSuchUser bool) Explanation {
	var e Explanation
	if f.message == nil {
		e.Reasons = []Reason{{Code: ReasonUnknown}}
		return e
	}
	hidden := f.hidden(in)
	if noSuchUser {
		hidden = append(hidden, Reason{Code: ReasonNoSuchUser, Audience: in.audience})
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

// hidden returns the reasons that hide the message from everybody.
func (f facts) hidden(in inbox) []Reason {
	var list []Reason
	m := f.message
	switch {
	case m.WithdrawnAt != nil && m.Audiences == "[]": // a withdrawal leaves the audiences in place
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

// addressedBy returns the reason for a delivery to one of the reader's
// audiences.
func (f facts) addressedBy(in inbox, audience string) Reason {
	i := slices.IndexFunc(in.sources(SystemOrNot), func(s source) bool { return s.Audience == audience })
	since := in.sources(SystemOrNot)[i].Since
	r := Reason{Code: ReasonGroup, Audience: audience}
	switch {
	case f.message.ID < since:
		r.Code, r.At = ReasonBeforeJoined, idTime(since)
	case audience == in.audience:
		r.Code = ReasonDirect
	case audience == systemAudience:
		r.Code = ReasonSystem
	}
	return r
}

// marks returns the reader's marks of the message.
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

// String returns the reason on one line: the code, the audience, "by" and the
// id, and the time (RFC 3339). Absent parts are left out.
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
