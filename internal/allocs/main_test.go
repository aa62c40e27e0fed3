package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRun compares a package with its baseline while the package changes.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	benchmark := func(name string, allocations int) {
		t.Helper()
		write("a_test.go", fmt.Sprintf(`package a

import "testing"

var kept []*int

func Benchmark%s(b *testing.B) {
	b.Run("of two", func(b *testing.B) {
		for b.Loop() {
			kept = kept[:0]
			for range %d {
				kept = append(kept, new(int))
			}
		}
	})
}
`, name, allocations))
	}
	write("go.mod", "module a\n\ngo 1.26\n")
	for _, step := range []struct {
		benchmark   string
		allocations int
		args        []string
		want        []string // parts of the output or the error
		fails       bool
	}{
		{"Make", 3, nil, []string{"baseline"}, true}, // there is no baseline yet
		{"Make", 3, []string{"-update"}, []string{"a BenchmarkMake/of_two  -  3  is not"}, false},
		{"Make", 3, nil, []string{"1 benchmarks allocate no more"}, false},
		{"Make", 4, nil, []string{"a BenchmarkMake/of_two  3  4  has grown\n", "make allocs-update"}, true},
		{"Make", 2, nil, []string{"a BenchmarkMake/of_two  3  2  is less\n", "no more"}, false},
		{"Renamed", 3, nil, []string{"a BenchmarkRenamed/of_two  -  3  is not in the baseline\n", "a BenchmarkMake/of_two     3  -  did not run\n"}, true},
		{"Broken", -1, nil, []string{"go test", "FAIL"}, true},
	} {
		benchmark(step.benchmark, step.allocations)
		if step.allocations < 0 {
			write("a_test.go", "package a\n\nimport \"testing\"\n\nfunc BenchmarkBroken(b *testing.B) { b.Fatal() }\n")
		}
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"-baseline", "baseline"}, append(step.args, ".")...), &out)
		told := out.String()
		if err != nil {
			told += err.Error()
		}
		if (err != nil) != step.fails {
			t.Errorf("%s with %d allocations, %q: %s", step.benchmark, step.allocations, step.args, told)
		}
		for _, want := range step.want {
			if !strings.Contains(told, want) {
				t.Errorf("%s with %d allocations, %q: %q is not in %s", step.benchmark, step.allocations, step.args, want, told)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		was, is int64
		fails   bool
	}{
		{0, 0, false}, {0, 1, true}, {1, 0, false}, {49, 50, true},
		{50, 52, false}, {50, 53, true}, {800, 802, false}, {800, 803, true}, {800, 700, false},
	} {
		err := compare([]result{{"p", "B", tc.was}}, []result{{"p", "B", tc.is}}, new(bytes.Buffer))
		if (err != nil) != tc.fails {
			t.Errorf("from %d to %d: %v", tc.was, tc.is, err)
		}
	}
}

func TestUpdated(t *testing.T) {
	t.Parallel()
	base := []result{{"p", "Gone", 5}, {"p", "Same", 100}, {"p", "More", 100}, {"p", "Less", 100}, {"p", "Little", 7}}
	now := []result{{"p", "Less", 90}, {"p", "Little", 6}, {"p", "More", 103}, {"p", "New", 3}, {"p", "Same", 99}}
	want := []result{{"p", "Less", 90}, {"p", "Little", 6}, {"p", "More", 103}, {"p", "New", 3}, {"p", "Same", 100}}
	if got := updated(base, now); !slices.Equal(got, want) {
		t.Errorf("updated = %v, want %v", got, want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const text = "goos: linux\npkg: example.org/a\ncpu: x\n" +
		"BenchmarkA/of_two \t     100\t     86983 ns/op\t  12.5 MB/s\t   17 B/op\t      12 allocs/op\n" +
		"BenchmarkB \t 1\t 5 ns/op\nPASS\nok  \texample.org/a\t0.1s\npkg: example.org/b\nBenchmarkA/of_two 100 5 ns/op 0 B/op 0 allocs/op\n"
	want := []result{{"example.org/a", "BenchmarkA/of_two", 12}, {"example.org/b", "BenchmarkA/of_two", 0}}
	got, err := parse(text)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("parse = %v, %v; want %v", got, err, want)
	}
	if again, err := parse(string(format(got))); err != nil || fmt.Sprint(again) != fmt.Sprint(want) {
		t.Errorf("what format writes is read as %v, %v; want %v", again, err, want)
	}
	for _, none := range []string{"", "ok  \ta\t0.1s [no tests to run]\n", "BenchmarkA 1 many allocs/op\n"} {
		if got, err := parse(none); err == nil {
			t.Errorf("parse(%q) = %v", none, got)
		}
	}
}
