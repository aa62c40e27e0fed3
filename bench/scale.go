package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/notifications-go/notifications"
)

// scaleResult is what becomes of a large database.
type scaleResult struct {
	Sizes []relationSize `json:"sizes"` // after the fill
	Churn *churnResult   `json:"churn,omitempty"`
	Purge *purgeResult   `json:"purge,omitempty"`
}

// scale is a run over one database. Whoever works on it does so over
// connections that are closed afterwards, see inspector.quiet.
type scale struct {
	o       *options
	world   *world
	catalog *memoryCatalog
	target  *target
	inspector
	reads []*operation
	log   io.Writer
}

// runScale measures one large database: its sizes, and what churn and a purge do
// to it. Each table is printed as soon as it is known.
func runScale(ctx context.Context, p process, o *options) error {
	if err := o.checkScale(); err != nil {
		return err
	}
	r := newReport(o.plan())
	r.Scale = &scaleResult{}
	if err := scaleOne(ctx, p, o, r); err != nil {
		return err
	}
	return r.write(o.out)
}

// scaleOne fills a database and wears it out.
func scaleOne(ctx context.Context, p process, o *options, r *report) (err error) {
	b, err := fillBed(ctx, p, o, o.sized(o.spec.Messages), "")
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if err != nil {
		return err
	}
	s, err := newScale(ctx, o, b, p.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	r.Database, r.Spec = postgresName, &b.world.spec
	if r.Settings, err = s.settings(ctx); err != nil {
		return err
	}
	return s.measure(ctx, r, p.stdout)
}

// measure goes through the stages.
func (s *scale) measure(ctx context.Context, r *report, stdout io.Writer) (err error) {
	printScaleHead(stdout, r)
	if err := s.quiet(ctx); err != nil {
		return err
	}
	if r.Scale.Sizes, err = s.sizes(ctx); err != nil {
		return err
	}
	if err := s.addTimeOrder(ctx, r.Scale.Sizes); err != nil {
		return fmt.Errorf("in the order of time: %w", err)
	}
	printSizes(stdout, r.Scale.Sizes, s.world.Messages)
	if s.o.churn > 0 || s.o.purgePart > 0 {
		// A database that is kept is to be filled again.
		if _, err := s.conn.Exec(ctx, "UPDATE "+markerTable+" SET spec = ''"); err != nil {
			return err
		}
	}
	if s.o.churn > 0 {
		if r.Scale.Churn, err = s.churn(ctx); err != nil {
			return fmt.Errorf("churn: %w", err)
		}
		r.Scale.Churn.print(stdout)
	}
	if s.o.purgePart > 0 {
		if r.Scale.Purge, err = s.purge(ctx); err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		r.Scale.Purge.print(stdout)
	}
	return nil
}

func (o *options) checkScale() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if strings.HasPrefix(o.database, "sqlite:") {
		bad("scale: is about PostgreSQL, not SQLite")
	}
	if o.churn < 0 || o.probes < 1 || o.purgeBatch < 1 || o.autovacuumWait < 0 {
		bad("--churn, --autovacuum-wait, --probes, --purge-batch: must not be negative, and the last two at least 1")
	}
	const most = 0.9 // somebody must have something left to list
	if !(o.purgePart >= 0 && o.purgePart <= most) {
		bad("--purge-part: must be between 0 and %v", most)
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

func newScale(ctx context.Context, o *options, b *bed, log io.Writer) (*scale, error) {
	i, err := newInspector(ctx, b.target)
	if err != nil {
		return nil, err
	}
	in := inboxesOf(b.world.block(toUser, measuredName), notifications.ScopeAll, o.samples)
	return &scale{
		o: o, world: b.world, catalog: newCatalog(b.world), target: b.target, inspector: i, log: log,
		reads: []*operation{listOperation(in, notifications.ReadOrUnread), unreadOperation(in)},
	}, nil
}

// withService lends a service over connections of its own, and returns when
// the server has counted what was done over them.
func (s *scale) withService(ctx context.Context, do func(svc *notifications.Service) error) (err error) {
	db, err := s.target.open(ctx, s.o.concurrency+1) // one is for the probes
	if err != nil {
		return err
	}
	svc, err := newService(db, s.catalog)
	if err == nil {
		err = do(svc)
	}
	if err := errors.Join(err, closeDatabase(db)); err != nil {
		return err
	}
	return s.quiet(ctx)
}

// latency is the p50 of reads of the measured users, one at a time, in
// milliseconds.
type latency struct {
	When   string  `json:"when"`
	List   float64 `json:"list"`
	Unread float64 `json:"unread"`
}

// probe measures the reads; until is asked after each time whether that was
// the last.
func (s *scale) probe(ctx context.Context, svc *notifications.Service, when string, until func() bool) (latency, error) {
	p := plan{concurrency: 1, operations: s.o.probes}
	c := serviceContender{svc}
	sums := make([]slice, len(s.reads))
	for _, op := range s.reads {
		if _, err := p.part(warmUp).oneSlice(ctx, c, op); err != nil {
			return latency{}, failedAt(c, op, err)
		}
	}
	for last := false; !last; last = until() {
		for i, op := range s.reads {
			done, err := p.oneSlice(ctx, c, op)
			if err != nil {
				return latency{}, failedAt(c, op, err)
			}
			sums[i].latencies = append(sums[i].latencies, done.latencies...)
		}
	}
	return latency{when, sums[0].p50(), sums[1].p50()}, nil
}

func once() bool { return true }

// idleProbe is a probe with nothing else going on.
func (s *scale) idleProbe(ctx context.Context, when string) (l latency, err error) {
	err = s.withService(ctx, func(svc *notifications.Service) (err error) {
		l, err = s.probe(ctx, svc, when, once)
		return err
	})
	return l, err
}

func printScaleHead(w io.Writer, r *report) {
	fmt.Fprintf(w, "\n%s, %d processors; %d messages, %d users. MB are 1,000,000 bytes.\n", r.Go, r.Processors,
		r.Spec.Messages, r.Spec.Users+r.Spec.Measured)
	fmt.Fprintf(w, "%s: %s.\n", r.Database, settingsText(r.Settings))
}

func printLatencies(w io.Writer, all []latency) {
	fmt.Fprint(w, "\n| when | list, first page, p50 ms | unread count, p50 ms |\n|---|--:|--:|\n")
	for _, l := range all {
		fmt.Fprintf(w, "| %s | %.2f | %.2f |\n", l.When, l.List, l.Unread)
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

// p50 is the median latency in milliseconds.
func (s slice) p50() float64 {
	return milliseconds(percentile(slices.Sorted(slices.Values(s.latencies)), 0.50))
}
