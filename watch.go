package notifications

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
)

// EventKind says what an [Event] tells.
type EventKind string

// The kinds of events.
const (
	// EventHello begins a watch. Its Reader is the name of the reader. Resumed
	// reports that it continues where WatchQuery.After says.
	EventHello EventKind = "hello"
	// EventNotification: Notification is new to the reader, or its content was
	// replaced. It may come more than once; drop repeats by ID and Updated.
	EventNotification EventKind = "notification"
	// EventRemoved: the reader cannot see the notification ID any more, because
	// it was withdrawn or replaced, or has expired. The reader need not have seen it
	// before.
	EventRemoved EventKind = "removed"
	// EventState: the reader has marked the notifications IDs, here or
	// elsewhere. If Many, IDs is empty, and any notification may be concerned.
	EventState EventKind = "state"
	// EventCount: Status has changed. It is what [Service.Status] returns at
	// the event's Position. It comes once at the beginning, and then at most
	// every 2 seconds.
	EventCount EventKind = "count"
	// EventResync: changes may be missing, for the Reason. What was read before
	// must be read again. The watch goes on from here.
	EventResync EventKind = "resync"
	// EventIdle comes every 15 seconds. It says that the watch works.
	EventIdle EventKind = "idle"
)

// The reasons of an [EventResync].
const (
	// ResyncEpoch: the database has another history than the one of
	// WatchQuery.After: it was restored, or another server has taken over.
	ResyncEpoch = "epoch"
	// ResyncExpired: WatchQuery.After is older than the kept log, 15 minutes.
	ResyncExpired = "expired"
	// ResyncOverflow: more has happened than can be told.
	ResyncOverflow = "overflow"
	// ResyncMembership: the reader's groups have changed, or their data was
	// erased.
	ResyncMembership = "membership"
)

// Event is one event of [Service.Watch]. Which fields are set depends on Kind.
type Event struct {
	Kind EventKind
	// Position is for WatchQuery.After, to continue after this event.
	Position     Position
	Reader       string
	Resumed      bool
	Notification Notification
	ID           string
	IDs          []string
	Many         bool
	Status       Status
	Reason       string
}

// WatchQuery says what to watch. The zero WatchQuery watches everything
// addressed to the reader, from now on.
type WatchQuery struct {
	// System, MinSeverity, Topic and Origin select notifications as in a
	// [Filter]. Status counts by System alone.
	System        SystemFilter
	MinSeverity   Severity
	Topic, Origin string
	// After is the Position of an [Event], of a [Page] or of a [Status]. What
	// happened since comes first. Empty begins now.
	After Position
}

func (q WatchQuery) filter() Filter {
	return Filter{System: q.System, MinSeverity: q.MinSeverity, Topic: q.Topic, Origin: q.Origin, Archived: ArchivedOrNot}
}

// Check returns the [*InvalidError] that Watch would return for the query, and
// nil for a valid one.
func (q WatchQuery) Check() error {
	_, f := q.checked()
	return f.err()
}

// checked reports the faults of Check, and decodes the position if there is
// one.
func (q WatchQuery) checked() (after changelog.Position, f faults) {
	q.filter().check("", &f)
	if q.After != "" {
		var err error
		if after, err = changelog.ParsePosition(string(q.After)); err != nil {
			f.add("After", "is not a position that this service handed out")
		}
	}
	return after, f
}

// Watch iterates over what happens to a reader's inbox, as it happens: through
// any instance on the database, and without gaps. It ends when ctx ends. An error is one
// of [Service.List], and ends the iteration; without a running [Service.Run]
// it is [ErrUnavailable]. It needs [PermissionList].
//
// A change shows at once if it was made through this Service or if Config.Bell
// has rung, and otherwise within a second. The policy and the catalog are asked
// again every minute. A reader who takes events slowly does not delay others;
// when the events have been dropped meanwhile, the next one is an EventResync.
func (s *Service) Watch(ctx context.Context, who Identity, q WatchQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w, err := s.beginWatch(ctx, who, q)
		if err == nil {
			defer w.close()
			err = w.run(ctx, yield)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Event{}, err)
		}
	}
}

// errStopped ends a watch whose caller takes no more events.
var errStopped = errors.New("the caller has stopped")

const (
	// countPause is the least time between two counts of one watch.
	countPause = 2 * time.Second
	// maxStateIDs is the most ids in an EventState.
	maxStateIDs = 100
	// watchBatch is how many notifications are read at once. A page of so many
	// is never cut.
	watchBatch = DefaultLimit
)

