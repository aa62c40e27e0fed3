package conformance_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/sqlgolden"
)

// TestStatements: of every statement that random sequences of operations send,
// each line is in a file that people read.
func TestStatements(t *testing.T) {
	t.Parallel()
	databases := openDatabases(t)
	for _, db := range databases {
		recorded := sqlgolden.Record(t, db)
		lines := sqlgolden.LinesOf(t, filepath.Join("..", "..", "testdata", "sql", db.Name()))
		seen := map[string]bool{}
		const programsRun = 40
		for seed := range programsRun {
			if log, difference := programs.Example(seed).run(databases, nil); difference != "" {
				t.Fatal(log, difference)
			}
			for _, sql := range recorded.Take() {
				seen[sql] = true
			}
		}
		missing := map[string]bool{}
		for sql := range seen {
			if strings.HasPrefix(sql, "DELETE FROM") && !strings.Contains(sql, "WHERE") || strings.Contains(sql, "SAVEPOINT") {
				continue // of the test, and of GORM
			}
			for _, line := range lines.Missing(sql) {
				if !missing[line] {
					missing[line] = true
					t.Errorf("no file in testdata/sql has the line %q, which is sent in\n%s", line, sqlgolden.Format(sql))
				}
			}
		}
		if len(seen) < 100 {
			t.Errorf("%s: only %d statements", db.Name(), len(seen))
		}
	}
}
