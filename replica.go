package notifications

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	// maxMarked is the number of users whose marks a Service remembers. They
	// take some 10 MB.
	maxMarked = 100_000
	// replicaPatience is how long the replica may take to answer. After that
	// the query goes to Config.DB.
	replicaPatience = 5 * time.Second
	// replicaPause is how long a replica that failed gets no queries.
	replicaPause = 5 * time.Second
	// replicaTrust is how long a replica is taken for a standby of Config.DB
	// before it is asked again. A server can be promoted, and a name can lead
	// to another server, without any query failing.
	replicaTrust = 5 * time.Second
)

// walPosition is a position in PostgreSQL's write-ahead log, in bytes. Zero is
// before everything.
type walPosition int64

// unknown is the position of a mark if the log could not be asked.
const unknown walPosition = math.MaxInt64

// replica is a standby that answers reads, and what is known about its lag.
type replica struct {
	db        *gorm.DB
	patience  time.Duration
	askEvery  time.Duration // about views
	maxMarked int

	mu sync.Mutex
	// marked holds, for each user, the position of DB's log after their latest
	// mark, until the replica has reached it. others holds one position for all
	// users who had no room in marked.
	marked map[Ref]*mark
	others *mark
	// reached is the last known position of the replica. pausedUntil is set
	// when the replica fails.
	reached     walPosition
	pausedUntil time.Time
	// origin is where Config.DB has its tables; nil if it is not known. Until
	// trustedUntil the replica is taken for a standby of it.
	origin       *place
	trustedUntil time.Time
	key          cipher.Block // of sealed positions; nil until it is known
	// views are what DB saw of the log of changes, the newest last, and where its
	// log was afterwards. asked is when the replica was asked about them.
	views []view
	asked time.Time
}

// mark is the position of one user's latest mark, or of several users'. A known
// position does not change.
type mark struct{ at walPosition }

// newReplica checks Config.Replica, which must not be nil.
func newReplica(cfg Config) (*replica, error) {
	var faults []error
	if name := cfg.Replica.Name(); name != "postgres" {
		faults = append(faults, fmt.Errorf("notifications: Config.Replica is %q, only postgres has standbys", name))
	}
	if cfg.DB != nil && cfg.DB.Name() != "postgres" {
		faults = append(faults, fmt.Errorf("notifications: Config.Replica is none of Config.DB, which is %q", cfg.DB.Name()))
	}
	if isTransaction(cfg.Replica) {
		faults = append(faults, errors.New("notifications: Config.Replica is a transaction; a service outlives it"))
	}
	return &replica{
		db: cfg.Replica, patience: replicaPatience, askEvery: viewsAsked, maxMarked: maxMarked, marked: map[Ref]*mark{},
	}, errors.Join(faults...)
}

// onReplica runs a reader's query on the replica if that has the reader's
// marks. It reports whether the replica answered.
func (s *store) onReplica(ctx context.Context, in inbox, query func(db *gorm.DB) error) (from readFrom, answered bool) {
	if s.replica.paused(in.now) {
		return from, false
	}
	from, answered, err := s.askReplica(ctx, in, query)
	if err != nil && ctx.Err() == nil {
		s.replica.failed(err, in.now)
		s.log.WarnContext(ctx, "the replica failed, and the database is asked instead", "error", err)
	}
	return from, answered
}

func (s *store) askReplica(ctx context.Context, in inbox, query func(db *gorm.DB) error) (from readFrom, answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.replica.patience)
	defer cancel()
	if ours, err := s.replicaIsOurs(ctx, in.now); !ours || err != nil {
		return from, false, err
	}
	if current, err := s.replicaHas(ctx, in.user); !current || err != nil {
		return from, false, err
	}
	if from, err = s.replicaSees(ctx); err != nil {
		return from, false, err
	}
	err = query(s.session(ctx, s.replica.db))
	return from, err == nil, err
}

// checkReplica logs a warning if the replica is not a standby of DB, and does
// nothing without a replica. It asks even if the replica was asked a moment ago.
func (s *store) checkReplica(ctx context.Context, now time.Time) {
	if s.replica == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.replica.patience)
	defer cancel()
	if _, err := s.replicaIsOurs(ctx, now); err != nil && ctx.Err() == nil {
		s.replica.failed(err, now)
		s.log.WarnContext(ctx, "the replica failed, and the database is asked instead", "error", err)
	}
}

// place is the server and the database that a connection leads to.
type place struct {
	Standby bool   `gorm:"column:standby"`
	System  string `gorm:"column:system"`   // the cluster, of which a standby is a copy
	InIt    string `gorm:"column:in_it"`    // the database in the cluster
	Table   string `gorm:"column:table_id"` // empty if it is not there
}

// replicaIsOurs reports whether the replica is a standby of DB and has its
// tables, and asks it unless that is known. It may lack new tables for a moment,
// which is no error.
func (s *store) replicaIsOurs(ctx context.Context, now time.Time) (bool, error) {
	r := s.replica
	origin, trusted := r.trusted(now)
	if trusted {
		return true, nil
	}
	if origin == nil {
		at, err := s.place(ctx, s.db)
		if err != nil {
			return false, nil //nolint:nilerr // no fault of the replica; the reader hears of it from DB
		}
		origin = &at
	}
	at, err := s.place(ctx, r.db)
	switch {
	case err != nil:
		return false, err
	case at.System != origin.System:
		return false, errors.New("it is another PostgreSQL, not a standby of the database")
	case !at.Standby:
		return false, errors.New("it is not a standby (pg_is_in_recovery() is false)")
	case at.InIt != origin.InIt:
		return false, errors.New("it leads to another database of the standby")
	case at.Table == "":
		return false, nil
	case at.Table != origin.Table:
		return false, errors.New("it leads to other tables than the database")
	}
	r.trust(origin, now)
	return true, nil
}

