package main

import (
	"bytes"
	"database/sql/driver"
	"strings"

	"github.com/gofrs/uuid/v5"
)

// value stands for another in a pattern: an id has both forms, a name is a
// text alone.
type value struct {
	text string
	raw  [16]byte // of the UUID that text is
}

func textValue(s string) value { return value{text: s} }

func idValue(id uuid.UUID) value { return value{id.String(), id} }

// pattern is a value of a column or an argument of a statement, in which some
// values may be put in the place of others, wherever they occur.
type pattern struct {
	fixed  any      // where nothing is replaced
	pieces []string // between the holes
	holes  []int    // which value goes where; nil in a fixed pattern
	form   form
}

type form int

const (
	asText form = iota
	asBytes
	asRaw // the 16 bytes of a UUID, and nothing around them
)

// newPattern finds the values in v.
func newPattern(v any, values ...value) pattern {
	v = plain(v)
	switch v := v.(type) {
	case string:
		if p := newTextPattern(v, values); p.holes != nil {
			return p
		}
	case []byte:
		p := newTextPattern(string(v), values)
		if p.holes != nil {
			p.form = asBytes
			return p
		}
		return pattern{fixed: bytes.Clone(v)}
	case [16]byte:
		for i, known := range values {
			if v == known.raw && v != [16]byte{} {
				return pattern{holes: []int{i}, form: asRaw}
			}
		}
	}
	return pattern{fixed: v}
}

// plain is the value itself where v only points to it or wraps it.
func plain(v any) any {
	switch v := v.(type) {
	case *string:
		if v == nil {
			return nil
		}
		return *v
	case uuid.UUID:
		return [16]byte(v)
	case driver.Valuer:
		if inner, err := v.Value(); err == nil {
			return inner
		}
	}
	return v
}

func newTextPattern(s string, values []value) pattern {
	p := pattern{}
	for {
		at, which := len(s), -1
		for i, known := range values {
			if found := strings.Index(s, known.text); known.text != "" && found >= 0 && found < at {
				at, which = found, i
			}
		}
		p.pieces = append(p.pieces, s[:at])
		if which < 0 {
			return p
		}
		p.holes = append(p.holes, which)
		s = s[at+len(values[which].text):]
	}
}

// with returns the value with others in the place of those it was made with,
// in the same order.
func (p *pattern) with(values []value) any {
	switch {
	case p.holes == nil:
		return p.fixed
	case p.form == asRaw:
		return values[p.holes[0]].raw
	case p.form == asBytes:
		return []byte(p.text(values))
	default:
		return p.text(values)
	}
}

func (p *pattern) text(values []value) string {
	if len(p.holes) == 1 && p.pieces[0] == "" && p.pieces[1] == "" {
		return values[p.holes[0]].text
	}
	var b strings.Builder
	for i, hole := range p.holes {
		b.WriteString(p.pieces[i])
		b.WriteString(values[hole].text)
	}
	b.WriteString(p.pieces[len(p.pieces)-1])
	return b.String()
}
