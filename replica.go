package notifications

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	// maxMarked is how many users a service remembers as having marked
	// something: some 10 MB.
	maxMarked = 100_000
	// replicaPatience is how long a replica may take to answer a reader before
	// Config.DB is asked instead.
	replicaPatience = 5 * time.Second
	// replicaPause is how long a replica that failed is left alone.
	replicaPause = 5 * time.Second
)

// position is a place in PostgreSQL's write-ahead log, in bytes. The zero
// position is before everything.
type position int64

// unknown is where the log was when it could not be asked.
const unknown position = math.MaxInt64

// replica is a standby that reads go to, and what is known of how far it is
// behind.
type replica struct {
	db        *gorm.DB
	patience  time.Duration
	maxMarked int

	mu sync.Mutex
	// marked is, by user, where DB's log was after the latest mark, as long as
	// the replica was not seen there. others is at least as late as that of any
	// user there was no room for.
	marked map[Ref]*mark
	others *mark
	// reached is where the replica was seen last; pausedUntil is set when it
	// failed.
	reached     position
	pausedUntil time.Time
}

// mark is one user's, or what several come to. Once at is known it stays.
type mark struct{ at position }

// newReplica checks Config.Replica, which is not nil.
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
		db: cfg.Replica, patience: replicaPatience, maxMarked: maxMarked, marked: map[Ref]*mark{},
	}, errors.Join(faults...)
}

// onReplica runs a query of a reader on the replica, if that has the reader's
// marks, and reports whether it has answered.
func (s *store) onReplica(ctx context.Context, in inbox, query func(db *gorm.DB) error) bool {
	if s.replica.paused(in.now) {
		return false
	}
	answered, err := s.askReplica(ctx, in.user, query)
	if err != nil && ctx.Err() == nil {
		s.replica.failed(err, in.now)
		s.log.WarnContext(ctx, "the replica failed, and the database is asked instead", "error", err)
	}
	return answered
}

func (s *store) askReplica(ctx context.Context, user Ref, query func(db *gorm.DB) error) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.replica.patience)
	defer cancel()
	if current, err := s.replicaHas(ctx, user); !current || err != nil {
		return false, err
	}
	err := query(s.session(ctx, s.replica.db))
	return err == nil, err
}

// replicaHas reports whether the replica has all marks of the user: those this
// Service knows of, and those the context says another one does.
func (s *store) replicaHas(ctx context.Context, user Ref) (bool, error) {
	latest, at := s.replica.latest(user)
	if at == unknown {
		now, err := s.position(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // no fault of the replica; the reader hears of it from DB
		}
		s.replica.learn(latest, now)
		at = now
	}
	elsewhere, _ := ctx.Value(markedElsewhere{}).(position)
	at = max(at, elsewhere)
	if s.replica.has(at) {
		return true, nil
	}
	// Null where it is no standby, or not any more.
	reached, err := s.logPosition(ctx, s.replica.db, "coalesce(pg_last_wal_replay_lsn(), '0/0')")
	if err != nil {
		return false, err
	}
	s.replica.wasAt(reached)
	return reached >= at, nil
}

// noteMark remembers, after a commit, that the user has marked something.
func (s *store) noteMark(ctx context.Context, user Ref) {
	if s.replica == nil { // or in a transaction of the host, not committed yet
		return
	}
	at, err := s.position(ctx)
	if err != nil {
		at = unknown
	}
	s.replica.note(user, at)
}

// position is where the log of DB is: after everything that has been committed.
// It is where the next record goes, for with synchronous_commit off a commit
// may not be written yet.
func (s *store) position(ctx context.Context) (position, error) {
	return s.logPosition(ctx, s.db, "pg_current_wal_insert_lsn()")
}

func (s *store) logPosition(ctx context.Context, db *gorm.DB, lsn string) (position, error) {
	var at int64
	err := find(s.session(ctx, db), s.sql("SELECT ("+lsn+" - '0/0'::pg_lsn)::bigint"), &at)
	return position(at), err
}

// note remembers that the user's marks are in the log before a position.
func (r *replica) note(user Ref, at position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.marked[user]; old != nil {
		at = max(at, old.at)
	} else if len(r.marked) >= r.maxMarked {
		r.forget()
	}
	r.marked[user] = &mark{at}
}

// forget makes room: instead of each user's mark it keeps the latest of all.
// The caller holds mu.
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

// latest returns what the replica must have before it may answer the user, and
// where that is. It forgets what the replica has.
func (r *replica) latest(user Ref) (*mark, position) {
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

// after returns a place in the log after all the user's marks: where the
// replica has them, where it was seen.
func (r *replica) after(user Ref) position {
	_, at := r.latest(user)
	r.mu.Lock()
	defer r.mu.Unlock()
	if at == 0 {
		at = r.reached
	}
	return at
}

// learn notes where DB's log was some time after a mark of which that was
// unknown. A later mark is another one.
func (r *replica) learn(m *mark, at position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.at = min(m.at, at)
}

func (r *replica) has(at position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return at <= r.reached
}

func (r *replica) wasAt(at position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = max(r.reached, at)
}

func (r *replica) paused(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.pausedUntil)
}

// failed leaves the replica alone for a while, unless it has only broken off a
// query that was in the way of its recovery. What comes back may be another
// server, so it is asked again where it is.
func (r *replica) failed(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isConflict(err) {
		r.reached, r.pausedUntil = 0, now.Add(replicaPause)
	}
}

// Marked returns a text that stands for everything who has marked by this
// Service. Reads by another Service on the same database, in a context of
// [AfterMark], are no older. It is empty without Config.Replica and where there
// is nothing to wait for.
func (s *Service) Marked(who Identity) string {
	if s.store.replica == nil || who.Kind != KindUser {
		return ""
	}
	user, err := s.canonical(KindUser, who.Name)
	if err != nil {
		return ""
	}
	if at := s.store.replica.after(user); at > 0 {
		return strconv.FormatInt(int64(at), 36)
	}
	return ""
}

type markedElsewhere struct{}

// AfterMark returns a context for reads that must show what a user marked by
// another Service, which was asked for it with [Service.Marked]. What is not
// such a text changes nothing, so that it may come from a client.
func AfterMark(ctx context.Context, marked string) context.Context {
	at, err := strconv.ParseInt(marked, 36, 64)
	if err != nil || at <= 0 {
		return ctx
	}
	return context.WithValue(ctx, markedElsewhere{}, position(at))
}
