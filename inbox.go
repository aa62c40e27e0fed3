package notifications

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// History says what a reader sees of older notifications.
type History int

// The histories. The zero History is HistoryAll.
const (
	// HistoryAll: all of them.
	HistoryAll History = iota
	// HistorySinceJoining: none from before the reader joined the group or, for
	// notifications to everybody, from before the reader's account. If the
	// catalog has no date it is HistoryAll.
	HistorySinceJoining
	// HistoryRead is for notifications to everybody: all of them, but those
	// older than the reader's account count as read until the reader marks
	// them. If the catalog has no date it is HistoryAll.
	HistoryRead
)

// source is an audience of a reader. Deliveries with ids smaller than Since are
// not for this reader.
type source struct {
	Audience string `json:"value"`
	Since    string `json:"since"`
}

// inbox is a reader with their audiences at one moment.
type inbox struct {
	user Ref
	// audience is the reader's own audience, and the key of their states.
	audience string
	groups   []source // sorted
	system   source
	// readBefore is the id before which notifications to everybody count as
	// read, unless the reader has a state of them.
	readBefore string
	now        time.Time
}

// sources returns the audiences that the filter selects.
func (in inbox) sources(f SystemFilter) []source {
	switch f {
	case System:
		return []source{in.system}
	case NotSystem:
		return append([]source{{in.audience, firstID}}, in.groups...)
	default:
		return append([]source{in.system, {in.audience, firstID}}, in.groups...)
	}
}

// readUntouched reports whether a message counts as read although this reader
// has no state of it.
func (in inbox) readUntouched(system bool, id string) bool { return system && id < in.readBefore }

var errNoSuchUser = errors.New("the catalog has no such user")

// known fails for a user whom the catalog does not know.
func (s *Service) known(ctx context.Context, who Identity) error {
	if who.Kind != KindUser {
		return nil
	}
	_, err := s.user(ctx, who)
	return err
}

// user returns the ref of a caller who is a user.
func (s *Service) user(ctx context.Context, who Identity) (Ref, error) {
	user, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return Ref{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchUser)
	}
	known, err := s.exists(ctx, user)
	if err != nil {
		return Ref{}, err
	}
	if !known {
		return Ref{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchUser)
	}
	return user, nil
}

// inbox returns the inbox of a caller.
func (s *Service) inbox(ctx context.Context, who Identity) (inbox, error) {
	if who.Kind != KindUser {
		return inbox{}, fmt.Errorf("%w: %s has no inbox", ErrForbidden, who)
	}
	user, err := s.user(ctx, who)
	if err != nil {
		return inbox{}, err
	}
	return s.inboxOf(ctx, user)
}

// inboxOf returns the inbox of a user in canonical form.
func (s *Service) inboxOf(ctx context.Context, user Ref) (inbox, error) {
	memberships, err := s.catalog.Groups(ctx, user.Name)
	if err != nil {
		return inbox{}, s.away("catalog", err)
	}
	in := inbox{
		user: user, audience: user.String(), groups: make([]source, len(memberships)),
		system: source{systemAudience, firstID}, readBefore: firstID, now: s.now(),
	}
	audiences := groupAudiences(memberships)
	for i, m := range memberships {
		since := firstID
		if s.groupHistory == HistorySinceJoining {
			since = firstIDAt(m.Since)
		}
		in.groups[i] = source{audiences[i], since}
	}
	// If the catalog names a group twice, the earlier date counts.
	slices.SortFunc(in.groups, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.Audience, b.Audience), cmp.Compare(a.Since, b.Since))
	})
	in.groups = slices.CompactFunc(in.groups, func(a, b source) bool { return a.Audience == b.Audience })
	return in, s.applySystemHistory(ctx, &in)
}

// groupAudiences returns the audiences of groups. They share one string, which
// saves allocations.
func groupAudiences(memberships []Membership) []string {
	kind, size := GroupRef("").String(), 0
	for _, m := range memberships {
		size += len(kind) + len(m.Group)
	}
	var all strings.Builder
	all.Grow(size)
	for _, m := range memberships {
		all.WriteString(kind)
		all.WriteString(m.Group)
	}
	rest, audiences := all.String(), make([]string, len(memberships))
	for i, m := range memberships {
		audiences[i], rest = rest[:len(kind)+len(m.Group)], rest[len(kind)+len(m.Group):]
	}
	return audiences
}

// applySystemHistory asks the catalog for the date of the account if
// Config.SystemHistory needs it.
func (s *Service) applySystemHistory(ctx context.Context, in *inbox) error {
	accounts, dated := s.catalog.(AccountDates)
	if s.systemHistory == HistoryAll || !dated {
		return nil
	}
	since, err := accounts.AccountSince(ctx, in.user.Name)
	if err != nil {
		return s.away("catalog", err)
	}
	if s.systemHistory == HistoryRead {
		in.readBefore = firstIDAt(since)
	} else {
		in.system.Since = firstIDAt(since)
	}
	return nil
}

// sourcesJSON encodes the sources as one parameter.
func sourcesJSON(list []source) string {
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
