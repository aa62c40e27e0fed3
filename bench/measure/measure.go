// Package measure has contenders do operations in turn, and notes how long they
// take.
package measure

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/record"
	"github.com/notifications-go/notifications/bench/report"
)

// Operation is one thing that is measured. It is done over and over, with a
// number that tells the times apart.
type Operation struct {
	Name, Title string
	// Period is how many different times there are: number i and number i+Period
	// are the same to the database, except that a post gets another id.
	Period int
	// Service does it through the library, and returns the id of what it posted.
	Service func(ctx context.Context, svc *notifications.Service, i int) (id string, err error)
	// Request is what it is over HTTP.
	Request func(i int) Call
	// Scripts are what it asks of the database, at the times of a period.
	Scripts []record.Script
	// Curve is what the operation is measured over, at number X; empty for none.
	Curve string
	X     int

	next atomic.Int64 // the number of the next time, whichever contender does it
}

// Contender is one way to do operations.
type Contender struct {
	Name string
	// Worker returns what one goroutine calls to do the operation a time, and
	// what it calls in the end.
	Worker func(ctx context.Context, op *Operation) (do func(i int) error, done func(), err error)
}

// Floor does what was recorded.
func Floor(f *record.Floor) Contender {
	return Contender{report.Floor, func(ctx context.Context, op *Operation) (func(int) error, func(), error) {
		return f.Worker(ctx, op.Scripts)
	}}
}

// Service calls the library.
func Service(svc *notifications.Service) Contender {
	return Contender{report.Service, func(ctx context.Context, op *Operation) (func(int) error, func(), error) {
		do := func(i int) error {
			_, err := op.Service(ctx, svc, i%op.Period)
			return err
		}
		return do, func() {}, nil
	}}
}

// Plan says how long to measure.
type Plan struct {
	Concurrency int           // operations at once
	Rounds      int           // at most
	Slice       time.Duration // of one contender at one operation in one round
	Operations  int           // instead of Slice, unless zero
	Until       time.Time     // no round begins later, except the first
}

const (
	// warmUp is the part of a slice that is done beforehand and not counted.
	warmUp = 4
	// alonePart is the part of a slice that follows it with one operation at a
	// time. With more at once than there are processors, latencies are mostly
	// about which waits for which.
	alonePart = 5
)

// slice is what one contender did in one slice.
type slice struct {
	perSecond float64
	latencies []float64 // milliseconds
}

// Entry is an operation and the contenders that do it.
type Entry struct {
	*Operation
	Contenders []Contender

	slices [][]slice   // by contender, by round
	alone  [][]float64 // by contender
}

// Measure does all entries round by round. In a round each contender has a slice
// of each operation, in an order that changes, so that other work on the machine
// affects all of them alike. It returns the number of rounds.
func (p Plan) Measure(ctx context.Context, entries []*Entry) (rounds int, err error) {
	for _, e := range entries {
		e.slices, e.alone = make([][]slice, len(e.Contenders)), make([][]float64, len(e.Contenders))
		for _, c := range e.Contenders {
			if _, err := p.part(warmUp).slice(ctx, c, e.Operation); err != nil {
				return 0, err
			}
		}
	}
	one := p.part(alonePart)
	one.Concurrency = 1
	for ; rounds < p.Rounds && (rounds == 0 || time.Now().Before(p.Until)); rounds++ {
		for k, e := range entries {
			for i := range e.Contenders {
				i = (i + rounds + k) % len(e.Contenders)
				together, err := p.slice(ctx, e.Contenders[i], e.Operation)
				if err != nil {
					return rounds, err
				}
				alone, err := one.slice(ctx, e.Contenders[i], e.Operation)
				if err != nil {
					return rounds, err
				}
				e.slices[i] = append(e.slices[i], together)
				e.alone[i] = append(e.alone[i], alone.latencies...)
			}
		}
	}
	return rounds, nil
}

