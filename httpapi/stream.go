package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/internal/limit"
)

const (
	// DefaultStreams is how many streams may be open at once if Config.Streams
	// is zero.
	DefaultStreams = 10_000
	// DefaultStreamsPerUser is how many one user may have if
	// Config.StreamsPerUser is zero.
	DefaultStreamsPerUser = 16

	// streamLife is about how long a stream lasts. A tenth more or less keeps
	// those that began together from ending together.
	streamLife = 10 * time.Minute
	// beforeExpiry is how long before its token a stream ends.
	beforeExpiry = 5 * time.Second
	// leastLife is that of a stream whose token is about to expire.
	leastLife = time.Second
)

// streams limits the streams of a handler.
type streams struct {
	open    *limit.Budget
	life    time.Duration
	timeout time.Duration // of one write
}

func newStreams(cfg Config) (streams, error) {
	var faults []error
	for name, n := range map[string]int{"Streams": cfg.Streams, "StreamsPerUser": cfg.StreamsPerUser} {
		if n < 0 {
			faults = append(faults, fmt.Errorf("httpapi: Config.%s is negative", name))
		}
	}
	total, each := cfg.Streams, cfg.StreamsPerUser
	if total == 0 {
		total = DefaultStreams
	}
	if each == 0 {
		each = DefaultStreamsPerUser
	}
	return streams{open: limit.NewBudget(int64(each), int64(total)), life: streamLife, timeout: pieceTime}, errors.Join(faults...)
}

// lifetime returns how long a stream may last whose credentials expire at the
// time, which is zero if that is not known.
func (s streams) lifetime(expires time.Time) time.Duration {
	life := s.life*9/10 + rand.N(s.life/5)
	if !expires.IsZero() {
		life = min(life, time.Until(expires)-beforeExpiry)
	}
	return max(life, leastLife)
}

// streamNotifications checks the request. Everything else is done by
// [stream.serve].
func (a *api) streamNotifications(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	query, after, err := a.decodeStream(r, who)
	if err != nil {
		return err
	}
	noteStream(r, &stream{api: a, w: w, connection: http.NewResponseController(w), r: r, who: who, query: query, after: after})
	return nil
}

// stream is the answer of one streamNotifications: the events of a Watch as
// Server-Sent Events (HTML Standard, section 9.2).
type stream struct {
	api        *api
	w          http.ResponseWriter
	connection *http.ResponseController
	r          *http.Request
	who        notifications.Identity
	query      notifications.WatchQuery
	after      string // the name of what query.After comes from

	began, done bool // the head was sent; nothing more is to be sent
	life        time.Duration
	end         *time.Timer
}

// serve answers the request. It takes no turn of the reads: it would hold it
// for long.
func (s *stream) serve() {
	release, err := s.api.streams.open.Acquire(s.r.Context(), account(s.who), 1, 0)
	if err != nil {
		s.fail(busy(err))
		return
	}
	defer release()
	ctx, cancel := context.WithCancel(s.r.Context())
	defer cancel()
	s.life = s.api.streams.lifetime(s.api.who.expires(s.r))
	s.end = time.AfterFunc(min(s.life, cmp.Or(s.api.timeout, s.life)), cancel)
	defer s.end.Stop()
	s.api.svc.Watch(ctx, s.who, s.query)(s.tell)
	if !s.began {
		s.fail(fmt.Errorf("%w: the stream could not begin in time", notifications.ErrUnavailable))
	}
	s.sayGoodbye()
}

// tell sends one event. It returns false when the stream must end.
func (s *stream) tell(e notifications.Event, err error) bool {
	if err == nil && !s.began {
		s.end.Reset(s.life)
		err = s.begin()
	}
	if err != nil {
		s.fail(err)
		return false
	}
	if !s.done {
		s.send(&e)
	}
	return !s.done
}

// fail answers the request with a problem, if the stream has not begun.
func (s *stream) fail(err error) {
	if s.began {
		noteError(s.r, err)
		return
	}
	if !s.done {
		s.api.answerError(s.w, s.r, asAsked(err, map[string]string{"After": s.after}))
	}
	s.done = true
}

