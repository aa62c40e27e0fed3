package run

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// built returns the path of a notifyd.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "notifyd")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "../..", "build", "-o", program, "./cmd/notifyd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// A run with few streams on both databases loses none of them.
func TestStream(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		var out strings.Builder
		c.Output = &out
		s := StreamConfig{
			StartConfig: StartConfig{Program: built(t), Rest: 10 * time.Millisecond, Patience: time.Minute},
			Streams:     20, Readers: 5, Stalled: 5, Rate: 100, Time: 200 * time.Millisecond,
		}
		if err := Stream(t.Context(), c, s); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`\| memory of one of 20 idle streams, KiB \| `, `all have resumed within, s \| \d+\.\d\d \| at most 5: `,
			`streams that could not resume \| 0\.00 \|`, `p99 of post to event, ms \| [1-9]\d*\.\d\d \| at most 100: |p99 of post to event, ms \| 0\.[0-9]*[1-9]`,
			`beside 5 readers who do not read, to without \| \d`,
		} {
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("there is no %s in\n%s", want, &out)
			}
		}
	})
}

func TestStreamFails(t *testing.T) {
	t.Parallel()
	c := small(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	s := StreamConfig{StartConfig: StartConfig{Patience: time.Minute}, Streams: 1, Readers: 1, Stalled: 1, Rate: 1, Time: time.Second}
	s.Program = shell(t, "echo no disk >&2; exit 3")
	if err := Stream(t.Context(), c, s); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("it starts: %v", err)
	}
	s.Streams = 1 << 40
	if err := Stream(t.Context(), c, s); err == nil || !strings.Contains(err.Error(), "ulimit -Hn") {
		t.Errorf("so many streams: %v", err)
	}
}
