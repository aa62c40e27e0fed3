package measure

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications/bench/report"
)

// wireTimeout is how long a slice of requests may take.
const wireTimeout = 2 * time.Minute

// Call is a request that is made over and over.
type Call struct {
	User   string // who asks; empty is the poster
	Method string // of HTTP
	Target string // path and query, after the prefix of the API
	Body   any    // is sent as JSON; nil sends none
}

// Client is the contender over HTTP. Client and server share the machine, so it
// does as little as it can: requests are bytes made beforehand, each goroutine
// has a connection, and of an answer only what tells its end is looked at. Its
// methods are not to be called concurrently.
type Client struct {
	base  *url.URL
	token func(user string) (string, error)
	calls map[*Operation][][]byte
}

// NewClient makes requests of the API at a URL, with the tokens of users. An
// empty token is not sent.
func NewClient(base string, token func(user string) (string, error)) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the URL is not of the form http://host:port/api/notifications")
	}
	return &Client{base: u, token: token, calls: map[*Operation][][]byte{}}, nil
}

// Contender is the client as a contender.
func (c *Client) Contender() Contender { return Contender{report.HTTP, c.worker} }

func (c *Client) worker(ctx context.Context, op *Operation) (func(int) error, func(), error) {
	for i := len(c.calls[op]); i < op.Period; i++ {
		request, err := c.bytes(op.Request(i))
		if err != nil {
			return nil, nil, err
		}
		c.calls[op] = append(c.calls[op], request)
	}
	calls, w := c.calls[op], &wire{}
	if err := w.dial(ctx, c.base); err != nil {
		return nil, nil, err
	}
	do := func(i int) error {
		if w.conn == nil { // the server wanted it closed
			if err := w.dial(ctx, c.base); err != nil {
				return err
			}
		}
		return w.do(calls[i%len(calls)])
	}
	return do, w.close, nil
}

// Do makes one request outside of what is measured, and returns the headers and
// the body of the answer, which must be 200.
func (c *Client) Do(ctx context.Context, call Call) (http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, call.Method, c.base.String()+call.Target, nil)
	if err != nil {
		return nil, nil, err
	}
	token, err := c.token(call.User)
	if err != nil {
		return nil, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := setupClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s is answered with %s: %s", call.Method, call.Target, answer.Status, body)
	}
	return answer.Header, body, err
}

// setupClient goes where the measured requests go, past any proxy, and keeps no
// connection.
var setupClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// bytes are a request as it goes over the wire.
func (c *Client) bytes(call Call) ([]byte, error) {
	token, err := c.token(call.User)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", call.Method, c.base.Path, call.Target, c.base.Host)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	if call.Body == nil {
		b.WriteString("Content-Length: 0\r\n\r\n")
		return b.Bytes(), nil
	}
	body, err := json.Marshal(call.Body)
	fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes(), err
}

// wire is one connection.
type wire struct {
	conn net.Conn // nil when it is closed
	in   *bufio.Reader
	stop func() bool
}

func (w *wire) dial(ctx context.Context, to *url.URL) (err error) {
	var conn net.Conn
	if to.Scheme == "https" {
		conn, err = new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), "443")))
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), "80")))
	}
	if err != nil {
		return err
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	w.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // a read that waits ends
	return conn.SetDeadline(time.Now().Add(wireTimeout))
}

func (w *wire) close() {
	if w.conn != nil {
		w.stop()
		_ = w.conn.Close() // nothing is in flight, or an error says it
		w.conn = nil
	}
}

// do makes one request and reads the whole answer, which must be a success.
func (w *wire) do(request []byte) error {
	keep := false
	_, err := w.conn.Write(request)
	if err == nil {
		keep, err = w.answer()
	}
	if err != nil || !keep {
		w.close()
	}
	return err
}

// answer reads a response (RFC 9112) as far as it is needed to know its end.
func (w *wire) answer() (keep bool, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 2")) {
		return false, fmt.Errorf("answered with %q", bytes.TrimSpace(line))
	}
	length, chunked := int64(0), false
	for keep = true; ; {
		if line, err = w.in.ReadSlice('\n'); err != nil {
			return false, err
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 0 && chunked:
			if _, err = io.Copy(io.Discard, httputil.NewChunkedReader(w.in)); err == nil {
				_, err = w.in.ReadSlice('\n') // after the last chunk; there are no trailers unless asked for
			}
			return keep, err
		case len(name) == 0:
			_, err = w.in.Discard(int(length))
			return keep, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return false, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			keep = !bytes.EqualFold(value, []byte("close"))
		}
	}
}
