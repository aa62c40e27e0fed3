package notifications

import (
	"context"
	"database/sql"
	"time"

	"github.com/gofrs/uuid/v5"
	"gorm.io/gorm"
)

// Additions returns the columns that a migration adds, as "table.column"; none
// if Ready does not check that migration.
func Additions(file string) []string {
	var added []string
	for _, a := range additions[file] {
		for _, column := range a.columns {
			added = append(added, a.table+"."+column)
		}
	}
	return added
}

// WaitingWrites returns how many writes wait in the queue.
func WaitingWrites(s *Service) int { return s.store.queue.Len() }

// Committed asks whether an attempt to post was committed.
func Committed(ctx context.Context, s *Service, id string) error {
	return s.store.read(ctx, func(db *gorm.DB) error {
		_, err := s.store.committed(db, attempt{ids: []string{id}})
		return err
	})
}

// SetSearchLimit changes how long a search may take.
func SetSearchLimit(s *Service, d time.Duration) { s.searches.limit = d }

// Searchers returns the number of readers who are searching.
func Searchers(s *Service) int {
	s.searches.mu.Lock()
	defer s.searches.mu.Unlock()
	return len(s.searches.under)
}

// ReplicaPause is how long a replica that failed gets no queries.
const ReplicaPause = replicaPause

// ReplicaTrust is how long a replica is taken for a standby.
const ReplicaTrust = replicaTrust

// SetReplicaPatience changes how long the replica may take.
func SetReplicaPatience(s *Service, d time.Duration) { s.store.replica.patience = d }

// AskReplicaAlways has each read ask which views the replica has reached.
func AskReplicaAlways(s *Service) { s.store.replica.askEvery = 0 }

// SetMaxMarked changes how many users the Service remembers marks of.
func SetMaxMarked(s *Service, n int) { s.store.replica.maxMarked = n }

// MarkedUsers returns how many users the Service remembers marks of.
func MarkedUsers(s *Service) int {
	s.store.replica.mu.Lock()
	defer s.store.replica.mu.Unlock()
	return len(s.store.replica.marked)
}

// StoreBare stores a message to each of the users (given as audiences) on
// SQLite, in one transaction. Of this package it uses only the SQL.
func StoreBare(ctx context.Context, pool *sql.DB, users ...string) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after a commit
	for _, user := range users {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		p := &posting{
			id: id.String(), poster: "service:ci", actions: noActions, audiences: []string{user}, audienceArray: jsonArray([]string{user}),
			draft: Draft{Origin: "bench", Title: "Build is done"},
		}
		if _, err := tx.ExecContext(ctx, insertMessage, p.values()...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertDelivery+" SELECT ?, ?, ?, ?, ?, ?", append([]any{user}, p.copied()...)...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertPosted+" VALUES (?, ?, ?)", p.logged()...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// SealedPosition is a position of the log as clients get it. Something must
// have been marked before.
func SealedPosition(s *Service, at int64) string { return s.store.replica.seal(walPosition(at)) }

// SettleLog asks for the epoch of the log of changes, and keeps readers and
// posts from asking again or making ticks.
func SettleLog(ctx context.Context, s *Service) error {
	e := s.store.epochs
	e.keep(true)
	row, err := s.store.currentEpoch(ctx)
	e.set(row.epoch(), row.Tick)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = e.asked.Add(time.Hour)
	return err
}

// Tick makes a tick and prunes the log, at the time of the Service's clock.
func Tick(ctx context.Context, s *Service) error { return s.store.tick(ctx, s.now(), false) }

// ForgetEpoch makes the next reader ask for the epoch, as after ten seconds.
func ForgetEpoch(s *Service) { s.store.epochs.forget() }

// SetPace makes the background work of watches fast: everything that happens
// after seconds happens after the given time. The changes of the last minutes
// take no more than ringBytes.
func (s *Service) SetPace(of time.Duration, ringBytes int) {
	s.live.pace = pace{poll: of, beat: of, recheck: of, patience: of, ringBytes: ringBytes}
}
