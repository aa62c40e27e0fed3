package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications/internal/gogc"
)

// report is the file that a run writes.
type report struct {
	Version     string    `json:"version"` // of notifybench
	Go          string    `json:"go"`
	Processors  int       `json:"processors"`
	GOGC        string    `json:"gogc,omitempty"` // of this process
	Started     time.Time `json:"started"`
	Database    string    `json:"database,omitempty"` // postgres, sqlite; absent with --url
	Settings    []setting `json:"settings,omitempty"` // of the database
	Spec        *spec     `json:"spec,omitempty"`     // of the fill
	Concurrency int       `json:"concurrency"`
	Rounds      int       `json:"rounds"`
	Slice       string    `json:"slice"`

	Results []operationResult `json:"results,omitempty"`
	Curves  []curvePoint      `json:"curves,omitempty"`
	Scale   *scaleResult      `json:"scale,omitempty"`
}

type operationResult struct {
	Operation  string            `json:"operation"`
	Title      string            `json:"title"`
	Contenders []contenderResult `json:"contenders"`
}

type contenderResult struct {
	Name       string  `json:"name"`
	Operations int     `json:"operations"` // measured in all rounds
	PerSecond  float64 `json:"perSecond"`  // median of the rounds
	P50        float64 `json:"p50"`        // milliseconds
	P99        float64 `json:"p99"`
	Alone      float64 `json:"alone"` // p50 of one operation at a time
	// Allocations are those of one operation; absent where they are not in
	// this process.
	Allocations *float64 `json:"allocations,omitempty"`
	// ToFloor is the throughput over that of the floor in the same round.
	ToFloor *spread `json:"toFloor,omitempty"`
}

// spread is a median and what it lies between.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newReport(p plan) *report {
	r := &report{
		Go: runtime.Version(), Processors: runtime.NumCPU(), GOGC: gogc.Get(), Started: time.Now().UTC().Truncate(time.Second),
		Concurrency: p.concurrency, Slice: p.slice.String(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		r.Version = info.Main.Version
	}
	return r
}

// find returns what a contender did at an operation, or nil.
func (r *report) find(op, contender string) *contenderResult {
	i := slices.IndexFunc(r.Results, func(o operationResult) bool { return o.Operation == op })
	if i < 0 {
		return nil
	}
	return r.Results[i].find(contender)
}

func (o operationResult) find(contender string) *contenderResult {
	i := slices.IndexFunc(o.Contenders, func(c contenderResult) bool { return c.Name == contender })
	if i < 0 {
		return nil
	}
	return &o.Contenders[i]
}

// write stores the report; no file, no report.
func (r *report) write(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

func readReport(file string) (*report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{err}
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, usagef("%s: is not a result of notifybench: %w", file, err)
	}
	return &r, nil
}

// print writes the report for people, as Markdown.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d at once, %d rounds of %s", r.machine(), r.Concurrency, r.Rounds, r.Slice)
	if r.Spec != nil && len(r.Results) > 0 { // each point of a curve says its own
		fmt.Fprintf(w, "; %d messages, %d users", r.Spec.Messages, r.Spec.Users+r.Spec.Measured)
	}
	fmt.Fprintln(w, ".")
	if r.Database != "" {
		fmt.Fprintf(w, "%s: %s.\n", r.Database, settingsText(r.Settings))
	}
	if len(r.Results) > 0 {
		r.printResults(w)
	}
	if len(r.Curves) > 0 {
		printCurves(w, r.Curves)
	}
	if lines := r.promises(); len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	}
}

// machine is what the figures were taken on.
func (r *report) machine() string {
	text := fmt.Sprintf("%s, %d processors", r.Go, r.Processors)
	if r.GOGC != "" { // which older files lack
		text += ", GOGC=" + r.GOGC
	}
	return text
}

