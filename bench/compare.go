package main

import (
	"fmt"
	"io"
)

// runCompare prints what the second result is over the first.
func runCompare(p process, o *options) error {
	a, err := readReport(o.files[0])
	if err != nil {
		return err
	}
	b, err := readReport(o.files[1])
	if err != nil {
		return err
	}
	return compare(p.stdout, a, b)
}

// compare prints ratios above 1 where b does more, or takes longer. Only what
// both have measured is compared.
func compare(w io.Writer, a, b *report) error {
	pairs := pairUp(a, b)
	if len(pairs) == 0 {
		return usagef("--compare: the two results have nothing in common")
	}
	for _, r := range []*report{a, b} {
		fmt.Fprintf(w, "%s: %s %s, %s, %d at once\n",
			r.Started.Format("2006-01-02 15:04"), r.Database, r.Version, r.machine(), r.Concurrency)
	}
	fmt.Fprint(w, "\n| operation | | operations/s A | B | B/A | p50 B/A | p99 B/A | to floor A | B |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, p := range pairs {
		title := p.title
		for _, ca := range p.a.Contenders {
			cb := p.b.find(ca.Name)
			if cb == nil {
				continue
			}
			fmt.Fprintf(w, "| %s | %s | %.0f | %.0f | %s | %s | %s | %s | %s |\n", title, ca.Name, ca.PerSecond, cb.PerSecond,
				ratio(cb.PerSecond, ca.PerSecond), ratio(cb.P50, ca.P50), ratio(cb.P99, ca.P99), floorRatio(ca), floorRatio(*cb))
			title = ""
		}
	}
	return nil
}

// pair is what both reports have of one operation.
type pair struct {
	title string
	a, b  operationResult
}

func pairUp(a, b *report) []pair {
	of := func(r *report) (keys []string, results map[string]operationResult) {
		results = map[string]operationResult{}
		add := func(key string, o operationResult) {
			keys = append(keys, key)
			results[key] = o
		}
		for _, o := range r.Results {
			add(o.Operation, o)
		}
		for _, p := range r.Curves {
			add(fmt.Sprintf("%s, %s %s", p.Result.Operation, thousands(p.X), curveTitles[p.Curve]), p.Result)
		}
		return keys, results
	}
	var pairs []pair
	keys, inA := of(a)
	_, inB := of(b)
	for _, key := range keys {
		if o, ok := inB[key]; ok {
			pairs = append(pairs, pair{key, inA[key], o})
		}
	}
	return pairs
}

func ratio(b, a float64) string {
	if a == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", b/a)
}

func floorRatio(c contenderResult) string {
	if c.ToFloor == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", c.ToFloor.Median)
}
