package notifications

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Permission names an operation a [Policy] decides on.
type Permission string

// The permissions. The first three are those of the Backstage plugin.
const (
	// PermissionCreate guards every post.
	PermissionCreate Permission = "notifications.create"
	// PermissionList guards all reading of one's inbox.
	PermissionList Permission = "notifications.list"
	// PermissionUpdateRead guards marking as read, saved and archived.
	PermissionUpdateRead Permission = "notifications.update.read"
	// PermissionCreateSystem is asked, after PermissionCreate, for a post to
	// everybody.
	PermissionCreateSystem Permission = "notifications.create.system"
	// PermissionDelete guards withdrawing what one has posted.
	PermissionDelete Permission = "notifications.delete"
	// PermissionDeleteAny is asked, after PermissionDelete, for withdrawing
	// the posts of others. [AllowAll] and [Authenticated] do not give it.
	PermissionDeleteAny Permission = "notifications.delete.any"
	// PermissionReach guards asking whom one's own post has reached.
	PermissionReach Permission = "notifications.reach"
	// PermissionExplain guards [Service.Explain], which has no HTTP operation.
	PermissionExplain Permission = "notifications.explain"
	// PermissionErase guards [Service.EraseUser], which has no HTTP operation.
	PermissionErase Permission = "notifications.erase"
)

// Decision is a policy's answer. Its zero value denies.
type Decision int

// The decisions.
const (
	Deny Decision = iota
	Allow
)

// Request is what a [Policy] decides about.
type Request struct {
	// Who asks. It is never the zero Identity.
	Who Identity
	// Permission is what they need.
	Permission Permission
	// Draft is what is to be posted, with PermissionCreate and
	// PermissionCreateSystem: a copy, as the caller wrote it, not yet checked.
	// It is empty, and never nil, where the caller's input could not be read.
	// Nil with other permissions.
	Draft *Draft
	// ID is the notification concerned, as the caller wrote it, with
	// PermissionDelete, PermissionDeleteAny, PermissionReach and
	// PermissionExplain, and where one notification is fetched or marked.
	// Empty where several are concerned.
	ID string
}

// Policy decides who may do what. It is asked before every operation, of Go
// callers and HTTP callers alike. An error means that it could not decide: the
// operation fails with [ErrUnavailable] and is not done. In a Service bound to
// a transaction, [TxFrom] and [SQLTxFrom] find that transaction in ctx. It must
// be safe for concurrent use.
type Policy interface {
	Decide(ctx context.Context, r Request) (Decision, error)
}

// Permissions lists all permissions.
func Permissions() []Permission {
	return []Permission{
		PermissionCreate, PermissionList, PermissionUpdateRead, PermissionCreateSystem,
		PermissionDelete, PermissionDeleteAny, PermissionReach, PermissionExplain, PermissionErase,
	}
}

// AllowAll is the [Policy] that allows everything to everybody, guests too,
// except [PermissionDeleteAny]: those who may touch the posts of others are to
// be named.
type AllowAll struct{}

// Decide implements [Policy].
func (AllowAll) Decide(_ context.Context, r Request) (Decision, error) {
	return allowIf(r.Permission != PermissionDeleteAny), nil
}

// Authenticated is the [Policy] that allows to users and services with a proof
// what [AllowAll] allows, and nothing to guests.
type Authenticated struct{}

// Decide implements [Policy].
func (Authenticated) Decide(_ context.Context, r Request) (Decision, error) {
	return allowIf(!r.Who.Guest && r.Permission != PermissionDeleteAny), nil
}

// anyone, in a [Rule], stands for every user or every service.
const anyone = "*"

// Rule allows some permissions to some users and services. It names at least
// one permission and at least one user, group or service.
type Rule struct {
	// Allow lists the permissions.
	Allow []Permission
	// Users are names in any form the [Catalog] accepts. "*" is every user,
	// guests and users the catalog does not know included.
	Users []string
	// Groups are names in any form the catalog accepts. They stand for the
	// users who are in them at the moment of the question.
	Groups []string
	// Services are names as [Identity] has them, compared byte for byte:
	// "external", "backstage-server". "*" is every service.
	Services []string
}

// rules is the [Policy] of NewRules: for each permission who has it, the
// rules merged.
type rules struct {
	catalog Catalog
	holders map[Permission]*holders
}

// holders is who has one permission. Names are canonical.
type holders struct {
	users, groups, services []string
}

// NewRules returns a [Policy] that allows what at least one of the rules
// allows, and denies everything else. A user has what the rules allow the user
// or a group the user is in; the catalog is asked for groups only where they
// matter. If it cannot answer, that is the error of the decision.
//
// There must be a rule. All faults of the rules are reported at once, each
// with the index of its rule and the field: an unknown permission, a rule
// that allows nothing or nobody, a name the catalog cannot read. Whether the
// users and groups exist is not asked: they come and go.
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

// add merges a rule into the policy, and returns what is wrong with it. Each
// fault begins with the field, to stand behind the index of the rule.
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

// decideUser asks for the groups of the user when nothing else allows it.
func (p *rules) decideUser(ctx context.Context, has *holders, who Identity) (Decision, error) {
	if slices.Contains(has.users, anyone) {
		return Allow, nil
	}
	user, err := p.catalog.Canonical(KindUser, who.Name)
	if err != nil {
		return Deny, nil // no rule can name a user the catalog cannot read
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

// named reports whether a list holds the name, or everybody.
func named(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, anyone)
}

// allowIf is Allow or Deny.
func allowIf(yes bool) Decision {
	if yes {
		return Allow
	}
	return Deny
}
