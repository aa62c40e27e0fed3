package run

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// streamsEach is how many streams come from one address of loopback, which
	// has only so many ports.
	streamsEach = 10_000
	// stalledBuffer is about how much is taken for a reader who does not read.
	stalledBuffer = 4096
	// streamWait is the longest time that streams may take.
	streamWait = time.Minute
	// retryPause is that of a reader whose stream did not begin: the system
	// resets some connections if thousands come at once.
	retryPause = time.Second
	// numbered begins the titles of posts whose way is measured.
	numbered = "post number "
)

// stream is one connection, which may be opened again.
type stream struct {
	request string // without what it continues after
	from    net.IP
	conn    net.Conn
	last    string // the id of the last event
	resumed bool
	counted bool
	arrived []arrival // notifications of posts with a number
}

// arrival says when the post with a number arrived.
type arrival struct {
	post int
	at   time.Time
}

// readers have a stream each.
type readers struct {
	streams []*stream
	stalled bool // they never read
	reading sync.WaitGroup
	failed  atomic.Pointer[error] // why a stream did not begin, the last time
	retries atomic.Int64

	begun, counted, told milestone // streams said hello, told a count; notifications arrived
}

// milestone is reached when enough has been seen.
type milestone struct {
	missing atomic.Int64
	reached chan struct{}
}

// expect sets how often it must be seen.
func (m *milestone) expect(n int) {
	m.missing.Store(int64(n))
	m.reached = make(chan struct{})
}

func (m *milestone) seen() {
	if m.missing.Add(-1) == 0 {
		close(m.reached)
	}
}

// wait returns when a milestone is reached.
func (r *readers) wait(ctx context.Context, m *milestone) error {
	ctx, cancel := context.WithTimeout(ctx, streamWait)
	defer cancel()
	select {
	case <-m.reached:
		return nil
	case <-ctx.Done():
	}
	err := fmt.Errorf("%d events of streams are missing: %w", m.missing.Load(), ctx.Err())
	if failed := r.failed.Load(); failed != nil {
		err = errors.Join(err, *failed)
	}
	return err
}

// open opens all streams at once. Those that were open before continue. Ending
// ctx closes them.
func (r *readers) open(ctx context.Context, address string) {
	r.retries.Store(0)
	r.begun.expect(len(r.streams))
	r.counted.expect(len(r.streams))
	for _, s := range r.streams {
		s.resumed, s.counted = false, false
		r.reading.Go(func() {
			for err := r.follow(ctx, s, address); err != nil && ctx.Err() == nil; err = r.follow(ctx, s, address) {
				r.failed.Store(&err)
				r.retries.Add(1)
				time.Sleep(retryPause)
			}
		})
	}
}

// close ends all streams.
func (r *readers) close() {
	for _, s := range r.streams {
		if s.conn != nil {
			_ = s.conn.Close() // its reader then ends
		}
	}
	r.reading.Wait()
}

// follow opens a stream, and reads it until it ends.
func (r *readers) follow(ctx context.Context, s *stream, address string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: s.from}}
	if r.stalled {
		d.Control = func(_, _ string, c syscall.RawConn) (err error) {
			return errors.Join(c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, stalledBuffer)
			}), err)
		}
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s.conn = conn
	after := ""
	if s.last != "" {
		after = "Last-Event-ID: " + s.last + "\r\n"
	}
	if _, err = conn.Write([]byte(s.request + after + "\r\n")); err != nil || r.stalled {
		r.begun.seen()
		return err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 1<<10)
	if err := readHead(in); err != nil {
		return err
	}
	r.listen(s, bufio.NewReaderSize(httputil.NewChunkedReader(in), 1<<10))
	return nil
}

// readHead reads the head of an answer, which must be 200.
func readHead(in *bufio.Reader) error {
	status, err := in.ReadBytes('\n')
	for line := status; err == nil && len(bytes.TrimSpace(line)) > 0; {
		line, err = in.ReadBytes('\n')
	}
	if err == nil && !bytes.Contains(status, []byte(" 200 ")) {
		err = fmt.Errorf("a stream is answered with %q", bytes.TrimSpace(status))
	}
	return err
}

// listen reads the events of a stream until it ends.
func (r *readers) listen(s *stream, in *bufio.Reader) {
	for event := ""; ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return // the server has ended, or we have closed it
		}
		switch field, value, _ := bytes.Cut(bytes.TrimRight(line, "\n"), []byte(": ")); string(field) {
		case "event":
			event = string(value)
		case "id":
			s.last = string(value)
		case "data":
			r.handle(s, event, value)
		}
	}
}

func (r *readers) handle(s *stream, event string, data []byte) {
	switch {
	case event == "hello":
		s.resumed = bytes.Contains(data, []byte(`"resumed":true`))
		r.begun.seen()
	case event == "count" && !s.counted:
		s.counted = true
		r.counted.seen()
	case event == "notification":
		_, rest, found := bytes.Cut(data, []byte(numbered))
		digits := bytes.IndexByte(rest, '"')
		if number, err := strconv.Atoi(string(rest[:max(0, digits)])); found && err == nil {
			s.arrived = append(s.arrived, arrival{number, time.Now()})
			r.told.seen()
		}
	}
}
