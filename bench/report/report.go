// Package report holds what was measured, prints it as Markdown, draws it and
// compares it.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications/internal/gogc"
)

// The contenders, which are all measured at the same operations.
const (
	Floor   = "floor"
	Service = "service"
	HTTP    = "http"
)

// Report is the result of a run, in the form of the file that --out writes.
type Report struct {
	Machine     string    `json:"machine"` // what it was measured on
	Started     time.Time `json:"started"`
	Fill        string    `json:"fill,omitempty"`     // what the database holds
	Settings    string    `json:"settings,omitempty"` // of the database, after its name
	Concurrency int       `json:"concurrency"`        // operations at once
	Rounds      int       `json:"rounds"`
	Slice       string    `json:"slice"` // of one contender at one operation in one round

	Results []Result `json:"results"`
}

// Result is one operation.
type Result struct {
	Operation  string      `json:"operation"`
	Title      string      `json:"title"`
	Curve      string      `json:"curve,omitempty"` // what it is measured over; empty for none
	X          int         `json:"x,omitempty"`     // how many of these
	Contenders []Contender `json:"contenders"`
}

// Contender is what one contender did at an operation. Times are milliseconds.
type Contender struct {
	Name        string  `json:"name"`
	Operations  int     `json:"operations"` // measured in all rounds
	PerSecond   float64 `json:"perSecond"`  // median of the rounds
	P50         float64 `json:"p50"`
	P99         float64 `json:"p99"`
	Alone       float64 `json:"alone"`                 // p50 of one operation at a time
	Allocations int     `json:"allocations,omitempty"` // of one operation; zero where they are not counted
	ToFloor     *Spread `json:"toFloor,omitempty"`     // throughput over that of the floor; nil where there is no floor
}

// Spread is the median over the rounds, and what these lie between.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// New begins the report of a run on this machine.
func New(concurrency int, slice time.Duration) *Report {
	return &Report{Machine: Machine(), Started: time.Now().UTC().Truncate(time.Second), Concurrency: concurrency, Slice: slice.String()}
}

// Machine is what this process runs on.
func Machine() string {
	return fmt.Sprintf("%s, %d processors, GOGC=%s", runtime.Version(), runtime.NumCPU(), gogc.Get())
}

// find returns the result of an operation, not on a curve, by a contender, or
// nil.
func (r *Report) find(operation, contender string) *Contender {
	for _, result := range r.Results {
		if result.Curve == "" && result.Operation == operation {
			return result.find(contender)
		}
	}
	return nil
}

func (r Result) find(contender string) *Contender {
	i := slices.IndexFunc(r.Contenders, func(c Contender) bool { return c.Name == contender })
	if i < 0 {
		return nil
	}
	return &r.Contenders[i]
}

// Write stores the report in a file, which Read reads. An empty name stores
// nothing.
func (r *Report) Write(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// Read reads what Write wrote.
func Read(file string) (*Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: is not a result of notifybench: %w", file, err)
	}
	return &r, nil
}

// Print writes the report for people, as Markdown.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d at once, %d rounds of %s; %s.\n", r.Machine, r.Concurrency, r.Rounds, r.Slice, r.Fill)
	if r.Settings != "" {
		fmt.Fprintf(w, "%s.\n", r.Settings)
	}
	if r.Results[0].Curve == "" {
		r.printOperations(w)
	} else {
		r.printCurves(w)
	}
	if lines := r.promises(); len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	}
}

func (r *Report) printOperations(w io.Writer) {
	columns := []func(c Contender) string{
		func(c Contender) string { return fmt.Sprintf("%.0f", c.PerSecond) },
		func(c Contender) string { return fmt.Sprintf("%.2f", c.P50) },
		func(c Contender) string { return fmt.Sprintf("%.2f", c.P99) },
		func(c Contender) string { return fmt.Sprintf("%.2f", c.Alone) },
		func(c Contender) string { return fmt.Sprint(c.Allocations) },
		Contender.floorRatio, Contender.floorRounds,
	}
	fmt.Fprintf(w, "\n| %s | operations/s | p50 ms | p99 ms | alone, p50 ms | allocations | to the floor | in the rounds |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|\n", r.Results[0].each(func(c Contender) string { return c.Name }))
	for _, result := range r.Results {
		fmt.Fprintf(w, "| %s |", result.Title)
		for _, column := range columns {
			fmt.Fprintf(w, " %s |", result.each(column))
		}
		fmt.Fprintln(w)
	}
}

// each is something of each contender that has it: "1/2/3".
func (r Result) each(of func(c Contender) string) string {
	var texts []string
	for _, c := range r.Contenders {
		if text := of(c); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "/")
}

// printCurves prints what was measured at one place of a curve in one line.
func (r *Report) printCurves(w io.Writer) {
	fmt.Fprintf(w, "\n| p50 ms, %s | | list, first page | to the floor | unread count | to the floor |\n|---|--:|--:|--:|--:|--:|",
		r.Results[0].each(func(c Contender) string { return c.Name }))
	var last Result
	for _, result := range r.Results {
		if result.Curve != last.Curve || result.X != last.X {
			fmt.Fprintf(w, "\n| %s | %s |", result.Curve, thousands(result.X))
		}
		fmt.Fprintf(w, " %s | %s |", result.each(func(c Contender) string { return fmt.Sprintf("%.2f", c.P50) }), result.each(Contender.floorRatio))
		last = result
	}
	fmt.Fprintln(w)
}

