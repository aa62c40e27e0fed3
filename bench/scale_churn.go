package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/notifications-go/notifications"
)

// postEvery: one in so many operations of the churn is a post.
const postEvery = 10

// churnResult is what many marks and posts do to the tables.
type churnResult struct {
	Operations  int           `json:"operations"`
	Marked      int           `json:"marked"` // different messages
	Concurrency int           `json:"concurrency"`
	Seconds     float64       `json:"seconds"`
	PerSecond   float64       `json:"perSecond"`
	Waited      time.Duration `json:"waited"` // for autovacuum; 0 where no table was due
	Moments     []churnMoment `json:"moments"`
	Latencies   []latency     `json:"latencies"`
}

// churnMoment is the state of all tables at one time.
type churnMoment struct {
	When   string          `json:"when"`
	Tables []tableActivity `json:"tables"`
}

// churn marks and posts, and looks at the tables before and after.
func (s *scale) churn(ctx context.Context) (*churnResult, error) {
	op, marked, err := churnOperation(s.world, s.o.churn)
	if err != nil {
		return nil, err
	}
	r := &churnResult{Operations: s.o.churn, Marked: marked, Concurrency: s.o.concurrency}
	before, err := s.idleProbe(ctx, "before the churn")
	if err != nil {
		return nil, err
	}
	if err := s.note(ctx, r, "before"); err != nil {
		return nil, err
	}
	began := time.Now()
	during, err := s.churnUnderProbe(ctx, op, r)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.log, "%d marks and posts in %v\n", s.o.churn, time.Since(began).Round(time.Millisecond))
	if err := s.note(ctx, r, "after"); err != nil {
		return nil, err
	}
	after, err := s.idleProbe(ctx, "after it")
	if err != nil {
		return nil, err
	}
	r.Latencies = []latency{before, during, after}
	return r, s.waitForAutovacuum(ctx, r)
}

// churnUnderProbe runs the churn and measures reads beside it.
func (s *scale) churnUnderProbe(ctx context.Context, op *operation, r *churnResult) (during latency, err error) {
	err = s.withService(ctx, func(svc *notifications.Service) error {
		ended := make(chan struct{})
		hasEnded := func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
		return together(ctx, true, []func(context.Context) error{
			func(ctx context.Context) error {
				defer close(ended)
				began := time.Now()
				p := plan{concurrency: s.o.concurrency, operations: s.o.churn}
				done, err := p.oneSlice(ctx, serviceContender{svc}, op)
				r.Seconds, r.PerSecond = time.Since(began).Seconds(), done.perSecond
				return err
			},
			func(ctx context.Context) (err error) {
				during, err = s.probe(ctx, svc, "during it", hasEnded)
				return err
			},
		})
	})
	return during, err
}

// note adds how the tables are now.
func (s *scale) note(ctx context.Context, r *churnResult, when string) error {
	tables, err := s.activity(ctx)
	r.Moments = append(r.Moments, churnMoment{when, tables})
	return err
}

// waitForAutovacuum gives autovacuum time to do what it is due to do, and
// notes what it did.
func (s *scale) waitForAutovacuum(ctx context.Context, r *churnResult) error {
	const between = 500 * time.Millisecond
	for began := time.Now(); ; r.Waited = time.Since(began) {
		tables, err := s.activity(ctx)
		if err != nil {
			return err
		}
		due := slices.ContainsFunc(tables, func(t tableActivity) bool { return float64(t.Dead) > t.AutovacuumAt })
		if !due || r.Waited >= s.o.autovacuumWait {
			break
		}
		if err := pause(ctx, between); err != nil {
			return err
		}
	}
	if r.Waited == 0 {
		return nil
	}
	return s.note(ctx, r, "after waiting")
}

// churnOperation is so many marks and posts, spread evenly over the users who
// are not measured. The messages are marked one after the other as what they
// are not, and then all over again.
func churnOperation(w *world, total int) (op *operation, marked int, err error) {
	users := w.block(toUser, userName)
	marks := total - total/postEvery
	marked = min((marks+1)/2, users.messages())
	if marked == 0 {
		return nil, 0, usagef("--messages: the users who are not measured get none, there is nothing to mark")
	}
	mark := func(k int) (user, id string, read bool) {
		j := users.start + k%marked*(users.messages()/marked)
		i, place := users.audienceOf(j), w.place(j)
		back := k/marked%2 == 1
		return users.ref(i), w.id(place).String(), w.isRead(place, users.audience(i)) == back
	}
	op = &operation{
		name: "churn", title: "churn", period: total,
		service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			if i%postEvery == postEvery-1 {
				return svc.Post(ctx, poster, userDraft(i, users.ref(int(w.hash(i, 2)%uint64(users.count)))))
			}
			user, id, read := mark(i - i/postEvery)
			return "", svc.MarkRead(ctx, notifications.User(user), id, read)
		},
	}
	return op, marked, nil
}

func (r *churnResult) print(w io.Writer) {
	fmt.Fprintf(w, "\n**Churn**: %d operations by %d at once, one in %d a post to one user, the others marks of %d messages as read and as "+
		"unread in turn, in %.1f s (%.0f/s), with autovacuum as the server has it. ",
		r.Operations, r.Concurrency, postEvery, r.Marked, r.Seconds, r.PerSecond)
	if r.Waited > 0 {
		fmt.Fprintf(w, "A table was due for it in the end: it was waited for %v.\n", r.Waited.Round(time.Second))
	} else {
		fmt.Fprintln(w, "No table was due for it in the end.")
	}
	fmt.Fprint(w, "\n| table | churn | dead rows | autovacuum is due at | autovacuums | last | updates | of them HOT | table MB | indexes MB |\n"+
		"|---|---|--:|--:|--:|---|--:|--:|--:|--:|\n")
	for k, first := range r.Moments[0].Tables {
		title := first.Table
		for _, m := range r.Moments {
			t := m.Tables[k]
			last, hot := "", ""
			if t.LastAutovacuum != nil {
				last = t.LastAutovacuum.UTC().Format(time.TimeOnly)
			}
			if updates := t.Updates - first.Updates; updates > 0 {
				hot = fmt.Sprintf("%.0f %%", float64(t.HOT-first.HOT)/float64(updates)*100)
			}
			fmt.Fprintf(w, "| %s | %s | %d | %.0f | %d | %s | %d | %s | %.1f | %.1f |\n", title, m.When, t.Dead, t.AutovacuumAt,
				t.Autovacuums-first.Autovacuums, last, t.Updates-first.Updates, hot, megabytes(t.TableBytes), megabytes(t.IndexBytes))
			title = ""
		}
	}
	printLatencies(w, r.Latencies)
}
