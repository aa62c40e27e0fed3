package pgbell

import "time"

// SetTimes makes a bell notice sooner that its server does not answer.
func (b *Bell) SetTimes(idle, patience time.Duration) { b.idle, b.patience = idle, patience }
