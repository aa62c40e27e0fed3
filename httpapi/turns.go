package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/limit"
)

// turns lets a few requests work at once, and fewer that take long. Both are nil
// if there is no limit.
type turns struct{ all, long *limit.Turns }

const (
	// maxWaiting is how many requests of one caller wait for a turn.
	maxWaiting = 100
	// What makes a request long: notifications on a page and before it, and
	// bytes in a body.
	longPage, longOffset, longBody = 100, 1000, 16 << 10
	// longRead is what a caller's reads take if they are long.
	longRead = 5 * time.Millisecond
)

// newTurns returns turns for so many at once; zero is no limit.
func newTurns(atOnce int) turns {
	if atOnce <= 0 {
		return turns{}
	}
	return turns{limit.NewTurns(atOnce, maxWaiting), limit.NewTurns(max(atOnce/4, 1), maxWaiting)}
}

// inTurn works when it is the caller's turn. Reading a body and writing an
// answer are not part of it: a slow client must not keep others waiting.
func inTurn[T any](ctx context.Context, t turns, who notifications.Identity, long bool, work func() (T, error)) (result T, err error) {
	if t.all == nil {
		return work()
	}
	if long { // waits for other long work first
		done, err := t.long.Take(ctx, who.String(), patience)
		if err != nil {
			return result, busy(err)
		}
		defer done()
	}
	done, err := t.all.Take(ctx, who.String(), patience)
	if err != nil {
		return result, busy(err)
	}
	defer done()
	return work()
}

// readInTurn reads in the caller's turn. A caller whose reads took long of late
// is expected to go on so: what a read costs depends on how much there is.
func readInTurn[T any](ctx context.Context, a *api, who notifications.Identity, long bool, read func() (T, error)) (T, error) {
	t := a.rates.reads
	long = long || t.all != nil && t.all.Mean(who.String()) > longRead
	return inTurn(ctx, t, who, long, read)
}

// isLong reports whether a list takes long: it reads more than what it shows,
// or shows much.
func isLong(q notifications.ListQuery) bool {
	byText := q.OrderBy != "" && q.OrderBy != notifications.OrderCreated
	return q.Text != "" || q.Limit > longPage || q.Offset > longOffset || byText
}

// hasLongBody also reports a body of unknown length.
func hasLongBody(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength > longBody }
