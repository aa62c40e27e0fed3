package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
)

// people is the catalog: the host's tables of users and teams.
type people struct{ db *gorm.DB }

// reading is where to read: in the transaction of a bound Service, which sees
// what the host has written in it and needs no second connection, or else on
// the pool.
func (p people) reading(ctx context.Context) *gorm.DB {
	if tx, found := notifications.TxFrom(ctx); found {
		return tx
	}
	return p.db.WithContext(ctx)
}

var goodName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,31}$`)

var errName = errors.New("must be 1 to 32 letters, digits and hyphens, a letter first")

// Canonical takes names in any case. It asks no database.
func (people) Canonical(_ notifications.Kind, name string) (string, error) {
	if !goodName.MatchString(name) { // before ToLower, which folds other letters too
		return "", errName
	}
	return strings.ToLower(name), nil
}

// Groups returns the teams of a user, and since when they are in them.
func (p people) Groups(ctx context.Context, user string) (in []notifications.Membership, err error) {
	err = p.reading(ctx).Raw(`SELECT team AS "group", since FROM memberships WHERE user_name = ?`, user).Scan(&in).Error
	return in, err
}

// Missing returns the users and teams that do not exist, by two queries however
// many are asked for.
func (p people) Missing(ctx context.Context, refs []notifications.Ref) (missing []notifications.Ref, err error) {
	names := map[notifications.Kind][]string{}
	for _, ref := range refs {
		names[ref.Kind] = append(names[ref.Kind], ref.Name)
	}
	known := map[notifications.Ref]bool{}
	for kind, query := range map[notifications.Kind]string{
		notifications.KindUser:  "SELECT name FROM users WHERE name IN ?",
		notifications.KindGroup: "SELECT name FROM teams WHERE name IN ?",
	} {
		var found []string
		if len(names[kind]) == 0 {
			continue
		}
		if err := p.reading(ctx).Raw(query, names[kind]).Scan(&found).Error; err != nil {
			return nil, err
		}
		for _, name := range found {
			known[notifications.Ref{Kind: kind, Name: name}] = true
		}
	}
	for _, ref := range refs {
		if !known[ref] {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

// AccountSince is for Config.SystemHistory.
func (p people) AccountSince(ctx context.Context, user string) (since time.Time, err error) {
	err = p.reading(ctx).Raw("SELECT created_at FROM users WHERE name = ?", user).Scan(&since).Error
	return since, err
}

// Size is for Service.Reach.
func (p people) Size(ctx context.Context, team string) (n int, known bool, err error) {
	query := p.reading(ctx).Raw("SELECT count(*) FROM memberships WHERE team = ?", team)
	if team == "" {
		query = p.reading(ctx).Raw("SELECT count(*) FROM users")
	}
	err = query.Scan(&n).Error
	return n, true, err
}

// roles is the policy. Everybody reads and marks what is theirs, and takes back
// what they have posted. Members post to teams they are in, admins to all. Only
// the host's own code is a service.
type roles struct{ people }

// Decide implements [notifications.Policy].
func (p roles) Decide(ctx context.Context, r notifications.Request) (notifications.Decision, error) {
	if r.Who.Kind == notifications.KindService {
		return notifications.Allow, nil
	}
	switch r.Permission {
	case notifications.PermissionList, notifications.PermissionUpdateRead, notifications.PermissionDelete, notifications.PermissionReach:
		return notifications.Allow, nil
	}
	admin, err := p.isAdmin(ctx, r.Who.Name)
	if err != nil {
		return notifications.Deny, err
	}
	if admin {
		return notifications.Allow, nil
	}
	if r.Permission == notifications.PermissionCreate {
		return p.toOwnTeams(ctx, r)
	}
	return notifications.Deny, nil
}

// toOwnTeams allows a draft to teams of who posts it. One that is for everybody
// needs another permission, which is asked next.
func (p roles) toOwnTeams(ctx context.Context, r notifications.Request) (notifications.Decision, error) {
	in, err := p.Groups(ctx, r.Who.Name)
	if err != nil {
		return notifications.Deny, err
	}
	mine := map[notifications.Ref]bool{}
	for _, m := range in {
		mine[notifications.GroupRef(m.Group)] = true
	}
	for _, ref := range r.Draft.To.Refs() { // as it was written
		team, err := p.Canonical(ref.Kind, ref.Name)
		if err != nil || !mine[notifications.Ref{Kind: ref.Kind, Name: team}] {
			return notifications.Deny, nil
		}
	}
	return notifications.Allow, nil
}

func (p people) isAdmin(ctx context.Context, user string) (is bool, err error) {
	err = p.reading(ctx).Raw("SELECT EXISTS (SELECT FROM users WHERE name = ? AND role = 'admin')", user).Scan(&is).Error
	return is, err
}
