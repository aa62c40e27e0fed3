package measure

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values  []float64
		p, want float64
	}{
		{nil, 0.5, 0}, {[]float64{7}, 0.99, 7}, {[]float64{9, 1, 5}, 0.5, 5}, {[]float64{4, 1, 2, 9}, 0.5, 3}, {[]float64{4, 1, 2, 9}, 1, 9}, {[]float64{0, 100}, 0.99, 99},
	} {
		if got := Percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile %v of %v is %v, want %v", c.p, c.values, got, c.want)
		}
	}
}

// Contenders take turns, in an order that changes, and share the times of an
// operation. The first error ends all.
func TestMeasure(t *testing.T) {
	t.Parallel()
	var turns []string
	failing := false
	contender := func(name string) Contender {
		return Contender{name, func(context.Context, *Operation) (func(int) error, func(), error) {
			turns = append(turns, name)
			return func(i int) error {
				if failing {
					return errors.New("no more")
				}
				return nil
			}, func() {}, nil
		}}
	}
	e := &Entry{Operation: &Operation{Title: "op", Period: 1}, Contenders: []Contender{contender("floor"), contender("other")}}
	plan := Plan{Concurrency: 1, Rounds: 2, Operations: 20, Until: time.Now().Add(time.Hour)}
	rounds, err := plan.Measure(t.Context(), []*Entry{e})
	want := []string{"floor", "other", "floor", "floor", "other", "other", "other", "other", "floor", "floor"}
	if err != nil || rounds != 2 || !slices.Equal(turns, want) || e.next.Load() < 2*2*20 {
		t.Errorf("%d rounds, turns %q, done %d times, %v", rounds, turns, e.next.Load(), err)
	}
	if r := e.Result(); r.Contenders[1].Operations != 40 || r.Contenders[1].ToFloor.Min <= 0 || r.Contenders[0].ToFloor.Max != 1 {
		t.Errorf("the result is %+v", r)
	}
	plan.Until = time.Time{} // the first round is always done
	if rounds, err := plan.Measure(t.Context(), []*Entry{e}); err != nil || rounds != 1 {
		t.Errorf("%d rounds, %v", rounds, err)
	}
	failing = true
	if _, err := plan.Measure(t.Context(), []*Entry{e}); err == nil || err.Error() != "floor: op: no more" {
		t.Errorf("measured: %v", err)
	}
}

// scripted is a connection on which each line is answered with the next answer.
func scripted(t *testing.T, answers ...string) *wire {
	t.Helper()
	client, remote := net.Pipe()
	t.Cleanup(func() { _ = client.Close(); _ = remote.Close() })
	go func() {
		in := bufio.NewReader(remote)
		for _, answer := range answers {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			_, _ = remote.Write([]byte(answer)) // a test that ended does not read
		}
		_ = remote.Close()
	}()
	return &wire{conn: client, in: bufio.NewReader(client), stop: func() bool { return true }}
}

func TestWire(t *testing.T) {
	t.Parallel()
	w := scripted(t,
		"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX: y\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
	)
	for i := range 4 {
		if err := w.do([]byte("GET\n")); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	if w.conn != nil {
		t.Error("the connection is kept although the server closes it")
	}
	for _, c := range []struct{ answer, want string }{
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", "404 Not Found"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "EOF"},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid syntax"},
		{"HTTP/1.1 200 OK\r\nContent-", "EOF"},
	} {
		w := scripted(t, c.answer)
		if err := w.do([]byte("GET\n")); err == nil || !strings.Contains(err.Error(), c.want) || w.conn != nil {
			t.Errorf("%q: %v, want %q", c.answer, err, c.want)
		}
	}
}

// A connection that the server closed is opened again; one that never answers
// ends with the context.
func TestClient(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/wait" {
			close(waits)
			<-r.Context().Done()
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		w.Header().Set("Connection", "close")
	}))
	defer server.Close()
	tokens := map[string]string{"jane": "secret"}
	c, err := NewClient(server.URL+"/api/", func(user string) (string, error) { return tokens[user], nil })
	if err != nil {
		t.Fatal(err)
	}
	worker := func(ctx context.Context, call Call) func(int) error {
		t.Helper()
		do, done, err := c.worker(ctx, &Operation{Period: 1, Request: func(int) Call { return call }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		return do
	}
	do := worker(t.Context(), Call{User: "jane", Method: "GET", Target: "/notifications"})
	for i := range 3 {
		if err := do(i); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if err := worker(t.Context(), Call{Method: "POST", Body: 1})(0); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waits; cancel() }()
	if err := worker(ctx, Call{Method: "GET", Target: "/wait"})(0); err == nil {
		t.Error("there was an answer")
	}
	if _, err := NewClient("ftp://h", nil); err == nil {
		t.Error("a client for FTP is one")
	}
}
