package sqlgolden

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"
)

var update = flag.Bool("update", false, "write the golden files")

// Recorder records the statements that are sent to a database.
type Recorder struct {
	mu         sync.Mutex
	statements []string
}

// Record records the statements of db, its sessions and its transactions until
// the test ends.
func Record(t testing.TB, db *gorm.DB) *Recorder {
	t.Helper()
	r := new(Recorder)
	const name = "sqlgolden:record"
	note := func(db *gorm.DB) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if sql := db.Statement.SQL.String(); sql != "" {
			r.statements = append(r.statements, sql)
		}
	}
	raw, query, row := db.Callback().Raw(), db.Callback().Query(), db.Callback().Row()
	for _, err := range []error{
		raw.After("*").Register(name, note), query.After("*").Register(name, note), row.After("*").Register(name, note),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, err := range []error{raw.Remove(name), query.Remove(name), row.Remove(name)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

// Take returns the statements since the last call.
func (r *Recorder) Take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.statements
	r.statements = nil
	return taken
}

// Check compares statements with the golden file, or writes it with -update.
// Repetitions in a row are written once.
func Check(t testing.TB, file string, statements []string) {
	t.Helper()
	var text strings.Builder
	for _, sql := range slices.Compact(statements) {
		text.WriteString(savepoint.ReplaceAllString(Format(sql), "$1") + ";\n\n")
	}
	got := strings.TrimSuffix(text.String(), "\n")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; `go test -run %s -update` writes it", err, t.Name())
	}
	if got != string(want) {
		t.Errorf("%s: is sent\n%s\nthe file says\n%s\n`go test -update` writes what is sent", file, got, want)
	}
}

// Lines holds all lines of some golden files.
type Lines map[string]bool

// LinesOf reads the golden files in a directory.
func LinesOf(t testing.TB, dir string) Lines {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	lines := Lines{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			lines[general(line)] = true
		}
	}
	return lines
}

// Missing returns the lines of a statement that are in none of the files. It
// ignores parameters, numbers, and conditions on marks.
func (l Lines) Missing(sql string) []string {
	var missing []string
	for line := range strings.Lines(Format(sql) + ";") {
		if !l[general(line)] {
			missing = append(missing, strings.TrimSpace(line))
		}
	}
	return slices.Compact(missing)
}

// savepoint matches a name that GORM generates.
var savepoint = regexp.MustCompile(`(SAVEPOINT sp)\d+`)

var (
	number = regexp.MustCompile(`\$?\b\d+\b`)
	marks  = regexp.MustCompile(`(?:\b(?:TRUE|FALSE|st\.\w+_at IS (?:NOT )?NULL)(?: AND )?)+`)
)

// general returns a line without the parts that differ between statements of
// one kind.
func general(line string) string {
	line = strings.TrimRight(strings.TrimSpace(line), ";")
	return marks.ReplaceAllString(number.ReplaceAllString(line, "?"), "<marks>")
}
