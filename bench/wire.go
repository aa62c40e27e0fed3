package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// wireTimeout is how long a whole slice of requests may take beyond its time.
const wireTimeout = 2 * time.Minute

// httpContender makes requests. Client and server share the machine, so the
// client does as little as it can: requests are bytes made beforehand, a
// connection is kept for each goroutine, and of an answer only what tells its
// status and its end is looked at. BenchmarkClient holds it against net/http's.
type httpContender struct {
	base   *url.URL
	tokens map[string]string // by user; "" is the poster
	calls  map[*operation][][]byte
	idle   chan *wire // connections kept from slice to slice
}

// setupClient makes the requests that are not measured. It goes where those
// that are go, past any proxy, and keeps nothing open.
var setupClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// maxIdle is more connections than anybody measures with.
const maxIdle = 4096

func newHTTPContender(base string, tokens map[string]string) (*httpContender, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, usagef("--url: is not of the form http://host:port/api/notifications")
	}
	return &httpContender{base: u, tokens: tokens, calls: map[*operation][][]byte{}, idle: make(chan *wire, maxIdle)}, nil
}

func (c *httpContender) name() string { return httpName }

func (c *httpContender) close() error {
	for {
		select {
		case w := <-c.idle:
			_ = w.conn.Close() // nothing is in flight
		default:
			return nil
		}
	}
}

// offers asks the server what methods the path of the operation takes.
func (c *httpContender) offers(ctx context.Context, op *operation) (bool, error) {
	if op.request == nil {
		return false, nil
	}
	first := op.request(0)
	path, _, _ := strings.Cut(first.target, "?")
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, c.base.String()+path, nil)
	if err != nil {
		return false, err
	}
	answer, err := setupClient.Do(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	for method := range strings.SplitSeq(answer.Header.Get("Allow"), ",") {
		if strings.TrimSpace(method) == first.method {
			return true, nil
		}
	}
	return false, nil
}

func (c *httpContender) worker(ctx context.Context, op *operation) (func(int) error, func(), error) {
	calls := c.calls[op]
	if calls == nil {
		calls = c.requests(op)
		c.calls[op] = calls
	}
	w, err := c.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	do := func(i int) error {
		if w.conn == nil { // the server wanted it closed
			if w.conn, err = c.dial(ctx); err != nil {
				return err
			}
			w.in.Reset(w.conn)
		}
		return w.do(calls[i%len(calls)])
	}
	conn := w.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // a read that waits ends, too
	return do, func() { stop(); c.keep(w) }, nil
}

// requests are those of an operation as they go over the wire.
func (c *httpContender) requests(op *operation) [][]byte {
	calls := make([][]byte, op.period)
	for i := range calls {
		calls[i] = c.request(op.request(i))
	}
	return calls
}

func (c *httpContender) request(r call) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", r.method, c.base.Path, r.target, c.base.Host)
	if token := c.tokens[r.user]; token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	body := encoded(r.body)
	if body != nil {
		b.WriteString("Content-Type: application/json\r\n")
	}
	if r.method != http.MethodGet {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

func (c *httpContender) connect(ctx context.Context) (*wire, error) {
	select {
	case w := <-c.idle:
		return w, w.conn.SetDeadline(time.Now().Add(wireTimeout))
	default:
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *httpContender) dial(ctx context.Context) (net.Conn, error) {
	port := c.base.Port()
	var conn net.Conn
	var err error
	if c.base.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		conn, err = new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	} else {
		if port == "" {
			port = "80"
		}
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	}
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(wireTimeout))
}

// keep puts a connection aside, unless it is closed.
func (c *httpContender) keep(w *wire) {
	if w.conn == nil {
		return
	}
	select {
	case c.idle <- w:
	default:
		_ = w.conn.Close() // there are enough
	}
}

// wire is one connection.
type wire struct {
	conn net.Conn // nil when it was closed
	in   *bufio.Reader
}

// do makes one request and reads the whole answer, which must be a success.
func (w *wire) do(request []byte) error {
	_, err := w.conn.Write(request)
	if err == nil {
		err = w.answer()
	}
	if err != nil && w.conn != nil {
		_ = w.conn.Close() // the error says it
		w.conn = nil
	}
	return err
}

// answer reads a response (RFC 9112) as far as our server makes use of it.
func (w *wire) answer() error {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	const statusAt, statusEnd = len("HTTP/1.1 "), len("HTTP/1.1 200")
	if len(line) < statusEnd {
		return fmt.Errorf("not an answer of HTTP: %q", line)
	}
	status := string(line[statusAt:statusEnd])
	length, chunked, closing := int64(0), false, false
	for {
		if line, err = w.in.ReadSlice('\n'); err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, rest, _ := bytes.Cut(line, []byte(":"))
		rest = bytes.TrimSpace(rest)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(rest), 10, 64); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			closing = bytes.EqualFold(rest, []byte("close"))
		}
	}
	return w.body(status, length, chunked, closing)
}

func (w *wire) body(status string, length int64, chunked, closing bool) error {
	body := io.LimitReader(w.in, length)
	if chunked {
		body = httputil.NewChunkedReader(w.in)
	}
	if status[0] != '2' {
		text, _ := io.ReadAll(io.LimitReader(body, 1000))
		return fmt.Errorf("answered with status %s: %s", status, text)
	}
	if chunked {
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if _, err := w.in.ReadSlice('\n'); err != nil { // after the last chunk; we ask for no trailers
			return err
		}
	} else if n, err := w.in.Discard(int(length)); err != nil {
		return fmt.Errorf("the answer ended after %d of %d bytes: %w", n, length, err)
	}
	if closing {
		err := w.conn.Close()
		w.conn = nil
		return err
	}
	return nil
}
