package notifications

import "time"

// SetClock replaces the clock of a service that does nothing yet.
func SetClock(s *Service, now func() time.Time) { s.now = now }
