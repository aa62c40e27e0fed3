package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
)

// smallScale is a run that takes no time.
func smallScale(args ...string) []string {
	return append([]string{
		"scale", "--messages=2000", "--users=50", "--measured=8", "--visible=60", "--groups=4", "--group-posts=20", "--system=10",
		"--rounds=2", "--slice-operations=6", "--samples=8", "--concurrency=4",
		"--churn=100", "--autovacuum-wait=0s", "--probes=10", "--purge-part=0.4", "--purge-batch=150",
	}, args...)
}

func TestScale(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "scale.json")
	environ := []string{envServer + "=" + dbtest.ServerURL(t)}
	r := invoke(t, environ, smallScale("--out="+out)...)
	if r.status != 0 {
		t.Fatalf("ends with %d: %s", r.status, r.stderr)
	}
	last := 0
	for _, want := range []string{
		"2000 messages, 58 users", "autovacuum=on", "**Sizes after the fill**", "| notification_messages | table | 2000 |",
		"**Churn**: 100 operations by 4 at once", "| during it |", "**Purge** of the oldest 40 %", "| after REINDEX |",
	} {
		at := strings.Index(r.stdout[last:], want)
		if at < 0 {
			t.Fatalf("after %q there is no %q:\n%s", r.stdout[:last], want, r.stdout)
		}
		last += at
	}
	got, err := readReport(out)
	if err != nil {
		t.Fatal(err)
	}
	checkSizes(t, got.Scale.Sizes)
	checkChurn(t, got.Scale.Churn)
	checkPurge(t, got.Scale.Purge)
}

// sizeOf is that of a table or index.
func sizeOf(t *testing.T, sizes []relationSize, table, part string) relationSize {
	t.Helper()
	for _, s := range sizes {
		if s.Table == table && s.Part == part {
			return s
		}
	}
	t.Fatalf("there is no size of %s of %s: %+v", part, table, sizes)
	return relationSize{}
}

func checkSizes(t *testing.T, sizes []relationSize) {
	t.Helper()
	for table, rows := range map[string]int64{messagesTable: 2000, deliveriesTable: 2000, statesTable: 900} {
		size := sizeOf(t, sizes, table, tablePart)
		if size.Rows < rows || size.Rows > 2000 || size.Bytes < 30*size.Rows || size.Bytes > 1000*size.Rows {
			t.Errorf("%s: %+v, want %d rows", table, size, rows)
		}
	}
	// A key is 16 bytes; twice the size would mean that pages are half empty.
	if key := sizeOf(t, sizes, messagesTable, "notification_messages_pkey"); key.Bytes < 25*key.Rows || key.Bytes > 50*key.Rows {
		t.Errorf("the index of ids takes %d bytes of %d rows", key.Bytes, key.Rows)
	}
	for table, indexes := range map[string][]string{
		deliveriesTable: {"notification_deliveries_pkey"},
		statesTable:     {"notification_states_pkey", "notification_states_message"},
	} {
		for _, index := range indexes {
			size := sizeOf(t, sizes, table, index)
			if size.InTimeOrder < 10 || size.InTimeOrder > 300 || size.perRow() != size.InTimeOrder {
				t.Errorf("%s: %+v", index, size)
			}
		}
	}
}

func checkChurn(t *testing.T, r *churnResult) {
	t.Helper()
	// 90 marks of 45 messages: first what was read is updated and what was not
	// is inserted, then all are updated.
	before, after := r.Moments[0].Tables, r.Moments[1].Tables
	if updates := after[2].Updates - before[2].Updates; updates < 45 || updates > 80 {
		t.Errorf("there are %d updates of states", updates)
	}
	if hot := after[2].HOT - before[2].HOT; hot < 0 || hot > after[2].Updates-before[2].Updates {
		t.Errorf("%d updates are HOT", hot)
	}
	if len(r.Moments) != 2 || r.PerSecond <= 0 {
		t.Errorf("churn: %+v", r)
	}
	checkLatencies(t, r.Latencies, 3)
}

func checkLatencies(t *testing.T, all []latency, n int) {
	t.Helper()
	if len(all) != n {
		t.Errorf("there are %d latencies, want %d", len(all), n)
	}
	for _, l := range all {
		if l.List <= 0 || l.Unread <= 0 {
			t.Errorf("latency: %+v", l)
		}
	}
}

func checkPurge(t *testing.T, r *purgeResult) {
	t.Helper()
	rows := func(stage int, table string) int64 { return sizeOf(t, r.Stages[stage].Sizes, table, tablePart).Rows }
	for table, want := range map[string]int64{messagesTable: 800, deliveriesTable: 800} {
		if r.Removed[table] != want || rows(beforePurge, table) != 2000+10 || rows(reindexed, table) != 2010-want {
			t.Errorf("%s: %d rows of %d are removed, want %d; %d are left", table, r.Removed[table], rows(beforePurge, table), want, rows(reindexed, table))
		}
	}
	if got := r.Removed[statesTable]; got < 300 || got > 800 {
		t.Errorf("%d states are removed", got)
	}
	if r.Batches != 6 || r.Seconds <= 0 {
		t.Errorf("purge: %d batches in %v s", r.Batches, r.Seconds)
	}
	checkLatencies(t, r.Latencies, 4)
}

// Whoever is told to end does, and says so.
func TestScaleInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var stderr cancelling
	stderr.cancel = cancel // when the database is filled
	p := process{args: smallScale(), environ: []string{envServer + "=" + dbtest.ServerURL(t)}, stdout: &stderr, stderr: &stderr}
	if status := run(ctx, p); status != exitFailure {
		t.Errorf("ends with %d: %s", status, stderr.String())
	}
}

// A database that was churned and purged is filled again.
func TestScaleAgain(t *testing.T) {
	t.Parallel()
	argument := "--database=" + dbtest.PostgresURL(t)
	for range 2 {
		r := invoke(t, nil, smallScale(argument, "--churn=0")...)
		if r.status != 0 || !strings.Contains(r.stderr, "filled with 2000 messages") || strings.Contains(r.stdout, "Churn") {
			t.Fatalf("ends with %d: %s%s", r.status, r.stderr, r.stdout)
		}
	}
	if n := rowsIn(t, opened(t, argument), messagesTable); n != 1200 {
		t.Errorf("there are %d messages, want 1200", n)
	}
}

func TestScaleUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "there is no database"},
		{[]string{"--database=sqlite:x"}, "is about PostgreSQL"},
		{[]string{"--churn=-1"}, "--churn"},
		{[]string{"--probes=0"}, "--probes"},
		{[]string{"--purge-batch=0"}, "--purge-batch"},
		{[]string{"--autovacuum-wait=-1s"}, "--autovacuum-wait"},
		{[]string{"--purge-part=0.91"}, "--purge-part"},
		{[]string{"--purge-part=NaN"}, "--purge-part"},
	} {
		r := invoke(t, nil, append([]string{"scale"}, c.args...)...)
		if r.status != exitUsage || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("notifybench scale %q ends with %d, prints %q and %q", c.args, r.status, r.stdout, r.stderr)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a database was made")
	}
	environ := []string{envServer + "=" + dbtest.ServerURL(t)}
	if r := invoke(t, environ, smallScale("--messages=510")...); r.status != exitUsage || !strings.Contains(r.stderr, "nothing to mark") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
}
