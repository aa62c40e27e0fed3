package notifications

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/notifications-go/notifications/internal/fold"
	"github.com/notifications-go/notifications/internal/sqltext"
)

// messageColumn is a column of notification_messages that a post fills or a
// list reads.
type messageColumn struct {
	typedColumn
	// stored returns the value that a post writes; nil if a post does not write
	// it.
	stored func(p *posting) any
	// replaced reports whether an update in place writes it again.
	replaced bool
	// shown sets a field of a notification from the value; nil if lists do not
	// read the column, or read it among the flags.
	shown func(n *Notification, v any) error
}

// messageColumns are the columns in the order in which statements name them.
// For a new field of [Draft] and [Notification], add one line here and a
// migration.
var messageColumns = []messageColumn{
	{typedColumn{"id", typeID}, func(p *posting) any { return p.id }, false, func(n *Notification, v any) error {
		n.ID = asText(v)
		n.Created = idTime(n.ID)
		return nil
	}},
	{typedColumn{"poster", typeText}, func(p *posting) any { return p.poster }, false, textOf(func(n *Notification) *string { return &n.PostedBy })},
	{typedColumn{"origin", typeText}, func(p *posting) any { return p.draft.Origin }, false, textOf(func(n *Notification) *string { return &n.Origin })},
	{typedColumn{"title", typeText}, func(p *posting) any { return p.draft.Title }, true, textOf(func(n *Notification) *string { return &n.Title })},
	{typedColumn{"message", typeText}, func(p *posting) any { return optional(p.draft.Message) }, true, textOf(func(n *Notification) *string { return &n.Message })},
	{typedColumn{"topic", typeText}, func(p *posting) any { return optional(p.draft.Topic) }, true, textOf(func(n *Notification) *string { return &n.Topic })},
	{typedColumn{"severity", typeSmall}, func(p *posting) any { return p.severity() }, true, nil},
	{typedColumn{"link", typeText}, func(p *posting) any { return optional(p.draft.Link) }, true, textOf(func(n *Notification) *string { return &n.Link })},
	{typedColumn{"icon", typeText}, func(p *posting) any { return optional(p.draft.Icon) }, true, textOf(func(n *Notification) *string { return &n.Icon })},
	{typedColumn{"metadata", typeText}, func(p *posting) any { return optional(string(p.draft.Metadata)) }, true, func(n *Notification, v any) error {
		if object := asText(v); object != "" {
			n.Metadata = json.RawMessage(object)
		}
		return nil
	}},
	{typedColumn{"actions", typeText}, func(p *posting) any { return p.actions }, true, func(n *Notification, v any) (err error) {
		if n.Actions, err = actionsOf(asText(v)); err != nil {
			return fmt.Errorf("stored actions of %s: %w", n.ID, err)
		}
		return nil
	}},
	{typedColumn{"is_system", typeBool}, func(p *posting) any { return p.draft.To.everyone }, false, nil},
	{typedColumn{"audience_list", typeText}, func(p *posting) any { return p.audienceArray }, false, nil},
	{typedColumn{"scope", typeText}, func(p *posting) any { return optional(p.draft.Scope) }, false, textOf(func(n *Notification) *string { return &n.Scope })},
	{typedColumn{"updated_at", typeInt}, nil, false, timeOf(func(n *Notification) *time.Time { return &n.Updated })},
	{typedColumn{"expires_at", typeInt}, func(p *posting) any { return millis(p.draft.Expires) }, true, timeOf(func(n *Notification) *time.Time { return &n.Expires })},
	{typedColumn{"scheduled", typeBool}, func(p *posting) any { return p.scheduled() }, false, nil},
	// Folded copies of the texts, which both databases search and order alike.
	{typedColumn{"origin_key", typeText}, func(p *posting) any { return fold.Text(p.draft.Origin) }, false, nil},
	{typedColumn{"title_key", typeText}, func(p *posting) any { return fold.Text(p.draft.Title) }, true, nil},
	{typedColumn{"message_key", typeText}, func(p *posting) any { return optional(fold.Text(p.draft.Message)) }, true, nil},
	{typedColumn{"topic_key", typeText}, func(p *posting) any { return optional(fold.Text(p.draft.Topic)) }, true, nil},
}

