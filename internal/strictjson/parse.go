// Package strictjson reads JSON request bodies. It accepts only bodies that
// every JSON reader understands alike: RFC 8259 without duplicate keys, without
// keys that differ only in case, and without lone surrogates (see RFC 7493). It
// also refuses NUL, which PostgreSQL cannot store, and the other control
// characters except TAB, LF and CR, which take six times their size in JSON.
//
// [Parse] checks the whole document and returns a [Reader]. Callers ask it for
// one field after another; [Reader.Faults] then returns all faults, those that
// Parse found in single fields too, and all fields that nobody asked for. [CheckObject] checks JSON that comes from Go.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/fold"
)

// MaxDepth limits the nesting of objects and arrays. The body itself is the
// first level.
const MaxDepth = 16

// Fault is one fault of a body. It may be shown to the sender.
type Fault struct {
	// Field is the path of the field, "actions[0].url", or "body" for the body
	// as a whole. Keys that are not plain words are quoted, and long ones are
	// cut.
	Field string
	// Reason completes the sentence that Field begins: "must be a string".
	Reason string
}

// Error returns the field and the reason.
func (f Fault) Error() string { return f.Field + ": " + f.Reason }

// Parse checks data and returns a Reader of its object. A non-nil error is a
// [Fault] that leaves nothing to read: bad JSON, or too deep. A text or a key
// that is refused, or a key that comes twice, is among [Reader.Faults]. The
// Reader keeps no reference to data.
func Parse(data []byte) (*Reader, error) {
	p := parser{faults: new(faults)}
	body, err := p.document(data)
	if err != nil {
		return nil, err
	}
	return &Reader{members: body, faults: p.faults}, nil
}

// CheckObject checks a JSON object as [Parse] would have checked it as the
// value of a field. depth is the number of objects and arrays around it, which
// count towards [MaxDepth]: 1 for a field of the body, 0 for an object on its
// own. White space around the object is allowed. Empty data and null are
// faults. A non-nil error is a [Fault], the first one, whose path begins with
// field.
func CheckObject(field string, data []byte, depth int) error {
	p := parser{path: []byte(field), depth: depth, faults: new(faults)}
	_, err := p.document(data)
	if err == nil && len(*p.faults) > 0 {
		return (*p.faults)[0]
	}
	return err
}

// document checks and reads data.
func (p *parser) document(data []byte) ([]member, error) {
	if !utf8.Valid(data) {
		return nil, p.fault("is not valid UTF-8")
	}
	if wrong := checkGrammar(data); wrong != "" {
		return nil, p.fault(wrong)
	}
	p.data = string(data)
	if p.peek() != '{' {
		return nil, p.fault("must be a JSON object")
	}
	return p.object()
}

// checkGrammar returns the fault of the grammar, or "". It uses encoding/json,
// so the parser below gets only well-formed JSON.
func checkGrammar(data []byte) (wrong string) {
	if json.Valid(data) {
		return ""
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return "is empty, a JSON object is required"
	}
	reason := "cannot be read as JSON" // malformed, or nested too deep even for encoding/json
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(data, new(json.RawMessage)), &syntax) {
		reason += ", see byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	return reason
}

// member is one field of an object. Its value is nil, a bool, a json.Number, a
// string, a []any of these, or a []member. raw is the value as it was written,
// without white space around it.
//
// Its texts may share memory with the whole document, so the Reader returns
// copies.
type member struct {
	key   string
	value any
	raw   string
}

// parser reads data that is valid UTF-8 and well-formed JSON.
type parser struct {
	data  string
	pos   int
	path  []byte // of the value at pos; empty for the body
	depth int
	// faults are those of single texts and keys, which do not end the parsing.
	faults *faults
}

// peek moves to the next token and returns its first byte. In well-formed JSON
// it may skip commas and colons like white space.
func (p *parser) peek() byte {
	for strings.IndexByte(" \t\r\n,:", p.data[p.pos]) >= 0 {
		p.pos++
	}
	return p.data[p.pos]
}

func (p *parser) value() (any, error) {
	switch p.peek() {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, wrong := p.text()
		if wrong != "" {
			p.faults.add(p.fault(wrong))
		}
		return s, nil
	}
	start := p.pos
	p.pos += strings.IndexAny(p.data[start:], " \t\r\n,]}") // one of them follows, because the value is in an object
	switch literal := p.data[start:p.pos]; literal {
	case "null":
		return nil, nil
	case "true", "false":
		return literal == "true", nil
	default:
		return json.Number(literal), nil
	}
}

