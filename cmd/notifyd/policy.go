package main

import (
	"context"
	"fmt"

	"github.com/notifications-go/notifications"
)

// newPolicy returns the policy of the configuration file or, without one, the
// defaultPolicy.
func newPolicy(c *config, catalog notifications.Catalog) (notifications.Policy, error) {
	if c.policy == nil {
		return defaultPolicy{
			catalog:        catalog,
			usersBroadcast: c.usersMayBroadcast != nil && *c.usersMayBroadcast,
			guestBroadcast: c.usersMayBroadcast == nil && c.onLoopback(),
		}, nil
	}
	policy, err := notifications.NewRules(catalog, c.policy...)
	if err != nil {
		return nil, fmt.Errorf("%s: policy: %w", c.file, err)
	}
	return policy, nil
}

// checkPolicy refuses a setting of the default policy beside rules.
func (c *config) checkPolicy() error {
	if c.usersMayBroadcast != nil && c.policy != nil {
		return c.fault("users-may-broadcast", "is for a server without a policy; give users notifications.create.system by a rule")
	}
	return nil
}

// defaultPolicy is the policy without rules. Everybody who is let in may post,
// and withdraw and follow up their own posts; a user only while the catalog
// knows them. Users read and mark. Services may post to everybody, users only
// if that is asked for, and the guest also on loopback. Nobody may do what has
// no HTTP operation, nor withdraw the posts of others.
type defaultPolicy struct {
	catalog notifications.Catalog
	// usersBroadcast lets every user post to everybody, guestBroadcast only the
	// guest.
	usersBroadcast, guestBroadcast bool
}

// Decide implements [notifications.Policy].
func (p defaultPolicy) Decide(ctx context.Context, r notifications.Request) (notifications.Decision, error) {
	switch r.Permission {
	case notifications.PermissionList, notifications.PermissionUpdateRead: // the service answers users who are not in the catalog
		return notifications.Allow, nil
	case notifications.PermissionCreateSystem:
		if r.Who.Kind == notifications.KindUser && !p.usersBroadcast && (!p.guestBroadcast || !r.Who.Guest) {
			return notifications.Deny, nil
		}
	case notifications.PermissionCreate, notifications.PermissionDelete, notifications.PermissionReach:
	default:
		return notifications.Deny, nil
	}
	if r.Who.Kind != notifications.KindUser {
		return notifications.Allow, nil
	}
	return p.known(ctx, r.Who)
}

// known allows what a user asks for if the catalog knows them.
func (p defaultPolicy) known(ctx context.Context, who notifications.Identity) (notifications.Decision, error) {
	user, err := p.catalog.Canonical(notifications.KindUser, who.Name)
	if err != nil {
		return notifications.Deny, nil // the catalog can have no such user
	}
	missing, err := p.catalog.Missing(ctx, []notifications.Ref{notifications.UserRef(user)})
	if err != nil || len(missing) > 0 {
		return notifications.Deny, err
	}
	return notifications.Allow, nil
}
