package strictjson

import (
	"slices"
	"strconv"
	"strings"

	"github.com/notifications-go/notifications/internal/near"
)

// maxFaults limits the size of the answer to a hostile body.
const maxFaults = 1000

// Reader reads the fields of one object. Null and an absent field are the same.
// A value of the wrong type is a fault and is read as the zero value, so a
// caller reads all fields and then calls [Reader.Faults]. A Reader is not safe
// for concurrent use.
type Reader struct {
	members []member
	path    string   // empty for the body
	asked   []string // the keys that were asked for
	faults  *faults  // shared with the Readers of nested objects
}

// IsNull reports whether a field is there and null, for a field that must not
// be.
func (r *Reader) IsNull(key string) bool { return r.member(key).raw == "null" }

// String returns a text, and "" if it is absent.
func (r *Reader) String(key string) string {
	v := r.value(key)
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.Reject(key, "must be a string")
	}
	return strings.Clone(s)
}

// Bool returns a bool, and whether it is present.
func (r *Reader) Bool(key string) (value, present bool) {
	v := r.value(key)
	value, present = v.(bool)
	if v != nil && !present {
		r.Reject(key, "must be true or false")
	}
	return value, present
}

// Choice returns the allowed word in the field, and "" if the field is absent.
// The words true and false may be written with or without quotes.
func (r *Reader) Choice(key string, allowed ...string) string {
	v := r.value(key)
	if b, ok := v.(bool); ok {
		v = strconv.FormatBool(b)
	}
	for _, word := range allowed {
		if v == word {
			return word
		}
	}
	if v != nil {
		r.Reject(key, "must be one of "+strings.Join(allowed, ", "))
	}
	return ""
}

// Strings returns an array of texts, and whether it is present. An element of
// another type, null too, is a fault and becomes "", so that the other elements
// keep their index.
func (r *Reader) Strings(key string) ([]string, bool) {
	list, ok := r.array(key, "must be an array of strings")
	if !ok {
		return nil, false
	}
	texts := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			r.note(r.element(key, i), "must be a string")
		}
		texts[i] = strings.Clone(s)
	}
	return texts, true
}

// Object calls read for an object inside this one, and reports whether there is
// one. Fields that read does not ask for are unknown. The faults are added to
// those of r.
func (r *Reader) Object(key string, read func(*Reader)) bool {
	v := r.value(key)
	members, ok := v.([]member)
	if ok {
		r.inside(r.field(key), members, read)
	} else if v != nil {
		r.Reject(key, "must be an object")
	}
	return ok
}

// Objects calls read for every object of an array, in order. Fields that read
// does not ask for are unknown. The faults are added to those of r. An element
// that is not an object is a fault.
func (r *Reader) Objects(key string, read func(i int, element *Reader)) {
	list, ok := r.array(key, "must be an array of objects")
	if !ok {
		return
	}
	for i, v := range list {
		members, ok := v.([]member)
		if !ok {
			r.note(r.element(key, i), "must be an object")
			continue
		}
		r.inside(r.element(key, i), members, func(element *Reader) { read(i, element) })
	}
}

// Raw returns a value of any type as it was sent, byte for byte, without white
// space around it. It is nil if the field is absent. [Parse] has checked it
// like the rest. The caller may change the result.
func (r *Reader) Raw(key string) []byte {
	m := r.member(key)
	if m.value == nil {
		return nil
	}
	return []byte(m.raw)
}

// Reject adds a fault that the caller found in a field.
func (r *Reader) Reject(key, reason string) { r.note(r.field(key), reason) }

// Faults returns the faults that Parse found, those of the fields in the order
// in which they were asked for, and the unknown fields: one fault for a field,
// and 1,000 at most. Call it on the Reader of the body, and last: afterwards
// every field is absent.
func (r *Reader) Faults() []Fault {
	r.noteUnknown()
	return *r.faults
}

// value returns nil if the field is absent or null.
func (r *Reader) value(key string) any { return r.member(key).value }

// member returns the zero member if the field is absent.
func (r *Reader) member(key string) member {
	r.asked = append(r.asked, key)
	for _, m := range r.members {
		if m.key == key {
			return m
		}
	}
	return member{}
}

// array returns an array, and whether the field is one.
func (r *Reader) array(key, otherwise string) ([]any, bool) {
	v := r.value(key)
	list, ok := v.([]any)
	if v != nil && !ok {
		r.Reject(key, otherwise)
	}
	return list, ok
}

// inside calls read with a Reader of an object inside this one.
func (r *Reader) inside(path string, members []member, read func(*Reader)) {
	inner := &Reader{members: members, path: path, faults: r.faults}
	read(inner)
	inner.noteUnknown()
}

func (r *Reader) noteUnknown() {
	const suggestions = 20 // a search for a near word takes time
	unknown := 0
	for _, m := range r.members {
		if slices.Contains(r.asked, m.key) {
			continue
		}
		reason := "is not a known field"
		if unknown++; unknown <= suggestions {
			if meant := near.Word(m.key, r.asked); meant != "" {
				reason += ", did you mean " + meant + "?"
			}
		}
		r.Reject(m.key, reason)
	}
	r.members = nil
}

func (r *Reader) note(field, reason string) { r.faults.add(Fault{field, reason}) }

// field returns the path of a field of this object.
func (r *Reader) field(key string) string { return string(appendKey([]byte(r.path), key)) }

// element returns the path of an element of an array.
func (r *Reader) element(key string, i int) string {
	return string(appendIndex([]byte(r.field(key)), i))
}
