// Command allocs holds the allocations of benchmarks against a committed
// baseline:
//
//	go run ./internal/allocs [-update] package...
//
// It runs the benchmarks of the packages, and fails when one allocates more
// than the baseline says, or when the two do not name the same benchmarks. Time
// is not compared: it is another on every machine. With -update it writes the
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

// skipped are benchmarks that compare ways to do a thing, and bodies nobody
// sends but to do harm.
const skipped = "^Benchmark(GroupCommit|EncodingJSON|Client)$|^BenchmarkParse$/^1_MiB"

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
	if *update { // no baseline is as good as one that names no benchmark
		_ = compare(base, now, stdout) // shows what is going to change
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

// benchmark runs the benchmarks. They are run a fixed number of times on one
// processor, so that what is pooled is found again.
func benchmark(ctx context.Context, packages []string) (string, error) {
	args := []string{"test", "-run", "^$", "-bench", ".", "-skip", skipped, "-benchmem", "-benchtime", "100x", "-cpu", "1"}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // the other driver of SQLite allocates otherwise
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go test: %w\n%s", err, &out)
	}
	return out.String(), nil
}

// result is what one run of a benchmark allocates.
type result struct {
	pkg, name string
	allocs    int64
}

// key is what the result is found by.
func (r result) key() string { return r.pkg + " " + r.name }

// parse reads the output of go test, and a baseline, which has the same form
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

// jitter is how much two runs differ. What goes on in the background of a
// process, and pools the garbage collector has emptied, make a difference of
// one in what uses a database; code that allocates little has none of that.
func jitter(allocs int64) int64 {
	if allocs < 50 {
		return 0
	}
	return 1
}

// tolerance is how many allocations more are none.
func tolerance(allocs int64) int64 { return 2 * jitter(allocs) }

// updated is the baseline after the results. What differs as two runs do stays
// as it is, so that a change of the baseline shows what has changed.
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

// compare prints what differs. It returns an error if something has grown, or
// is in one of the two alone.
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
