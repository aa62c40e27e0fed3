package notifications

import "context"

// Permission names an operation a [Policy] decides on.
type Permission string

// The permissions. The first three are those of the Backstage plugin.
const (
	// PermissionCreate guards every post.
	PermissionCreate Permission = "notifications.create"
	// PermissionList guards list and count.
	PermissionList Permission = "notifications.list"
	// PermissionUpdateRead guards marking as read or unread.
	PermissionUpdateRead Permission = "notifications.update.read"
	// PermissionCreateSystem is asked, after PermissionCreate, for a post to
	// everybody.
	PermissionCreateSystem Permission = "notifications.create.system"
)

// Decision is a policy's answer. Its zero value denies.
type Decision int

// The decisions.
const (
	Deny Decision = iota
	Allow
)

// Policy decides who may do what. It is asked before every operation, of Go
// callers and HTTP callers alike, and never for the zero [Identity]. An error
// means that it could not decide: the operation fails with [ErrUnavailable]
// and is not done. It must be safe for concurrent use.
type Policy interface {
	Decide(ctx context.Context, who Identity, p Permission) (Decision, error)
}
