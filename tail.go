package notifications

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

const (
	// ringPause is the least time between two looks.
	ringPause = 5 * time.Millisecond
	// maxTail is the most changes that are read at once.
	maxTail = 50_000
	// countsAtOnce is how many watches of one Service count at once.
	countsAtOnce = 4
	// aheadTime is how far ahead the tailer knows what appears or expires.
	aheadTime = time.Minute
	// runPatience is how long a watch waits for Run to begin: a server may begin
	// it together with everything else.
	runPatience = time.Second
	// startPatience is how long a watch waits for Run to read the log.
	startPatience = 5 * time.Second
)

// tail reads the log of changes into a ring, for all watches of a Service.
type tail struct {
	*Service
	ring     *changelog.Ring
	contents *contents
	counting chan struct{} // has a value for each count that is running
	ready    chan struct{} // closed when the log has been read
	ended    chan struct{} // closed when Run ends

	at       changelog.Position // what has been read
	timeline timeline           // what appears or expires later
	taken    []changelog.Change // from the timeline, and not yet in the ring
	viewed   time.Time          // when the replica was last told a snapshot
	looked   time.Time          // when the log was last read, by the machine's wall clock
	horizon  time.Time          // the timeline is complete before it
	backlog  *backlog
	nonces   nonces // of the ticks that are known to be there
	failing  bool
}

func newTail(s *Service) *tail {
	return &tail{
		Service: s, ring: changelog.NewRing(s.live.pace.ringBytes), contents: newContents(), backlog: newBacklog(),
		counting: make(chan struct{}, countsAtOnce),
		ready:    make(chan struct{}), ended: make(chan struct{}),
	}
}

// run follows the log until ctx ends.
func (t *tail) run(ctx context.Context) {
	t.live.set(t)
	defer close(t.ended)
	defer t.live.set(nil)
	poll, beat := time.NewTicker(t.live.pace.poll), time.NewTicker(t.live.pace.beat)
	defer poll.Stop()
	defer beat.Stop()
	for started := false; ; {
		if !started {
			started = t.report(ctx, t.start(ctx))
		} else {
			t.report(ctx, t.step(ctx))
		}
		if !t.next(ctx, poll.C, beat.C) {
			return
		}
	}
}

// next waits until there is reason to look at the log. It returns false at the
// end of ctx.
func (t *tail) next(ctx context.Context, poll, beat <-chan time.Time) bool {
	pause := time.NewTimer(ringPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	changed := t.live.changed
	if t.failing { // only poll
		changed = nil
	}
	due := time.NewTimer(t.timeline.wait(t.now()))
	defer due.Stop()
	select {
	case <-changed:
	case <-due.C:
	case <-poll:
	case <-beat:
		t.ring.Beat()
	case <-ctx.Done():
		return false
	}
	return true
}

// report logs the first of several failures in a row, and reports whether there
// was none.
func (t *tail) report(ctx context.Context, err error) bool {
	if err != nil && !t.failing && ctx.Err() == nil {
		t.log.WarnContext(ctx, "the log of changes cannot be read; watches wait", "error", err)
	}
	t.failing = err != nil
	return err == nil
}

// start reads the kept log: what happened since the oldest position that can be
// continued.
func (t *tail) start(ctx context.Context) error {
	at, err := t.beginning(ctx)
	if err != nil {
		return err
	}
	t.at, t.timeline, t.taken, t.horizon = at, timeline{}, nil, at.At
	t.ring.Start(at)
	t.looked = time.Now().Round(0)
	if err := t.step(ctx); err != nil {
		return err
	}
	select {
	case <-t.ready:
	default:
		close(t.ready)
	}
	return nil
}

// beginning returns the position of the oldest tick that positions in use have
// seen; without ticks, the one before everything in the log.
func (t *tail) beginning(ctx context.Context) (at changelog.Position, err error) {
	row, err := t.store.currentEpoch(ctx)
	if err != nil {
		return at, err
	}
	ticks, err := t.store.ticks(ctx)
	if err != nil {
		return at, err
	}
	at = changelog.Position{Epoch: row.epoch(), Nonce: row.Tick, At: t.now().Truncate(time.Millisecond).Add(-resumable)}
	for _, tick := range ticks {
		t.nonces.add(tick.Nonce)
		if tick.At > at.At.UnixMilli() && at.Seen.Xmax > 0 {
			continue
		}
		if at.Seen, err = t.store.dialect.parseSnapshot(tick.Snapshot); err != nil {
			return at, err
		}
		at.At = time.UnixMilli(tick.At)
	}
	return at, nil
}

// accepts returns why a watch cannot continue at a position; empty if it can.
func (t *tail) accepts(ctx context.Context, p changelog.Position) (reason string, err error) {
	now, _ := t.ring.Now()
	if t.nonces.has(p.Nonce) && p.Epoch == now.Epoch && now.Includes(p) {
		if _, kept := t.ring.Find(p); kept {
			return "", nil
		}
	}
	err = t.store.read(ctx, func(db *gorm.DB) error { return t.store.checkSeen(db, p, t.now()) })
	switch {
	case errors.Is(err, errTooOld):
		return ResyncExpired, nil
	case errors.Is(err, ErrPosition):
		return ResyncEpoch, nil
	}
	return "", err
}

// step reads what is new in the log, and what appears or expires now.
func (t *tail) step(ctx context.Context) error {
	if time.Now().Round(0).Sub(t.looked) > resumable {
		return t.start(ctx) // what came first may have been pruned
	}
	now := t.now().Truncate(time.Millisecond) // as positions have it
	rows, seen, err := t.store.changesSince(ctx, t.at.Seen, maxTail+1)
	if err != nil {
		return err
	}
	epoch, nonce := t.store.epochs.latest()
	if epoch != "" && epoch != t.at.Epoch { // the tables were restored
		return t.start(ctx)
	}
	t.nonces.add(nonce)
	to := changelog.Position{Epoch: t.at.Epoch, Seen: seen, At: now, Nonce: nonce}
	if now.Before(t.at.At) {
		to.At = t.at.At
	}
	if len(rows) > maxTail {
		t.at, t.timeline, t.taken, t.horizon = to, nil, nil, to.At // read ahead anew
		t.ring.Start(to)
		return nil
	}
	if err := t.readAhead(ctx, to.At); err != nil {
		return err
	}
	changes := t.timed(rows, to.At)
	due, err := t.due(ctx, to.At)
	if err != nil {
		return err
	}
	changes = append(due, changes...)
	sortChanges(changes)
	t.contents.forget(changes)
	if _, err := t.contents.get(ctx, t.store, t.ring.Wanted(changes)); err != nil {
		return err
	}
	t.at, t.taken, t.looked = to, nil, time.Now().Round(0)
	t.ring.Advance(to, changes)
	return t.view(ctx)
}

// view lets the replica know a snapshot of the primary, so that its reads have
// late positions.
func (t *tail) view(ctx context.Context) error {
	if t.store.replica == nil || time.Since(t.viewed) < viewsAsked {
		return nil
	}
	t.viewed = time.Now()
	return t.store.takeView(ctx, t.at.Epoch)
}

func sortChanges(changes []changelog.Change) {
	slices.SortStableFunc(changes, func(a, b changelog.Change) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Kind, b.Kind))
	})
}