// part is a plan for the n-th part of a slice, or of its operations.
func (p Plan) part(n int) Plan {
	p.Slice /= time.Duration(n)
	if p.Operations > 0 {
		p.Operations = max(1, p.Operations/n)
	}
	return p
}

// Do lets one contender do one operation for a slice, and returns the latencies in
// milliseconds.
func (p Plan) Do(ctx context.Context, c Contender, op *Operation) ([]float64, error) {
	s, err := p.slice(ctx, c, op)
	return s.latencies, err
}

func (p Plan) slice(ctx context.Context, c Contender, op *Operation) (s slice, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", c.Name, op.Title, err)
		}
	}()
	do := make([]func(int) error, p.Concurrency)
	for i := range do {
		var done func()
		if do[i], done, err = c.Worker(ctx, op); err != nil {
			return s, err
		}
		defer done()
	}
	runtime.GC() // what others left behind
	latencies := make([][]float64, p.Concurrency)
	var taken atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for i := range do {
		wg.Go(func() {
			for now := time.Now(); ; {
				more := now.Sub(began) < p.Slice
				if p.Operations > 0 {
					more = taken.Add(1) <= int64(p.Operations)
				}
				if !more || ctx.Err() != nil {
					return
				}
				if err := do[i](int(op.next.Add(1) - 1)); err != nil {
					cancel(err) // the first one counts; others were told to end
					return
				}
				end := time.Now()
				latencies[i] = append(latencies[i], Milliseconds(end.Sub(now)))
				now = end
			}
		})
	}
	wg.Wait()
	s.latencies = slices.Concat(latencies...)
	s.perSecond = float64(len(s.latencies)) / time.Since(began).Seconds()
	return s, context.Cause(ctx)
}

// Result sums an entry up.
func (e *Entry) Result() report.Result {
	r := report.Result{Operation: e.Name, Title: e.Title, Curve: e.Curve, X: e.X}
	floor := slices.IndexFunc(e.Contenders, func(c Contender) bool { return c.Name == report.Floor })
	for i, c := range e.Contenders {
		var perSecond, ratios []float64
		var latencies []float64
		for round, s := range e.slices[i] {
			perSecond = append(perSecond, s.perSecond)
			latencies = append(latencies, s.latencies...)
			if floor >= 0 {
				ratios = append(ratios, s.perSecond/e.slices[floor][round].perSecond)
			}
		}
		result := report.Contender{
			Name: c.Name, Operations: len(latencies), PerSecond: Percentile(perSecond, 0.5),
			P50: Percentile(latencies, 0.5), P99: Percentile(latencies, 0.99), Alone: Percentile(e.alone[i], 0.5),
		}
		if floor >= 0 {
			result.ToFloor = &report.Spread{Median: Percentile(ratios, 0.5), Min: slices.Min(ratios), Max: slices.Max(ratios)}
		}
		r.Contenders = append(r.Contenders, result)
	}
	return r
}

// Allocations are those of one operation by a contender of this process, in the
// whole process. Of several counts it returns the smallest, which is without
// what happened to go on beside it.
func Allocations(ctx context.Context, c Contender, op *Operation) (least int, err error) {
	const counts, times = 4, 16
	do, done, err := c.Worker(ctx, op)
	if err != nil {
		return 0, err
	}
	defer done()
	least = math.MaxInt
	for range counts {
		var before, after runtime.MemStats
		for i := range 1 + times {
			if i == 1 { // the first prepares what the others use
				runtime.ReadMemStats(&before)
			}
			if err := do(int(op.next.Add(1) - 1)); err != nil {
				return 0, err
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, int(after.Mallocs-before.Mallocs+times/2)/times)
	}
	return least, nil
}

// Percentile is the value with the fraction p of the others below it, between
// two of them where it falls between; zero of none.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := p * float64(len(sorted)-1)
	below := sorted[int(at)]
	return below + (at-math.Floor(at))*(sorted[int(math.Ceil(at))]-below)
}

// Milliseconds is a duration as a number.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
