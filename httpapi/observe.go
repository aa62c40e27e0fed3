package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// observation is what the log records about a request.
type observation struct {
	operation string
	caller    notifications.Identity
	err       error
	// stream answers the request after its handler, if it is not nil. Streams
	// wait for long, and a handler is deep in the stack, which makes the stack
	// twice as large.
	stream *stream
}

type observationKey struct{}

func withObservation(ctx context.Context, o *observation) context.Context {
	return context.WithValue(ctx, observationKey{}, o)
}

func noteOperation(r *http.Request, operation string) {
	if o, ok := r.Context().Value(observationKey{}).(*observation); ok {
		o.operation = operation
	}
}

func noteCaller(r *http.Request, who notifications.Identity) {
	if o, ok := r.Context().Value(observationKey{}).(*observation); ok {
		o.caller = who
	}
}

func noteStream(r *http.Request, s *stream) {
	if o, ok := r.Context().Value(observationKey{}).(*observation); ok {
		o.stream = s
	}
}

func noteError(r *http.Request, err error) {
	if o, ok := r.Context().Value(observationKey{}).(*observation); ok {
		o.err = err
	}
}

// observe gives the request an id, logs the result, and answers a panic with
// 500.
func (a *api) observe(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	start := time.Now()
	id := requestID(r)
	w.Header().Set(wire.RequestIDHeader, id)
	var o observation
	recorder := &statusRecorder{ResponseWriter: w}
	r = r.WithContext(withObservation(r.Context(), &o))
	defer func() {
		crash := recover()
		asError, _ := crash.(error)
		aborted := errors.Is(asError, http.ErrAbortHandler) // net/http's way to drop a connection
		if crash != nil && !aborted {
			a.log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", id),
				slog.Any("panic", crash), slog.String("stack", string(debug.Stack())))
			if recorder.status == 0 {
				writeProblem(recorder, wire.Problem{Status: http.StatusInternalServerError})
			}
		}
		a.logRequest(r, id, o, recorder.status, time.Since(start))
		if aborted {
			panic(crash)
		}
	}()
	if next(recorder, r); o.stream != nil {
		o.stream.serve()
	}
}

func (a *api) logRequest(r *http.Request, id string, o observation, status int, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request_id", id),
		slog.String("operation", o.operation),
		slog.String("method", r.Method),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.String("caller", o.caller.String()),
		slog.String("from", fromText(address(r, a.proxies))),
	}
	var invalid *notifications.InvalidError
	if errors.As(o.err, &invalid) { // what is wrong with a field may quote it
		attrs = append(attrs, slog.String("fields", fieldNames(invalid.Fields)))
	} else if o.err != nil {
		attrs = append(attrs, slog.String("error", o.err.Error()))
	}
	if status >= http.StatusInternalServerError && !errors.Is(r.Context().Err(), context.Canceled) {
		level = slog.LevelError
	}
	a.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// fromText is empty for a connection without an address.
func fromText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// fieldNames lists the names of bad fields, as far as they are short and few.
func fieldNames(fields []notifications.FieldError) string {
	const most, longest = 20, 100
	var names []string
	for i, f := range fields {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(fields)-most))
			break
		}
		names = append(names, shortened(f.Field, longest))
	}
	return strings.Join(names, ", ")
}

// shortened cuts a text that is longer than limit bytes.
func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// requestID keeps the id that a proxy set, if it is safe in a header and a log.
// Otherwise it makes a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get(wire.RequestIDHeader)
	if id == "" || len(id) > 128 {
		return rand.Text()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return rand.Text()
		}
	}
	return id
}

// statusRecorder records the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader records the first final status.
func (w *statusRecorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implies status 200, as in net/http.
func (w *statusRecorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// FlushError implies status 200, as in net/http.
func (w *statusRecorder) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.status == 0 && !errors.Is(err, http.ErrNotSupported) {
		w.status = http.StatusOK
	}
	return err
}

// Unwrap lets http.ResponseController reach the writer underneath.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
