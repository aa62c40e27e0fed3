package notifications

import (
	"reflect"
	"testing"
	"time"
)

// TestContentKnowsEveryField: a post that differs in any field is another one
// for its idempotency key.
func TestContentKnowsEveryField(t *testing.T) {
	t.Parallel()
	content := func(d Draft) string {
		p := &posting{draft: d}
		for _, ref := range d.To.refs {
			p.audiences = append(p.audiences, ref.String())
		}
		return p.contentHash()
	}
	values := map[reflect.Type]any{
		reflect.TypeFor[string]():        "x",
		reflect.TypeFor[bool]():          true,
		reflect.TypeFor[Severity]():      SeverityHigh,
		reflect.TypeFor[time.Time]():     time.UnixMilli(1),
		reflect.TypeFor[[]ActionDraft](): []ActionDraft{{Title: "x"}},
		reflect.TypeFor[Audience]():      Users("x"),
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Draft]()) {
		value, known := values[field.Type]
		if field.Name == "Metadata" {
			value, known = []byte(`{"x":1}`), true
		}
		if !known {
			t.Errorf("Draft.%s has a type this test does not know", field.Name)
			continue
		}
		var d Draft
		at := reflect.ValueOf(&d).Elem().FieldByIndex(field.Index)
		at.Set(reflect.ValueOf(value).Convert(field.Type))
		if same := content(d) == content(Draft{}); same != (field.Name == "IdempotencyKey") {
			t.Errorf("a draft that differs in %s alone has the same content: %v", field.Name, same)
		}
	}
}
