package notifications

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
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

// pace says how fast the background work of watches goes, and how far back.
type pace struct {
	poll time.Duration // between two looks at the log if nobody rings
	beat time.Duration // between two EventIdle
	// recheck is the age at which the policy and the catalog are asked again,
	// patience how long their answer may be missing then.
	recheck, patience time.Duration
	ringBytes         int // how much memory the changes of the last minutes may take
}

func usualPace() pace {
	return pace{poll: time.Second, beat: 15 * time.Second, recheck: 35 * time.Second, patience: 25 * time.Second, ringBytes: 16 << 20}
}

// live connects the verbs that change something, the tailer and the watches. A
// Service and those bound to transactions share it.
type live struct {
	changed chan struct{} // has a value if the log may have grown
	bell    Bell          // nil if there is none
	log     *slog.Logger
	pace    pace

	mu    sync.Mutex
	tail  *tail         // nil unless Run runs
	began chan struct{} // closed when Run begins
}

func newLive(bell Bell, log *slog.Logger) *live {
	return &live{changed: make(chan struct{}, 1), bell: bell, log: log, pace: usualPace(), began: make(chan struct{})}
}

// heard makes the tailer look at the log.
func (l *live) heard() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// ring does so here and in other instances.
func (l *live) ring(ctx context.Context) {
	l.heard()
	if l.bell == nil {
		return
	}
	if err := l.bell.Ring(ctx); err != nil {
		l.log.DebugContext(ctx, "the bell did not ring; others look within a second", "error", err)
	}
}

// listen hears the bells of other instances until ctx ends.
func (s *Service) listen(ctx context.Context) {
	if s.bell == nil {
		return
	}
	if err := s.bell.Listen(ctx, s.live.heard); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the bell cannot be heard; changes of other instances show within a second", "error", err)
	}
}

func (l *live) set(t *tail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = t; t != nil {
		close(l.began)
	} else {
		l.began = make(chan struct{})
	}
}

// running returns the tailer, and nil if Run does not begin soon.
func (l *live) running(ctx context.Context) *tail {
	l.mu.Lock()
	t, began := l.tail, l.began
	l.mu.Unlock()
	if t != nil {
		return t
	}
	patience := time.NewTimer(runPatience)
	defer patience.Stop()
	select {
	case <-began:
	case <-patience.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail
}

// following returns the tailer when it has read the log.
func (l *live) following(ctx context.Context) (*tail, error) {
	t := l.running(ctx)
	if t == nil {
		return nil, unavailable("watch", errors.New("Run is not running"))
	}
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	select {
	case <-t.ready:
		return t, nil
	case <-t.ended:
	case <-patience.C:
	case <-ctx.Done():
		return nil, unavailable("watch", ctx.Err())
	}
	return nil, unavailable("watch", errors.New("the log of changes has not been read"))
}

// Ring makes watches look for changes at once, here and through Config.Bell in
// other instances. Call it after the commit of a transaction in which a bound
// Service has written; without it the changes show within a second. It does not
// block.
func (s *Service) Ring() { s.live.ring(context.Background()) }

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

// timeline holds what appears or expires later, the earliest first.
type timeline []changelog.Change

// Len implements [heap.Interface], as do Less, Swap, Push and Pop.
func (l timeline) Len() int           { return len(l) }
func (l timeline) Less(i, j int) bool { return l[i].At < l[j].At }
func (l timeline) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *timeline) Push(c any)        { *l = append(*l, c.(changelog.Change)) }
func (l *timeline) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

// until takes what appears or expires up to the time.
func (l *timeline) until(ms int64) (changes []changelog.Change) {
	for len(*l) > 0 && (*l)[0].At <= ms {
		changes = append(changes, heap.Pop(l).(changelog.Change))
	}
	return changes
}

// wait returns how long nothing on the timeline happens.
func (l timeline) wait(now time.Time) time.Duration {
	if len(l) == 0 {
		return time.Hour
	}
	return max(time.UnixMilli(l[0].At).Sub(now), 0)
}

// changeRow is a row of notification_changes with what is needed of its
// message.
type changeRow struct {
	Snapshot    string  `gorm:"column:snapshot"`
	Number      *int64  `gorm:"column:number"`
	Kind        int16   `gorm:"column:kind"`
	MessageID   *string `gorm:"column:message_id"`
	UserRef     *string `gorm:"column:user_ref"`
	Audiences   *string `gorm:"column:audiences"`
	Remaining   *string `gorm:"column:audience_list"`
	Severity    *int    `gorm:"column:severity"`
	Topic       *string `gorm:"column:topic"`
	Origin      *string `gorm:"column:origin"`
	Scheduled   *bool   `gorm:"column:scheduled"`
	ExpiresAt   *int64  `gorm:"column:expires_at"`
	WithdrawnAt *int64  `gorm:"column:withdrawn_at"`
}

func (r *changeRow) change() changelog.Change {
	c := changelog.Change{Kind: changelog.Kind(r.Kind), MessageID: value(r.MessageID), User: value(r.UserRef), Message: r.message()}
	if r.Number != nil {
		c.Number = uint64(*r.Number)
	}
	switch c.Kind {
	case changelog.Posted, changelog.Rewritten:
		c.Audiences = audienceList(r.Remaining)
	case changelog.Removed:
		c.Audiences = audienceList(r.Audiences)
		if r.WithdrawnAt == nil {
			c.Left = audienceList(r.Remaining)
		}
		if slices.Contains(c.Audiences, systemAudience) { // for the others, System has changed
			c.Audiences = append(c.Audiences, c.Left...)
		}
	}
	return c
}