// place asks where a connection of db leads to.
func (s *store) place(ctx context.Context, db *gorm.DB) (place, error) {
	var at place
	err := find(s.session(ctx, db), s.sql("SELECT pg_is_in_recovery() AS standby,"+
		" (SELECT system_identifier::text FROM pg_control_system()) AS system,"+
		" (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS in_it,"+
		" coalesce(to_regclass('notification_messages')::oid::text, '') AS table_id"), &at)
	return at, err
}

// replicaHas reports whether the replica has all marks of the user: those made
// through this Service, and those that [AfterMark] put into the context.
func (s *store) replicaHas(ctx context.Context, user Ref) (bool, error) {
	latest, at := s.replica.latest(user)
	if at == unknown {
		now, err := s.walEnd(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // no fault of the replica; the reader hears of it from DB
		}
		s.replica.learn(latest, now)
		at = now
	}
	elsewhere := s.markedElsewhere(ctx)
	if s.replica.has(max(at, elsewhere)) {
		return true, nil
	}
	// Null on a server that was promoted since it was asked.
	reached, err := s.askWAL(ctx, s.replica.db, "coalesce(pg_last_wal_replay_lsn(), '0/0')")
	if err != nil {
		return false, err
	}
	s.replica.wasAt(reached)
	if elsewhere > max(at, reached) {
		// A position that the log has not reached comes from before a recovery,
		// or from a service that did not know it.
		now, err := s.walEnd(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // no fault of the replica; the reader hears of it from DB
		}
		elsewhere = min(elsewhere, now)
	}
	return reached >= max(at, elsewhere), nil
}

// noteMark records, after the commit, that the user has marked something.
func (s *store) noteMark(ctx context.Context, user Ref) {
	if s.replica == nil { // or the transaction of the host has not committed yet
		return
	}
	at, err := s.walEnd(ctx)
	if err != nil {
		at = unknown
	}
	s.replica.note(user, at)
	_, _ = s.markKey(ctx) // without it, other instances do not learn of the mark
}

// walEnd returns the position of DB's log after everything committed. It asks
// for the insert position, because with synchronous_commit off a commit may not
// be written yet.
func (s *store) walEnd(ctx context.Context) (walPosition, error) {
	return s.askWAL(ctx, s.db, "pg_current_wal_insert_lsn()")
}

func (s *store) askWAL(ctx context.Context, db *gorm.DB, lsn string) (walPosition, error) {
	var at int64
	err := find(s.session(ctx, db), s.sql("SELECT ("+lsn+" - '0/0'::pg_lsn)::bigint"), &at)
	return walPosition(at), err
}

// note records a position of the log after the user's latest mark.
func (r *replica) note(user Ref, at walPosition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.marked[user]; old != nil {
		at = max(at, old.at)
	} else if len(r.marked) >= r.maxMarked {
		r.forget()
	}
	r.marked[user] = &mark{at}
}

// forget makes room: it replaces the marks of all users by the latest one. The
// caller holds mu.
func (r *replica) forget() {
	latest := new(mark)
	if r.others != nil {
		latest.at = r.others.at
	}
	for _, m := range r.marked {
		if m.at > r.reached {
			latest.at = max(latest.at, m.at)
		}
	}
	r.others = latest
	clear(r.marked)
}

// latest returns the mark that the replica must have before it may answer the
// user, and its position. It forgets marks that the replica has.
func (r *replica) latest(user Ref) (*mark, walPosition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.marked[user]
	if own != nil && own.at <= r.reached {
		delete(r.marked, user)
		own = nil
	}
	if r.others != nil && r.others.at <= r.reached {
		r.others = nil
	}
	latest := own
	if latest == nil || r.others != nil && r.others.at > latest.at {
		latest = r.others
	}
	if latest == nil {
		return nil, 0
	}
	return latest, latest.at
}

// after returns a position of the log after all marks of the user. If the
// replica has them it is the replica's position.
func (r *replica) after(user Ref) walPosition {
	_, at := r.latest(user)
	r.mu.Lock()
	defer r.mu.Unlock()
	if at == 0 {
		at = r.reached
	}
	return at
}

// learn sets the position of a mark for which it was unknown. A later mark is
// another value.
func (r *replica) learn(m *mark, at walPosition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.at = min(m.at, at)
}

func (r *replica) has(at walPosition) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return at <= r.reached
}

func (r *replica) wasAt(at walPosition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = max(r.reached, at)
}

// trusted returns where the tables of DB are, if that is known, and whether the
// replica need not be asked.
func (r *replica) trusted(now time.Time) (*place, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.origin, now.Before(r.trustedUntil)
}

func (r *replica) trust(origin *place, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origin, r.trustedUntil = origin, now.Add(replicaTrust)
}

func (r *replica) paused(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.pausedUntil)
}

// failed pauses the replica, unless it only cancelled a query that conflicted
// with its recovery. Another server may answer afterwards, so nothing known of
// it stays.
func (r *replica) failed(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isConflict(err) {
		r.reached, r.pausedUntil = 0, now.Add(replicaPause)
		r.origin, r.trustedUntil = nil, time.Time{}
	}
}
