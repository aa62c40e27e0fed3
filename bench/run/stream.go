package run

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/report"
)

// StreamConfig says how [Stream] measures.
type StreamConfig struct {
	StartConfig
	Streams int           // that are idle, and reconnect
	Readers int           // who follow posts
	Stalled int           // readers who never read
	Rate    int           // posts a second that are followed, half of them to everybody
	Time    time.Duration // of each measurement of posts
}

const (
	posters     = 16
	restartRate = 100 // posts a second around a restart, to one user each
	// Those who do not read are given so much first; it is more than the system
	// takes for them.
	stalledPosts, stalledBytes = 60, 60_000
	// stalledPause is for what the system takes; with stalledTime it is less
	// than notifyd waits for a reader.
	stalledPause  = 3 * time.Second
	stalledTime   = 4 * time.Second
	stalledRounds = 3
	// otherFiles is what a process opens besides streams.
	otherFiles = 200
)

// streaming is a notifyd that is started again, and what was measured of it.
type streaming struct {
	StreamConfig
	args   []string
	signer *server // of tokens

	cmd    *exec.Cmd
	stderr bytes.Buffer
	url    *url.URL // the same after a restart
	client *measure.Client
	rows   []string
}

// Stream measures the streams of the notifyd at a path, and prints what it
// found. It needs /proc, as Linux has it.
func Stream(ctx context.Context, c Config, s StreamConfig) (err error) {
	dir, err := os.MkdirTemp("", "notifybench-stream-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := fill.Find(ctx, c.Database, c.Server, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Drop(ctx)) }()
	database := db.URL
	if database == "" {
		database = c.Database
	}
	m := &streaming{StreamConfig: s}
	if err := m.prepare(dir, database); err != nil {
		return err
	}
	err = m.measure(ctx)
	m.kill()
	if err != nil {
		return fmt.Errorf("stream: %w\n%s", err, m.stderr.Bytes()[max(0, m.stderr.Len()-2000):])
	}
	kind, _, _ := strings.Cut(database, ":")
	fmt.Fprintf(c.Output, "\n%s, %s. %d streams; posts for %v by %d at once, %d readers, %d who do not read.\n\n| | | promise |\n|---|--:|---|\n%s\n",
		report.Machine(), kind, m.Streams, m.Time, posters, m.Readers, m.Stalled, strings.Join(m.rows, "\n"))
	return nil
}

// prepare makes the key of the tokens and the arguments of notifyd.
func (m *streaming) prepare(dir, database string) error {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if most := int(files.Max) - otherFiles; max(m.Streams, m.Readers, m.Stalled) > most {
		return fmt.Errorf("a process may have %d files open (ulimit -Hn), which is enough for %d streams", files.Max, most)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	keys, err := keySet(key)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "keys.json")
	m.signer = &server{key: key}
	m.args = []string{
		"--database=" + database, "--open-catalog", "--jwks-url=file:" + file, "--jwt-issuer=" + issuer, "--jwt-audience=" + audience,
		"--rate-limits=reads-at-once=4,writes-at-once=8", "--log-level=warn", fmt.Sprintf("--stream-max=%d", max(m.Streams, m.Readers, m.Stalled)),
	}
	return os.WriteFile(file, keys, 0o600)
}

// start starts notifyd, where it listened before.
func (m *streaming) start(ctx context.Context) error {
	listen := "127.0.0.1:0"
	if m.url != nil {
		listen = m.url.Host
	}
	m.cmd = exec.CommandContext(ctx, m.Program, append(m.args, "--listen="+listen)...)
	m.cmd.Stderr, m.cmd.WaitDelay = &m.stderr, m.Patience
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n') // what is missing then says it
	found := listensOn.FindStringSubmatch(line)
	if found == nil {
		return fmt.Errorf("it does not say where it listens, but %q", line)
	}
	if m.url, err = url.Parse(found[1]); err != nil {
		return err
	}
	poster, err := m.signer.token("")
	if err == nil {
		m.client, err = measure.NewClient(found[1], func(string) (string, error) { return poster, nil })
	}
	return err
}

// kill ends notifyd without a warning.
func (m *streaming) kill() {
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill() // has ended otherwise
		_ = m.cmd.Wait()         // says that we killed it
	}
	m.cmd = nil
}

func (m *streaming) measure(ctx context.Context) error {
	if err := m.start(ctx); err != nil {
		return err
	}
	if err := m.measureIdle(ctx); err != nil {
		return err
	}
	if err := m.measurePosts(ctx); err != nil {
		return err
	}
	return m.measureStalled(ctx)
}

