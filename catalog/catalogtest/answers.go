package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/notifications-go/notifications"
	"gorm.io/gorm"
)

// answer is what the catalog says to one question.
type answer struct {
	question, value string
	err             error
}

// ask asks everything about the names of the sample.
func (r *run) ask(ctx context.Context) (answers []answer) {
	add := func(err error, value any, format string, args ...any) {
		answers = append(answers, answer{fmt.Sprintf(format, args...), fmt.Sprint(value), err})
	}
	dates, dated := r.cat.(notifications.AccountDates)
	for _, user := range slices.Concat(r.users, r.noUsers) {
		in, err := r.cat.Groups(ctx, user.Name)
		add(err, sorted(in), "Groups(%q)", user.Name)
		if dated {
			since, err := dates.AccountSince(ctx, user.Name)
			add(err, since.UTC(), "AccountSince(%q)", user.Name)
		}
	}
	all := slices.Concat(r.users, r.noUsers, r.groups, r.noGroups)
	missing, err := r.cat.Missing(ctx, slices.Clone(all))
	add(err, sorted(missing), "Missing(%v)", all)
	if sizer, sizes := r.cat.(notifications.Sizer); sizes {
		for _, group := range append(slices.Concat(r.groups, r.noGroups), notifications.GroupRef("")) {
			n, known, err := sizer.Size(ctx, group.Name)
			add(err, fmt.Sprint(n, known), "Size(%q)", group.Name)
		}
	}
	return answers
}

// sorted returns the texts of a list in a fixed order.
func sorted[T any](list []T) []string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	slices.Sort(texts)
	return texts
}

// answers checks that every question is answered, of who does not exist too,
// and that the answers are the same when they are asked at once, and the same or
// errors when ctx is cancelled.
func (r *run) answers(ctx context.Context) {
	r.Helper()
	want := r.ask(ctx)
	for _, a := range want {
		if a.err != nil {
			r.Errorf("%s: %v", a.question, a.err)
			return
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for i, a := range r.ask(cancelled) {
		if a.err == nil && a.value != want[i].value {
			r.Errorf("%s with a cancelled context is %s, and not %s or an error", a.question, a.value, want[i].value)
		}
	}
	const asking = 8
	var wg sync.WaitGroup
	answers := make([][]answer, asking)
	for i := range answers {
		wg.Go(func() { answers[i] = r.ask(ctx) })
	}
	wg.Wait()
	for _, got := range answers {
		for i, a := range got {
			if a != want[i] {
				r.Errorf("%s, with others asking at once, is %s, %v, and not %s", a.question, a.value, a.err, want[i].value)
				return
			}
		}
	}
}

// sizes checks what a Sizer says against the sample.
func (r *run) sizes(ctx context.Context, members map[string][]string) {
	r.Helper()
	sizer, sizes := r.cat.(notifications.Sizer)
	if !sizes {
		return
	}
	atLeast := map[string]int{"": len(r.users)}
	for _, group := range r.groups {
		atLeast[group.Name] = 0
	}
	for _, groups := range members {
		for _, group := range r.refs(notifications.KindGroup, groups) {
			atLeast[group.Name]++
		}
	}
	for group, least := range atLeast {
		if n, known, err := sizer.Size(ctx, group); err == nil && known && n < least {
			r.Errorf("Size(%q) is %d, the sample alone has %d", group, n, least)
		}
	}
	for _, group := range r.noGroups {
		if n, known, err := sizer.Size(ctx, group.Name); err == nil && known && n != 0 {
			r.Errorf("Size(%q) is %d, of a group that does not exist", group.Name, n)
		}
	}
}

// patience is how long a transaction may take: a catalog that takes a second
// connection of a pool of one waits for ever.
const patience = 10 * time.Second

// transaction checks that the catalog reads in the transaction of a bound
// Service.
func (r *run) transaction(ctx context.Context, sample Sample) {
	r.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var policy contextTaker
	svc, err := notifications.New(notifications.Config{DB: sample.DB, Catalog: r.cat, Policy: &policy})
	if err != nil {
		r.Fatal(err)
		return
	}
	rollback := errors.New("rollback")
	var user notifications.Ref
	err = sample.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := svc.WithTx(tx).Authorize(ctx, notifications.ServiceAccount("catalogtest"), notifications.PermissionList); err != nil {
			return err
		}
		if user, err = r.addedIn(policy.ctx, sample); err != nil {
			return err
		}
		return rollback
	})
	if !errors.Is(err, rollback) {
		r.Errorf("in a transaction: %v", err)
		return
	}
	if missing, err := r.cat.Missing(ctx, []notifications.Ref{user}); err != nil || len(missing) == 0 {
		r.Errorf("after a rollback Missing says that %s exists (error %v):"+
			" AddUser wrote outside the transaction, or the catalog remembers what it read in one", user, err)
	}
}

// addedIn adds a user in the transaction of ctx, and asks the catalog about them.
func (r *run) addedIn(ctx context.Context, sample Sample) (user notifications.Ref, err error) {
	name, err := sample.AddUser(ctx)
	if err != nil {
		return user, fmt.Errorf("AddUser: %w", err)
	}
	canonical, err := r.cat.Canonical(notifications.KindUser, name)
	if err != nil {
		return user, err
	}
	user = notifications.UserRef(canonical)
	missing, err := r.cat.Missing(ctx, []notifications.Ref{user})
	if err != nil {
		return user, fmt.Errorf("ask Missing: %w", err)
	}
	if len(missing) > 0 {
		return user, fmt.Errorf("user %q, who was added in it, does not exist by Missing", canonical)
	}
	if _, err = r.cat.Groups(ctx, canonical); err != nil {
		return user, fmt.Errorf("ask Groups: %w", err)
	}
	return user, nil
}

// contextTaker is a policy that is asked for the sake of its context, which is
// that of the transaction.
type contextTaker struct{ ctx context.Context }

// Decide implements [notifications.Policy].
func (p *contextTaker) Decide(ctx context.Context, _ notifications.Request) (notifications.Decision, error) {
	p.ctx = ctx
	return notifications.Allow, nil
}
