// Package sqlgolden formats SQL for people, and compares statements with golden
// files. It is for tests.
package sqlgolden

import (
	"slices"
	"strings"
)

// lineLength is the length after which a list is broken at its next comma.
const lineLength = 100

// Format splits a statement into lines: one for each clause and for each
// condition, with queries in parentheses indented. It changes only white space.
func Format(sql string) string {
	f := formatter{frames: []bool{true}}
	f.tokens, f.spaced = tokens(sql)
	for f.at = range f.tokens {
		f.token()
	}
	f.endLine()
	return strings.Join(f.lines, "\n")
}

// formatter writes one token after another.
type formatter struct {
	tokens []string
	spaced []bool // whether white space comes before the token
	at     int
	lines  []string
	line   strings.Builder
	// frames are the open parentheses: true for those around a query, whose
	// lines are indented.
	frames []bool
	bare   bool // the next token follows without a space
}

// peek returns a token relative to the current one, and "" beyond the ends.
func (f *formatter) peek(by int) string {
	if i := f.at + by; i >= 0 && i < len(f.tokens) {
		return f.tokens[i]
	}
	return ""
}

func (f *formatter) token() {
	token := f.tokens[f.at]
	switch {
	case token == "(":
		query := f.queryWithin()
		f.write(token, f.spaced[f.at])
		if query {
			f.endLine()
		}
		f.frames = append(f.frames, query)
		f.bare = true
	case token == ")":
		if f.inQuery() {
			f.endLine()
		}
		f.frames = f.frames[:max(len(f.frames)-1, 1)]
		f.write(token, false)
	case token == ",":
		f.write(token, false)
		if f.inQuery() && f.line.Len() > lineLength {
			f.endLine()
			f.line.WriteString("\t")
			f.bare = true
		}
	default:
		if f.inQuery() && f.beginsLine(token) {
			f.endLine()
			if token == "+" {
				f.line.WriteString("\t")
				f.bare = true
			}
		}
		f.write(token, true)
	}
}

// queryWithin reports whether the parenthesis that opens here contains a query
// with FROM or INTO. "SELECT $1" stays on its line.
func (f *formatter) queryWithin() bool {
	first := f.peek(1)
	if first != "(" && first != "SELECT" && first != "INSERT" && first != "WITH" {
		return false
	}
	for i, depth := 1, 1; depth > 0; i++ {
		switch f.peek(i) {
		case "(":
			depth++
		case ")", "":
			depth--
		case "FROM", "INTO":
			return true
		}
	}
	return false
}

func (f *formatter) inQuery() bool { return f.frames[len(f.frames)-1] }

// beginsLine reports whether a token is the first of a clause or a condition.
func (f *formatter) beginsLine(token string) bool {
	before, after := f.peek(-1), f.peek(1)
	switch token {
	case "SELECT", "WHERE", "VALUES", "LIMIT", "RETURNING", "UNION", "SET", "INSERT":
		return f.at > 0 && before != "CROSS"
	case "FROM":
		return before != "DELETE"
	case "LEFT", "CROSS", "FULL":
		return true
	case "JOIN":
		return !slices.Contains([]string{"LEFT", "CROSS", "FULL"}, before)
	case "ORDER", "GROUP":
		return after == "BY"
	case "ON":
		return after == "CONFLICT"
	case "OFFSET":
		return f.peek(-2) != "LIMIT"
	case "FOR":
		return slices.Contains([]string{"KEY", "NO", "UPDATE"}, after)
	case "AND", "OR":
		return !f.within("CASE")
	case "+":
		return f.line.Len() > lineLength/2
	}
	return false
}

// within reports whether a CASE is open on this line.
func (f *formatter) within(word string) bool {
	line := f.line.String()
	return strings.Count(line, word+" ") > strings.Count(line+" ", " END ")
}

func (f *formatter) write(token string, space bool) {
	if space && f.line.Len() > 0 && !f.bare {
		f.line.WriteByte(' ')
	}
	f.line.WriteString(token)
	f.bare = false
}

// endLine adds the current line, indented by its queries.
func (f *formatter) endLine() {
	if f.line.Len() == 0 {
		return
	}
	depth := -1
	for _, query := range f.frames {
		if query {
			depth++
		}
	}
	f.lines = append(f.lines, strings.Repeat("\t", depth)+f.line.String())
	f.line.Reset()
}

// tokens splits a statement at white space, parentheses and commas, and keeps
// literals whole. It also returns which tokens have white space before them.
func tokens(sql string) (list []string, spaced []bool) {
	begin, quoted, space := 0, false, false
	add := func(token string) {
		list, spaced = append(list, token), append(spaced, space)
		space = false
	}
	flush := func(end int) {
		if end > begin {
			add(sql[begin:end])
		}
	}
	for i, c := range sql {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case strings.ContainsRune(" \t\n", c):
			flush(i)
			begin, space = i+1, true
		case strings.ContainsRune("(),", c):
			flush(i)
			add(string(c))
			begin = i + 1
		}
	}
	flush(len(sql))
	return list, spaced
}