// row notes a value, with what is promised unless that is zero.
func (m *streaming) row(title string, value float64, atMost bool, bound float64) {
	verdict := ""
	if bound != 0 {
		verdict = report.Verdict(value, atMost, bound)
	}
	m.rows = append(m.rows, fmt.Sprintf("| %s | %.2f | %s |", title, value, verdict))
}

// readers are n, each another user.
func (m *streaming) readers(n int) (*readers, error) {
	r := &readers{}
	for i := range n {
		user := streamUser(i)
		token, err := m.signer.token(user)
		if err != nil {
			return nil, err
		}
		r.streams = append(r.streams, &stream{
			from:    net.IPv4(127, 0, 0, byte(2+i/streamsEach)),
			request: fmt.Sprintf("GET %s/notifications/stream?messageScope=all HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", m.url.Path, m.url.Host, token),
		})
	}
	return r, nil
}

func streamUser(i int) string { return fmt.Sprintf("bench/reader-%05d", i) }

// measureIdle opens many streams, kills notifyd, and starts it again.
func (m *streaming) measureIdle(ctx context.Context) error {
	started := StartConfig{Rest: min(m.Rest, 2*time.Second)}
	before, err := started.residentAtRest(ctx, m.cmd.Process.Pid)
	if err != nil {
		return err
	}
	r, err := m.readers(m.Streams)
	if err != nil {
		return err
	}
	defer r.close()
	first, _, err := m.open(ctx, r)
	if err != nil {
		return err
	}
	idle, err := m.residentAtRest(ctx, m.cmd.Process.Pid)
	if err != nil {
		return err
	}
	m.row(fmt.Sprintf("memory of one of %d idle streams, KiB", m.Streams), (idle-before)*1024/float64(m.Streams), true, 32)
	m.row("all begin at once within, s", first.Seconds(), true, 0)

	toOne := func(i int) []string { return []string{streamUser(i * 7919 % m.Streams)} }
	usual, err := m.paced(ctx, restartRate, int(m.Time.Seconds()*restartRate), toOne)
	if err != nil {
		return err
	}
	m.kill()
	r.reading.Wait()
	if err := m.start(ctx); err != nil {
		return err
	}
	posting, stop := context.WithCancel(ctx)
	defer stop()
	var meanwhile *pacing
	var posted error
	var wg sync.WaitGroup
	wg.Go(func() {
		meanwhile, posted = m.paced(posting, restartRate, int(streamWait.Seconds()*restartRate), toOne)
	})
	resumed, counted, err := m.open(ctx, r)
	stop()
	wg.Wait()
	if err := errors.Join(err, posted); err != nil {
		return err
	}
	fresh := 0
	for _, s := range r.streams {
		if !s.resumed {
			fresh++
		}
	}
	m.row("killed and started again, all have resumed within, s", resumed.Seconds(), true, 5)
	m.row("connections that the system reset", float64(r.retries.Load()), true, 0)
	m.row("streams that could not resume", float64(fresh), true, 0)
	m.row("all have a count within, s", counted.Seconds(), true, 0)
	m.row(fmt.Sprintf("p99 of %d posts meanwhile, ms", len(meanwhile.latencies())), measure.Percentile(meanwhile.latencies(), 0.99), true, 0)
	m.row("to that before", measure.Percentile(meanwhile.latencies(), 0.99)/measure.Percentile(usual.latencies(), 0.99), true, 2)
	return nil
}

// open opens all streams at once, and returns after what time all had begun, and
// all had told a count.
func (m *streaming) open(ctx context.Context, r *readers) (begun, counted time.Duration, err error) {
	since := time.Now()
	r.open(ctx, m.url.Host)
	if err := r.wait(ctx, &r.begun); err != nil {
		return 0, 0, err
	}
	begun = time.Since(since)
	if r.stalled {
		return begun, 0, nil
	}
	err = r.wait(ctx, &r.counted)
	return begun, time.Since(since), err
}

