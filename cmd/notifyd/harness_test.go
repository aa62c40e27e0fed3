package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for an event that should come at once.
const patience = 30 * time.Second

// binary is notifyd, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "notifyd-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "notifyd")
		if err := build(binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		status := m.Run()
		if err := goleak.Find(); err != nil && status == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return status
	}())
}

// build builds the program in this directory.
func build(to string, environ ...string) error {
	cmd := exec.Command("go", "build", "-o", to, ".")
	cmd.Env = append(os.Environ(), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// result is the result of a run.
type result struct {
	status         int
	stdout, stderr string
}

// invoke runs notifyd in this process, for commands that end by themselves.
func invoke(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, process{args: args, environ: environ, stdout: &stdout, stderr: &stderr})
	if ctx.Err() != nil {
		t.Fatalf("notifyd %q did not end by itself; it printed %s%s", args, &stdout, &stderr)
	}
	return result{status, stdout.String(), stderr.String()}
}

// refused checks that a run ended with the status, with all the parts on
// standard error and nothing on standard output.
func refused(t *testing.T, r result, status int, parts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("exit status %d, want %d", r.status, status)
	}
	if r.stdout != "" {
		t.Errorf("standard output holds %q", r.stdout)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("standard error lacks %q:\n%s", part, r.stderr)
		}
	}
}

// instance is a notifyd that serves.
type instance struct {
	line   string // printed at the start
	url    string // from the line
	stderr *output
	client *http.Client
	cmd    *exec.Cmd         // nil in this process
	stop   func() (code int) // ends it and returns the exit status
}

// serving starts notifyd in this process, on a free port and with a new
// database unless the arguments say otherwise. It ends with the test, and must
// then exit with 0.
func serving(t *testing.T, args ...string) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stdoutEnd := io.Pipe()
	i := &instance{stderr: newOutput()}
	status := make(chan int, 1)
	go func() {
		code := run(ctx, process{args: withDefaults(t, args), stdout: stdoutEnd, stderr: i.stderr})
		_ = stdoutEnd.Close() // never fails
		status <- code
	}()
	i.stop = sync.OnceValue(func() int { cancel(); return <-status })
	i.started(t, stdout)
	return i
}

// spawn is serving in another process.
func spawn(t *testing.T, args ...string) *instance {
	t.Helper()
	return spawnProgram(t, binary, nil, args...)
}

func spawnProgram(t *testing.T, program string, environ []string, args ...string) *instance {
	t.Helper()
	cmd := exec.Command(program, withDefaults(t, args)...)
	cmd.Env = append(os.Environ(), environ...)
	return spawnCommand(t, cmd)
}

func spawnCommand(t *testing.T, cmd *exec.Cmd) *instance {
	t.Helper()
	i := &instance{cmd: cmd, stderr: newOutput()}
	cmd.Stderr = i.stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.stop = sync.OnceValue(func() int {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		killer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer killer.Stop()
		_ = cmd.Wait() // the exit status is read below
		return cmd.ProcessState.ExitCode()
	})
	i.started(t, stdout)
	return i
}

// started waits for the line printed at the start.
func (i *instance) started(t *testing.T, stdout io.Reader) {
	t.Helper()
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("exit status %d before it served: %s", i.stop(), i.stderr)
	}
	url := regexp.MustCompile(`listens on (\S+),`).FindStringSubmatch(line)
	if url == nil {
		t.Fatalf("the line %q has no URL", line)
	}
	i.line, i.url = line, url[1]
	transport := &http.Transport{}
	i.client = &http.Client{Transport: transport, Timeout: patience}
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines) // until the program ends
		rest <- string(text)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if code := i.stop(); code != 0 && !t.Failed() && i.cmd == nil {
			t.Errorf("exit status %d: %s", code, i.stderr)
		}
		if text := <-rest; text != "" {
			t.Errorf("more than a line on standard output: %q", text)
		}
	})
}

// withDefaults adds a free port and a new SQLite file, unless the arguments set
// these.
func withDefaults(t *testing.T, args []string) []string {
	t.Helper()
	says := func(flag string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return a == flag || strings.HasPrefix(a, flag+"=") })
	}
	args = slices.Clone(args)
	if !says("--listen") {
		args = append(args, "--listen=127.0.0.1:0")
	}
	if !says("--database") {
		args = append(args, "--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	}
	return args
}

// trust makes the client accept a certificate.
func (i *instance) trust(t *testing.T, certificate []byte) {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificate) {
		t.Fatal("no certificate")
	}
	i.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
}

// reply is an answer with its body.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request to a path under the prefix. Headers are "Name: value".
func (i *instance) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := i.try(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// try is do for a server that may be gone.
func (i *instance) try(ctx context.Context, method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, i.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

func (i *instance) get(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return i.do(t, http.MethodGet, path, "", headers...)
}

// post posts to one user.
func (i *instance) post(t *testing.T, user string, headers ...string) reply {
	t.Helper()
	return i.do(t, http.MethodPost, "/notifications", draft(user), headers...)
}

func draft(user string) string {
	return fmt.Sprintf(`{"origin":"test","title":"hello","targetUsers":[%q]}`, user)
}

// want checks the status.
func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// messageID returns the id in the answer to a post.
func (r reply) messageID() (string, error) {
	var body struct {
		MessageID string `json:"messageId"`
	}
	if r.status != http.StatusOK {
		return "", fmt.Errorf("status %d", r.status)
	}
	err := json.Unmarshal([]byte(r.body), &body)
	if err == nil && body.MessageID == "" {
		err = errors.New("there is no id")
	}
	return body.MessageID, err
}

// ids returns the ids of a list.
func (r reply) ids(t *testing.T) []string {
	t.Helper()
	var items []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(r.want(t, http.StatusOK).body), &items); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.ID
	}
	return ids
}

// output collects the output of a program that is still running.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed when there is more output
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait waits until part was printed.
func (o *output) wait(t *testing.T, part string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		text, changed := o.text.String(), o.changed
		o.mu.Unlock()
		if strings.Contains(text, part) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%q was never printed, only:\n%s", part, text)
		}
	}
}

// eventually repeats the check until it succeeds.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !isSo() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// file writes a file and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