func settingsText(settings []setting) string {
	var parts []string
	durable := true
	for _, s := range settings {
		parts = append(parts, s.Name+"="+s.Value)
		if (s.Name == "fsync" || s.Name == "synchronous_commit") && s.Value == "off" {
			durable = false
		}
	}
	text := strings.Join(parts, ", ")
	if !durable {
		text += ". Commits do not wait for the disk: posts and marks are faster than on a server that keeps them"
	}
	return text
}

func (r *report) printResults(w io.Writer) {
	fmt.Fprint(w, "\n| operation | | operations/s | p50 ms | p99 ms | alone, p50 ms | allocations | to floor | rounds |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, o := range r.Results {
		for i, c := range o.Contenders {
			title := o.Title
			if i > 0 {
				title = ""
			}
			allocations, ratio, rounds := "", "", ""
			if c.Allocations != nil {
				allocations = strconv.FormatFloat(*c.Allocations, 'f', 0, 64)
			}
			if c.ToFloor != nil {
				ratio = fmt.Sprintf("%.2f", c.ToFloor.Median)
				rounds = fmt.Sprintf("%.2f–%.2f", c.ToFloor.Min, c.ToFloor.Max)
			}
			fmt.Fprintf(w, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %s | %s | %s |\n",
				title, c.Name, c.PerSecond, c.P50, c.P99, c.Alone, allocations, ratio, rounds)
		}
	}
}

// promise is a ratio that docs/benchmarks.md holds the library to.
type promise struct {
	text  string
	value func(r *report) (float64, bool)
	atMax bool // else at least
	bound float64
}

var promises = []promise{
	{"list over HTTP, to the floor", toFloor(opList, httpName), false, 0.6},
	{"unread count over HTTP, to the floor", toFloor(opUnread, httpName), false, 0.6},
	{"post to one over HTTP, to the floor", toFloor(opPostUser, httpName), false, 0.5},
	{"mark one over HTTP, to the floor", toFloor(opMarkOne, httpName), false, 0.5},
	{"post to many by the service, to the floor", toFloor(opPostMany, serviceName), false, 0.6},
	{"a post to many over a post to one, alone", aloneRatio(opPostMany, opPostUser), true, 30},
	{"a post to everybody over a post to one, alone", aloneRatio(opPostEveryone, opPostUser), true, 1.5},
	{"a deep page by cursor over the first page, alone", aloneRatio(opListCursor, opList), true, 1.5},
	{"SQLite: posts of all at once over the commits of a single writer", toFloorOnSQLite(opPostUser, serviceName), false, 5},
}

func toFloor(op, contender string) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) { return r.toFloor(postgresName, op, contender) }
}

// toFloorOnSQLite: there the floor of what writes is a single writer.
func toFloorOnSQLite(op, contender string) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) { return r.toFloor(sqliteName, op, contender) }
}

func (r *report) toFloor(database, op, contender string) (float64, bool) {
	c := r.find(op, contender)
	if r.Database != database || c == nil || c.ToFloor == nil {
		return 0, false
	}
	return c.ToFloor.Median, true
}

// aloneRatio compares operations of the service one at a time.
func aloneRatio(op, base string) func(r *report) (float64, bool) {
	return func(r *report) (float64, bool) {
		a, b := r.find(op, serviceName), r.find(base, serviceName)
		if a == nil || b == nil || b.Alone == 0 {
			return 0, false
		}
		return a.Alone / b.Alone, true
	}
}

// promises holds the results against what is promised, as far as they were
// measured.
func (r *report) promises() []string {
	lines := r.curvePromises()
	for _, p := range promises {
		if v, measured := p.value(r); measured {
			lines = append(lines, promiseLine(p.text, v, p.atMax, p.bound))
		}
	}
	return lines
}

func promiseLine(text string, v float64, atMax bool, bound float64) string {
	verdict, word, met := "NOT MET", "at least", v >= bound
	if atMax {
		word, met = "at most", v <= bound
	}
	if met {
		verdict = "met"
	}
	return fmt.Sprintf("- %s: %.2f (%s %v: %s)", text, v, word, bound, verdict)
}