// measurePosts has readers follow posts.
func (m *streaming) measurePosts(ctx context.Context) error {
	r, err := m.readers(m.Readers)
	if err != nil {
		return err
	}
	defer r.close()
	if _, _, err := m.open(ctx, r); err != nil {
		return err
	}
	n := int(m.Time.Seconds() * float64(m.Rate))
	r.told.expect(n/2*m.Readers + n - n/2)
	p, err := m.paced(ctx, m.Rate, n, func(i int) []string {
		if i%2 == 1 {
			return nil
		}
		return []string{streamUser(i / 2 % m.Readers)}
	})
	if err != nil {
		return err
	}
	if err := r.wait(ctx, &r.told); err != nil {
		return err
	}
	r.close()
	var sent, answered []float64
	for _, s := range r.streams {
		for _, a := range s.arrived {
			sent = append(sent, measure.Milliseconds(a.at.Sub(p.posts[a.post].sent)))
			answered = append(answered, max(0, measure.Milliseconds(a.at.Sub(p.posts[a.post].answered))))
		}
	}
	title := fmt.Sprintf("at %d posts/s, half to everybody, %d readers: ", m.Rate, m.Readers)
	m.row(title+"p50 of post to event, ms", measure.Percentile(sent, 0.5), true, 0)
	m.row("p99 of post to event, ms", measure.Percentile(sent, 0.99), true, 100)
	m.row("p99 of the answer of the post to event, ms", measure.Percentile(answered, 0.99), true, 0)
	m.row("p99 of the posts, ms", measure.Percentile(p.latencies(), 0.99), true, 0)
	return nil
}

// measureStalled compares posts without and beside readers who do not read.
func (m *streaming) measureStalled(ctx context.Context) error {
	op := m.posts("posts", 512, "a post of usual length", func(i int) []string {
		if i%64 == 0 {
			return nil
		}
		return []string{streamUser(m.Stalled + i)}
	})
	plan := measure.Plan{Concurrency: posters, Slice: min(m.Time, stalledTime)}
	var rates, tails []float64
	for range stalledRounds {
		alone, err := plan.Do(ctx, m.client.Contender(), op)
		if err != nil {
			return err
		}
		beside, err := m.besideStalled(ctx, plan, op)
		if err != nil {
			return err
		}
		rates = append(rates, float64(len(beside))/float64(len(alone)))
		tails = append(tails, measure.Percentile(beside, 0.99)/measure.Percentile(alone, 0.99))
	}
	m.row(fmt.Sprintf("posts/s beside %d readers who do not read, to without", m.Stalled), measure.Percentile(rates, 0.5), false, 0.9)
	m.row("p99 of these posts, to without", measure.Percentile(tails, 0.5), true, 0)
	return nil
}

func (m *streaming) besideStalled(ctx context.Context, plan measure.Plan, op *measure.Operation) ([]float64, error) {
	r, err := m.readers(m.Stalled)
	if err != nil {
		return nil, err
	}
	r.stalled = true
	defer r.close()
	if _, _, err := m.open(ctx, r); err != nil {
		return nil, err
	}
	full := m.posts("posts", stalledPosts, strings.Repeat("x", stalledBytes), func(int) []string { return nil })
	once := measure.Plan{Concurrency: 1, Operations: stalledPosts}
	if _, err := once.Do(ctx, m.client.Contender(), full); err != nil {
		return nil, err
	}
	select {
	case <-time.After(stalledPause):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return plan.Do(ctx, m.client.Contender(), op)
}

// posts are n posts, whose titles have numbers. To returns whom one is for; nil is
// everybody.
func (m *streaming) posts(title string, n int, message string, to func(i int) []string) *measure.Operation {
	return &measure.Operation{Title: title, Period: n, Request: func(i int) measure.Call {
		body := map[string]any{"origin": "ci", "title": fmt.Sprint(numbered, i), "message": message}
		if users := to(i); users != nil {
			body["targetUsers"] = users
		}
		return measure.Call{Method: "POST", Target: "/notifications", Body: body}
	}}
}

// pacing is posts at a steady rate, however long each takes.
type pacing struct{ posts []pacedPost }

type pacedPost struct{ due, sent, answered time.Time }

// latencies are those of the posts, from when they were due, in milliseconds.
func (p *pacing) latencies() (ms []float64) {
	for _, post := range p.posts {
		if !post.answered.IsZero() {
			ms = append(ms, measure.Milliseconds(post.answered.Sub(post.due)))
		}
	}
	return ms
}

// paced posts n messages, so many a second, until ctx ends.
func (m *streaming) paced(ctx context.Context, rate, n int, to func(i int) []string) (*pacing, error) {
	op := m.posts("posts", n, "A message of usual length: see the log for what each step did and how long it took.", to)
	p := &pacing{posts: make([]pacedPost, n)}
	var workers [posters]func(int) error
	for k := range workers {
		do, done, err := m.client.Contender().Worker(context.WithoutCancel(ctx), op)
		if err != nil {
			return nil, err
		}
		defer done()
		workers[k] = do
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for _, do := range workers {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				post := &p.posts[i]
				post.due = began.Add(time.Duration(i) * time.Second / time.Duration(rate))
				select {
				case <-time.After(time.Until(post.due)):
				case <-ctx.Done():
					return
				}
				post.sent = time.Now()
				if err := do(i); err != nil {
					failed.Store(&err)
					return
				}
				post.answered = time.Now()
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return p, nil
}