// begin sends the head of the answer.
func (s *stream) begin() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform") // proxies must not compress it, which would delay it
	h.Set("X-Accel-Buffering", "no")                 // nginx must not wait for more
	err := s.flush()
	if errors.Is(err, http.ErrNotSupported) {
		h.Del("X-Accel-Buffering")
		h.Set("Cache-Control", "private, no-cache")
		return fmt.Errorf("%w: the host's http.ResponseWriter cannot flush, so there are no streams", notifications.ErrUnavailable)
	}
	s.began, s.done = true, err != nil || s.r.Method == http.MethodHead
	return nil
}

// send sends an event. The first one says how long to wait before a reconnect
// if the connection breaks, so that not all clients come back at once.
func (s *stream) send(e *notifications.Event) {
	buf := bodies.Get().(*[]byte)
	b := (*buf)[:0]
	if e.Kind == notifications.EventHello {
		b = appendRetry(b, time.Second+rand.N(4*time.Second))
	}
	b = appendEvent(b, e)
	s.write(b)
	if cap(b) <= maxKeptBody {
		*buf = b
		bodies.Put(buf)
	}
}

// sayGoodbye tells the client of a stream that ends in order to reconnect soon.
func (s *stream) sayGoodbye() {
	if !s.done {
		s.write(append(appendRetry(nil, 100*time.Millisecond+rand.N(900*time.Millisecond)), '\n'))
	}
}

// write gives the client limited time to take b. Between two writes there is no
// deadline: on HTTP/2 it would end the stream.
func (s *stream) write(b []byte) {
	_ = s.connection.SetWriteDeadline(time.Now().Add(s.api.streams.timeout)) // see pieceWriter
	_, err := s.w.Write(b)
	if err == nil {
		err = s.flush()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		noteError(s.r, fmt.Errorf("the client did not take an event: %w", err))
	}
	s.done = err != nil // the client may have left
}

// flush ends a write. The first one ends the timeout of the server, which is for
// a whole request.
func (s *stream) flush() error {
	err := s.connection.Flush()
	_ = s.connection.SetWriteDeadline(time.Time{})
	return err
}

func appendRetry(b []byte, pause time.Duration) []byte {
	return append(strconv.AppendInt(append(b, "retry: "...), pause.Milliseconds(), 10), '\n')
}

// appendEvent writes an event. One that is idle is a comment with an id: the
// client remembers the position, and its program sees nothing.
func appendEvent(b []byte, e *notifications.Event) []byte {
	idle := e.Kind == notifications.EventIdle
	if idle {
		b = append(b, ": idle\n"...)
	} else {
		b = append(append(append(b, "event: "...), e.Kind...), '\n')
	}
	b = append(append(append(b, "id: "...), e.Position...), '\n')
	if !idle {
		b = append(appendData(append(b, "data: "...), e), '\n')
	}
	return append(b, '\n')
}

// appendData writes the data of an event as JSON on one line. Only metadata can
// have line breaks, as spaces between tokens.
func appendData(b []byte, e *notifications.Event) []byte {
	var data any
	switch e.Kind {
	case notifications.EventNotification:
		start := len(b)
		b = appendNotification(b, &e.Notification)
		for i, c := range b[start:] {
			if c == '\n' || c == '\r' {
				b[start+i] = ' '
			}
		}
		return b
	case notifications.EventHello:
		data = wire.StreamHello{Resumed: e.Resumed, Reader: e.Reader}
	case notifications.EventRemoved:
		data = wire.StreamRemoved{ID: e.ID}
	case notifications.EventState:
		data = wire.StreamState{IDs: e.IDs, Many: e.Many}
	case notifications.EventCount:
		data = statusOf(e.Status)
	case notifications.EventResync:
		data = wire.StreamResync{Reason: wire.ResyncReason(e.Reason)}
	}
	encoded, _ := json.Marshal(data) // of strings, numbers and bools: cannot fail
	return append(b, encoded...)
}