// Compare prints what b did over what a did: above 1 where b does more, or
// takes longer. It is an error if they have nothing in common.
func Compare(w io.Writer, a, b *Report) error {
	inB := map[string]Result{}
	for _, result := range b.Results {
		inB[result.key()] = result
	}
	for _, r := range []*Report{a, b} {
		fmt.Fprintf(w, "%s: %s, %d at once; %s; %s\n", r.Started.Format("2006-01-02 15:04"), r.Machine, r.Concurrency, r.Fill, r.Settings)
	}
	fmt.Fprint(w, "\n| operation | | operations/s A | B | B/A | p50 B/A | p99 B/A | to floor A | B |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	compared := false
	for _, result := range a.Results {
		title := result.key()
		for _, before := range result.Contenders {
			after := inB[result.key()].find(before.Name)
			if after == nil {
				continue
			}
			fmt.Fprintf(w, "| %s | %s | %.0f | %.0f | %s | %s | %s | %s | %s |\n", title, before.Name, before.PerSecond, after.PerSecond,
				ratio(after.PerSecond, before.PerSecond), ratio(after.P50, before.P50), ratio(after.P99, before.P99),
				before.floorRatio(), after.floorRatio())
			title, compared = "", true
		}
	}
	if !compared {
		return errors.New("the two results have nothing in common")
	}
	return nil
}

// key tells what was measured.
func (r Result) key() string {
	if r.Curve == "" {
		return r.Operation
	}
	return r.Operation + ", " + thousands(r.X) + " " + r.Curve
}

func ratio(b, a float64) string {
	if a == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", b/a)
}

func (c Contender) floorRatio() string {
	if c.ToFloor == nil || c.Name == Floor {
		return ""
	}
	return fmt.Sprintf("%.2f", c.ToFloor.Median)
}

// floorRounds is what the ratio lies between.
func (c Contender) floorRounds() string {
	if c.ToFloor == nil || c.Name == Floor {
		return ""
	}
	return fmt.Sprintf("%.2f–%.2f", c.ToFloor.Min, c.ToFloor.Max)
}

// thousands writes 10000000 as 10M.
func thousands(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 1000 && n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	default:
		return strconv.Itoa(n)
	}
}

// The operations that promises and plots are about.
const (
	List         = "list"
	ListCursor   = "list-cursor"
	Unread       = "unread"
	MarkOne      = "mark-one"
	PostUser     = "post-user"
	PostMany     = "post-many"
	PostEveryone = "post-everyone"
)

// Rows is the curve over messages in the table.
const Rows = "messages in the table"

// promises are ratios that docs/benchmarks.md holds the library to. A value of
// zero was not measured.
var promises = []struct {
	text   string
	value  func(r *Report) float64
	atMost bool // else at least
	bound  float64
}{
	{"list over HTTP, to the floor", toFloor("postgres", List, HTTP), false, 0.6},
	{"unread count over HTTP, to the floor", toFloor("postgres", Unread, HTTP), false, 0.6},
	{"post to one over HTTP, to the floor", toFloor("postgres", PostUser, HTTP), false, 0.5},
	{"mark one over HTTP, to the floor", toFloor("postgres", MarkOne, HTTP), false, 0.5},
	{"post to many by the service, to the floor", toFloor("postgres", PostMany, Service), false, 0.6},
	{"a post to many over a post to one, alone", alone(PostMany, PostUser), true, 30},
	{"a post to everybody over a post to one, alone", alone(PostEveryone, PostUser), true, 1.5},
	{"a deep page by cursor over the first page, alone", alone(ListCursor, List), true, 1.5},
	// There the floor of what writes is a single writer.
	{"SQLite: posts of all at once over the commits of a single writer", toFloor("sqlite", PostUser, Service), false, 5},
	{"list in the largest table over that in the smallest", growth(List), true, 1.3},
	{"unread count in the largest table over that in the smallest", growth(Unread), true, 1.3},
}

func toFloor(database, operation, contender string) func(r *Report) float64 {
	return func(r *Report) float64 {
		c := r.find(operation, contender)
		if !strings.HasPrefix(r.Settings, database+":") || c == nil || c.ToFloor == nil {
			return 0
		}
		return c.ToFloor.Median
	}
}

// alone compares operations of the service one at a time.
func alone(operation, base string) func(r *Report) float64 {
	return func(r *Report) float64 {
		a, b := r.find(operation, Service), r.find(base, Service)
		if a == nil || b == nil || b.Alone == 0 {
			return 0
		}
		return a.Alone / b.Alone
	}
}

// growth compares the ends of the curve over messages in the table.
func growth(operation string) func(r *Report) float64 {
	return func(r *Report) float64 {
		var p50 []float64
		for _, result := range r.Results {
			if result.Curve == Rows && result.Operation == operation {
				p50 = append(p50, result.find(Service).P50)
			}
		}
		if len(p50) < 2 {
			return 0
		}
		return p50[len(p50)-1] / p50[0]
	}
}

// promises compares the results with what is promised, as far as they were
// measured.
func (r *Report) promises() (lines []string) {
	for _, p := range promises {
		if v := p.value(r); v != 0 {
			lines = append(lines, fmt.Sprintf("- %s: %.2f (%s)", p.text, v, Verdict(v, p.atMost, p.bound)))
		}
	}
	return lines
}

// Verdict says whether a value is at most, or else at least, what it should be.
func Verdict(v float64, atMost bool, bound float64) string {
	word, met := "at least", v >= bound
	if atMost {
		word, met = "at most", v <= bound
	}
	if met {
		return fmt.Sprintf("%s %v: met", word, bound)
	}
	return fmt.Sprintf("%s %v: NOT MET", word, bound)
}