// watch is one reader who follows their inbox.
type watch struct {
	*Service
	tail  *tail
	who   Identity
	query WatchQuery
	in    inbox
	yield func(Event, error) bool

	reader *changelog.Reader
	cursor changelog.Cursor
	// at is the position up to which everything has been told.
	at      changelog.Position
	backlog *changelog.Tick // what is to be told before the ring; nil if nothing is
	beats   uint64
	checked time.Time
	count   counting
}

// beginWatch checks the query and the reader.
func (s *Service) beginWatch(ctx context.Context, who Identity, q WatchQuery) (*watch, error) {
	if s.InTransaction() {
		return nil, ErrBound
	}
	w := &watch{Service: s, who: who, query: q, checked: time.Now()}
	var err error
	if w.in, err = s.inboxFor(ctx, who, q); err != nil {
		return nil, err
	}
	w.at, _ = q.checked()
	if w.tail, err = s.live.following(ctx); err != nil {
		return nil, err
	}
	w.reader = w.tail.ring.Subscribe(w.audiences())
	w.beats = w.reader.Beats()
	return w, nil
}

// audiences returns the audiences whose changes may concern the reader. Marks
// and erasures are those of the reader's own.
func (w *watch) audiences() []string {
	list := []string{w.in.audience}
	for _, source := range w.in.sources(w.query.System) {
		if source.Audience != w.in.audience {
			list = append(list, source.Audience)
		}
	}
	return list
}

func (w *watch) close() {
	w.reader.Close()
	w.count.stop()
}

// run tells everything until ctx or Run ends.
func (w *watch) run(ctx context.Context, yield func(Event, error) bool) error {
	w.yield = yield
	if err := w.begin(ctx); err != nil {
		return err
	}
	for {
		if err := w.tell(ctx); err != nil {
			return ignoreEnd(ctx, err)
		}
		select {
		case <-w.reader.C:
		case <-ctx.Done():
			return nil
		case <-w.tail.ended:
			return unavailable("watch", errors.New("Run has ended"))
		}
	}
}

// ignoreEnd returns nil if the error only says that ctx has ended.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// send tells one event, with the position after it.
func (w *watch) send(at Position, e Event) error {
	e.Position = at
	if !w.yield(e, nil) {
		return errStopped
	}
	return nil
}

func (w *watch) position() Position { return Position(w.at.String()) }

// begin says hello, and finds the place to continue.
func (w *watch) begin(ctx context.Context) error {
	after, reason := w.at, ""
	if w.query.After != "" {
		var err error
		if reason, err = w.resume(ctx); err != nil {
			return err
		}
	}
	resumed := w.query.After != "" && reason == ""
	if !resumed {
		w.at, w.cursor = w.tail.ring.Now()
	} else {
		w.at = after
	}
	if err := w.send(w.position(), Event{Kind: EventHello, Reader: w.in.user.Name, Resumed: resumed}); err != nil {
		return err
	}
	w.count.wanted = true
	if reason != "" {
		return w.send(w.position(), Event{Kind: EventResync, Reason: reason})
	}
	return w.tellBacklog(ctx)
}

// tellBacklog tells what lies before the ring.
func (w *watch) tellBacklog(ctx context.Context) error {
	if w.backlog == nil {
		return nil
	}
	if err := w.tellTick(ctx, w.backlog); err != nil {
		return err
	}
	w.backlog = nil
	var kept bool
	if w.cursor, kept = w.tail.ring.Find(w.at); !kept {
		return w.restart(ResyncOverflow)
	}
	return nil
}

// resume looks for the position to continue from. It returns the reason why
// there is none.
func (w *watch) resume(ctx context.Context) (reason string, err error) {
	if reason, err = w.tail.accepts(ctx, w.at); reason != "" || err != nil {
		return reason, err
	}
	var kept bool
	if w.cursor, kept = w.tail.ring.Find(w.at); kept {
		return "", nil
	}
	// The ring begins later.
	if w.backlog, err = w.tail.backlog.get(ctx, w.tail, w.at); err == nil && w.backlog == nil {
		return ResyncOverflow, nil
	}
	return "", err
}

// restart continues from now, because changes have been lost.
func (w *watch) restart(reason string) error {
	w.at, w.cursor = w.tail.ring.Now()
	w.count.forget()
	w.count.wanted = true
	return w.send(w.position(), Event{Kind: EventResync, Reason: reason})
}

