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

// History says what readers who came later see of what was posted before.
type History int

// The histories. The zero History is HistoryAll.
const (
	// HistoryAll: all of it.
	HistoryAll History = iota
	// HistorySinceJoining: nothing from before the reader joined the group,
	// or, of what is addressed to everybody, from before the reader's account
	// existed. Without a date of the catalog it is HistoryAll.
	HistorySinceJoining
	// HistoryRead is for what is addressed to everybody: all of it, and what
	// is older than the reader's account counts as read until the reader does
	// something with it. Without a date of the catalog it is HistoryAll.
	HistoryRead
)

// source is an audience a reader belongs to, and since when: deliveries with
// smaller ids are not the reader's.
type source struct {
	Audience string `json:"value"`
	Since    string `json:"since"`
}

// inbox is a reader and the audiences the reader belongs to at one moment.
type inbox struct {
	user Ref
	// audience is what is addressed to the user, and the key of their states.
	audience string
	groups   []source // sorted
	system   source
	// readBefore: what is addressed to everybody and has a smaller id counts
	// as read if the reader has no state of it.
	readBefore string
	now        time.Time
}

// sources returns the audiences whose deliveries the filter selects.
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

// readUntouched reports whether a message of this reader that has no state
// counts as read.
func (in inbox) readUntouched(system bool, id string) bool { return system && id < in.readBefore }

var errNoSuchReader = errors.New("the catalog has no such user")

// inbox is the inbox of who.
func (s *Service) inbox(ctx context.Context, who Identity) (inbox, error) {
	if who.Kind != KindUser {
		return inbox{}, fmt.Errorf("%w: %s has no inbox", ErrForbidden, who)
	}
	user, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return inbox{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchReader)
	}
	known, err := s.exists(ctx, user)
	if err != nil {
		return inbox{}, err
	}
	if !known {
		return inbox{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchReader)
	}
	return s.inboxOf(ctx, user)
}

// inboxOf is the inbox of a user in canonical form.
func (s *Service) inboxOf(ctx context.Context, user Ref) (inbox, error) {
	memberships, err := s.catalog.Groups(ctx, user.Name)
	if err != nil {
		return inbox{}, unavailable("catalog", err)
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
	// A group named twice counts from the earlier date.
	slices.SortFunc(in.groups, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.Audience, b.Audience), cmp.Compare(a.Since, b.Since))
	})
	in.groups = slices.CompactFunc(in.groups, func(a, b source) bool { return a.Audience == b.Audience })
	return in, s.applySystemHistory(ctx, &in)
}

// groupAudiences are the audiences of groups, cut out of one text.
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

// applySystemHistory asks the catalog for the date of the account, if that
// matters.
func (s *Service) applySystemHistory(ctx context.Context, in *inbox) error {
	accounts, dated := s.catalog.(AccountDates)
	if s.systemHistory == HistoryAll || !dated {
		return nil
	}
	since, err := accounts.AccountSince(ctx, in.user.Name)
	if err != nil {
		return unavailable("catalog", err)
	}
	if s.systemHistory == HistoryRead {
		in.readBefore = firstIDAt(since)
	} else {
		in.system.Since = firstIDAt(since)
	}
	return nil
}

// sourcesJSON passes the sources as one parameter.
func sourcesJSON(list []source) string {
	b, _ := json.Marshal(list) // of strings: cannot fail
	return string(b)
}
