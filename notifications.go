// Package notifications gives a backend an in-app notification inbox: services
// post messages to users, to groups or to everybody, and each user lists,
// counts, searches and marks them.
//
// A [Service] works over the database the host already has, PostgreSQL or
// SQLite behind a *gorm.DB, and asks the host who is who (a [Catalog]) and who
// may do what (a [Policy]):
//
//	svc, err := notifications.New(notifications.Config{
//		DB:      db,
//		Catalog: catalog.Open(nil),
//		Policy:  notifications.AllowAll{},
//	})
//	err = svc.Migrate(ctx)
//	id, err := svc.Post(ctx, notifications.ServiceAccount("ci"), notifications.Draft{
//		Origin: "ci", Title: "Build 7 is done", To: notifications.Users("jane"),
//	})
//	page, err := svc.List(ctx, notifications.User("jane"), notifications.ListQuery{})
//
// Package httpapi serves the same over HTTP.
//
// # Visibility
//
// What a user sees follows from deliveries and from the groups the user is in
// at that moment, and from nothing else. Whoever joins a group sees what it
// was sent before, and whoever leaves it no longer does.
//
// # Transactions
//
// [Service.PostTx] posts inside the host's own transaction. Everything else
// uses Config.DB.
package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"
)

// Config is what a Service is made of.
type Config struct {
	// DB is the host's database, PostgreSQL (encoding UTF8) or SQLite.
	// Required. It is never opened, closed or tuned here, and conditions,
	// scopes or naming strategies set on it do not matter.
	DB *gorm.DB
	// Catalog knows users and groups. Required.
	Catalog Catalog
	// Policy decides who may do what. Required: [AllowAll] is a choice.
	Policy Policy
	// Logger receives slow or failing queries, without their parameters.
	// Nil discards.
	Logger *slog.Logger
}

// Service is the notification inbox. It is made by [New] and is safe for
// concurrent use. Its verbs take who is asking as an argument, ask the policy
// first, and return the errors of this package.
type Service struct {
	store   *store
	catalog Catalog
	policy  Policy
	ids     uuid.Generator
}

var discard = slog.New(slog.DiscardHandler)

