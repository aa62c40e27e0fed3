package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

func TestCurve(t *testing.T) {
	databases(t, func(t *testing.T, argument string) {
		dir := t.TempDir()
		out, svg := filepath.Join(dir, "curve.json"), filepath.Join(dir, "curve.svg")
		if strings.Contains(argument, "postgres") {
			// Databases beside the one that is named are not removed: these are.
			argument = ""
		}
		args := small("--curve", "--curve-sizes=400,800", "--curve-visible=25,50", "--curve-hidden=0,30", "--curve-groups=1,4",
			"--out="+out, "--svg="+svg, "--slice-operations=3")
		var environ []string
		if argument == "" {
			environ = []string{envServer + "=" + dbtest.ServerURL(t)}
		} else {
			args = append(args, argument)
		}
		r := invoke(t, environ, args...)
		if r.status != 0 {
			t.Fatalf("ends with %d: %s", r.status, r.stderr)
		}
		if !strings.Contains(r.stdout, "with 800 messages over that with 400") {
			t.Errorf("the promise is not held against the figures:\n%s", r.stdout)
		}
		got, err := readReport(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Curves) != 4*2*2 {
			t.Errorf("there are %d points, want 16", len(got.Curves))
		}
		for _, p := range got.Curves {
			for _, name := range []string{floorName, serviceName, httpName} {
				if c := p.Result.find(name); c == nil || c.P50 <= 0 {
					t.Errorf("%s at %d, %s by %s: %+v", p.Curve, p.X, p.Result.Operation, name, c)
				}
			}
		}
		drawn, err := os.ReadFile(svg)
		if err != nil || !strings.Contains(string(drawn), curveTitles[curveGroups]) {
			t.Errorf("the plot: %v\n%s", err, drawn)
		}
	})
}

func TestPlot(t *testing.T) {
	t.Parallel()
	point := func(curve string, x int, op string, ms float64) curvePoint {
		return curvePoint{curve, x, operationResult{Operation: op, Contenders: []contenderResult{
			{Name: floorName, P50: ms / 2}, {Name: serviceName, P50: ms},
		}}}
	}
	svg := plot([]curvePoint{
		point(curveRows, 10_000, opList, 0.5), point(curveRows, 1_000_000, opList, 0.6), point(curveRows, 10_000, opUnread, 0.02),
		point(curveHidden, 0, opList, 1), point(curveHidden, 1500, opList, 12),
	})
	count := map[string]int{}
	texts := ""
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
	if count["polyline"] != 6 || count["circle"] != 10 {
		t.Errorf("there are %d lines and %d points, want 6 and 10", count["polyline"], count["circle"])
	}
	for _, want := range []string{"10k\n", "1M\n", "0\n", "1500\n", "0.01 ms\n", "100 ms\n", curveTitles[curveRows], curveTitles[curveHidden]} {
		if !strings.Contains(texts, want) {
			t.Errorf("the plot lacks the text %q", want)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("the plot has numbers that are none")
	}
	if nothing := plot(nil); !strings.HasPrefix(nothing, "<svg") {
		t.Errorf("a plot of nothing is %q", nothing)
	}
}

// A higher value is drawn higher.
func TestPlotScale(t *testing.T) {
	t.Parallel()
	p := newPanel([]curvePoint{{X: 1}, {X: 10}}, 0, 0, -1, 2)
	if p.y(0.1) != panelHeight-marginBottom || p.y(100) != marginTop {
		t.Errorf("the ends are at %v and %v", p.y(0.1), p.y(100))
	}
	if p.x(1) >= p.x(10) {
		t.Errorf("1 is at %v, 10 at %v", p.x(1), p.x(10))
	}
}

// TestCurveReaders: as many users are measured at each size.
func TestCurveReaders(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--curve", "--curve-sizes", "100000,10000,1000000"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.curveReaders(), o.sized(10_000).Measured; got != want || want >= o.samples {
		t.Errorf("%d users are measured, want %d of at most %d", got, want, o.samples)
	}
	if o.samples = 3; o.curveReaders() != 3 {
		t.Errorf("%d users are measured, want 3", o.curveReaders())
	}
}
