package notifications

import (
	"context"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

// backlog is a part of the log before the ring. It is read once for all watches
// that continue there.
type backlog struct {
	reading chan struct{} // has a value while somebody reads

	mu   sync.Mutex
	from changelog.Position
	tick *changelog.Tick // what happened since; nil if nothing has been read
}

func newBacklog() *backlog { return &backlog{reading: make(chan struct{}, 1)} }

// get returns what happened since a position, up to one that the ring has. It
// returns nil if that is too much.
func (b *backlog) get(ctx context.Context, t *tail, p changelog.Position) (*changelog.Tick, error) {
	select { // the one before may read the same
	case b.reading <- struct{}{}:
		defer func() { <-b.reading }()
	case <-ctx.Done():
		return nil, unavailable("watch", ctx.Err())
	}
	if tick := b.kept(t, p); tick != nil {
		return tick, nil
	}
	from, err := t.store.tickBefore(ctx, p)
	if err != nil {
		return nil, err
	}
	tick, err := t.readBacklog(ctx, from)
	if err == nil && tick != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.from, b.tick = from, tick
	}
	return tick, err
}

// kept returns what was read, if that reaches from the position to the ring.
func (b *backlog) kept(t *tail, p changelog.Position) *changelog.Tick {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tick == nil || b.from.Epoch != p.Epoch || !p.Includes(b.from) {
		return nil
	}
	if _, meets := t.ring.Find(b.tick.Position); !meets {
		b.tick = nil
	}
	return b.tick
}

// readBacklog reads what happened since a position; nil if that is too much.
func (t *tail) readBacklog(ctx context.Context, from changelog.Position) (*changelog.Tick, error) {
	now := t.now().Truncate(time.Millisecond) // as positions have it
	rows, seen, err := t.store.changesSince(ctx, from.Seen, maxTail+1)
	if err != nil || len(rows) > maxTail {
		return nil, err
	}
	var changes []changelog.Change
	for i := range rows {
		changes = append(changes, rows[i].change())
	}
	expired, err := t.store.expiring(ctx, from.At.UnixMilli(), now.UnixMilli()+1)
	if err != nil || len(expired) > maxTail {
		return nil, err
	}
	for i := range expired {
		changes = append(changes, expired[i].expiry())
	}
	appeared, err := t.store.appearing(ctx, from.At.UnixMilli(), now.UnixMilli()+1)
	if err != nil || len(appeared) > maxTail {
		return nil, err
	}
	for i := range appeared {
		changes = append(changes, appeared[i].appearance())
	}
	sortChanges(changes)
	return &changelog.Tick{Position: changelog.Position{Epoch: from.Epoch, Seen: seen, At: now, Nonce: from.Nonce}, Changes: changes}, nil
}

// tickBefore returns the position of the last tick before a position, so that
// watches that continue nearby need not read again.
func (s *store) tickBefore(ctx context.Context, p changelog.Position) (changelog.Position, error) {
	var rows []tickRow
	err := s.read(ctx, func(db *gorm.DB) error {
		rows = nil
		return find(db, s.sql("SELECT CAST(tick.snapshot AS text) AS snapshot, tick.at, tick.nonce FROM notification_ticks tick WHERE tick.nonce = ?", p.Nonce), &rows)
	})
	if err != nil || len(rows) == 0 {
		return p, err
	}
	before := p
	before.At = time.UnixMilli(rows[0].At)
	if before.Seen, err = s.dialect.parseSnapshot(rows[0].Snapshot); err != nil {
		return p, err
	}
	if !p.Includes(before) {
		return p, nil
	}
	return before, nil
}