// New makes a Service. It opens nothing and starts nothing; the tables are
// made by [Service.Migrate]. It reports all faults of the configuration at
// once.
func New(cfg Config) (*Service, error) {
	var faults []error
	if cfg.DB == nil {
		faults = append(faults, errors.New("notifications: Config.DB is required"))
	}
	if cfg.Catalog == nil {
		faults = append(faults, errors.New("notifications: Config.Catalog is required; catalog.Open takes users on trust"))
	}
	if cfg.Policy == nil {
		faults = append(faults, errors.New("notifications: Config.Policy is required; AllowAll permits everything to everybody"))
	}
	if cfg.Logger == nil {
		cfg.Logger = discard
	}
	var st *store
	if cfg.DB != nil {
		var err error
		if st, err = newStore(cfg.DB, cfg.Logger); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &Service{store: st, catalog: cfg.Catalog, policy: cfg.Policy, ids: uuid.NewGen()}, nil
}

// Authorize asks the policy whether who has all the permissions. Every verb
// does so itself; it is exported for hosts that offer operations of their own.
// It returns [ErrUnauthenticated], [ErrForbidden], [ErrUnavailable] or nil.
func (s *Service) Authorize(ctx context.Context, who Identity, permissions ...Permission) error {
	if who.Name == "" || (who.Kind != KindUser && who.Kind != KindService) {
		return ErrUnauthenticated
	}
	for _, p := range permissions {
		decision, err := s.policy.Decide(ctx, who, p)
		if err != nil {
			return unavailable("policy", err)
		}
		if decision != Allow {
			return fmt.Errorf("%w: %s lacks %s", ErrForbidden, who, p)
		}
	}
	return nil
}

// Post stores a notification for its audience and returns its id. When it
// returns without error the notification is stored.
//
// It needs [PermissionCreate], and for [Everyone] also
// [PermissionCreateSystem]. A draft that breaks a limit, or that names a
// recipient the catalog does not know, is an [*InvalidError], and nobody gets
// it.
func (s *Service) Post(ctx context.Context, who Identity, d Draft) (string, error) {
	row, audiences, err := s.prepare(ctx, who, d)
	if err != nil {
		return "", err
	}
	if err := s.store.post(ctx, row, audiences); err != nil {
		return "", err
	}
	return row.ID, nil
}

// PostTx is [Service.Post] inside the host's transaction: the notification
// appears when tx commits and is gone when it rolls back. Every query of it
// uses tx, which must be on the same database as Config.DB.
//
// On PostgreSQL a failed statement spoils the whole transaction, as always;
// faults of the draft are found before the first statement.
func (s *Service) PostTx(ctx context.Context, tx *gorm.DB, who Identity, d Draft) (string, error) {
	row, audiences, err := s.prepare(ctx, who, d)
	if err != nil {
		return "", err
	}
	if err := s.store.postTx(ctx, tx, row, audiences); err != nil {
		return "", err
	}
	return row.ID, nil
}

// prepare does everything of a post that needs no database.
func (s *Service) prepare(ctx context.Context, who Identity, d Draft) (*messageRow, []string, error) {
	if err := s.Authorize(ctx, who, PermissionCreate); err != nil {
		return nil, nil, err
	}
	if d.To.everyone {
		if err := s.Authorize(ctx, who, PermissionCreateSystem); err != nil {
			return nil, nil, err
		}
	}
	audiences, err := s.resolve(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	row, err := s.newMessage(d)
	return row, audiences, err
}

// List returns one page of what who can see and the filter selects. It needs
// [PermissionList]. Services have no inbox, and readers the catalog does not
// know are not allowed in: [ErrForbidden].
func (s *Service) List(ctx context.Context, who Identity, q ListQuery) (Page, error) {
	if err := s.Authorize(ctx, who, PermissionList); err != nil {
		return Page{}, err
	}
	q, after, err := q.prepared()
	if err != nil {
		return Page{}, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return Page{}, err
	}
	return s.store.list(ctx, in, q, after)
}

// Count returns how many notifications who can see and the filter selects:
// the length of the list without its limit. It needs [PermissionList].
func (s *Service) Count(ctx context.Context, who Identity, f Filter) (int64, error) {
	if err := s.Authorize(ctx, who, PermissionList); err != nil {
		return 0, err
	}
	var bad faults
	f.check(&bad)
	if err := bad.err(); err != nil {
		return 0, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return 0, err
	}
	return s.store.count(ctx, in, f)
}

// MarkRead marks one notification as read, or as unread, for who alone. Doing
// it again changes nothing. It needs [PermissionUpdateRead], and answers
// [ErrNotFound] for an id who cannot see, whether or not it exists.
func (s *Service) MarkRead(ctx context.Context, who Identity, id string, read bool) error {
	if err := s.Authorize(ctx, who, PermissionUpdateRead); err != nil {
		return err
	}
	id, err := parseID(id)
	if err != nil {
		return err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return err
	}
	return s.store.markRead(ctx, in, id, read)
}

// SameUser reports whether ref, in any form the catalog accepts, names who.
// It is false for services and for refs the catalog cannot read.
func (s *Service) SameUser(who Identity, ref string) bool {
	if who.Kind != KindUser {
		return false
	}
	mine, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return false
	}
	other, err := s.canonical(KindUser, ref)
	return err == nil && mine == other
}

// Ready asks whether the service can work: the database answers and holds the
// tables, and the catalog, if it has a method Ready(context.Context) error,
// is ready too. The error says which of them is not.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.store.ready(ctx); err != nil {
		return err
	}
	if c, ok := s.catalog.(interface{ Ready(context.Context) error }); ok {
		if err := c.Ready(ctx); err != nil {
			return unavailable("catalog", err)
		}
	}
	return nil
}

// inbox is a reader and the groups the reader is in at this moment.
type inbox struct {
	user   string
	groups []string
}

// audiences returns the audiences whose deliveries the scope selects.
func (in inbox) audiences(s Scope) []string {
	switch s {
	case ScopeSystem:
		return []string{systemAudience}
	case ScopeAll:
		return append([]string{systemAudience, in.user}, in.groups...)
	default:
		return append([]string{in.user}, in.groups...)
	}
}

