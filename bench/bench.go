package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// runFill fills a database and measures nothing.
func runFill(ctx context.Context, p process, o *options) (err error) {
	if o.database == "" {
		return usagef("fill: needs --database; a database of its own would be dropped at once")
	}
	w, err := newWorld(o.sized(o.spec.Messages))
	if err != nil {
		return err
	}
	t, err := newTarget(ctx, p, o, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close(ctx)) }()
	return prepare(ctx, t, w, p.stderr)
}

// runBench measures every operation.
func runBench(ctx context.Context, p process, o *options) (err error) {
	plan := o.plan()
	r := newReport(plan)
	b, err := openBed(ctx, p, o, o.sized(o.spec.Messages), "")
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if err != nil {
		return err
	}
	if err := r.describe(ctx, b); err != nil {
		return err
	}
	all, err := worldOperations(ctx, b.world, b.svc, o.samples)
	if err != nil {
		return err
	}
	var phases [posting + 1][]*operation
	total := 0
	for _, op := range all {
		if o.wanted(op) {
			phases[op.phase] = append(phases[op.phase], op)
			total++
		}
	}
	if total == 0 {
		return usagef("--only %s: there is no such operation", o.only)
	}
	began, done := time.Now(), 0
	for _, ops := range phases {
		done += len(ops)
		// Each phase has its share of the time.
		plan.until = began.Add(o.duration * time.Duration(done) / time.Duration(total))
		if err := r.add(ctx, plan, b, ops); err != nil {
			return err
		}
	}
	r.print(p.stdout)
	return r.write(o.out)
}

// add measures operations.
func (r *report) add(ctx context.Context, plan plan, b *bed, ops []*operation) error {
	entries, err := b.entries(ctx, ops)
	if err != nil {
		return err
	}
	if err := plan.measure(ctx, entries); err != nil {
		return err
	}
	for _, e := range entries {
		if err := countAllocations(ctx, e); err != nil {
			return err
		}
		r.Results = append(r.Results, e.result())
		r.noteRounds(e)
	}
	return nil
}

// noteRounds keeps the smallest number of rounds: the time may have run out.
func (r *report) noteRounds(e *entry) {
	if n := len(e.slices[0]); r.Rounds == 0 || n < r.Rounds {
		r.Rounds = n
	}
}

// describe notes what the figures are of.
func (r *report) describe(ctx context.Context, b *bed) (err error) {
	r.Database = postgresName
	if b.target.isSQLite() {
		r.Database = sqliteName
	}
	if r.Spec == nil {
		r.Spec = &b.world.spec
	}
	r.Settings, err = b.target.settings(ctx, b.db)
	if err != nil {
		return fmt.Errorf("settings of the database: %w", err)
	}
	return nil
}