func (p *parser) object() ([]member, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	var members []member
	spelling := make(map[string]string) // from the folded key to the key as written
	for p.peek() != '}' {
		key, wrong := p.text()
		if wrong != "" {
			p.faults.add(p.fault("has a key that " + wrong))
		}
		outer := len(p.path)
		p.path = appendKey(p.path, key)
		folded := fold.Text(key)
		first, twice := spelling[folded]
		if twice && wrong == "" {
			p.faults.add(p.fault(repeats(key, first)))
		}
		p.peek()
		start := p.pos
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if wrong == "" && !twice {
			spelling[folded] = key
			members = append(members, member{key, v, p.data[start:p.pos]})
		}
		p.path = p.path[:outer]
	}
	p.leave()
	return members, nil
}

func (p *parser) array() ([]any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for p.peek() != ']' {
		outer := len(p.path)
		p.path = appendIndex(p.path, len(list))
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.path = p.path[:outer]
	}
	p.leave()
	return list, nil
}

// enter skips an opening bracket, and leave a closing one.
func (p *parser) enter() error {
	p.pos++
	p.depth++
	if p.depth > MaxDepth {
		return p.fault("nests deeper than " + strconv.Itoa(MaxDepth) + " levels")
	}
	return nil
}

func (p *parser) leave() {
	p.pos++
	p.depth--
}

// text reads the string literal at pos. wrong is its fault, or "". The grammar
// excludes raw control characters.
func (p *parser) text() (s, wrong string) {
	start := p.pos + 1
	end := start
	for p.data[end] != '"' {
		if p.data[end] == '\\' {
			end++
		}
		end++
	}
	p.pos = end + 1
	return unescape(p.data[start:end])
}

// unescape resolves the escapes of RFC 8259, section 7.
func unescape(literal string) (s, wrong string) {
	var b strings.Builder
	for {
		plain, rest, escaped := strings.Cut(literal, `\`)
		if !escaped && b.Len() == 0 {
			return plain, ""
		}
		b.WriteString(plain)
		if !escaped {
			return b.String(), ""
		}
		literal = rest[1:]
		if i := strings.IndexByte("nrt", rest[0]); i >= 0 {
			b.WriteByte("\n\r\t"[i])
			continue
		}
		if rest[0] == 'b' || rest[0] == 'f' {
			return "", HasControl
		}
		if rest[0] != 'u' { // a quote, a slash or a backslash
			b.WriteByte(rest[0])
			continue
		}
		r := hex4(literal)
		literal = literal[4:]
		if utf16.IsSurrogate(r) {
			if !strings.HasPrefix(literal, `\u`) {
				return "", "contains half a surrogate pair"
			}
			if r = utf16.DecodeRune(r, hex4(literal[2:])); r == utf8.RuneError {
				return "", "contains half a surrogate pair"
			}
			literal = literal[6:]
		}
		if IsControl(r) {
			return "", HasControl
		}
		b.WriteRune(r)
	}
}

// HasControl is the reason of a Fault of a text with a control character.
const HasControl = "contains a control character other than TAB, LF and CR"

// IsControl reports whether a character is below U+0020, and none of TAB, LF and
// CR. No text may have one: PostgreSQL cannot store NUL, and in JSON each of them
// takes six bytes.
func IsControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }

func hex4(digits string) rune {
	n, _ := strconv.ParseUint(digits[:4], 16, 16) // the grammar allows only hex digits here
	return rune(n)
}

func repeats(key, first string) string {
	if key == first {
		return "is given twice"
	}
	return "is " + string(appendKey(nil, first)) + " again in another spelling"
}

// faults are the faults of one body, one for a field, 1,000 at most.
type faults []Fault

func (f *faults) add(fault Fault) {
	known := func(other Fault) bool { return other.Field == fault.Field }
	if len(*f) < maxFaults && !slices.ContainsFunc(*f, known) {
		*f = append(*f, fault)
	}
}

// fault returns a fault of the current value.
func (p *parser) fault(reason string) Fault {
	if len(p.path) == 0 {
		return Fault{"body", reason}
	}
	return Fault{string(p.path), reason}
}

func appendIndex(path []byte, i int) []byte {
	path = append(path, '[')
	path = strconv.AppendInt(path, int64(i), 10)
	return append(path, ']')
}

// appendKey appends a key to a path. The sender chose the key, so it is quoted
// if it is not a plain word, and cut if it is long.
func appendKey(path []byte, key string) []byte {
	const maxShown = 64
	if len(path) > 0 {
		path = append(path, '.')
	}
	if len(key) > maxShown {
		key = strings.ToValidUTF8(key[:maxShown], "") + "…"
	}
	if key == "" || strings.ContainsFunc(key, notOfAWord) {
		return strconv.AppendQuote(path, key)
	}
	return append(path, key...)
}

func notOfAWord(r rune) bool {
	return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r) && r != '_' && r != '-'
}
