package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Permission names an operation that a [Policy] decides about.
type Permission string

// The permissions. The first three have the names of the Backstage plugin.
const (
	// PermissionCreate is needed for every post.
	PermissionCreate Permission = "notifications.create"
	// PermissionList is needed to read one's inbox.
	PermissionList Permission = "notifications.list"
	// PermissionUpdateRead is needed to mark notifications as read, saved or
	// archived.
	PermissionUpdateRead Permission = "notifications.update.read"
	// PermissionCreateSystem is needed, besides PermissionCreate, for a post to
	// everybody.
	PermissionCreateSystem Permission = "notifications.create.system"
	// PermissionDelete is needed to withdraw one's own posts.
	PermissionDelete Permission = "notifications.delete"
	// PermissionDeleteAny is needed, besides PermissionDelete, to withdraw the
	// posts of others. [AllowAll] and [Authenticated] do not give it.
	PermissionDeleteAny Permission = "notifications.delete.any"
	// PermissionReach is needed to ask whom one's own post reached.
	PermissionReach Permission = "notifications.reach"
	// PermissionExplain is needed for [Service.Explain], which has no HTTP
	// operation.
	PermissionExplain Permission = "notifications.explain"
	// PermissionErase is needed for [Service.EraseUser], which has no HTTP
	// operation.
	PermissionErase Permission = "notifications.erase"
)

// Decision is a policy's answer. Its zero value denies.
type Decision int

// The decisions.
const (
	Deny Decision = iota
	Allow
)

// Request is a question to a [Policy].
type Request struct {
	// Who is the caller. It is never the zero Identity. The name of a user is in
	// canonical form, unless the catalog cannot read it.
	Who Identity
	// Permission is the permission the caller needs.
	Permission Permission
	// Draft is the draft to post, with PermissionCreate and
	// PermissionCreateSystem: a copy, as the caller wrote it, not checked yet.
	// If the caller's input cannot be read it is an empty Draft, not nil. It is
	// nil with other permissions.
	Draft *Draft
	// ID is the id of the notification, in canonical form unless it is none, with
	// PermissionDelete, PermissionDeleteAny, PermissionReach and
	// PermissionExplain, and when one notification is fetched or marked. It is
	// empty for operations on several.
	ID string
	// User is the user concerned, in canonical form unless the catalog cannot
	// read it, with PermissionErase and PermissionExplain. It is empty with other
	// permissions.
	User string
	// Scope is the scope to withdraw, with PermissionDelete when that is withdrawn
	// as a whole. It is the zero ScopeKey otherwise.
	Scope ScopeKey
}

// Policy decides who may do what. It is asked before every operation, over HTTP
// too. If it returns an error, the operation is not done and fails with
// [ErrUnavailable]. In a Service bound to a transaction, [TxFrom] and
// [SQLTxFrom] find that transaction in ctx. A Policy must be safe for
// concurrent use.
type Policy interface {
	Decide(ctx context.Context, r Request) (Decision, error)
}

// Permissions returns all permissions.
func Permissions() []Permission {
	return []Permission{
		PermissionCreate, PermissionList, PermissionUpdateRead, PermissionCreateSystem,
		PermissionDelete, PermissionDeleteAny, PermissionReach, PermissionExplain, PermissionErase,
	}
}

// AllowAll is the [Policy] that allows everybody, guests too, everything except
// [PermissionDeleteAny]. Give that permission by a [Rule].
type AllowAll struct{}

// Decide implements [Policy].
func (AllowAll) Decide(_ context.Context, r Request) (Decision, error) {
	return allowIf(r.Permission != PermissionDeleteAny), nil
}

// Authenticated is the [Policy] that allows guests nothing, and everybody else
// what [AllowAll] allows.
type Authenticated struct{}

// Decide implements [Policy].
func (Authenticated) Decide(_ context.Context, r Request) (Decision, error) {
	return allowIf(!r.Who.Guest && r.Permission != PermissionDeleteAny), nil
}

// anyone stands in a [Rule] for every user or every service.
const anyone = "*"

// Rule gives permissions to users and services. It must name at least one
// permission, and at least one user, group or service.
type Rule struct {
	// Allow lists the permissions it gives.
	Allow []Permission
	// Users are names in any form the [Catalog] accepts. "*" is every user,
	// including guests and users who are not in the catalog.
	Users []string
	// Groups are names in any form the catalog accepts. The rule applies to
	// their members at the time of the question.
	Groups []string
	// Services are names as in [Identity], compared byte for byte: "external",
	// "backstage-server". "*" is every service.
	Services []string
}

