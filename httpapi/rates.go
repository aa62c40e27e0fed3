package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/fold"
	"github.com/notifications-go/notifications/internal/limit"
)

// Rate limits requests: PerSecond on average, and Burst at once. The zero Rate
// is no limit. A Burst of zero means one second's worth, at least one.
type Rate struct {
	PerSecond float64
	Burst     int
}

// RateLimits limits how often callers may do something. A request above a limit
// is answered with 429 and Retry-After. The zero RateLimits limits nothing.
// Each handler counts for itself, and remembers the latest 10,000 callers and
// addresses.
type RateLimits struct {
	// Reads limits lists, counts and other reads of one identity. A search
	// counts as ten, and each 64 KiB of a list as one more.
	Reads Rate
	// Marks limits the changes that one identity makes to its own states.
	Marks Rate
	// Posts limits the posts and withdrawals of one identity.
	Posts Rate
	// PostsPerHour is a quota of posts of one identity. It is refilled evenly.
	// The log gets a warning when somebody reaches it. Zero is no limit.
	PostsPerHour int
	// ReadsAtOnce is how many reads of all callers are at work at once. Others
	// wait up to two seconds, and are then answered with 503. Of those who
	// wait, the caller with the fewest at work is next, so that one in a loop
	// does not hold up the others. A quarter of them, at least one, may be
	// searches. Zero is no limit.
	ReadsAtOnce int
	// Failures limits the requests from one address without valid credentials;
	// IPv6 addresses of one /64 count as one. Above it, unknown credentials
	// from there are not verified. Those that were valid before are.
	Failures Rate
}

// maxKnown is how many identities and addresses are remembered.
const maxKnown = 10_000

// class is a kind of operation with a limit of its own.
type class int

const (
	reading class = iota
	marking
	posting
)

// classes maps the first permission of an operation to its class.
var classes = map[notifications.Permission]class{
	notifications.PermissionList:       reading,
	notifications.PermissionReach:      reading,
	notifications.PermissionUpdateRead: marking,
	notifications.PermissionCreate:     posting,
	notifications.PermissionDelete:     posting,
}

// rates are the limits of a handler.
type rates struct {
	byClass  map[class]*limit.Rates
	quota    *limit.Rates
	perHour  int
	failures *limit.Rates
	// turns and searches are nil if there is no limit.
	turns, searches *limit.Budget
	// valid are hashes of credentials that were valid.
	valid *limit.Recent
	log   *slog.Logger
	// delayed is how many refusals wait.
	delayed atomic.Int64
}

func newRates(l RateLimits, log *slog.Logger) (*rates, error) {
	var faults []error
	of := func(name string, rate Rate) *limit.Rates {
		if !(rate.PerSecond >= 0) || math.IsInf(rate.PerSecond, 0) || rate.Burst < 0 {
			faults = append(faults, fmt.Errorf("httpapi: Config.RateLimits.%s is negative or no number", name))
			return nil
		}
		return limit.NewRates(rate.PerSecond, rate.Burst, maxKnown)
	}
	r := &rates{
		byClass:  map[class]*limit.Rates{reading: of("Reads", l.Reads), marking: of("Marks", l.Marks), posting: of("Posts", l.Posts)},
		quota:    of("PostsPerHour", Rate{float64(l.PostsPerHour) / time.Hour.Seconds(), l.PostsPerHour}),
		perHour:  l.PostsPerHour,
		failures: of("Failures", l.Failures),
		valid:    limit.NewRecent(maxKnown),
		log:      log,
	}
	switch {
	case l.ReadsAtOnce < 0:
		faults = append(faults, errors.New("httpapi: Config.RateLimits.ReadsAtOnce is negative"))
	case l.ReadsAtOnce > 0:
		turns, searches := int64(l.ReadsAtOnce), max(int64(l.ReadsAtOnce)/4, 1)
		r.turns, r.searches = limit.NewBudget(turns, turns), limit.NewBudget(searches, searches)
	}
	return r, errors.Join(faults...)
}

// inTurn reads when it is the caller's turn. Writing the answer is not part of
// it: a slow client must not keep others waiting.
func inTurn[T any](ctx context.Context, a *api, who notifications.Identity, read func() (T, error)) (T, error) {
	return taking(ctx, a.rates.turns, who, read)
}

// searchInTurn is inTurn for a filter that may have a text to search for.
func searchInTurn[T any](ctx context.Context, a *api, who notifications.Identity, f notifications.Filter, read func() (T, error)) (T, error) {
	if f.Text == "" {
		return inTurn(ctx, a, who, read)
	}
	a.rates.byClass[reading].Charge(account(who), searchCost-1, time.Now())
	return taking(ctx, a.rates.searches, who, func() (T, error) { return inTurn(ctx, a, who, read) })
}

func taking[T any](ctx context.Context, turns *limit.Budget, who notifications.Identity, read func() (T, error)) (result T, err error) {
	if turns == nil {
		return read()
	}
	done, err := turns.Acquire(ctx, account(who), 1, patience)
	if err != nil { // all the turns may be this caller's, but others may have them too
		return result, fmt.Errorf("%w: %w", notifications.ErrUnavailable, err)
	}
	defer done()
	return read()
}

// searchCost is how many reads a search counts as.
const searchCost = 10

// chargeList counts the length of a list.
func (l *rates) chargeList(who notifications.Identity, length int) {
	if n := length / largeAnswer; n > 0 {
		l.byClass[reading].Charge(account(who), n, time.Now())
	}
}

const (
	// maxDelay is how long a refusal waits, and maxDelayed how many do at once.
	maxDelay, maxDelayed = 200 * time.Millisecond, 500
)

// delay slows down a client that goes on although it is refused. Refusing costs
// time too.
func (l *rates) delay(ctx context.Context, err error) {
	var tooOften tooOftenError
	if !errors.As(err, &tooOften) {
		return
	}
	defer l.delayed.Add(-1)
	if l.delayed.Add(1) > maxDelayed {
		return
	}
	timer := time.NewTimer(min(tooOften.wait, maxDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// account is what the limits of a caller are counted for. Two tokens of one user
// may write the name in different case, and must not have twice as much.
func account(who notifications.Identity) string { return fold.ASCII(who.String()) }

// tooOftenError is an ErrTooMany that knows when the next request is allowed.
type tooOftenError struct {
	what string
	wait time.Duration
}

func (e tooOftenError) Error() string {
	return fmt.Sprintf("%v: %s: the next is allowed in %v", notifications.ErrTooMany, e.what, e.wait)
}

func (e tooOftenError) Unwrap() error { return notifications.ErrTooMany }

// allow counts a request of a caller, and refuses it above a limit.
func (l *rates) allow(ctx context.Context, rt route, who notifications.Identity) error {
	now := time.Now()
	if wait, _ := l.byClass[classes[rt.permission]].Take(account(who), now); wait > 0 {
		return tooOftenError{"requests of this caller", wait}
	}
	if rt.permission != notifications.PermissionCreate {
		return nil
	}
	wait, first := l.quota.Take(account(who), now)
	if first {
		l.log.WarnContext(ctx, "a poster has reached the quota", "poster", who.String(), "posts_per_hour", l.perHour)
	}
	if wait > 0 {
		return tooOftenError{"posts of this caller", wait}
	}
	return nil
}

// setRetryAfter sets the header Retry-After for an error that knows it.
func setRetryAfter(w http.ResponseWriter, err error) {
	var tooOften tooOftenError
	if errors.As(err, &tooOften) {
		seconds := int(math.Ceil(tooOften.wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(max(seconds, 1)))
	}
}
