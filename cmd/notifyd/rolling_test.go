package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// previous is the oldest commit whose notifyd must go on reading on the tables of
// this one. When you raise it, say so in the changelog.
const previous = "9fce2f2c7d2a3c86754c6b29bbc3867935cb7659"

// buildPrevious builds notifyd of that commit.
func buildPrevious(t *testing.T) (program string) {
	t.Helper()
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, err := exec.CommandContext(t.Context(), "git", "-C", root, "archive", previous).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		missing := fmt.Sprintf("needs git and the commit %s, which a shallow clone lacks: %v", previous, err)
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing) // a clone without history; continuous integration has all of it
	}
	untar := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	untar.Stdin = bytes.NewReader(source)
	program = filepath.Join(dir, "notifyd")
	compile := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(dir, "cmd", "notifyd"), "-buildvcs=false", "-o", program, ".")
	for _, cmd := range []*exec.Cmd{untar, compile} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return program
}

// errUnavailable is an answer of status 503.
var errUnavailable = errors.New("status 503")

// ask returns the answer to a request of the guest, which must be 200, or 503 as
// an error.
func (i *instance) ask(method, path, body string) (reply, error) {
	answer, err := i.try(context.Background(), method, path, body) // so that a started request is finished
	switch {
	case err != nil:
		return answer, fmt.Errorf("%s %s: %w", method, path, err)
	case answer.status == http.StatusServiceUnavailable:
		return answer, fmt.Errorf("%s %s: %w", method, path, errUnavailable)
	case answer.status != http.StatusOK:
		return answer, fmt.Errorf("%s %s: status %d: %s", method, path, answer.status, answer.body)
	}
	return answer, nil
}

// write posts to the guest and marks the post as read. It returns the id, unless
// the mark failed.
func (i *instance) write() (id string, err error) {
	answer, err := i.ask(http.MethodPost, "/notifications", draft(guestRef))
	if err != nil {
		return "", err
	}
	if id, err = answer.messageID(); err != nil {
		return "", fmt.Errorf("post: %w: %s", err, answer.body)
	}
	if _, err := i.ask(http.MethodPut, "/notifications/read?read=true&messageId="+id, ""); err != nil {
		return "", err
	}
	return id, nil
}

// read lists, counts and gets one of the guest's notifications.
func (i *instance) read(id string) error {
	for _, path := range []string{"/notifications/" + id, "/notifications?read=true", "/notifications/count?read=true", "/notifications/status"} {
		if _, err := i.ask(http.MethodGet, path, ""); err != nil {
			return err
		}
	}
	return nil
}

// use has two clients write and read until enough is closed. Once a write is
// answered 503, all must be, and reads still work. It returns the ids of all that
// was posted and marked, and whether the writes ended.
func (i *instance) use(t *testing.T, first string, enough <-chan struct{}) (posted []string, ended bool) {
	t.Helper()
	var mu sync.Mutex
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			refused := false
			for more := true; more; {
				id, err := i.write()
				switch {
				case errors.Is(err, errUnavailable):
					refused = true
				case err != nil:
					t.Error(err)
					return
				case refused:
					t.Errorf("%s was written after others were refused", id)
				}
				if err := i.read(first); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if ended = ended || refused; err == nil {
					posted = append(posted, id)
				}
				mu.Unlock()
				select {
				case <-enough:
					more = false
				default:
				}
			}
		})
	}
	load.Wait()
	return posted, ended
}

// While this notifyd migrates the tables and serves, the previous one goes on
// reading. Its writes would not be in the log of changes, and so are refused.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	program := buildPrevious(t)
	t.Run("on", func(t *testing.T) {
		databases(t, func(t *testing.T, database string) { rollUpgrade(t, program, database) })
	})
}

func rollUpgrade(t *testing.T, program, database string) {
	before := spawnProgram(t, program, nil, database)
	first, err := before.write()
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		posted []string
		ended  bool
	}
	enough, results := make(chan struct{}), make(chan result, 1)
	go func() {
		posted, ended := before.use(t, first, enough)
		results <- result{posted, ended}
	}()
	end := sync.OnceValue(func() result { close(enough); return <-results })
	defer end()

	after := spawn(t, database)
	posted := []string{first}
	for range 10 {
		id, err := after.write()
		if err != nil {
			t.Fatal(err)
		}
		posted = append(posted, id)
	}
	of := end()
	if posted = append(posted, of.posted...); !of.ended {
		t.Error("the previous one still writes")
	}
	again := spawnProgram(t, program, nil, database)
	after.get(t, "/readyz").want(t, http.StatusOK)
	for name, old := range map[string]*instance{"the previous one": before, "the previous one, again": again} {
		refusesWrites(t, name, old, first)
		if err := old.read(first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, i := range map[string]*instance{"the previous one": before, "this one": after, "the previous one, again": again} {
		ids := i.get(t, "/notifications?pageNumber=0&pageSize=0").ids(t)
		for _, id := range posted {
			if !slices.Contains(ids, id) {
				t.Errorf("%s does not list %s", name, id)
			}
		}
	}
}

// refusesWrites checks that everything that would write is answered 503.
func refusesWrites(t *testing.T, name string, i *instance, id string) {
	t.Helper()
	for _, w := range []struct{ method, path, body string }{
		{http.MethodPost, "/notifications", draft(guestRef)},
		{http.MethodPost, "/notifications", `{"origin":"test","title":"t","targetUsers":["default/guest"],"scope":"s"}`},
		{http.MethodPut, "/notifications/read?read=false&messageId=" + id, ""},
		{http.MethodPut, "/notifications/state", `{"ids":["` + id + `"],"saved":true}`},
		{http.MethodPut, "/notifications/state", `{"filter":{},"archived":true}`},
		{http.MethodDelete, "/notifications/" + id, ""},
	} {
		if _, err := i.ask(w.method, w.path, w.body); !errors.Is(err, errUnavailable) {
			t.Errorf("%s: %s %s: %v, want status 503", name, w.method, w.path, err)
		}
	}
}