// rules is the [Policy] of NewRules: all rules, merged by permission.
type rules struct {
	catalog Catalog
	holders map[Permission]*holders
}

// holders are the users, groups and services that have one permission. Names
// are canonical.
type holders struct {
	users, groups, services []string
}

// NewRules returns a [Policy] that allows what at least one rule allows, and
// denies everything else. A rule for a group applies to its members. The
// catalog is asked for a user's groups only if no other rule allows the
// operation; if it fails, the policy returns its error.
//
// NewRules needs a catalog and at least one rule. It reports all faults at
// once, each with the index of the rule and the field: an unknown permission, a
// rule without permissions or without names, a name that the catalog refuses.
// It does not ask whether users and groups exist, because they may be added
// later.
func NewRules(catalog Catalog, list ...Rule) (Policy, error) {
	if catalog == nil {
		return nil, errors.New("notifications: NewRules needs a catalog")
	}
	if len(list) == 0 {
		return nil, errors.New("notifications: there are no rules, so nobody could do anything")
	}
	p := &rules{catalog: catalog, holders: map[Permission]*holders{}}
	for _, permission := range Permissions() {
		p.holders[permission] = &holders{}
	}
	var faults []error
	for i, rule := range list {
		for _, fault := range p.add(rule) {
			faults = append(faults, fmt.Errorf("notifications: rules[%d]%w", i, fault))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return p, nil
}

// add merges a rule into the policy and returns its faults. Each begins with
// the field, because NewRules puts the index of the rule before it.
func (p *rules) add(rule Rule) []error {
	var faults []error
	if len(rule.Allow) == 0 {
		faults = append(faults, errors.New(".allow: names no permission"))
	}
	if len(rule.Users)+len(rule.Groups)+len(rule.Services) == 0 {
		faults = append(faults, errors.New(": names no user, group or service"))
	}
	users, bad := p.canonical(KindUser, rule.Users)
	faults = append(faults, bad...)
	groups, bad := p.canonical(KindGroup, rule.Groups)
	faults = append(faults, bad...)
	if i := slices.Index(rule.Services, ""); i >= 0 {
		faults = append(faults, fmt.Errorf(".services[%d]: is empty", i))
	}
	for i, permission := range rule.Allow {
		has, ok := p.holders[permission]
		if !ok {
			faults = append(faults, fmt.Errorf(".allow[%d]: there is no permission %q, only %q", i, permission, Permissions()))
			continue
		}
		has.users = append(has.users, users...)
		has.groups = append(has.groups, groups...)
		has.services = append(has.services, rule.Services...)
	}
	return faults
}

// canonical returns the names in canonical form.
func (p *rules) canonical(kind Kind, refs []string) (canon []string, faults []error) {
	for i, ref := range refs {
		c, err := ref, error(nil)
		switch {
		case ref != anyone:
			c, err = p.catalog.Canonical(kind, ref)
		case kind == KindGroup:
			err = errors.New("every user is \"*\" under users")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf(".%ss[%d]: %q: %w", kind, i, ref, err))
		}
		canon = append(canon, c)
	}
	return canon, faults
}

// Decide implements [Policy].
func (p *rules) Decide(ctx context.Context, r Request) (Decision, error) {
	has, ok := p.holders[r.Permission]
	if !ok {
		return Deny, nil
	}
	switch r.Who.Kind {
	case KindService:
		return allowIf(named(has.services, r.Who.Name)), nil
	case KindUser:
		return p.decideUser(ctx, has, r.Who)
	default:
		return Deny, nil
	}
}

// decideUser asks for the user's groups only if no rule for users allows it.
func (p *rules) decideUser(ctx context.Context, has *holders, who Identity) (Decision, error) {
	if slices.Contains(has.users, anyone) {
		return Allow, nil
	}
	user, err := p.catalog.Canonical(KindUser, who.Name)
	if err != nil {
		return Deny, nil // no rule can name a user the catalog refuses
	}
	if slices.Contains(has.users, user) {
		return Allow, nil
	}
	if len(has.groups) == 0 {
		return Deny, nil
	}
	memberships, err := p.catalog.Groups(ctx, user)
	if err != nil {
		return Deny, fmt.Errorf("groups of %s: %w", user, err)
	}
	return allowIf(slices.ContainsFunc(memberships, func(m Membership) bool {
		return slices.Contains(has.groups, m.Group)
	})), nil
}

// named reports whether a list contains the name, or "*".
func named(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, anyone)
}

// allowIf converts a bool to a Decision.
func allowIf(yes bool) Decision {
	if yes {
		return Allow
	}
	return Deny
}
