package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/notifications-go/notifications"
)

// maxPartitions is more than anybody needs, and few enough for the locks that
// a server holds at once by default.
const maxPartitions = 256

// partitionsResult compares a database with partitions to one without.
type partitionsResult struct {
	Partitions int                 `json:"partitions"`
	Answers    int                 `json:"answers"` // that were compared, and equal
	Rounds     int                 `json:"rounds"`
	Sizes      []relationSize      `json:"sizes"` // with partitions, after the fill
	Results    []partitionedResult `json:"results"`
}

// partitionedResult is one operation by one contender; p50 in milliseconds.
type partitionedResult struct {
	Operation   string  `json:"operation"`
	Title       string  `json:"title"`
	Contender   string  `json:"contender"`
	Plain       float64 `json:"plain"`
	Partitioned float64 `json:"partitioned"`
	Ratio       spread  `json:"ratio"` // over the rounds
}

// comparePartitions fills two databases alike, one of them with partitions, and
// measures both side by side, one operation at a time.
func comparePartitions(ctx context.Context, p process, o *options, r *report) (_ *partitionsResult, err error) {
	plain, err := openBed(ctx, p, o, *r.Spec, "")
	defer func() { err = errors.Join(err, plain.close(ctx)) }()
	if err != nil {
		return nil, err
	}
	partitioned := *r.Spec
	partitioned.Partitions = o.partitions
	other, err := openBed(ctx, p, o, partitioned, "partitioned")
	defer func() { err = errors.Join(err, other.close(ctx)) }()
	if err != nil {
		return nil, err
	}
	result := &partitionsResult{Partitions: o.partitions}
	if result.Sizes, err = sizesOf(ctx, other.target); err != nil {
		return nil, err
	}
	if result.Answers, err = sameAnswers(ctx, plain, other, o.samples); err != nil {
		return nil, err
	}
	return result, result.measure(ctx, o, plain, other)
}

func sizesOf(ctx context.Context, t *target) (_ []relationSize, err error) {
	i, err := newInspector(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close(ctx)) }()
	return i.sizes(ctx)
}

// measure has the two take turns at every operation.
func (r *partitionsResult) measure(ctx context.Context, o *options, plain, other *bed) error {
	var entries []*entry
	for _, b := range []*bed{plain, other} {
		ops, err := comparedOperations(ctx, b, o.samples)
		if err != nil {
			return err
		}
		more, err := b.entries(ctx, ops)
		if err != nil {
			return err
		}
		entries = append(entries, more...)
	}
	n := len(entries) / 2
	var turns []*entry // an operation of the one, and then of the other
	for i := range n {
		turns = append(turns, entries[i], entries[n+i])
	}
	for _, e := range turns { // HTTP costs the same over both
		e.contenders = slices.DeleteFunc(e.contenders, func(c contender) bool { return c.name() == httpName })
	}
	plan := o.plan()
	plan.concurrency = 1
	plan.until = time.Now().Add(o.duration)
	if err := plan.measure(ctx, turns); err != nil {
		return err
	}
	r.Rounds = len(turns[0].slices[0])
	for i := range n {
		r.Results = append(r.Results, compareEntries(entries[i], entries[n+i])...)
	}
	return nil
}

func comparedOperations(ctx context.Context, b *bed, samples int) ([]*operation, error) {
	in := inboxesOf(b.world.block(toUser, measuredName), notifications.ScopeAll, samples)
	targets, err := markTargets(ctx, b.svc, in, samples)
	if err != nil {
		return nil, err
	}
	posts := postOperations(b.world, samples)
	toOne := slices.IndexFunc(posts, func(op *operation) bool { return op.name == opPostUser })
	return []*operation{
		listOperation(in, notifications.ReadOrUnread), unreadOperation(in), posts[toOne], markOneOperation(targets),
	}, nil
}

// compareEntries compares one operation over two databases, round by round.
func compareEntries(plain, other *entry) []partitionedResult {
	var all []partitionedResult
	before, after := plain.result(), other.result()
	for i, c := range before.Contenders {
		var ratios []float64
		for round, s := range plain.slices[i] {
			ratios = append(ratios, other.slices[i][round].p50()/s.p50())
		}
		all = append(all, partitionedResult{
			before.Operation, before.Title, c.Name, c.P50, after.Contenders[i].P50,
			spread{median(ratios), slices.Min(ratios), slices.Max(ratios)},
		})
	}
	return all
}