// inbox finds out whose inbox who may read.
func (s *Service) inbox(ctx context.Context, who Identity) (inbox, error) {
	if who.Kind != KindUser {
		return inbox{}, fmt.Errorf("%w: %s has no inbox", ErrForbidden, who)
	}
	user, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return inbox{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchReader)
	}
	missing, err := s.catalog.Missing(ctx, []string{user})
	if err != nil {
		return inbox{}, unavailable("catalog", err)
	}
	if len(missing) > 0 {
		return inbox{}, fmt.Errorf("%w: %s: %w", ErrForbidden, who, errNoSuchReader)
	}
	memberships, err := s.catalog.Groups(ctx, user)
	if err != nil {
		return inbox{}, unavailable("catalog", err)
	}
	in := inbox{user: user, groups: make([]string, len(memberships))}
	for i, m := range memberships {
		in.groups[i] = m.Group
	}
	slices.Sort(in.groups)
	in.groups = slices.Compact(in.groups)
	return in, nil
}

var errNoSuchReader = errors.New("the catalog has no such user")

// canonical asks the catalog for the one form of a ref, after making sure
// that whatever it keeps of it can be stored.
func (s *Service) canonical(kind Kind, ref string) (string, error) {
	switch {
	case ref == "":
		return "", errors.New("must not be empty")
	case !utf8.ValidString(ref):
		return "", errors.New("is not valid UTF-8")
	case strings.ContainsRune(ref, 0):
		return "", errors.New("contains the NUL character")
	}
	canon, err := s.catalog.Canonical(kind, ref)
	if err != nil {
		return "", err
	}
	if len(canon) > maxRefBytes+len(kind)+1 {
		return "", fmt.Errorf("is longer than %d bytes", maxRefBytes)
	}
	return canon, nil
}

// resolve checks the draft and returns the audiences it is delivered to.
func (s *Service) resolve(ctx context.Context, d Draft) ([]string, error) {
	bad := d.check()
	targets := d.To.targets()
	if len(targets) == 0 && !d.To.everyone {
		bad.add("targetUsers", "the audience is empty: name users or groups, or say Everyone")
	}
	var audiences []string
	for i := range targets {
		t := &targets[i]
		canon, err := s.canonical(t.kind, t.ref)
		if err != nil {
			bad.add(t.field, "%s", err)
			continue
		}
		t.canon = canon
		audiences = append(audiences, canon)
	}
	slices.Sort(audiences)
	audiences = slices.Compact(audiences)
	if len(audiences) > MaxTargets {
		bad.add("targetUsers", "names %d different users and groups together with targetGroups, the limit is %d", len(audiences), MaxTargets)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if err := s.checkExistence(ctx, targets, audiences); err != nil {
		return nil, err
	}
	if d.To.everyone {
		audiences = append(audiences, systemAudience)
	}
	return audiences, nil
}

// checkExistence reports every target the catalog does not know.
func (s *Service) checkExistence(ctx context.Context, targets []target, audiences []string) error {
	if len(audiences) == 0 {
		return nil
	}
	missing, err := s.catalog.Missing(ctx, audiences)
	if err != nil {
		return unavailable("catalog", err)
	}
	var bad faults
	for _, t := range targets {
		if slices.Contains(missing, t.canon) {
			bad.add(t.field, "there is no %s %q", t.kind, t.ref)
		}
	}
	return bad.err()
}

// newMessage makes the row of a checked draft.
func (s *Service) newMessage(d Draft) (*messageRow, error) {
	id, err := s.ids.NewV7()
	if err != nil {
		return nil, unavailable("random source", err)
	}
	actions := make([]storedAction, len(d.Actions))
	for i, a := range d.Actions {
		actionID, err := s.ids.NewV4()
		if err != nil {
			return nil, unavailable("random source", err)
		}
		actions[i] = storedAction{ID: actionID.String(), Title: a.Title, URL: a.URL}
	}
	encoded, err := json.Marshal(actions)
	if err != nil {
		return nil, fmt.Errorf("notifications: encode actions: %w", err)
	}
	return newMessageRow(id.String(), d, string(encoded)), nil
}
