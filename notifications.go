// Package notifications gives a backend an in-app notification inbox: services
// post messages to users, to groups or to everybody, and each user lists,
// counts, searches and marks them.
//
// A [Service] stores its tables in the host's PostgreSQL or SQLite database,
// through a *gorm.DB. The host supplies a [Catalog], which knows users and
// groups, and a [Policy], which decides who may do what:
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
// Package httpapi serves the same operations over HTTP. Package auth verifies
// tokens and shared secrets.
//
// # Visibility
//
// A user sees the notifications addressed to them, to the groups they are in at
// that moment, and to everybody. A user who joins a group sees its earlier
// notifications too; a user who leaves it sees none of them any more. Marks
// never make a notification visible.
//
// # Transactions
//
// [Service.WithTx] and [Service.WithSQLTx] return the same Service inside the
// host's own transaction. Its writes appear when the transaction commits, and
// disappear when it rolls back.
//
// # In the background
//
// New starts nothing. [Service.Run] purges old notifications at intervals until
// its context ends.
package notifications

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// Config holds the settings of a [Service].
type Config struct {
	// DB is the host's database, PostgreSQL (encoding UTF8) or SQLite.
	// Required. The Service never opens, closes or tunes it, and ignores
	// conditions, scopes and naming strategies set on it.
	DB *gorm.DB
	// Replica is one streaming standby of DB, PostgreSQL only. Nil means none.
	// Lists, counts, status, topics and single notifications are read from it,
	// so a new post shows after the replica's lag. They are read from DB if the
	// replica fails, lacks a mark of the reader, or is not a standby of DB; the
	// Service asks it for that at the first read, after each failure, at the
	// start of Run and every 5 seconds of use. Marks by a Service bound to a
	// transaction show after the lag. The Service never opens, closes or tunes
	// it.
	Replica *gorm.DB
	// Probe is a handle of DB with a connection of its own, which [Service.Ready]
	// uses: it answers also when all connections of DB are in use. Nil means DB.
	Probe *gorm.DB
	// MaxReads is how many queries of readers run on DB at once, so that they
	// leave connections to those who write. Others wait. Zero means any number;
	// negative is an error.
	MaxReads int
	// Catalog knows users and groups. Required.
	Catalog Catalog
	// Policy decides who may do what. Required; [AllowAll], [Authenticated] and
	// [NewRules] are ready ones.
	Policy Policy
	// GroupHistory says whether members see what their group received before
	// they joined: HistoryAll, the default, or HistorySinceJoining, which uses
	// the dates in [Membership].
	GroupHistory History
	// SystemHistory says whether users see notifications to everybody from
	// before they had an account. Other values than HistoryAll, the default,
	// need a catalog that implements [AccountDates].
	SystemHistory History
	// IdempotencyWindow is how long an idempotency key is remembered. Zero
	// means [DefaultIdempotencyWindow]; negative is an error.
	IdempotencyWindow time.Duration
	// Retention is the age at which [Service.Run] removes a notification,
	// unless a user saved it. Zero keeps all; negative is an error.
	Retention time.Duration
	// PurgeInterval is the time between two purges of [Service.Run]. Zero means
	// [DefaultPurgeInterval]; negative is an error.
	PurgeInterval time.Duration
	// Bell wakes the watches of other instances when something has changed here,
	// and those of this one when something has changed there. Nil means none:
	// then they look every second.
	Bell Bell
	// Logger receives slow and failing queries without their parameters,
	// failures of Replica, and the results of Run. Nil discards them.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
}

// Defaults of a [Config].
const (
	DefaultIdempotencyWindow = 7 * 24 * time.Hour
	DefaultPurgeInterval     = time.Hour
)

// Service is the notification inbox. [New] makes it. It is safe for concurrent
// use; a Service bound to a transaction by [Service.WithTx] is as safe as that
// transaction. Each verb takes the caller's [Identity] as its argument who,
// asks the policy first, and returns the errors of this package.
type Service struct {
	store    *store
	catalog  Catalog
	policy   Policy
	now      func() time.Time
	ids      *ids
	log      *slog.Logger
	searches *searches

	groupHistory, systemHistory History
	idempotencyWindow           time.Duration
	retention, purgeInterval    time.Duration

	running *atomic.Bool
	live    *live
	bell    Bell     // nil if there is none
	bound   *binding // the host's transaction; nil if there is none
}

var discard = slog.New(slog.DiscardHandler)

