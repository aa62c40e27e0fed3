package notifications

import (
	"context"
	"database/sql"
	"time"

	"github.com/gofrs/uuid/v5"
)

// Additions are the columns that a migration adds, as "table.column"; none when
// it has no check.
func Additions(file string) []string {
	var added []string
	for _, a := range additions[file] {
		for _, column := range a.columns {
			added = append(added, a.table+"."+column)
		}
	}
	return added
}

// ReplicaPause is how long a replica that failed is left alone.
const ReplicaPause = replicaPause

// SetReplicaPatience replaces how long the replica may take.
func SetReplicaPatience(s *Service, d time.Duration) { s.store.replica.patience = d }

// SetMaxMarked replaces how many users are remembered as having marked.
func SetMaxMarked(s *Service, n int) { s.store.replica.maxMarked = n }

// MarkedUsers is how many are.
func MarkedUsers(s *Service) int {
	s.store.replica.mu.Lock()
	defer s.store.replica.mu.Unlock()
	return len(s.store.replica.marked)
}

// StoreBare stores a message to each of the users, as they are stored, on SQLite, in
// one transaction, without anything of this package but its SQL.
func StoreBare(ctx context.Context, pool *sql.DB, users ...string) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
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
