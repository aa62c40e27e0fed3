package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	a, b := filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")
	write := func(file string, scale float64, more ...operationResult) {
		r := newReport(plan{concurrency: 2, slice: time.Second})
		r.Results = append([]operationResult{{Operation: opList, Title: "list", Contenders: []contenderResult{
			{Name: floorName, PerSecond: 1000, P50: 1, P99: 4, ToFloor: &spread{1, 1, 1}},
			{Name: serviceName, PerSecond: 500 * scale, P50: 2 / scale, P99: 8, ToFloor: &spread{0.5 * scale, 0.4, 0.9}},
		}}}, more...)
		r.Curves = []curvePoint{{curveRows, 1000, operationResult{Operation: opUnread, Contenders: []contenderResult{{Name: serviceName, PerSecond: 10 * scale}}}}}
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	write(a, 1, operationResult{Operation: opStatus, Contenders: []contenderResult{{Name: httpName}}})
	write(b, 1.5)
	r := succeeded(t, "--compare", a, b)
	for _, want := range []string{
		"| list | floor | 1000 | 1000 | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |",
		"|  | service | 500 | 750 | 1.50 | 0.67 | 1.00 | 0.50 | 0.75 |",
		"| unread, 1k messages in the table | service | 10 | 15 | 1.50 |  |  |  |  |",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the comparison lacks %q:\n%s", want, r.stdout)
		}
	}
	if strings.Contains(r.stdout, "status") {
		t.Errorf("what only one of them measured is compared:\n%s", r.stdout)
	}
	if err := os.WriteFile(b, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := invoke(t, nil, "--compare", a, b); r.status != exitUsage || !strings.Contains(r.stderr, "nothing in common") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
	if err := os.WriteFile(b, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := invoke(t, nil, "--compare", a, b); r.status != exitUsage || !strings.Contains(r.stderr, "not a result") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
}