// The columns of [messageColumns] that a post stores, that an update in place
// writes again, and that a list reads.
var storedColumns, replacedColumns, shownColumns = func() (stored, replaced, shown []messageColumn) {
	for _, c := range messageColumns {
		if c.stored != nil {
			stored = append(stored, c)
		}
		if c.replaced {
			replaced = append(replaced, c)
		}
		if c.shown != nil {
			shown = append(shown, c)
		}
	}
	return stored, replaced, shown
}()

// columnNames returns the names of the columns, each with a prefix, joined by
// commas.
func columnNames(before string, columns []messageColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = before + c.name
	}
	return strings.Join(names, ", ")
}

// insertMessage stores one message. Its parameters are [posting.values].
var insertMessage = "INSERT INTO notification_messages (" + columnNames("", storedColumns) +
	") VALUES (?" + strings.Repeat(", ?", len(storedColumns)-1) + ")"

// values returns the parameters of insertMessage.
func (p *posting) values() []any {
	values := make([]any, len(storedColumns), len(storedColumns)+10) // PostgreSQL adds the rest
	for i, c := range storedColumns {
		values[i] = c.stored(p)
	}
	return values
}

// insertMessages writes a statement that stores several messages.
func insertMessages(d dialect, sql *sqltext.Text, posts []*posting) {
	columns := make([]typedColumn, len(storedColumns))
	for i, c := range storedColumns {
		columns[i] = c.typedColumn
	}
	rows := make(objectRows, 0, 1024*len(posts))
	for _, p := range posts {
		rows.add(columns, p.values())
	}
	names := columnNames("", storedColumns)
	sql.Add("INSERT INTO notification_messages (" + names + ") SELECT " + names + " FROM ")
	d.objects(sql, rows.array(), columns...)
	sql.Add(" item")
}

// insertDelivery begins a statement that stores deliveries. Its columns after
// audience are [posting.copied].
const insertDelivery = "INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)"

// copied returns the values that every delivery copies from its message.
func (p *posting) copied() []any {
	return append(make([]any, 0, 6), p.id, p.severity(), p.scheduled(), p.draft.To.everyone, p.expiry())
}

// insertDeliveries writes a statement that stores the deliveries of several
// messages.
func insertDeliveries(d dialect, sql *sqltext.Text, posts []*posting) {
	columns := []typedColumn{
		{"message_id", typeID}, {"severity", typeSmall}, {"scheduled", typeBool},
		{"system", typeBool}, {"expires_at", typeInt}, {"audience", typeText},
	}
	var rows objectRows
	for _, p := range posts {
		copied := p.copied()
		for _, audience := range p.audiences {
			rows.add(columns, append(copied, audience))
		}
	}
	sql.Add(insertDelivery + " SELECT audience, message_id, severity, scheduled, system, expires_at FROM ")
	d.objects(sql, rows.array(), columns...)
	sql.Add(" item")
}

// objectRows builds a JSON array of objects for dialect.objects. encoding/json
// takes several times as long with maps.
type objectRows []byte

// add adds an object with the columns and their values, without nulls.
func (rows *objectRows) add(columns []typedColumn, values []any) {
	b, separator := *rows, byte('{')
	if len(b) == 0 {
		b = append(b, '[')
	} else {
		b = append(b, ',')
	}
	for i, v := range values {
		text, _ := json.Marshal(v) // a text, number, bool or a pointer to one: cannot fail
		if string(text) == "null" {
			continue
		}
		b = append(append(append(b, separator, '"'), columns[i].name...), `":`...)
		b, separator = append(b, text...), ','
	}
	*rows = append(b, '}')
}

// array returns the JSON array. It needs at least one object.
func (rows objectRows) array() string { return string(append(rows, ']')) }

// jsonObjects encodes a list as one parameter for dialect.objects.
func jsonObjects(list any) string {
	b, _ := json.Marshal(list) // of texts: cannot fail
	return string(b)
}

// asText returns a scanned text; null becomes empty.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte: // some drivers return texts as bytes
		return string(v)
	}
	return ""
}

func textOf(field func(*Notification) *string) func(*Notification, any) error {
	return func(n *Notification, v any) error {
		*field(n) = asText(v)
		return nil
	}
}

// timeOf reads Unix milliseconds; null becomes the zero time.
func timeOf(field func(*Notification) *time.Time) func(*Notification, any) error {
	return func(n *Notification, v any) error {
		if ms, ok := v.(int64); ok {
			*field(n) = time.UnixMilli(ms).UTC()
		}
		return nil
	}
}