// expiry returns the change at the time the message expires.
func (r *changeRow) expiry() changelog.Change {
	return changelog.Change{
		Kind: changelog.Expired, At: *r.ExpiresAt, MessageID: value(r.MessageID), Audiences: audienceList(r.Remaining), Message: r.message(),
	}
}

// appearance returns the change at the time a scheduled message appears.
func (r *changeRow) appearance() changelog.Change {
	m := r.message()
	return changelog.Change{Kind: changelog.Posted, At: m.Due, MessageID: value(r.MessageID), Audiences: audienceList(r.Remaining), Message: m}
}

func (r *changeRow) message() *changelog.Message {
	if r.Origin == nil {
		return nil
	}
	m := &changelog.Message{Topic: value(r.Topic), Origin: *r.Origin}
	if r.Severity != nil {
		m.Severity = *r.Severity
	}
	if r.Scheduled != nil && *r.Scheduled {
		m.Due = idTime(value(r.MessageID)).UnixMilli()
	}
	if r.ExpiresAt != nil {
		m.Expires = *r.ExpiresAt
	}
	return m
}

// audienceList decodes a JSON array that this package stored. It is not nil: a
// change without audiences concerns everybody.
func audienceList(array *string) []string {
	list := []string{}
	_ = json.Unmarshal([]byte(value(array)), &list)
	return list
}

// messageOf are the columns of a [changeRow] that come from the message.
const messageOf = "msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at, msg.withdrawn_at"

// changesSince returns the changes that the snapshot does not see, and the
// snapshot that sees them, read in one statement.
func (s *store) changesSince(ctx context.Context, since changelog.Snapshot, limit int) (rows []changeRow, seen changelog.Snapshot, err error) {
	err = s.read(ctx, func(db *gorm.DB) (err error) {
		rows = nil
		sql := s.sql("SELECT tick.snapshot, ch.number, coalesce(ch.kind, 0) AS kind, ch.message_id, ch.user_ref, ch.audiences, " + messageOf +
			" FROM (SELECT " + s.dialect.snapshot(false) + " AS snapshot) tick LEFT JOIN (SELECT " + s.dialect.changeNumber() +
			" AS number, ch.kind, ch.message_id, ch.user_ref, ch.audiences FROM notification_changes ch WHERE ")
		s.dialect.unseen(sql, since)
		sql.Add(fmt.Sprintf(" LIMIT %d) ch ON TRUE LEFT JOIN notification_messages msg ON msg.id = ch.message_id ORDER BY ch.number, ch.kind", limit))
		if err = find(db, sql, &rows); err != nil {
			return err
		}
		seen, err = s.dialect.parseSnapshot(rows[0].Snapshot)
		return err
	})
	if len(rows) > 0 && rows[0].Number == nil {
		rows = nil // only the snapshot
	}
	return rows, seen, err
}

// tickRow is a row of notification_ticks.
type tickRow struct {
	Snapshot string `gorm:"column:snapshot"`
	At       int64  `gorm:"column:at"`
	Nonce    string `gorm:"column:nonce"`
}

// ticks returns all ticks, the oldest first.
func (s *store) ticks(ctx context.Context) (ticks []tickRow, err error) {
	err = s.read(ctx, func(db *gorm.DB) error {
		ticks = nil
		return find(db, s.sql("SELECT CAST(tick.snapshot AS text) AS snapshot, tick.at, tick.nonce FROM notification_ticks tick ORDER BY tick.at"), &ticks)
	})
	return ticks, err
}

// nonces are the latest ones. The zero nonces has none.
type nonces struct {
	mu   sync.Mutex
	list []string
}

// maxNonces is more than a log has ticks.
const maxNonces = 128

func (n *nonces) add(nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.list, nonce) {
		return
	}
	if n.list = append(n.list, nonce); len(n.list) > maxNonces {
		n.list = slices.Delete(n.list, 0, 1)
	}
}

func (n *nonces) has(nonce string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.list, nonce)
}

// expiring returns the messages that expire in a period, from inclusive, to
// exclusive, the earliest first; no more than maxTail+1.
func (s *store) expiring(ctx context.Context, from, to int64) ([]changeRow, error) {
	return s.timedMessages(ctx, s.sql("SELECT msg.id AS message_id, "+messageOf+" FROM notification_messages msg"+
		" WHERE msg.expires_at >= ? AND msg.expires_at < ? AND msg.withdrawn_at IS NULL ORDER BY msg.expires_at", from, to))
}

// appearing is expiring for messages that appear. Their ids hold the time.
func (s *store) appearing(ctx context.Context, from, to int64) ([]changeRow, error) {
	return s.timedMessages(ctx, s.sql("SELECT msg.id AS message_id, "+messageOf+" FROM notification_messages msg"+
		" WHERE msg.id >= ? AND msg.id < ? AND msg.scheduled AND msg.withdrawn_at IS NULL ORDER BY msg.id",
		firstIDAt(time.UnixMilli(from)), firstIDAt(time.UnixMilli(to))))
}

func (s *store) timedMessages(ctx context.Context, sql *sqltext.Text) (rows []changeRow, err error) {
	sql.Add(fmt.Sprintf(" LIMIT %d", maxTail+1))
	err = s.read(ctx, func(db *gorm.DB) error {
		rows = nil
		return find(db, sql, &rows)
	})
	return rows, err
}

// unexpired returns those of the messages that expire later, or never.
func (s *store) unexpired(ctx context.Context, ids []string, now int64) (later []string, err error) {
	sql := s.sql("SELECT msg.id FROM notification_messages msg WHERE (msg.expires_at > ? OR msg.expires_at IS NULL) AND msg.id IN (", now)
	s.dialect.list(sql, typeID, ids)
	sql.Add(")")
	err = s.read(ctx, func(db *gorm.DB) error {
		later = nil
		return find(db, sql, &later)
	})
	return later, err
}
