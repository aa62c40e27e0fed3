package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/limit"
)

// turns lets a few requests work at once. Half of them may be of callers whose
// requests were slow of late, and a quarter may be long. All are nil if there is
// no limit.
type turns struct{ all, slow, long *limit.Turns }

const (
	// maxWaiting is how many requests of one caller wait for a turn.
	maxWaiting = 100
	// What makes a request long: notifications on a page and before it, and
	// bytes in a body.
	longPage, longOffset, longBody = 100, 1000, 16 << 10
	// slowRead is what the reads of a slow caller take. What a read costs depends
	// on how much there is, and is known only afterwards.
	slowRead = 5 * time.Millisecond
)

// newTurns returns turns for so many at once; zero is no limit.
func newTurns(atOnce int) turns {
	if atOnce <= 0 {
		return turns{}
	}
	part := func(of int) *limit.Turns { return limit.NewTurns(max(atOnce/of, 1), maxWaiting) }
	return turns{all: part(1), slow: part(2), long: part(4)}
}

// inTurn works when it is the caller's turn. Reading a body and writing an
// answer are not part of it: a slow client must not keep others waiting.
func inTurn[T any](ctx context.Context, t turns, who notifications.Identity, long bool, work func() (T, error)) (T, error) {
	switch {
	case t.all == nil:
		return work()
	case long:
		return taking(ctx, who, work, t.long, t.all)
	default:
		return taking(ctx, who, work, t.all)
	}
}

// readInTurn is inTurn for a read.
func readInTurn[T any](ctx context.Context, a *api, who notifications.Identity, long bool, read func() (T, error)) (T, error) {
	t := a.rates.reads
	if t.all != nil && !long && t.all.Mean(account(who)) > slowRead {
		return taking(ctx, who, read, t.slow, t.all)
	}
	return inTurn(ctx, t, who, long, read)
}

// taking works in a turn of each of several sorts, which it takes in order.
func taking[T any](ctx context.Context, who notifications.Identity, work func() (T, error), sorts ...*limit.Turns) (result T, err error) {
	for _, sort := range sorts {
		done, err := sort.Take(ctx, account(who), patience)
		if err != nil {
			return result, busy(err)
		}
		defer done()
	}
	return work()
}

// isLong reports whether a list takes long: it reads more than what it shows,
// or shows much.
func isLong(q notifications.ListQuery) bool {
	byText := q.OrderBy != "" && q.OrderBy != notifications.OrderCreated
	return q.Text != "" || q.Limit > longPage || q.Offset > longOffset || byText
}

// hasLongBody also reports a body of unknown length.
func hasLongBody(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength > longBody }
