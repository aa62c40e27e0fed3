package sqlgolden

import (
	"slices"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	sql := "SELECT a, count(*) FILTER (WHERE b AND c) AS n FROM (SELECT * FROM x WHERE y = 'it, (is)' AND (z OR w) AND v IN (SELECT i.value FROM json_each(?) i)) x" +
		" LEFT JOIN y ON y.a = x.a AND y.b = x.b\n\tWHERE CASE WHEN p AND q THEN 1 END = 1 ORDER BY a LIMIT 1 FOR UPDATE SKIP LOCKED"
	want := `SELECT a, count(*) FILTER (WHERE b AND c) AS n
FROM (
	SELECT *
	FROM x
	WHERE y = 'it, (is)'
	AND (z OR w)
	AND v IN (
		SELECT i.value
		FROM json_each(?) i
	)
) x
LEFT JOIN y ON y.a = x.a
AND y.b = x.b
WHERE CASE WHEN p AND q THEN 1 END = 1
ORDER BY a
LIMIT 1
FOR UPDATE SKIP LOCKED`
	if got := Format(sql); got != want {
		t.Errorf("formatted\n%s\nwant\n%s", got, want)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	if squeeze(Format(sql)) != squeeze(sql) {
		t.Errorf("more than white space has changed")
	}
}

func TestMissingLines(t *testing.T) {
	t.Parallel()
	lines := Lines{}
	for line := range strings.Lines(Format("SELECT a FROM b WHERE c = $12 LIMIT 21")) {
		lines[general(line)] = true
	}
	if got := lines.Missing("SELECT a FROM b WHERE c = $3 LIMIT 7"); len(got) > 0 {
		t.Errorf("missing %q", got)
	}
	if got := lines.Missing("SELECT a FROM b WHERE c = $3 AND d = $4"); !slices.Equal(got, []string{"AND d = $4;"}) {
		t.Errorf("missing %q", got)
	}
}
