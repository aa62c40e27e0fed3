package notifications

import "time"

// SetClock replaces the clock of a service that does nothing yet.
func SetClock(s *Service, now func() time.Time) { s.now = now }

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
