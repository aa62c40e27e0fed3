// Command allocs compares the allocations of benchmarks with a committed
// baseline:
//
//	go run ./internal/allocs [-update] package...
//
// It runs the benchmarks of the packages. It fails if one allocates more than
// the baseline says, or if the two have different benchmarks. It does not
// compare times, because they depend on the machine. With -update it writes the
// baseline.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// skipped are benchmarks that compare several ways to do a thing, and those of
// hostile bodies.
const skipped = "^Benchmark(GroupCommit|PostMany|EncodingJSON)$|^BenchmarkParse$/^1_MiB"

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "allocs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("allocs", flag.ContinueOnError)
	update := flags.Bool("update", false, "write the baseline")
	file := flags.String("baseline", "internal/allocs/baseline.txt", "the baseline")
	if err := flags.Parse(args); err != nil {
		return err
	}
	output, err := benchmark(ctx, flags.Args())
	if err != nil {
		return err
	}
	now, err := parse(output)
	if err != nil {
		return err
	}
	base, err := read(*file)
	if *update { // without a baseline, all benchmarks are new
		_ = compare(base, now, stdout) // shows what will change
		return os.WriteFile(*file, format(updated(base, now)), 0o644)
	}
	if err != nil {
		return err
	}
	return compare(base, now, stdout)
}

func read(file string) ([]result, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	base, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return base, nil
}

// benchmark runs the benchmarks, a fixed number of times and on one processor,
// so that pools keep their contents.
func benchmark(ctx context.Context, packages []string) (string, error) {
	args := []string{"test", "-run", "^$", "-bench", ".", "-skip", skipped, "-benchmem", "-benchtime", "100x", "-cpu", "1"}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // the other driver of SQLite allocates differently
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go test: %w\n%s", err, &out)
	}
	return out.String(), nil
}

// result is the number of allocations of one benchmark.
type result struct {
	pkg, name string
	allocs    int64
}

// key identifies the benchmark.
func (r result) key() string { return r.pkg + " " + r.name }

// parse reads the output of go test, or a baseline, which has the same format
// (https://go.dev/design/14313-benchmark-format).
func parse(text string) ([]result, error) {
	var results []result
	pkg := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = fields[1]
		case len(fields) > 2 && strings.HasPrefix(fields[0], "Benchmark") && fields[len(fields)-1] == "allocs/op":
			n, err := strconv.ParseInt(fields[len(fields)-2], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("not a result: %q", line)
			}
			results = append(results, result{pkg, fields[0], n})
		}
	}
	if len(results) == 0 {
		return nil, errors.New("there are no benchmarks")
	}
	return results, nil
}

// format writes a baseline.
func format(results []result) []byte {
	var b bytes.Buffer
	pkg := ""
	for _, r := range results {
		if r.pkg != pkg {
			pkg = r.pkg
			fmt.Fprintf(&b, "pkg: %s\n", pkg)
		}
		fmt.Fprintf(&b, "%s 1 %d allocs/op\n", r.name, r.allocs)
	}
	return b.Bytes()
}

// jitter is how much two runs differ. Background work of the process, and pools
// that the garbage collector empties, change benchmarks with a database by one.
// Code that allocates little does not vary.
func jitter(allocs int64) int64 {
	if allocs < 50 {
		return 0
	}
	return 1
}

// tolerance is how many more allocations are not counted as more.
func tolerance(allocs int64) int64 { return 2 * jitter(allocs) }

// updated returns the baseline after the results. Differences within the jitter
// are left out, so that a change of the baseline shows real changes only.
func updated(base, now []result) []result {
	next := slices.Clone(now)
	for i, r := range next {
		b, found := find(base, r)
		if diff := r.allocs - b.allocs; found && max(diff, -diff) <= jitter(b.allocs) {
			next[i] = b
		}
	}
	return next
}

// find returns the result of the same benchmark.
func find(in []result, r result) (result, bool) {
	i := slices.IndexFunc(in, func(b result) bool { return b.key() == r.key() })
	if i < 0 {
		return result{}, false
	}
	return in[i], true
}

// compare prints the differences. It returns an error if a benchmark allocates
// more, or is in only one of the two.
func compare(base, now []result, stdout io.Writer) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	bad := 0
	row := func(r result, was, is any, verdict string) {
		fmt.Fprintf(table, "%s\t%v\t%v\t%s\n", r.key(), was, is, verdict)
	}
	for _, r := range now {
		b, found := find(base, r)
		switch diff := r.allocs - b.allocs; {
		case !found:
			bad++
			row(r, "-", r.allocs, "is not in the baseline")
		case diff > tolerance(b.allocs):
			bad++
			row(r, b.allocs, r.allocs, "has grown")
		case diff < -tolerance(b.allocs):
			row(r, b.allocs, r.allocs, "is less")
		case diff != 0:
			row(r, b.allocs, r.allocs, "is about the same")
		}
	}
	for _, b := range base {
		if _, found := find(now, b); !found {
			bad++
			row(b, b.allocs, "-", "did not run")
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d benchmarks are not as in the baseline; if that is meant, run `make allocs-update`", bad, len(now))
	}
	fmt.Fprintf(stdout, "%d benchmarks allocate no more than the baseline says\n", len(now))
	return nil
}