// New makes a Service. It opens nothing and starts nothing; [Service.Migrate]
// creates the tables. Its error names every fault of the configuration.
func New(cfg Config) (*Service, error) {
	faults := cfg.check()
	cfg.fillIn()
	var st *store
	if cfg.DB != nil && cfg.DB.Config != nil {
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
	if st != nil && len(faults) == 0 {
		st.probe = cfg.Probe
		if cfg.MaxReads > 0 {
			st.reads = make(chan struct{}, cfg.MaxReads)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	shared := newLive(cfg.Bell, cfg.Logger)
	st.changed = shared.ring
	return &Service{
		store: st, catalog: cfg.Catalog, policy: cfg.Policy, now: cfg.Now, ids: newIDs(cfg.Now), log: cfg.Logger, searches: newSearches(),
		groupHistory: cfg.GroupHistory, systemHistory: cfg.SystemHistory, idempotencyWindow: cfg.IdempotencyWindow,
		retention: cfg.Retention, purgeInterval: cfg.PurgeInterval, running: new(atomic.Bool), live: shared, bell: cfg.Bell,
	}, nil
}

func (cfg Config) check() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("notifications: Config."+format, args...))
	}
	if cfg.DB == nil || cfg.DB.Config == nil {
		fault("DB is required")
	}
	if isNil(cfg.Catalog) {
		fault("Catalog is required; catalog.Open takes users on trust")
	} else if _, dated := cfg.Catalog.(AccountDates); !dated && cfg.SystemHistory != HistoryAll {
		fault("SystemHistory needs a Catalog that implements AccountDates, and %T does not", cfg.Catalog)
	}
	if cfg.Bell != nil && isNil(cfg.Bell) {
		fault("Bell is a nil %T; leave it out instead", cfg.Bell)
	}
	if isNil(cfg.Policy) {
		fault("Policy is required; AllowAll permits everything to everybody")
	}
	if cfg.MaxReads < 0 {
		fault("MaxReads is negative")
	}
	if cfg.Probe != nil && cfg.DB != nil && cfg.Probe.Name() != cfg.DB.Name() {
		fault("Probe is of %s, Config.DB of %s", cfg.Probe.Name(), cfg.DB.Name())
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

// isNil reports whether a value is nil, or an interface around a nil pointer.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
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

// Authorize asks the policy whether the caller has all the permissions. Every
// verb does this itself; Authorize is for hosts that add operations of their
// own. It returns [ErrUnauthenticated], [ErrForbidden], [ErrUnavailable] or
// nil; in a bound Service also [ErrNoTransaction].
func (s *Service) Authorize(ctx context.Context, who Identity, permissions ...Permission) error {
	ctx, err := s.bind(ctx)
	if err != nil {
		return err
	}
	if !who.valid() {
		return ErrUnauthenticated
	}
	if err := s.alive(ctx); err != nil {
		return err
	}
	if len(permissions) == 0 {
		return Invalid("permissions", "names none, and so would allow everything")
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

// authorize asks the policy about one permission.
func (s *Service) authorize(ctx context.Context, r Request) error {
	if !r.Who.valid() {
		return ErrUnauthenticated
	}
	r.Who.Name = s.readable(r.Who.Kind, r.Who.Name)
	r.User = s.readable(KindUser, r.User)
	if id, ok := canonicalID(r.ID); ok {
		r.ID = id
	}
	decision, err := s.policy.Decide(ctx, r)
	if err != nil {
		return s.away("policy", err)
	}
	if decision != Allow {
		return fmt.Errorf("%w: %s lacks %s", ErrForbidden, r.Who, r.Permission)
	}
	return nil
}

// readable returns the name of a user in canonical form if the catalog can read
// it, and any other name as it is.
func (s *Service) readable(kind Kind, name string) string {
	if kind != KindUser || name == "" {
		return name
	}
	if ref, err := s.canonical(KindUser, name); err == nil {
		return ref.Name
	}
	return name
}

// Run does the background work until ctx ends: it purges at once, and then
// every Config.PurgeInterval. It logs a failed purge and tries again at the
// next interval. After the clock has jumped ahead by more than an hour it purges
// nothing for a day, unless the clock goes back. It returns nil after ctx has ended and the last purge has
// stopped.
//
// Several instances on one database may each call Run; on PostgreSQL one of
// them purges at a time. Run returns an error at once if the Service is already
// running, or is bound to a transaction.
func (s *Service) Run(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("notifications: Run is already running")
	}
	defer s.running.Store(false)
	s.store.checkReplica(ctx, s.now())
	var background sync.WaitGroup
	background.Go(func() { s.tickPeriodically(ctx) })
	background.Go(func() { newTail(s).run(ctx) })
	background.Go(func() { s.listen(ctx) })
	s.purgePeriodically(ctx)
	background.Wait()
	return nil
}
