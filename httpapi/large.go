package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/limit"
)

const (
	// largeAnswer is the length from which an answer is large, in bytes. A
	// shorter one fits into the buffers of its connection, so a client that
	// does not read it costs no memory here.
	largeAnswer = 64 << 10
	// What lists may take while they are read from the database: how much for
	// one caller and in all, in bytes of notifications.
	fetchingShare, fetchingTotal = 16 << 20, 32 << 20
	// What large answers may take while clients receive them.
	writingShare, writingTotal = 16 << 20, 32 << 20
	// typicalList is what a list of the default length counts as, and
	// largestNotification what each notification of a longer one does.
	typicalList, largestNotification = 256 << 10, 128 << 10
	// largestPage is the most that a page counts as.
	largestPage = 8 << 20
	// patience is how long a read waits for others.
	patience = 2 * time.Second
	// A client that receives a large answer must take each piece of it within
	// pieceTime, and all of it within answerTime.
	pieceTime, answerTime = 10 * time.Second, time.Minute
)

// answers keeps the memory that lists take within bounds.
type answers struct {
	fetching, writing *limit.Budget
	pieceTime         time.Duration
}

func newAnswers() answers {
	return answers{
		fetching:  limit.NewBudget(fetchingShare, fetchingTotal),
		writing:   limit.NewBudget(writingShare, writingTotal),
		pieceTime: pieceTime,
	}
}

// fetch reads a page when there is room for the largest that it can be.
func (a *api) fetch(ctx context.Context, who notifications.Identity, q notifications.ListQuery) (notifications.Page, error) {
	size := int64(typicalList)
	if q.Limit > notifications.DefaultLimit {
		size = min(int64(q.Limit)*largestNotification, largestPage)
	}
	release, err := a.answers.fetching.Acquire(ctx, account(who), size, patience)
	if err != nil {
		return notifications.Page{}, busy(err)
	}
	defer release()
	return searchInTurn(ctx, a, who, q.Filter, func() (notifications.Page, error) { return a.svc.List(ctx, who, q) })
}

// busy converts an error of a Budget.
func busy(err error) error {
	if errors.Is(err, limit.ErrOwnShare) {
		return fmt.Errorf("%w: %w", notifications.ErrTooMany, err)
	}
	return fmt.Errorf("%w: %w", notifications.ErrUnavailable, err)
}

// writeList answers with a list. A large one is never held as JSON: it is
// encoded twice, for its ETag and for the client.
func (a *api) writeList(w http.ResponseWriter, r *http.Request, who notifications.Identity, items []notifications.Notification) error {
	size := 0
	for i := range items {
		size += sizeHint(&items[i])
	}
	if size <= largeAnswer {
		withNotifications(items, func(body []byte) { writeTaggedBody(w, r, body) })
		return nil
	}
	a.rates.chargeList(who, size)
	release, err := a.answers.writing.Acquire(r.Context(), account(who), int64(size), 0)
	if err != nil {
		return busy(err)
	}
	defer release()
	sum, length := xxhash.New(), 0
	_ = inPieces(items, func(piece []byte) error {
		length += len(piece)
		_, err := sum.Write(piece)
		return err // always nil
	})
	if notModified(w, r, sum) {
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(length))
	if err := inPieces(items, a.answers.pieceWriter(w, r)); err != nil {
		noteError(r, fmt.Errorf("the client did not take the answer: %w", err))
	}
	return nil
}

// pieceWriter returns a function that writes pieces of an answer, and gives the
// client limited time for each and for all.
func (l answers) pieceWriter(w http.ResponseWriter, r *http.Request) func([]byte) error {
	end := time.Now().Add(answerTime)
	if deadline, limited := r.Context().Deadline(); limited && deadline.Before(end) {
		end = deadline
	}
	connection := http.NewResponseController(w)
	return func(piece []byte) error {
		deadline := time.Now().Add(l.pieceTime)
		if end.Before(deadline) {
			deadline = end
		}
		// net/http removes the deadline after the request. A host's writer may
		// not support it; then the host's own limits hold.
		_ = connection.SetWriteDeadline(deadline)
		_, err := w.Write(piece)
		return err
	}
}
