package httpapi

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/limit"
)

// largeItems are notifications that are large together.
func largeItems() []notifications.Notification {
	items := page()
	for i := range items {
		items[i].Message = strings.Repeat("a \"quoted\" line\n", 512*(i%8))
	}
	return items
}

// A list encoded in pieces has the same bytes, ETag and length as one encoded
// at once.
func TestLargeListsAreTheSame(t *testing.T) {
	t.Parallel()
	a := &api{answers: newAnswers(), rates: new(rates)}
	who := notifications.User("default/jane")
	for _, items := range [][]notifications.Notification{largeItems(), slices.Repeat(page(), 20), slices.Repeat(largeItems(), 9)} {
		want, got := httptest.NewRecorder(), httptest.NewRecorder()
		for _, w := range []*httptest.ResponseRecorder{want, got} {
			w.Header().Set("Link", "<?x>")
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		writeTaggedBody(want, r, appendNotifications(nil, items))
		if err := a.writeList(got, r, who, items); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Body.Bytes(), want.Body.Bytes()) || got.Body.Len() <= largeAnswer {
			t.Errorf("in pieces it is %d bytes long, at once %d", got.Body.Len(), want.Body.Len())
		}
		for _, name := range []string{"ETag", "Content-Length", "Content-Type"} {
			if got, want := got.Header().Get(name), want.Header().Get(name); got != want || got == "" {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		r.Header.Set("If-None-Match", want.Header().Get("ETag"))
		again := httptest.NewRecorder()
		again.Header().Set("Link", "<?x>")
		if err := a.writeList(again, r, who, items); err != nil || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("with its ETag: %d, %d bytes, %v", again.Code, again.Body.Len(), err)
		}
	}
}

// One caller cannot use all the room for large answers, and what does not fit
// is refused. Small answers always fit.
func TestLargeAnswersAtOnce(t *testing.T) {
	t.Parallel()
	a := &api{answers: newAnswers(), rates: new(rates)}
	a.answers.writing = limit.NewBudget(300_000, 500_000)
	jane, john := notifications.User("default/jane"), notifications.User("default/john")
	items := largeItems()[:10] // some 240 kB
	release, err := a.answers.writing.Acquire(t.Context(), jane.String(), 240_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	write := func(who notifications.Identity, items []notifications.Notification) error {
		return a.writeList(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), who, items)
	}
	if err := write(jane, items); !errors.Is(err, notifications.ErrTooMany) {
		t.Errorf("a second answer of one caller: %v", err)
	}
	if err := write(john, items); err != nil {
		t.Errorf("another caller: %v", err)
	}
	other, err := a.answers.writing.Acquire(t.Context(), john.String(), 200_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(notifications.User("default/u7"), items); !errors.Is(err, notifications.ErrUnavailable) {
		t.Errorf("a third caller, without room: %v", err)
	}
	if err := write(jane, page()[:5]); err != nil {
		t.Errorf("a small answer: %v", err)
	}
	release()
	other()
	if err := write(jane, items); err != nil {
		t.Errorf("after a release: %v", err)
	}
}

// A client that does not take its answer is cut off, and its memory is
// released.
func TestSlowReadersAreCutOff(t *testing.T) {
	t.Parallel()
	a := &api{answers: newAnswers(), rates: new(rates)}
	a.answers.pieceTime = 50 * time.Millisecond
	who := notifications.User("default/jane")
	items := slices.Repeat(largeItems(), 20) // some 9 MB
	ended := make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o observation
		r = r.WithContext(withObservation(r.Context(), &o))
		ended <- errors.Join(a.writeList(w, r, who, items), o.err)
	}))
	defer srv.Close()
	conn := dialSmall(t, srv.Listener.Addr().String())
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("the answer ended with %v", err)
	}
	if _, err := a.answers.writing.Acquire(t.Context(), who.String(), writingShare, 0); err != nil {
		t.Errorf("after it ended: %v", err)
	}
}

// dialSmall connects with a small buffer for what it receives.
func dialSmall(t *testing.T, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, set)
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