// sameAnswers asks both the same and returns how many answers were equal, which
// all must be.
func sameAnswers(ctx context.Context, plain, other *bed, samples int) (int, error) {
	var all [2][]string
	for i, b := range []*bed{plain, other} {
		read, err := readAnswers(ctx, b, samples)
		if err != nil {
			return 0, err
		}
		written, err := writeAnswers(ctx, b)
		if err != nil {
			return 0, err
		}
		all[i] = append(read, written...)
	}
	for i, want := range all[0] {
		if got := all[1][i]; got != want {
			return 0, fmt.Errorf("the answer is %q without and %q with partitions", want, got)
		}
	}
	return len(all[0]), nil
}

// readAnswers are what measured users see.
func readAnswers(ctx context.Context, b *bed, samples int) ([]string, error) {
	var answers []string
	in := inboxesOf(b.world.block(toUser, measuredName), notifications.ScopeAll, samples)
	for i, name := range in.users {
		page, err := b.svc.List(ctx, in.user(i), notifications.ListQuery{Filter: notifications.Filter{Scope: in.scope}})
		if err != nil {
			return nil, err
		}
		answer := name + " sees"
		for _, n := range page.Items {
			answer += fmt.Sprintf(" %s (read=%t)", n.ID, n.Read)
		}
		status, err := b.svc.Status(ctx, in.user(i), in.scope)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer, fmt.Sprintf("%s has the status %+v", name, status))
	}
	return answers, nil
}

// writeAnswers are those to posts, marks and withdrawals, which leave hardly
// anything behind.
func writeAnswers(ctx context.Context, b *bed) ([]string, error) {
	users := b.world.block(toUser, userName)
	ref := users.ref(0)
	who, all := notifications.User(ref), notifications.Selection{Filter: &notifications.Filter{}}
	var answers []string
	var errs []error
	note := func(what string, answer any, err error) {
		answers = append(answers, fmt.Sprintf("%s: %v", what, answer))
		errs = append(errs, err)
	}
	count := func(what string) {
		n, err := b.svc.Count(ctx, who, notifications.Filter{Read: notifications.Unread})
		note(what, n, err)
	}
	count("unread")
	d := userDraft(0, ref)
	d.Scope, d.IdempotencyKey = "partitions", rand.Text()
	first, err := b.svc.Post(ctx, poster, d)
	errs = append(errs, err)
	count("unread after a post")
	again, err := b.svc.Post(ctx, poster, d)
	note("a post again has the same id", again == first, err)
	d.IdempotencyKey = ""
	second, err := b.svc.Post(ctx, poster, d)
	errs = append(errs, err)
	count("unread after an update")
	reach, err := b.svc.Reach(ctx, poster, second)
	note("reach", fmt.Sprintf("%+v", reach), err)
	for _, read := range []bool{true, true, false} {
		n, err := b.svc.SetState(ctx, who, all, notifications.StateChange{Read: &read})
		note(fmt.Sprintf("marked as read=%t", read), n, err)
	}
	n, err := b.svc.WithdrawScope(ctx, poster, d.Origin, d.Scope)
	note("withdrawn", n, err)
	count("unread after that")
	return answers, errors.Join(errs...)
}

func (r *partitionsResult) print(w io.Writer, plain []relationSize) {
	fmt.Fprintf(w, "\n**Hash partitions**: two databases filled alike, in one of which deliveries are in %d partitions by audience, and "+
		"states in %[1]d by user. All of %d answers compared are equal. One operation at a time, in %d rounds; the ratio is the median over the "+
		"rounds, and what these lie between.\n", r.Partitions, r.Answers, r.Rounds)
	fmt.Fprint(w, "\n| operation | | plain, p50 ms | partitioned, p50 ms | partitioned to plain | rounds |\n|---|---|--:|--:|--:|--:|\n")
	title := ""
	for _, result := range r.Results {
		if title == result.Title {
			result.Title = ""
		} else {
			title = result.Title
		}
		fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.2f | %.2f–%.2f |\n", result.Title, result.Contender, result.Plain, result.Partitioned,
			result.Ratio.Median, result.Ratio.Min, result.Ratio.Max)
	}
	fmt.Fprint(w, "\n| table | | plain MB | partitioned MB |\n|---|---|--:|--:|\n")
	for i, size := range r.Sizes {
		if size.Table != messagesTable {
			fmt.Fprintf(w, "| %s | %s | %.1f | %.1f |\n", size.Table, size.Part, megabytes(plain[i].Bytes), megabytes(size.Bytes))
		}
	}
}
