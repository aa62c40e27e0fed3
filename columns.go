package notifications

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/notifications-go/notifications/internal/fold"
	"github.com/notifications-go/notifications/internal/sqltext"
)

// messageColumn is a column of notification_messages that comes from a post.
type messageColumn struct {
	typedColumn
	// stored is what a post writes; nil if it writes nothing.
	stored func(p *posting) any
	// replaced says that an update in place writes it again.
	replaced bool
	// shown puts a value into a notification; nil if a list does not read it,
	// or reads it as one of the flags.
	shown func(n *Notification, v any) error
}

// messageColumns is the one list of what is stored of a post and shown in a
// notification, in the order in which statements have it. A new field of
// [Draft] and [Notification] is one line here, and a migration.
var messageColumns = []messageColumn{
	{typedColumn{"id", typeID}, func(p *posting) any { return p.id }, false, func(n *Notification, v any) error {
		n.ID = asText(v)
		n.Created = idTime(n.ID)
		return nil
	}},
	{typedColumn{"poster", typeText}, func(p *posting) any { return p.poster }, false, nil},
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
	{typedColumn{"audiences", typeText}, func(p *posting) any { return p.audienceArray }, false, nil},
	{typedColumn{"scope", typeText}, func(p *posting) any { return optional(p.draft.Scope) }, false, textOf(func(n *Notification) *string { return &n.Scope })},
	{typedColumn{"updated_at", typeInt}, nil, false, timeOf(func(n *Notification) *time.Time { return &n.Updated })},
	{typedColumn{"expires_at", typeInt}, func(p *posting) any { return millis(p.draft.Expires) }, true, timeOf(func(n *Notification) *time.Time { return &n.Expires })},
	{typedColumn{"scheduled", typeBool}, func(p *posting) any { return p.scheduled() }, false, nil},
	// The texts again, folded, to be searched and ordered alike everywhere.
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

// columnNames are the names of the columns, each with something before it, joined
// by commas.
func columnNames(before string, columns []messageColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = before + c.name
	}
	return strings.Join(names, ", ")
}

// insertMessage stores one message; its parameters are [posting.values].
var insertMessage = "INSERT INTO notification_messages (" + columnNames("", storedColumns) +
	") VALUES (?" + strings.Repeat(", ?", len(storedColumns)-1) + ")"

// values are what insertMessage stores.
func (p *posting) values() []any {
	values := make([]any, len(storedColumns), len(storedColumns)+8) // PostgreSQL adds the deliveries
	for i, c := range storedColumns {
		values[i] = c.stored(p)
	}
	return values
}

// insertMessages writes a statement that stores many.
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
// the audience are [posting.copied].
const insertDelivery = "INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)"

// copied is what all deliveries of a message copy from it.
func (p *posting) copied() []any {
	return append(make([]any, 0, 6), p.id, p.severity(), p.scheduled(), p.draft.To.everyone, p.expiry())
}

// insertDeliveries writes a statement that stores the deliveries of many
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

// objectRows is a JSON array of objects being written, for dialect.objects.
// encoding/json takes several times as long for a map.
type objectRows []byte

// add adds an object of columns and their values, nulls left out.
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

// array is the JSON array of at least one object.
func (rows objectRows) array() string { return string(append(rows, ']')) }

// jsonObjects passes a list as one parameter, see dialect.objects.
func jsonObjects(list any) string {
	b, _ := json.Marshal(list) // of texts: cannot fail
	return string(b)
}

// asText is a value that is a text, null being empty.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte: // as some drivers have it
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

// timeOf takes a value in Unix milliseconds, null being the zero time.
func timeOf(field func(*Notification) *time.Time) func(*Notification, any) error {
	return func(n *Notification, v any) error {
		if ms, ok := v.(int64); ok {
			*field(n) = time.UnixMilli(ms).UTC()
		}
		return nil
	}
}
