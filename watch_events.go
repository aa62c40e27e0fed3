package notifications

import (
	"context"
	"slices"

	"github.com/notifications-go/notifications/internal/changelog"
)

// told is what a batch of changes says about one message.
type told struct {
	id      string
	appears bool // it was posted, its content was replaced, or System has changed
	marked  bool // the reader has a state of it, perhaps
	removed bool // from an audience of the reader, or expired
	changes []*changelog.Change
}

// events returns what a batch of changes tells the reader. Notifications are
// shown as they are now, so each comes once, and none that has been withdrawn
// since.
func (w *watch) events(ctx context.Context, changes []*changelog.Change) ([]Event, error) {
	messages, marks, again := w.gather(changes)
	shown, err := w.shown(ctx, messages)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, m := range messages {
		n, visible := shown[m.id]
		switch {
		case visible && m.appears:
			events = append(events, Event{Kind: EventNotification, Notification: n})
			w.count.wanted = true
		case !visible && m.removed:
			events = append(events, Event{Kind: EventRemoved, ID: m.id})
			w.count.wanted = true
		}
	}
	if len(marks.IDs) > 0 || marks.Many {
		events = append(events, marks)
	}
	if again != "" {
		events = append(events, Event{Kind: EventResync, Reason: again})
	}
	return events, nil
}

// gather sorts changes by message, in the order of the first change of each. It
// returns the reader's marks, and the reason for a resync, if any.
func (w *watch) gather(changes []*changelog.Change) (messages []*told, marks Event, again string) {
	marks.Kind = EventState
	byID := map[string]*told{}
	of := func(c *changelog.Change) *told {
		m := byID[c.MessageID]
		if m == nil {
			m = &told{id: c.MessageID}
			byID[m.id] = m
			messages = append(messages, m)
		}
		m.changes = append(m.changes, c)
		return m
	}
	for _, c := range changes {
		switch c.Kind {
		case changelog.Posted:
			m := of(c)
			m.appears = m.appears || c.Message != nil && w.appeared(c)
		case changelog.Rewritten:
			m := of(c)
			m.appears, m.marked = true, true
			m.removed = c.Message == nil || w.appeared(c) // unless it is still shown
		case changelog.Removed:
			m := of(c)
			m.removed = m.removed || w.selects(c) && !w.reads(c.Left, c.MessageID) && !w.toldExpired(c)
			if slices.Contains(c.Audiences, systemAudience) {
				// Who still sees it sees it without System, and perhaps unread.
				m.appears, m.marked = true, true
			}
		case changelog.Expired:
			m := of(c)
			m.removed = m.removed || w.selects(c)
		case changelog.Marked:
			w.count.wanted = true
			addMark(&marks, c.MessageID)
			if m := byID[c.MessageID]; m != nil {
				m.marked = true
			}
		case changelog.Erased:
			w.count.wanted, again = true, ResyncMembership
		case changelog.Imported, changelog.Settings:
			w.count.wanted, again = true, ResyncOverflow
		case changelog.Purged:
			w.count.wanted = true
		}
	}
	if marks.Many {
		for _, m := range messages {
			m.marked = true
		}
	}
	return messages, marks, again
}

// selects reports whether the query selects the message of a change. One that
// is gone may have been selected.
func (w *watch) selects(c *changelog.Change) bool {
	m := c.Message
	return m == nil || w.appeared(c) && w.query.selects(m.Severity, m.Topic, m.Origin)
}

// appeared reports whether a message is not scheduled for later: one that is was
// never there for readers.
func (w *watch) appeared(c *changelog.Change) bool { return c.Message.Due <= w.now().UnixMilli() }

// toldExpired reports whether the reader has been told that the message
// expired. A purge removes it later.
func (w *watch) toldExpired(c *changelog.Change) bool {
	return c.Message != nil && c.Message.Expires != 0 && c.Message.Expires <= w.at.At.UnixMilli()
}

// selects reports whether the query selects a message by its content.
func (q WatchQuery) selects(severity int, topic, origin string) bool {
	return (q.MinSeverity == "" || severity >= severityRank[q.MinSeverity]) &&
		(q.Topic == "" || topic == q.Topic) && (q.Origin == "" || origin == q.Origin)
}

// addMark adds a marked message to an EventState; an empty id is several.
func addMark(e *Event, id string) {
	switch {
	case e.Many || slices.Contains(e.IDs, id):
	case id == "" || len(e.IDs) == maxStateIDs:
		e.Many, e.IDs = true, nil
	default:
		e.IDs = append(e.IDs, id)
	}
}

// shown returns those of the messages that the reader sees and the query
// selects. Those that nobody can have marked yet are the same for all readers,
// and read once.
func (w *watch) shown(ctx context.Context, messages []*told) (map[string]Notification, error) {
	var fresh, own []string
	for _, m := range messages {
		switch {
		case m.marked:
			own = append(own, m.id)
		case m.appears:
			fresh = append(fresh, m.id)
		}
	}
	shown, err := w.ownItems(ctx, own)
	if err != nil {
		return nil, err
	}
	contents, err := w.tail.contents.get(ctx, w.store, fresh)
	if err != nil {
		return nil, err
	}
	now := w.now().UnixMilli()
	for _, m := range messages {
		c, found := contents[m.id]
		if !found || !c.visible(now) || !w.reads(c.audiences, m.id) || !w.query.selects(severityRank[c.item.Severity], c.item.Topic, c.item.Origin) {
			continue
		}
		n := c.item // of all readers: the host may change what it gets
		n.Actions, n.Metadata = slices.Clone(n.Actions), slices.Clone(n.Metadata)
		n.Read = w.in.readUntouched(n.System, n.ID)
		shown[m.id] = n
	}
	return shown, nil
}

// ownItems reads messages together with the reader's states of them.
func (w *watch) ownItems(ctx context.Context, ids []string) (map[string]Notification, error) {
	shown := map[string]Notification{}
	if len(ids) == 0 {
		return shown, nil
	}
	in := w.in
	in.now = w.now()
	items, err := w.store.current(ctx, in, selection{Filter: w.query.filter(), ids: ids})
	if err != nil {
		return nil, err
	}
	for _, n := range items {
		shown[n.ID] = n
	}
	return shown, nil
}