// tell tells what has happened since. It waits while the reader's notifications
// are being counted, so that the count has its place between the changes.
func (w *watch) tell(ctx context.Context) error {
	for !w.count.running() {
		tick, next, now, kept := w.tail.ring.Next(w.cursor)
		switch {
		case !kept:
			reason := ResyncOverflow
			if now.Epoch != w.at.Epoch {
				reason = ResyncEpoch
			}
			if err := w.restart(reason); err != nil {
				return err
			}
		case tick == nil:
			return w.rest(ctx, now)
		default:
			if err := w.tellTick(ctx, tick); err != nil {
				return err
			}
			w.cursor = next
		}
	}
	return nil
}

// rest is called when everything has been told up to now.
func (w *watch) rest(ctx context.Context, now changelog.Position) error {
	if counted := w.count.result(); counted != nil && now.Includes(counted.at) {
		if err := w.tellCount(counted); err != nil {
			return err
		}
	}
	w.reader.WaitForTicks(w.count.result() != nil)
	if w.count.idle() && now.Includes(w.at) {
		w.at = now
	}
	w.askCount(ctx)
	if beats := w.reader.Beats(); beats != w.beats {
		w.beats = beats
		if err := w.recheck(ctx); err != nil {
			return err
		}
		return w.send(w.position(), Event{Kind: EventIdle})
	}
	return nil
}

// recheck asks the policy and the catalog again, if their answers are old.
func (w *watch) recheck(ctx context.Context) error {
	pace, age := w.live.pace, time.Since(w.checked)
	if age < pace.recheck {
		return nil
	}
	in, err := w.inboxFor(ctx, w.who, w.query)
	if errors.Is(err, ErrUnavailable) && age < pace.recheck+pace.patience {
		return nil // asked again at the next beat
	}
	if err != nil {
		return err
	}
	// Watches that began together are spread over time.
	w.checked = time.Now().Add(-rand.N(pace.recheck / 3))
	before := w.in
	w.in = in
	if slices.Equal(before.groups, in.groups) && before.system == in.system && before.readBefore == in.readBefore {
		return nil
	}
	w.reader.Move(w.audiences())
	return w.restart(ResyncMembership)
}

// tellTick tells the changes of a tick. A count that was taken meanwhile comes
// after the changes that it includes, and before the others.
func (w *watch) tellTick(ctx context.Context, tick *changelog.Tick) error {
	changes := tick.Since(w.at)
	if counted := w.count.result(); counted != nil {
		before, after := splitAt(changes, counted.at)
		switch {
		case tick.Position.Includes(counted.at):
			if err := w.tellChanges(ctx, before, w.at); err != nil {
				return err
			}
			if err := w.tellCount(counted); err != nil {
				return err
			}
			changes = after
		case len(after) > 0: // the place of the count lies inside the tick
			w.count.forget()
		}
	}
	to := w.at
	if tick.Position.Includes(w.at) {
		to = tick.Position
	}
	if err := w.tellChanges(ctx, changes, to); err != nil {
		return err
	}
	w.at = to
	return nil
}

func splitAt(changes []*changelog.Change, at changelog.Position) (before, after []*changelog.Change) {
	for _, c := range changes {
		if c.Seen(at) {
			before = append(before, c)
		} else {
			after = append(after, c)
		}
	}
	return before, after
}

// tellChanges tells changes of a tick, up to the position after. Of the events
// of a batch, only the last has the position after the batch, the others have
// the one before it: a connection that is cut between them loses none.
func (w *watch) tellChanges(ctx context.Context, changes []*changelog.Change, after changelog.Position) error {
	concerned := changes[:0:0]
	for _, c := range changes {
		if w.concerns(c) {
			concerned = append(concerned, c)
		}
	}
	for len(concerned) > 0 {
		batch := concerned[:min(watchBatch, len(concerned))]
		concerned = concerned[len(batch):]
		events, err := w.events(ctx, batch)
		if err != nil {
			return err
		}
		before, to := w.position(), after
		if len(concerned) > 0 {
			to = after.Within(w.at, batch[len(batch)-1].Number, concerned[0].Number)
		}
		for i, e := range events {
			at := before
			if i == len(events)-1 {
				at = Position(to.String())
			}
			if err := w.send(at, e); err != nil {
				return err
			}
		}
		w.at = to
	}
	return nil
}

// concerns reports whether a change is one of the reader, or of a message that
// is addressed to them.
func (w *watch) concerns(c *changelog.Change) bool {
	return c.User == w.in.audience || c.User == "" && (c.Audiences == nil || w.reads(c.Audiences, c.MessageID))
}

// reads reports whether the reader sees messages to one of the audiences, as far
// as their history goes back.
func (w *watch) reads(audiences []string, id string) bool {
	for _, source := range w.in.sources(w.query.System) {
		if id >= source.Since && slices.Contains(audiences, source.Audience) {
			return true
		}
	}
	return false
}
