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
	// DefaultStreams and DefaultStreamsPerUser are the most streams at once if
	// Config.Streams and Config.StreamsPerUser are zero.
	DefaultStreams        = 10_000
	DefaultStreamsPerUser = 16

	// streamLife is about how long a stream lasts, and streamLifeJitter how
	// much longer or shorter.
	streamLife, streamLifeJitter = 10 * time.Minute, time.Minute
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
	life := s.life + rand.N(2*streamLifeJitter) - streamLifeJitter
	if !expires.IsZero() {
		life = min(life, time.Until(expires)-beforeExpiry)
	}
	return max(life, leastLife)
}

// streamNotifications writes the events of a Watch as Server-Sent Events (HTML
// Standard, section 9.2). It takes no turn of the reads: it would hold it for
// long.
func (a *api) streamNotifications(w http.ResponseWriter, r *http.Request, who notifications.Identity) error {
	query, after, err := a.decodeStream(r, who)
	if err != nil {
		return err
	}
	release, err := a.streams.open.Acquire(r.Context(), who.String(), 1, 0)
	if err != nil {
		return busy(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	life := a.streams.lifetime(a.who.expires(r))
	end := time.AfterFunc(min(life, cmp.Or(a.timeout, life)), cancel)
	defer end.Stop()
	s := &stream{w: w, connection: http.NewResponseController(w), timeout: a.streams.timeout}
	for event, err := range a.svc.Watch(ctx, who, query) {
		if err == nil && !s.started {
			end.Reset(life)
			err = s.start()
		}
		switch {
		case err != nil && !s.started:
			return asAsked(err, map[string]string{"After": after})
		case err != nil:
			noteError(r, err)
			s.end()
			return nil
		case r.Method == http.MethodHead:
			return nil
		}
		if err := s.send(&event); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				noteError(r, fmt.Errorf("the client did not take an event: %w", err))
			}
			return nil
		}
	}
	switch {
	case !s.started:
		return fmt.Errorf("%w: the stream could not begin in time", notifications.ErrUnavailable)
	case r.Context().Err() == nil:
		s.end()
	}
	return nil
}

// stream is the answer of one streamNotifications.
type stream struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	timeout    time.Duration
	started    bool
}

// start sends the head of the answer.
func (s *stream) start() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform") // proxies must not compress it, which would delay it
	h.Set("X-Accel-Buffering", "no")                 // nginx must not wait for more
	// The timeouts of the server are for a whole request.
	_ = s.connection.SetReadDeadline(time.Time{})
	if err := s.flush(); errors.Is(err, http.ErrNotSupported) {
		h.Del("X-Accel-Buffering")
		h.Set("Cache-Control", "private, no-cache")
		return fmt.Errorf("%w: the host's http.ResponseWriter cannot flush, so there are no streams", notifications.ErrUnavailable)
	}
	s.started = true // if the client has left, the next write fails
	return nil
}

// send sends an event. A client who reconnects at once after a failure of the
// server, or together with all the others, makes it worse: the first event says
// how long to wait.
func (s *stream) send(e *notifications.Event) error {
	buf := bodies.Get().(*[]byte)
	b := (*buf)[:0]
	if e.Kind == notifications.EventHello {
		b = appendRetry(b, time.Second+rand.N(4*time.Second))
	}
	b = appendEvent(b, e)
	err := s.write(b)
	if cap(b) <= maxKeptBody {
		*buf = b
		bodies.Put(buf)
	}
	return err
}

// end tells the client to reconnect soon: the server ends the stream in order.
func (s *stream) end() {
	_ = s.write(append(appendRetry(nil, 100*time.Millisecond+rand.N(900*time.Millisecond)), '\n')) // the client may have left
}

// write gives the client limited time to take b. Between two writes there is no
// deadline: on HTTP/2 it would end the stream.
func (s *stream) write(b []byte) error {
	_ = s.connection.SetWriteDeadline(time.Now().Add(s.timeout)) // see pieceWriter
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.flush()
}

// flush ends a write.
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
