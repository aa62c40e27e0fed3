package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/record"
	"github.com/notifications-go/notifications/bench/report"
)

// Log measures what the log of changes costs a post to one user and a mark: the
// floor does the same SQL without what writes to the log, and the difference is
// compared with the time of the operation over HTTP.
func Log(ctx context.Context, c Config) (err error) {
	b, err := c.openBed(ctx, c.Spec, "")
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return err
	}
	r, err := c.newReport(ctx, b)
	if err != nil {
		return err
	}
	phases, err := all(ctx, b.world, b.svc, c.Samples)
	if err != nil {
		return err
	}
	floor, err := b.floor(ctx, c.Concurrency)
	if err != nil {
		return err
	}
	without := measure.Contender{Name: "without", Worker: func(ctx context.Context, op *measure.Operation) (func(int) error, func(), error) {
		scripts := make([]record.Script, len(op.Scripts))
		for i, s := range op.Scripts {
			scripts[i] = s.WithoutLog()
		}
		return floor.Worker(ctx, scripts)
	}}
	for _, ops := range phases[1:] {
		entries, err := b.entries(ctx, wanted(report.MarkOne+","+report.PostUser, ops))
		if err != nil {
			return err
		}
		for _, e := range entries {
			e.Contenders = append(e.Contenders, without)
		}
		c.Until = time.Now().Add(c.Duration / 2)
		if err := c.add(ctx, r, entries); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.Output, "\n%s; %s.\n%s. %d at once, %d rounds of %s.\n\n| operations/s | floor without the log | floor | HTTP | cost over HTTP | promise |\n|---|--:|--:|--:|--:|---|\n",
		r.Machine, r.Fill, r.Settings, r.Concurrency, r.Rounds, r.Slice)
	for _, result := range r.Results {
		rate, toFloor := map[string]float64{}, map[string]float64{}
		for _, contender := range result.Contenders {
			rate[contender.Name], toFloor[contender.Name] = contender.PerSecond, contender.ToFloor.Median
		}
		// The processors are busy all the time, so one over a rate is the work
		// of one.
		cost := 100 * (1 - 1/toFloor["without"]) * toFloor[report.HTTP]
		fmt.Fprintf(c.Output, "| %s | %.0f | %.0f | %.0f | %.1f %% | %s |\n",
			result.Title, rate["without"], rate[report.Floor], rate[report.HTTP], cost, report.Verdict(cost, true, 10))
	}
	return nil
}
