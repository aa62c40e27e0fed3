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
//	go svc.Run(ctx)
//	posted, err := svc.Post(ctx, notifications.ServiceAccount("ci"), notifications.Draft{
//		Origin: "ci", Title: "Build 7 is done", To: notifications.Users("jane"),
//	})
//	page, err := svc.List(ctx, notifications.User("jane"), notifications.ListQuery{})
//
// Package httpapi serves the same over HTTP, and package auth knows tokens and
// shared secrets.
//
// # Visibility
//
// What a user sees follows from deliveries and from the groups the user is in
// at that moment, and from nothing else. Those who join a group see what it was
// sent before, and those who leave it no longer do.
//
// # Transactions
//
// [Service.WithTx] and [Service.WithSQLTx] return the same Service inside the
// host's own transaction: what its verbs do appears when that commits, and is
// gone when it rolls back.
//
// # In the background
//
// New starts nothing. [Service.Run] does what must be done now and then, until
// its context ends.
package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// Config is what a Service is made of.
type Config struct {
	// DB is the host's database, PostgreSQL (encoding UTF8) or SQLite.
	// Required. It is never opened, closed or tuned here, and conditions,
	// scopes or naming strategies set on it do not matter.
	DB *gorm.DB
	// Replica, if not nil, is one streaming standby of DB, PostgreSQL only.
	// Lists, counts, status, topics and single notifications are read from it,
	// except while it lacks a mark of the reader, or fails: then from DB, as
	// is everything else. So a new post shows after the replica's lag. It is
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
	// Retention is how old a notification becomes before [Service.Run] removes
	// it, unless somebody saved it. Zero keeps all.
	Retention time.Duration
	// PurgeInterval is how often [Service.Run] purges; zero is
	// [DefaultPurgeInterval].
	PurgeInterval time.Duration
	// Logger receives slow and failing queries, without their parameters,
	// failures of Replica, and what Run does. Nil discards.
	Logger *slog.Logger
	// Now is the clock. Nil is time.Now. It must be safe for concurrent use.
	Now func() time.Time
}

// Defaults of a [Config].
const (
	DefaultIdempotencyWindow = 7 * 24 * time.Hour
	DefaultPurgeInterval     = time.Hour
)

// Service is the notification inbox. It is made by [New] and is safe for
// concurrent use; one bound to a transaction by [Service.WithTx] is as safe as
// that transaction. Its verbs take who is asking as an argument, ask the policy
// first, and return the errors of this package.
type Service struct {
	store   *store
	catalog Catalog
	policy  Policy
	now     func() time.Time
	ids     *ids
	log     *slog.Logger

	groupHistory, systemHistory History
	idempotencyWindow           time.Duration
	retention, purgeInterval    time.Duration

	running *atomic.Bool
	bound   *binding // to a transaction of the host; nil if to none
}

var discard = slog.New(slog.DiscardHandler)

// New makes a Service. It opens nothing and starts nothing; the tables are
// made by [Service.Migrate]. It reports all faults of the configuration at
// once.
func New(cfg Config) (*Service, error) {
	faults := cfg.check()
	cfg.fillIn()
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
	return &Service{
		store: st, catalog: cfg.Catalog, policy: cfg.Policy, now: cfg.Now, ids: newIDs(cfg.Now), log: cfg.Logger,
		groupHistory: cfg.GroupHistory, systemHistory: cfg.SystemHistory, idempotencyWindow: cfg.IdempotencyWindow,
		retention: cfg.Retention, purgeInterval: cfg.PurgeInterval, running: new(atomic.Bool),
	}, nil
}

func (cfg Config) check() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("notifications: Config."+format, args...))
	}
	if cfg.DB == nil {
		fault("DB is required")
	}
	if cfg.Catalog == nil {
		fault("Catalog is required; catalog.Open takes users on trust")
	}
	if cfg.Policy == nil {
		fault("Policy is required; AllowAll permits everything to everybody")
	}
	if cfg.GroupHistory != HistoryAll && cfg.GroupHistory != HistorySinceJoining {
		fault("GroupHistory must be HistoryAll or HistorySinceJoining")
	}
	if cfg.SystemHistory < HistoryAll || cfg.SystemHistory > HistoryRead {
		fault("SystemHistory must be HistoryAll, HistorySinceJoining or HistoryRead")
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{{"IdempotencyWindow", cfg.IdempotencyWindow}, {"Retention", cfg.Retention}, {"PurgeInterval", cfg.PurgeInterval}} {
		if d.is < 0 {
			fault("%s is negative", d.name)
		}
	}
	return faults
}

func (cfg *Config) fillIn() {
	if cfg.IdempotencyWindow == 0 {
		cfg.IdempotencyWindow = DefaultIdempotencyWindow
	}
	if cfg.PurgeInterval == 0 {
		cfg.PurgeInterval = DefaultPurgeInterval
	}
	if cfg.Logger == nil {
		cfg.Logger = discard
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

// Authorize asks the policy whether who has all the permissions. Every verb
// does so itself; it is exported for hosts that offer operations of their own.
// It returns [ErrUnauthenticated], [ErrForbidden], [ErrUnavailable] or nil.
func (s *Service) Authorize(ctx context.Context, who Identity, permissions ...Permission) error {
	ctx, err := s.bind(ctx)
	if err != nil {
		return err
	}
	if !who.valid() {
		return ErrUnauthenticated
	}
	for _, p := range permissions {
		r := Request{Who: who, Permission: p}
		if p == PermissionCreate || p == PermissionCreateSystem {
			r.Draft = new(Draft)
		}
		if err := s.authorize(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// authorize asks the policy.
func (s *Service) authorize(ctx context.Context, r Request) error {
	if !r.Who.valid() {
		return ErrUnauthenticated
	}
	decision, err := s.policy.Decide(ctx, r)
	if err != nil {
		return unavailable("policy", err)
	}
	if decision != Allow {
		return fmt.Errorf("%w: %s lacks %s", ErrForbidden, r.Who, r.Permission)
	}
	return nil
}

// Ready asks whether the service can work: the database answers, all
// [Migrations] have been applied, by [Service.Migrate] or another tool, and the
// catalog, if it has a method Ready(context.Context) error, is ready too. The
// error says which of them is not, and names the file of the first migration
// that is missing. Config.Replica is not asked, as DB does its work when it is
// away.
func (s *Service) Ready(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
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

// Run does everything that must happen in the background, until ctx ends: at
// once and then every Config.PurgeInterval it purges. Failures are logged, and
// the next turn goes on. It returns nil when ctx has ended and its work with
// it. Of several instances on one database each may run; PostgreSQL lets one
// purge at a time. A Service runs once at a time: a second Run beside the
// first, and one of a bound Service, returns an error at once.
func (s *Service) Run(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("notifications: Run is already running")
	}
	defer s.running.Store(false)
	s.purgePeriodically(ctx)
	return nil
}
