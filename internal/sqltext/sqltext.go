// Package sqltext builds SQL statements together with their arguments, so that
// nobody counts parameters.
package sqltext

import (
	"fmt"
	"strconv"
	"strings"
)

// Text is a statement or a part of one, with its arguments. The zero Text is an
// empty part. It must not be copied after the first write, and is not safe for
// concurrent use.
type Text struct {
	text     strings.Builder
	args     []any
	numbered bool
}

// Statement returns an empty statement, with room for a typical one. If
// numbered, its parameters are written $1, $2 and so on. Otherwise, and in
// parts, they are written "?".
func Statement(numbered bool) *Text {
	t := &Text{numbered: numbered, args: make([]any, 0, 32)}
	t.text.Grow(2560)
	return t
}

// Part returns a part that begins with text; see [Text.Add].
func Part(text string, args ...any) *Text { return new(Text).Add(text, args...) }

// Add appends text, in which each "?" is a parameter, and the arguments. It
// returns t. It panics if the numbers of parameters and arguments differ.
func (t *Text) Add(text string, args ...any) *Text {
	if n := strings.Count(text, "?"); n != len(args) {
		panic(fmt.Sprintf("sqltext: %d parameters, %d arguments: %s", n, len(args), strings.Clone(text))) // the clone keeps text on the stack
	}
	if t.numbered {
		text = t.number(text)
	}
	t.text.WriteString(text)
	t.args = append(t.args, args...)
	return t
}

// number writes text up to its last parameter, and returns the rest.
func (t *Text) number(text string) string {
	for n := len(t.args) + 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		if !found {
			return text
		}
		t.text.WriteString(before)
		t.text.WriteByte('$')
		t.text.WriteString(strconv.Itoa(n))
		text = after
	}
}

// AddPart appends a part and its arguments, and returns t.
func (t *Text) AddPart(part *Text) *Text { return t.Add(part.text.String(), part.args...) }

// Len returns the length of the text in bytes, for [Text.From].
func (t *Text) Len() int { return t.text.Len() }

// From returns the text after its first n bytes.
func (t *Text) From(n int) string { return t.text.String()[n:] }

// Repeat appends a result of [Text.From]. Its parameters are those of the first
// time, which works only in a numbered text.
func (t *Text) Repeat(text string) { t.text.WriteString(text) }

// String returns the text.
func (t *Text) String() string { return t.text.String() }

// Args returns the arguments, in the order of the parameters.
func (t *Text) Args() []any { return t.args }
