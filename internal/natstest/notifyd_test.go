package natstest

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// output is what a program printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// notifyd connects to NATS with user and password, goes on without it and
// connects again, and its log has no password.
func TestNotifyd(t *testing.T) {
	program := filepath.Join(t.TempDir(), "notifyd")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", program, "./cmd/notifyd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	options := server.Options{Port: -1, Username: "jane", Password: "confidential"}
	s := start(t, options)
	address := s.Addr().String()
	log := &output{}
	cmd := exec.Command(program, "--listen=127.0.0.1:0", "--database=sqlite:"+filepath.Join(t.TempDir(), "x.db"), "--bell=nats://jane:confidential@"+address)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("notifyd: %v\n%s", err, log)
		}
		if strings.Contains(log.String(), "confidential") {
			t.Errorf("the password is in the log: %s", log)
		}
	})
	logs := func(part string) {
		t.Helper()
		eventually(t, "the log has "+part, func() bool { return strings.Contains(log.String(), part) })
	}
	logs("the bell is connected to NATS")
	logs("notifyd listens on")
	end(s)
	logs("the bell lost its connection to NATS")
	options.Port = port(address)
	start(t, options)
	logs("the bell is connected to NATS again")
}
