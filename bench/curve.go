package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/notifications-go/notifications"
)

// The curves.
const (
	curveRows    = "rows"
	curveVisible = "visible"
	curveHidden  = "hidden"
	curveGroups  = "groups"
)

var curveTitles = map[string]string{
	curveRows:    "messages in the table",
	curveVisible: "messages a user sees",
	curveHidden:  "hidden messages before 100 unread",
	curveGroups:  "groups a user is in",
}

// curvePoint is one operation at one place of a curve.
type curvePoint struct {
	Curve  string          `json:"curve"`
	X      int             `json:"x"`
	Result operationResult `json:"result"`
}

// runCurve measures list and unread count over growing numbers. All databases
// are filled first, and then measured round by round, so that the machine is
// as fast for the first as for the last.
func runCurve(ctx context.Context, p process, o *options) (err error) {
	plan := o.plan()
	r := newReport(plan)
	var points []curvePoint
	var entries []*entry
	add := func(b *bed, curve string, x int, ops ...*operation) error {
		more, err := b.entries(ctx, ops)
		for _, e := range more {
			entries = append(entries, e)
			points = append(points, curvePoint{Curve: curve, X: x})
		}
		return err
	}
	for _, size := range o.curveSizes {
		b, err := openBed(ctx, p, o, o.sized(size), strconv.Itoa(size))
		defer func() { err = errors.Join(err, b.close(ctx)) }()
		if err != nil {
			return err
		}
		in := inboxesOf(b.world.block(toUser, measuredName), notifications.ScopeAll, o.curveReaders())
		if err := add(b, curveRows, size, listOperation(in, notifications.ReadOrUnread), unreadOperation(in)); err != nil {
			return err
		}
	}
	wide, err := openBed(ctx, p, o, o.wide(), "wide")
	defer func() { err = errors.Join(err, wide.close(ctx)) }()
	if err != nil {
		return err
	}
	if err := addWide(wide, o, add); err != nil {
		return err
	}
	if err := r.describe(ctx, wide); err != nil {
		return err
	}
	plan.until = time.Now().Add(o.duration)
	if err := plan.measure(ctx, entries); err != nil {
		return err
	}
	for i, e := range entries {
		points[i].Result = e.result()
		r.noteRounds(e)
	}
	r.Curves = points
	r.print(p.stdout)
	return errors.Join(r.write(o.out), writePlot(o.svg, points))
}

// curveReaders is how many users are measured at each size: as many as the
// smallest has. More of them would also find less of what they read in the
// caches of the processor, which says nothing of the size of the table.
func (o *options) curveReaders() int {
	readers := o.samples
	for _, size := range o.curveSizes {
		readers = min(readers, o.sized(size).Measured)
	}
	return readers
}

// wide is the database of the curves that are about a user, not the table.
func (o *options) wide() spec {
	s := o.sized(o.curveSizes[0])
	s.WideVisible, s.WideHidden, s.WideGroups = o.wideVisible, o.wideHidden, o.wideGroups
	s.Messages = s.least()
	s.Messages += s.Messages / 2
	return s
}

// addWide adds what is measured of users with wide inboxes.
func addWide(b *bed, o *options, add func(b *bed, curve string, x int, ops ...*operation) error) error {
	users := func(name string) inboxes {
		return inboxesOf(b.world.block(toUser, name), notifications.ScopeUser, o.samples)
	}
	var errs []error
	for _, n := range o.wideVisible {
		in := users(wideVisibleName(n))
		errs = append(errs, add(b, curveVisible, n, listOperation(in, notifications.ReadOrUnread), unreadOperation(in)))
	}
	for _, n := range o.wideHidden {
		in := users(wideHiddenName(n))
		errs = append(errs, add(b, curveHidden, n, listOperation(in, notifications.Unread), unreadOperation(in)))
	}
	for _, n := range o.wideGroups {
		in := users(wideGroupName(n))
		errs = append(errs, add(b, curveGroups, n, listOperation(in, notifications.ReadOrUnread), unreadOperation(in)))
	}
	return errors.Join(errs...)
}

func printCurves(w io.Writer, points []curvePoint) {
	fmt.Fprint(w, "\n| over | | operation | floor p50 ms | service p50 ms | HTTP p50 ms | service to floor |\n|---|--:|---|--:|--:|--:|--:|\n")
	for _, p := range points {
		fmt.Fprintf(w, "| %s | %d | %s |", curveTitles[p.Curve], p.X, p.Result.Title)
		for _, name := range []string{floorName, serviceName, httpName} {
			if c := p.Result.find(name); c != nil {
				fmt.Fprintf(w, " %.2f |", c.P50)
			} else {
				fmt.Fprint(w, " |")
			}
		}
		if c := p.Result.find(serviceName); c != nil && c.ToFloor != nil {
			fmt.Fprintf(w, " %.2f", c.ToFloor.Median)
		}
		fmt.Fprintln(w, " |")
	}
}

// curvePromises: a page and a count cost the same in a large table as in a
// small one.
func (r *report) curvePromises() []string {
	const bound = 1.3
	var lines []string
	for _, op := range []string{opList, opUnread} {
		var first, last *curvePoint
		for i, p := range r.Curves {
			if p.Curve == curveRows && p.Result.Operation == op {
				if first == nil {
					first = &r.Curves[i]
				}
				last = &r.Curves[i]
			}
		}
		if first == nil || first == last {
			continue
		}
		text := fmt.Sprintf("p50 of %s by the service with %d messages over that with %d", first.Result.Title, last.X, first.X)
		ratio := last.Result.find(serviceName).P50 / first.Result.find(serviceName).P50
		lines = append(lines, promiseLine(text, ratio, true, bound))
	}
	return lines
}

func writePlot(file string, points []curvePoint) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(plot(points)), 0o644)
}
