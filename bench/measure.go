package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

// plan says how long to measure.
type plan struct {
	concurrency int
	rounds      int
	slice       time.Duration // of one contender at one operation in one round
	operations  int           // instead of slice, unless zero
	until       time.Time     // no round begins later, except the first
}

const (
	// warmUp is the part of a slice that is done beforehand and not counted.
	warmUp = 4
	// alonePart is the part of a slice that follows it with one operation at a
	// time. With more at once than there are processors, latencies are mostly
	// about who waits for whom.
	alonePart = 5
)

// slice is what one contender did in one slice.
type slice struct {
	perSecond float64
	latencies []time.Duration
}

// entry is one operation of one bed, and who competes at it.
type entry struct {
	op         *operation
	contenders []contender
	slices     [][]slice         // by contender, by round
	alone      [][]time.Duration // by contender
	allocs     []float64         // by contender
}

// measure does all entries round by round: within a round each contender has a
// slice of each operation, in another order each time, so that whatever the
// machine does besides hits all of them alike.
func (p plan) measure(ctx context.Context, entries []*entry) error {
	for _, e := range entries {
		e.slices = make([][]slice, len(e.contenders))
		e.alone = make([][]time.Duration, len(e.contenders))
		for _, c := range e.contenders {
			if _, err := p.part(warmUp).oneSlice(ctx, c, e.op); err != nil {
				return failedAt(c, e.op, err)
			}
		}
	}
	for round := range p.rounds {
		if round > 0 && time.Now().After(p.until) {
			break
		}
		for k, e := range entries {
			for i := range e.contenders {
				if err := p.turn(ctx, e, (i+round+k)%len(e.contenders)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// turn is what one contender does in one round.
func (p plan) turn(ctx context.Context, e *entry, which int) error {
	c := e.contenders[which]
	together, err := p.oneSlice(ctx, c, e.op)
	if err != nil {
		return failedAt(c, e.op, err)
	}
	e.slices[which] = append(e.slices[which], together)
	one := p.part(alonePart)
	one.concurrency = 1
	alone, err := one.oneSlice(ctx, c, e.op)
	if err != nil {
		return failedAt(c, e.op, err)
	}
	e.alone[which] = append(e.alone[which], alone.latencies...)
	return nil
}

// part is a plan for the n-th part of a slice, or of its operations.
func (p plan) part(n int) plan {
	p.slice /= time.Duration(n)
	if p.operations > 0 {
		p.operations = max(1, p.operations/n)
	}
	return p
}

func failedAt(c contender, op *operation, err error) error {
	return fmt.Errorf("%s: %s: %w", c.name(), op.title, err)
}

// oneSlice lets one contender do one operation at the concurrency of the plan.
func (p plan) oneSlice(ctx context.Context, c contender, op *operation) (slice, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := make([]worker, p.concurrency)
	for i := range workers {
		do, done, err := c.worker(ctx, op)
		if err != nil {
			return slice{}, err
		}
		defer done()
		workers[i].do = do
	}
	runtime.GC() // what others left behind
	began := time.Now()
	budget := &budget{until: began.Add(p.slice), operations: p.operations}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			if workers[i].run(ctx, op, budget); workers[i].err != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	var s slice
	var errs []error
	for _, w := range workers {
		s.latencies = append(s.latencies, w.latencies...)
		errs = append(errs, w.err)
	}
	s.perSecond = float64(len(s.latencies)) / elapsed.Seconds()
	return s, firstCause(errs)
}

// firstCause leaves out those who were only told to end.
func firstCause(errs []error) error {
	var ended error
	for _, err := range errs {
		if errors.Is(err, context.Canceled) {
			ended = err
		} else if err != nil {
			return err
		}
	}
	return ended
}

// budget is the time, or the number of operations, of a slice.
type budget struct {
	mu         sync.Mutex
	until      time.Time
	operations int
	taken      int
}

// take reports whether one more operation is in it.
func (b *budget) take(now time.Time) bool {
	if b.operations == 0 {
		return now.Before(b.until)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken++
	return b.taken <= b.operations
}

// worker is one of those who do an operation at the same time.
type worker struct {
	do        func(i int) error
	latencies []time.Duration
	err       error
}

func (w *worker) run(ctx context.Context, op *operation, b *budget) {
	for now := time.Now(); b.take(now); {
		if w.err = ctx.Err(); w.err != nil {
			return
		}
		if w.err = w.do(int(op.next.Add(1) - 1)); w.err != nil {
			return
		}
		end := time.Now()
		w.latencies = append(w.latencies, end.Sub(now))
		now = end
	}
}

// countAllocations does each operation a few times alone and counts what was
// allocated, for the contenders of this process. Of several counts the
// smallest is without what happened to go on beside it.
func countAllocations(ctx context.Context, e *entry) error {
	const counts, times = 4, 16
	for _, c := range e.contenders {
		do, done, err := c.worker(ctx, e.op)
		if err != nil {
			return failedAt(c, e.op, err)
		}
		least := math.Inf(1)
		for range counts {
			n, err := allocations(times, func() error { return do(int(e.op.next.Add(1) - 1)) })
			if err != nil {
				done()
				return failedAt(c, e.op, err)
			}
			least = min(least, n)
		}
		done()
		e.allocs = append(e.allocs, least)
	}
	return nil
}

// allocations are those of one call on average, in the whole process. The
// first call, which prepares what the others use, does not count.
func allocations(times int, do func() error) (float64, error) {
	if err := do(); err != nil {
		return 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if err := do(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return math.Round(float64(after.Mallocs-before.Mallocs) / float64(times)), nil
}

// result sums an entry up.
func (e *entry) result() operationResult {
	r := operationResult{Operation: e.op.name, Title: e.op.title}
	floor := slices.IndexFunc(e.contenders, func(c contender) bool { return c.name() == floorName })
	for i, c := range e.contenders {
		cr := contenderResult{Name: c.name()}
		var perSecond, ratios []float64
		var latencies []time.Duration
		for round, s := range e.slices[i] {
			perSecond = append(perSecond, s.perSecond)
			latencies = append(latencies, s.latencies...)
			if floor >= 0 {
				ratios = append(ratios, s.perSecond/e.slices[floor][round].perSecond)
			}
		}
		slices.Sort(latencies)
		cr.Operations = len(latencies)
		cr.PerSecond = median(perSecond)
		cr.P50 = milliseconds(percentile(latencies, 0.50))
		cr.P99 = milliseconds(percentile(latencies, 0.99))
		cr.Alone = milliseconds(percentile(slices.Sorted(slices.Values(e.alone[i])), 0.50))
		if e.allocs != nil {
			cr.Allocations = &e.allocs[i]
		}
		if floor >= 0 {
			cr.ToFloor = &spread{median(ratios), slices.Min(ratios), slices.Max(ratios)}
		}
		r.Contenders = append(r.Contenders, cr)
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
