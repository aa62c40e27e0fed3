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
	}
	return tx.Commit()
}

// SealedPosition is a position of the log as clients get it. Something must
// have been marked before.
func SealedPosition(s *Service, at int64) string { return s.store.replica.seal(position(at)) }
