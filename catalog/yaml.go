package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The limits of one document. The YAML library is recursive, and slower than
// linear, in keys and nesting, so keys and nesting are counted first.
const (
	maxDocumentBytes = 1 << 20
	maxNestingTokens = 5000
)

// chunk is the text of one document.
type chunk struct {
	line int // number of its first line in the file
	data string
}

// split splits a file into its documents. It drops documents of blank lines and
// comments, and directives, which have no effect here. A line that begins with
// "---" or "..." and then ends or has white space is always a marker (YAML
// 1.2.2, 9.1.2). The YAML library gets one document at a time: it ignores
// everything after an empty document, and its time grows with the square of
// their number.
func split(text string) []chunk {
	var chunks []chunk
	start, startLine, begun := 0, 1, false
	cut := func(end, next, nextLine int) {
		if begun {
			chunks = append(chunks, chunk{line: startLine, data: text[start:end]})
		}
		start, startLine, begun = next, nextLine, false
	}
	at, number := 0, 1
	for line := range strings.Lines(text) {
		switch {
		case isMarker(line, "---"):
			cut(at, at, number)
			begun = true
		case isMarker(line, "..."):
			cut(at, at+len(line), number+1)
		case !isPrologue(line):
			begun = true
		}
		at += len(line)
		number++
	}
	cut(at, at, number)
	return chunks
}

func isMarker(line, marker string) bool {
	rest, ok := strings.CutPrefix(line, marker)
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " \t\n"))
}

// isPrologue reports whether a line may come before the "---" of its document:
// it is blank, a comment or a directive.
func isPrologue(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#' || line[0] == '%'
}

// document reads one document of a file.
type document struct {
	chunk
	file string

	root    ast.Node // the content
	targets targets  // set when the first alias is resolved
	subject string   // the entity, for faults
	faults  []error
}

// parse returns the content of the document, and nil if it has none.
func (d *document) parse() ast.Node {
	if len(d.data) > maxDocumentBytes {
		d.fail(d.line, "the document is larger than %d bytes", maxDocumentBytes)
		return nil
	}
	tokens := lexer.Tokenize(d.data)
	if nestingTokens(tokens) > maxNestingTokens {
		d.fail(d.line, "the document has more than %d keys, or is nested as deeply", maxNestingTokens)
		return nil
	}
	for _, t := range tokens {
		t.Position.Line += d.line - 1
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		d.malformed(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if d.root != nil { // the library takes "...x" for a marker
			d.fail(lineOf(doc.Body), "this begins another document")
		}
		d.root = doc.Body
	}
	return d.root
}

// nestingTokens counts the tokens that make the library recurse.
func nestingTokens(tokens token.Tokens) int {
	n := 0
	for i, t := range tokens {
		switch t.Type {
		case token.MappingKeyType, token.MappingValueType, token.MappingStartType,
			token.SequenceStartType, token.TagType, token.AnchorType:
			n++
		case token.SequenceEntryType:
			if i > 0 && tokens[i-1].Type == token.SequenceEntryType && tokens[i-1].Position.Line == t.Position.Line {
				n++ // "- - -" nests; an entry on its own line does not
			}
		}
	}
	return n
}

// malformed reports that the document is not valid YAML.
func (d *document) malformed(err error) {
	line, reason := d.line, err.Error()
	var located yaml.Error
	if errors.As(err, &located) {
		reason = located.GetMessage()
		if t := located.GetToken(); t != nil {
			line = t.Position.Line
		}
	}
	d.fail(line, "%s", reason)
}

// fail reports a fault at a line of the file.
func (d *document) fail(line int, format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%s:%d: %s", d.file, line, fmt.Sprintf(format, args...)))
}

// fault reports a fault of a field of the entity, at the line of n.
func (d *document) fault(n ast.Node, field, format string, args ...any) {
	d.fail(lineOf(n), "%s: %s: %s", d.subject, field, fmt.Sprintf(format, args...))
}

func lineOf(n ast.Node) int { return n.GetToken().Position.Line }

// resolve returns the value of an anchor or an alias. It follows one step only,
// so it always ends. An alias without an anchor is returned as it is.
func (d *document) resolve(n ast.Node) ast.Node {
	if alias, ok := n.(*ast.AliasNode); ok {
		if d.targets == nil {
			d.targets = findTargets(d.root)
		}
		if anchor := d.targets[alias]; anchor != nil {
			n = anchor
		}
	}
	if anchor, ok := n.(*ast.AnchorNode); ok {
		n = anchor.Value
	}
	return n
}

// targets maps each alias to its anchor: the last one of that name before it,
// or nil.
type targets map[*ast.AliasNode]*ast.AnchorNode

func findTargets(root ast.Node) targets {
	v := anchorVisitor{targets: make(targets), anchors: make(map[string]*ast.AnchorNode)}
	ast.Walk(v, root)
	return v.targets
}

// anchorVisitor visits the nodes in the order of the text.
type anchorVisitor struct {
	targets targets
	anchors map[string]*ast.AnchorNode // so far
}

// Visit implements [ast.Visitor].
func (v anchorVisitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.AnchorNode:
		v.anchors[n.Name.GetToken().Value] = n
	case *ast.AliasNode:
		v.targets[n] = v.anchors[n.Value.GetToken().Value]
	}
	return v
}

// get returns the value of a key, and nil if it is absent or null.
func (d *document) get(m *ast.MappingNode, key string) ast.Node {
	if m == nil {
		return nil
	}
	for _, v := range m.Values {
		if keyText(v.Key) == key && d.resolve(v.Value).Type() != ast.NullType {
			return v.Value
		}
	}
	return nil
}

func keyText(key ast.Node) string {
	if explicit, ok := key.(*ast.MappingKeyNode); ok { // "? key"
		key = explicit.Value
	}
	if anchor, ok := key.(*ast.AnchorNode); ok {
		key = anchor.Value
	}
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return ""
}

// unsplit returns the string "user:jane" for the mapping "user: jane". The
// library parses {memberOf: [user:jane]} as such a mapping: within braces it
// ends a plain scalar at a colon even without white space after it (YAML 1.2.2,
// 7.3.3).
func unsplit(m *ast.MappingNode) (string, bool) {
	if m.IsFlowStyle || len(m.Values) != 1 {
		return "", false
	}
	colon, key, value := m.Values[0].Start, m.Values[0].Key.GetToken(), m.Values[0].Value.GetToken()
	if key.Type != token.StringType || value.Indicator != token.NotIndicator || value.Type == token.ImplicitNullType ||
		colon.Position.Line != value.Position.Line || colon.Position.Column+1 != value.Position.Column {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}
