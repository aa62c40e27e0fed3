package conformance_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// semanticsCase is one row of the table in docs/semantics.md.
type semanticsCase struct {
	name string
	test func(f *fixture)
}

// TestSemantics has a case for each row of the table, and no others.
func TestSemantics(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(stateCases, bulkCases, scopeCases, keepPlaceCases, idempotencyCases, timeCases, goneCases, seenCases, streamCases)
	names := make([]string, len(cases))
	for i, tc := range cases {
		names[i] = tc.name
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachSubject(t, tc.test)
		})
	}
	text, err := os.ReadFile("../../docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := tableRows(string(text))
	for _, row := range rows {
		if !slices.Contains(names, row) {
			t.Errorf("docs/semantics.md: row %q has no case", row)
		}
	}
	for _, name := range names {
		if !slices.Contains(rows, name) {
			t.Errorf("case %q has no row in docs/semantics.md", name)
		}
	}
	if !t.Failed() && !slices.Equal(rows, names) {
		t.Errorf("docs/semantics.md has the rows in another order, or one of them twice\n%q, the cases are\n%q", rows, names)
	}
}

var rowPattern = regexp.MustCompile(`(?m)^\| *([^|]*?) *\| *[^|]+ *\|$`)

// tableRows returns the first cell of each row of the table in a Markdown
// text, its head left out.
func tableRows(text string) []string {
	var rows []string
	for _, m := range rowPattern.FindAllStringSubmatch(text, -1) {
		rows = append(rows, m[1])
	}
	if len(rows) < 2 || strings.Trim(rows[1], "-") != "" {
		return nil
	}
	return rows[2:]
}

func TestTableRows(t *testing.T) {
	t.Parallel()
	text := "# x\n| a | b |\n|---|---|\n| r1 | text `x` |\n|r=2 × r3|y|\nno | row\n"
	if got, want := tableRows(text), []string{"r1", "r=2 × r3"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}
