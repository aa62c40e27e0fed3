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
// uses Config.DB, and Config.Replica if there is one.
package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
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
	// Replica, if not nil, is a streaming standby of DB, PostgreSQL only: one
	// server, for it is remembered how far it is. Lists, counts, status, topics
	// and single notifications are read from it, unless it does not yet have
	// what the reader marked or it fails: then from DB, as is everything else.
	// So what was just posted or withdrawn shows after the replica's lag. It is
	// never opened, closed or tuned here.
	Replica *gorm.DB
	// Catalog knows users and groups. Required.
	Catalog Catalog
	// Policy decides who may do what. Required: [AllowAll] is a choice.
	Policy Policy
	// GroupHistory says what members see of what their group was sent before
	// they joined: HistoryAll, the default, or HistorySinceJoining, by the
	// dates in [Membership].
	GroupHistory History
	// SystemHistory says what users see of what was addressed to everybody
	// before they had an account, by the dates of a catalog that implements
	// [AccountDates]. The default is HistoryAll.
	SystemHistory History
	// IdempotencyWindow is how long an idempotency key is remembered; zero is
	// [DefaultIdempotencyWindow].
	IdempotencyWindow time.Duration
	// Logger receives slow or failing queries, without their parameters, and
	// failures of Replica.
	// Nil discards.
	Logger *slog.Logger
}

// DefaultIdempotencyWindow is how long an idempotency key is remembered unless
// Config says otherwise: 7 days.
const DefaultIdempotencyWindow = 7 * 24 * time.Hour

// Service is the notification inbox. It is made by [New] and is safe for
// concurrent use. Its verbs take who is asking as an argument, ask the policy
// first, and return the errors of this package.
type Service struct {
	store   *store
	catalog Catalog
	policy  Policy
	now     func() time.Time

	// ids are in the order in which they are made. Those of scheduled posts
	// come from a generator of their own, which would otherwise carry the rest
	// into the future.
	ids          uuid.Generator
	scheduledIDs *uuid.Gen

	groupHistory, systemHistory History
	idempotencyWindow           time.Duration
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
	if cfg.GroupHistory != HistoryAll && cfg.GroupHistory != HistorySinceJoining {
		faults = append(faults, errors.New("notifications: Config.GroupHistory must be HistoryAll or HistorySinceJoining"))
	}
	if cfg.SystemHistory < HistoryAll || cfg.SystemHistory > HistoryRead {
		faults = append(faults, errors.New("notifications: Config.SystemHistory is not one of the histories"))
	}
	if cfg.IdempotencyWindow < 0 {
		faults = append(faults, errors.New("notifications: Config.IdempotencyWindow is negative"))
	}
	if cfg.IdempotencyWindow == 0 {
		cfg.IdempotencyWindow = DefaultIdempotencyWindow
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
	if cfg.Replica != nil {
		r, err := newReplica(cfg)
		if err != nil {
			faults = append(faults, err)
		}
		if st != nil {
			st.replica = r
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s := &Service{
		store: st, catalog: cfg.Catalog, policy: cfg.Policy, now: time.Now, scheduledIDs: uuid.NewGen(),
		groupHistory: cfg.GroupHistory, systemHistory: cfg.SystemHistory, idempotencyWindow: cfg.IdempotencyWindow,
	}
	s.ids = uuid.NewGenWithOptions(uuid.WithEpochFunc(func() time.Time { return s.now() }))
	return s, nil
}

// Authorize asks the policy whether who has all the permissions. Every verb
// does so itself; it is exported for hosts that offer operations of their own.
// It returns [ErrUnauthenticated], [ErrForbidden], [ErrUnavailable] or nil.
func (s *Service) Authorize(ctx context.Context, who Identity, permissions ...Permission) error {
	if !who.valid() {
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

// Get returns one notification that who can see, archived or not. It needs
// [PermissionList], and answers [ErrNotFound] for an id who cannot see, whether
// or not it exists.
func (s *Service) Get(ctx context.Context, who Identity, id string) (Notification, error) {
	if err := s.Authorize(ctx, who, PermissionList); err != nil {
		return Notification{}, err
	}
	id, err := parseID("id", id)
	if err != nil {
		return Notification{}, err
	}
	in, err := s.inbox(ctx, who)
	if err != nil {
		return Notification{}, err
	}
	return s.store.get(ctx, in, id)
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

// Ready asks whether the service can work: the database answers, all
// [Migrations] have been applied, by [Service.Migrate] or another tool, and the
// catalog, if it has a method Ready(context.Context) error, is ready too. The
// error says which of them is not, and names the file of the first migration
// that is missing. Config.Replica is not asked, as DB does its work when it is
// away.
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
