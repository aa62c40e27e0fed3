package notifications

import (
	"context"
	"sync"

	"github.com/notifications-go/notifications/internal/changelog"
	"gorm.io/gorm"
)

// contentsBytes is how much memory the contents of recent messages may take.
const contentsBytes = 4 << 20

// content is a message as a reader sees it who has no state of it.
type content struct {
	item      Notification
	audiences []string
}

// contents holds the messages that watches show, so that each is read once for
// all of them. The zero contents is empty.
type contents struct {
	reading chan struct{} // has a value while somebody reads

	mu     sync.Mutex
	kept   map[string]content
	oldest []string // the keys of kept in the order of reading
	bytes  int
	drops  int // counts the calls of forget
}

func newContents() *contents {
	return &contents{reading: make(chan struct{}, 1), kept: map[string]content{}}
}

// get returns those of the messages that are there.
func (c *contents) get(ctx context.Context, s *store, ids []string) (map[string]content, error) {
	found, missing, _ := c.find(ids)
	if len(missing) == 0 {
		return found, nil
	}
	select { // the one before may read the same messages
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found, missing, drops := c.find(ids)
	if len(missing) == 0 {
		return found, nil
	}
	read, err := s.contents(ctx, missing)
	if err != nil {
		return nil, err
	}
	c.keep(read, drops)
	for _, r := range read {
		found[r.item.ID] = r
	}
	return found, nil
}

func (c *contents) find(ids []string) (found map[string]content, missing []string, drops int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found = make(map[string]content, len(ids))
	for _, id := range ids {
		if kept, ok := c.kept[id]; ok {
			found[id] = kept
		} else {
			missing = append(missing, id)
		}
	}
	return found, missing, c.drops
}

// keep keeps messages, unless one may have changed since it was read.
func (c *contents) keep(read []content, drops int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != drops {
		return
	}
	for _, r := range read {
		if _, twice := c.kept[r.item.ID]; twice {
			continue
		}
		c.kept[r.item.ID] = r
		c.oldest = append(c.oldest, r.item.ID)
		c.bytes += r.size()
	}
	for c.bytes > contentsBytes {
		c.drop(c.oldest[0])
		c.oldest = c.oldest[1:]
	}
}

// forget drops the messages that were changed.
func (c *contents) forget(changes []changelog.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changes {
		switch changes[i].Kind {
		case changelog.Rewritten, changelog.Removed, changelog.Erased, changelog.Imported:
			c.drops++
			c.drop(changes[i].MessageID)
		}
	}
}

// drop removes a message that may be kept. The caller holds mu.
func (c *contents) drop(id string) {
	if kept, found := c.kept[id]; found {
		c.bytes -= kept.size()
		delete(c.kept, id)
	}
}

func (r *content) size() int {
	n := &r.item
	size := 512 + len(n.Title) + len(n.Message) + len(n.Metadata) + len(n.Link)
	for _, a := range n.Actions {
		size += 64 + len(a.Title) + len(a.URL)
	}
	for _, a := range r.audiences {
		size += 16 + len(a)
	}
	return size
}

// contents reads messages as a reader sees them who has no state of them.
func (s *store) contents(ctx context.Context, ids []string) (read []content, err error) {
	sql := s.sql("SELECT " + listedColumns("st") + ", msg.audience_list, '' FROM notification_messages msg" +
		" LEFT JOIN notification_states st ON FALSE WHERE msg.withdrawn_at IS NULL AND msg.id IN (")
	s.dialect.list(sql, typeID, ids)
	sql.Add(")")
	err = s.read(ctx, func(db *gorm.DB) error {
		found, err := readListed(raw(db, sql), inbox{}, len(ids))
		read = make([]content, len(found.items))
		for i := range found.items {
			read[i] = content{found.items[i], audienceList(found.keys[i])}
		}
		return err
	})
	return read, err
}

// current returns the selected messages that the reader sees, as the database
// shows them now, without the replica.
func (s *store) current(ctx context.Context, in inbox, sel selection) (items []Notification, err error) {
	sql := s.listByCreated(in, ListQuery{Limit: len(sel.ids), Ascending: true}, sel, nil)
	err = s.read(ctx, func(db *gorm.DB) error {
		found, err := readListed(raw(db, sql), in, len(sel.ids))
		items = found.items
		return err
	})
	return items, err
}

// visible reports whether the message has not expired.
func (r *content) visible(now int64) bool {
	return r.item.Expires.IsZero() || r.item.Expires.UnixMilli() > now
}