// timed returns the changes of the rows that have taken effect. What appears or
// expires before the horizon goes to the timeline.
func (t *tail) timed(rows []changeRow, now time.Time) []changelog.Change {
	changes := make([]changelog.Change, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		c := r.change()
		if c.Kind == changelog.Posted || c.Kind == changelog.Rewritten {
			if r.ExpiresAt != nil && *r.ExpiresAt < t.horizon.UnixMilli() {
				heap.Push(&t.timeline, r.expiry())
			}
			if c.Message != nil && c.Message.Due > now.UnixMilli() {
				if c.At = c.Message.Due; c.At < t.horizon.UnixMilli() {
					heap.Push(&t.timeline, c)
				}
				continue
			}
		}
		changes = append(changes, c)
	}
	return changes
}

// readAhead puts on the timeline what appears or expires in the next minute, when
// the horizon has come near. If that is too much, the horizon stays nearer.
func (t *tail) readAhead(ctx context.Context, now time.Time) error {
	if t.horizon.Sub(now) > aheadTime/2 {
		return nil
	}
	from, to := t.horizon.UnixMilli(), now.Add(aheadTime).UnixMilli()
	expiring, err := t.store.expiring(ctx, from, to)
	if err != nil {
		return err
	}
	if len(expiring) > maxTail {
		to = *expiring[maxTail].ExpiresAt
	}
	appearing, err := t.store.appearing(ctx, from, to)
	if err != nil {
		return err
	}
	if len(appearing) > maxTail {
		to = idTime(value(appearing[maxTail].MessageID)).UnixMilli()
	}
	for i := range expiring {
		if *expiring[i].ExpiresAt < to {
			heap.Push(&t.timeline, expiring[i].expiry())
		}
	}
	for i := range appearing {
		if c := appearing[i].appearance(); c.At < to {
			heap.Push(&t.timeline, c)
		}
	}
	t.horizon = time.UnixMilli(to)
	return nil
}

// due takes from the timeline what appears or expires now. A message that was
// rewritten may expire later than it was to.
func (t *tail) due(ctx context.Context, now time.Time) ([]changelog.Change, error) {
	t.taken = append(t.taken, t.timeline.until(now.UnixMilli())...)
	changes := slices.Clone(t.taken)
	var expired []string
	for i := range changes {
		if changes[i].Kind == changelog.Expired {
			expired = append(expired, changes[i].MessageID)
		}
	}
	if len(expired) == 0 {
		return changes, nil
	}
	later, err := t.store.unexpired(ctx, expired, now.UnixMilli())
	return slices.DeleteFunc(changes, func(c changelog.Change) bool {
		return c.Kind == changelog.Expired && slices.Contains(later, c.MessageID)
	}), err
}
