package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/notifications-go/notifications"
)

// purgeResult is what a purge took and left.
type purgeResult struct {
	Part      float64          `json:"part"`
	Batch     int              `json:"batch"`
	Batches   int64            `json:"batches"`
	Seconds   float64          `json:"seconds"`
	Removed   map[string]int64 `json:"removed"` // rows, by table
	Before    []tableActivity  `json:"before"`
	After     []tableActivity  `json:"after"` // before VACUUM
	Stages    []purgeStage     `json:"stages"`
	Latencies []latency        `json:"latencies"`
}

// purgeStage is what the tables take on disk at one time.
type purgeStage struct {
	When    string         `json:"when"`
	Seconds float64        `json:"seconds"` // what led there took
	Sizes   []relationSize `json:"sizes"`
}

// The stages of a purge.
const (
	beforePurge = iota
	purged
	vacuumed
	reindexed
)

// purge removes the oldest messages through the library, and then does what an
// operator may do, step by step.
func (s *scale) purge(ctx context.Context) (*purgeResult, error) {
	r := &purgeResult{Part: s.o.purgePart, Batch: s.o.purgeBatch}
	for _, step := range []struct {
		when string
		do   func(ctx context.Context) error
	}{
		beforePurge: {"before the purge", func(context.Context) error { return nil }},
		purged:      {"after it", func(ctx context.Context) error { return s.purgeOldest(ctx, r) }},
		vacuumed:    {"after VACUUM", func(ctx context.Context) error { return s.eachTable(ctx, "VACUUM ") }},
		reindexed:   {"after REINDEX", func(ctx context.Context) error { return s.eachTable(ctx, "REINDEX TABLE CONCURRENTLY ") }},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return nil, err
		}
		took := time.Since(began)
		fmt.Fprintf(s.log, "purge: %s, %v\n", step.when, took.Round(time.Millisecond))
		sizes, err := s.sizes(ctx)
		if err != nil {
			return nil, err
		}
		r.Stages = append(r.Stages, purgeStage{step.when, took.Seconds(), sizes})
		l, err := s.idleProbe(ctx, step.when)
		if err != nil {
			return nil, err
		}
		r.Latencies = append(r.Latencies, l)
	}
	r.Removed = make(map[string]int64)
	for i, size := range r.Stages[beforePurge].Sizes {
		r.Removed[size.Table] = size.Rows - r.Stages[purged].Sizes[i].Rows
	}
	return r, nil
}

// purgeOldest purges what is older than the part of the half year that the
// fill is spread over.
func (s *scale) purgeOldest(ctx context.Context, r *purgeResult) error {
	kept := fillBegin.Add(time.Duration(r.Part * float64(fillSpan)))
	var err error
	if r.Before, err = s.activity(ctx); err != nil {
		return err
	}
	err = s.withService(ctx, func(svc *notifications.Service) error {
		began := time.Now()
		done, err := svc.Purge(ctx, notifications.PurgeOptions{OlderThan: time.Since(kept), Batch: r.Batch})
		r.Seconds = time.Since(began).Seconds()
		r.Batches = (done.Removed + int64(r.Batch) - 1) / int64(r.Batch)
		if err == nil && done.Elsewhere {
			err = fmt.Errorf("somebody else is purging")
		}
		return err
	})
	if err != nil {
		return err
	}
	r.After, err = s.activity(ctx)
	return err
}

// eachTable runs a command on the tables, one after the other.
func (s *scale) eachTable(ctx context.Context, command string) error {
	for _, table := range filledTables {
		if _, err := s.conn.Exec(ctx, command+table); err != nil {
			return fmt.Errorf("%s%s: %w", command, table, err)
		}
	}
	return nil
}

func (r *purgeResult) print(w io.Writer) {
	fmt.Fprintf(w, "\n**Purge** of the oldest %.0f %% through the library: %d batches of up to %d messages, each withdrawn in one transaction "+
		"and removed in another.\n", r.Part*100, r.Batches, r.Batch)
	messages, rows := r.Removed[messagesTable], int64(0)
	for _, n := range r.Removed {
		rows += n
	}
	fmt.Fprint(w, "\n| messages | deliveries | states | seconds | messages/s | rows/s | minutes for a million messages |\n|--:|--:|--:|--:|--:|--:|--:|\n")
	fmt.Fprintf(w, "| %d | %d | %d | %.1f | %.0f | %.0f | %.1f |\n", messages, r.Removed[deliveriesTable], r.Removed[statesTable], r.Seconds,
		float64(messages)/r.Seconds, float64(rows)/r.Seconds, r.Seconds/float64(messages)*1e6/60)

	r.printLeft(w)
	printLatencies(w, r.Latencies)
}

// printLeft prints what the purge leaves on disk.
func (r *purgeResult) printLeft(w io.Writer) {
	fmt.Fprintf(w, "\nWhat it leaves, in MB. Then VACUUM of all tables took %.1f s, REINDEX CONCURRENTLY of all their indexes %.1f s. "+
		"Bloat is the size after VACUUM over that after REINDEX.\n", r.Stages[vacuumed].Seconds, r.Stages[reindexed].Seconds)
	fmt.Fprint(w, "\n| table | | autovacuums meanwhile | dead rows after it |")
	for _, stage := range r.Stages {
		fmt.Fprintf(w, " %s |", stage.When)
	}
	fmt.Fprint(w, " bloat |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	table := -1
	for i, size := range r.Stages[beforePurge].Sizes {
		if size.Part == tablePart {
			table++
			fmt.Fprintf(w, "| %s | | %d | %d |", size.Table, r.After[table].Autovacuums-r.Before[table].Autovacuums, r.After[table].Dead)
		} else {
			fmt.Fprintf(w, "| | %s | | |", size.Part)
		}
		for _, stage := range r.Stages {
			fmt.Fprintf(w, " %.1f |", megabytes(stage.Sizes[i].Bytes))
		}
		bloat := ""
		if size.Part != tablePart && size.Part != toastPart {
			bloat = ratio(float64(r.Stages[vacuumed].Sizes[i].Bytes), float64(r.Stages[reindexed].Sizes[i].Bytes))
		}
		fmt.Fprintf(w, " %s |\n", bloat)
	}
}
