package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func measured(operation string, contenders ...Contender) Result {
	return Result{Operation: operation, Title: operation, Contenders: contenders}
}

func checkLines(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %q in\n%s", line, text)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	write := func(scale float64, more ...Result) *Report {
		t.Helper()
		r := New(2, 1)
		r.Results = append([]Result{measured(List,
			Contender{Name: Floor, PerSecond: 1000, P50: 1, P99: 4, ToFloor: &Spread{1, 1, 1}},
			Contender{Name: Service, PerSecond: 500 * scale, P50: 2 / scale, P99: 8, ToFloor: &Spread{0.5 * scale, 0.4, 0.9}},
		), {Operation: Unread, Curve: Rows, X: 1000, Contenders: []Contender{{Name: Service, PerSecond: 10 * scale}}}}, more...)
		file := filepath.Join(t.TempDir(), "result.json")
		if err := r.Write(file); err != nil {
			t.Fatal(err)
		}
		read, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		return read
	}
	var out strings.Builder
	if err := Compare(&out, write(1, measured("status", Contender{Name: HTTP})), write(1.5)); err != nil {
		t.Fatal(err)
	}
	checkLines(t, out.String(),
		"| list | floor | 1000 | 1000 | 1.00 | 1.00 | 1.00 |  |  |",
		"|  | service | 500 | 750 | 1.50 | 0.67 | 1.00 | 0.50 | 0.75 |",
		"| unread, 1k messages in the table | service | 10 | 15 | 1.50 |  |  |  |  |")
	if strings.Contains(out.String(), "status") {
		t.Errorf("what only one of them measured is compared:\n%s", &out)
	}
	if err := Compare(io.Discard, write(1), &Report{}); err == nil {
		t.Error("two results with nothing in common are compared")
	}
	file := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(file, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "not a result") {
		t.Errorf("read: %v", err)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	r := &Report{Settings: "postgres: fsync=on", Results: []Result{
		measured(PostUser, Contender{Name: Service, PerSecond: 9, P50: 1, P99: 2, Alone: 2, Allocations: 7}, Contender{Name: HTTP, ToFloor: &Spread{0.49, 0.4, 0.6}}),
		measured(PostEveryone, Contender{Name: Service, Alone: 3}),
	}}
	printed := func() string {
		var out strings.Builder
		r.Print(&out)
		return out.String()
	}
	checkLines(t, printed(),
		"| post-user | 9/0 | 1.00/0.00 | 2.00/0.00 | 2.00/0.00 | 7/0 | 0.49 | 0.40–0.60 |",
		"- post to one over HTTP, to the floor: 0.49 (at least 0.5: NOT MET)",
		"- a post to everybody over a post to one, alone: 1.50 (at most 1.5: met)")
	r.Settings = "sqlite: synchronous=2"
	r.Results[0].Contenders[0].ToFloor = &Spread{Median: 5}
	if text := printed(); !strings.Contains(text, "single writer: 5.00 (at least 5: met)") || strings.Contains(text, "over HTTP") {
		t.Errorf("on SQLite:\n%s", text)
	}
	r.Results = []Result{
		{Operation: List, Title: "list", Curve: Rows, X: 10, Contenders: []Contender{{Name: Service, P50: 1, ToFloor: &Spread{Median: 0.5}}}},
		{Operation: List, Title: "list", Curve: Rows, X: 99, Contenders: []Contender{{Name: Service, P50: 1.31, ToFloor: &Spread{Median: 0.5}}}},
	}
	checkLines(t, printed(), "\n| messages in the table | 99 | 1.31 | 0.50 |", "- list in the largest table over that in the smallest: 1.31 (at most 1.3: NOT MET)")
}

func TestPlot(t *testing.T) {
	t.Parallel()
	r := &Report{}
	for _, p := range []struct {
		curve     string
		x         int
		operation string
		ms        float64
	}{
		{Rows, 10_000, List, 0.5}, {Rows, 1_000_000, List, 0.6}, {Rows, 10_000, Unread, 0.02}, {"hidden", 0, List, 1}, {"hidden", 1500, List, 12},
	} {
		r.Results = append(r.Results, Result{Operation: p.operation, Curve: p.curve, X: p.x, Contenders: []Contender{
			{Name: Floor, P50: p.ms / 2}, {Name: Service, P50: p.ms},
		}})
	}
	svg := r.Plot()
	count, texts := map[string]int{}, ""
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("is not XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
		case xml.CharData:
			texts += string(token) + "\n"
		}
	}
	if count["circle"] != 10 || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "%!") {
		t.Errorf("there are %d points in\n%s", count["circle"], svg)
	}
	checkLines(t, texts, "10k\n", "1M\n", "0\n", "1500\n", "0.01 ms\n", "100 ms\n", "p50 over "+Rows, "p50 over hidden", "unread count, http")
	p := panel{xs: []int{1, 10}}
	if p.y(0.01) != panelHeight-marginBottom || p.y(1000) != marginTop || p.x(1) >= p.x(10) {
		t.Errorf("the places are %s", fmt.Sprint(p.y(0.01), p.y(1000), p.x(1), p.x(10)))
	}
}
