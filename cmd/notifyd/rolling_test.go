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
	"strings"
	"sync"
	"testing"
)

// previous is the oldest commit whose notifyd must work together with this one
// on one database. When you raise it, say so in the changelog.
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

// round posts, marks, lists and counts as the guest, and returns the id of the
// post.
func (i *instance) round() (id string, err error) {
	ctx := context.Background() // so that a started request is finished
	answer, err := i.try(ctx, http.MethodPost, "/notifications", draft(guestRef))
	if err != nil {
		return "", err
	}
	if id, err = answer.messageID(); err != nil {
		return "", fmt.Errorf("post: %w: %s", err, answer.body)
	}
	for _, request := range []struct{ method, path, want string }{
		{http.MethodPut, "/notifications/read?read=true&messageId=" + id, ""},
		{http.MethodGet, "/notifications/" + id, `"readByUser":true`},
		{http.MethodGet, "/notifications?read=true", `"readByUser":true`},
		{http.MethodGet, "/notifications/count?read=true", "count"},
	} {
		answer, err := i.try(ctx, request.method, request.path, "")
		if err == nil && (answer.status != http.StatusOK || !strings.Contains(answer.body, request.want)) {
			err = fmt.Errorf("status %d, want %s in %s", answer.status, request.want, answer.body)
		}
		if err != nil {
			return "", fmt.Errorf("%s %s: %w", request.method, request.path, err)
		}
	}
	return id, nil
}

// use has two clients do rounds until enough is closed, and a minimum number.
// It returns the ids of all posts.
func (i *instance) use(t *testing.T, enough <-chan struct{}) (posted []string) {
	const clients, least = 2, 15
	var mu sync.Mutex
	var load sync.WaitGroup
	for range clients {
		load.Go(func() {
			for n, more := 0, true; more; n++ {
				id, err := i.round()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				posted = append(posted, id)
				mu.Unlock()
				select {
				case <-enough:
					more = n+1 < least
				default:
				}
			}
		})
	}
	load.Wait()
	return posted
}

// The previous notifyd and this one serve on one database at once: before this
// one migrates the tables, and until the previous one has started again.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	program := buildPrevious(t)
	t.Run("on", func(t *testing.T) {
		databases(t, func(t *testing.T, database string) { rollUpgrade(t, program, database) })
	})
}

func rollUpgrade(t *testing.T, program, database string) {
	before := spawnProgram(t, program, nil, database)
	enough, posts := make(chan struct{}), make(chan []string, 1)
	go func() { posts <- before.use(t, enough) }()
	end := sync.OnceValue(func() []string { close(enough); return <-posts })
	defer end()
	before.stderr.wait(t, "operation=getNotificationsCount") // of the first round
	after := spawn(t, database)
	posted := after.use(t, closed())
	posted = append(posted, end()...)
	slices.Sort(posted)

	again := spawnProgram(t, program, nil, database)
	for name, i := range map[string]*instance{"the previous one": before, "this one": after, "the previous one, again": again} {
		i.get(t, "/readyz").want(t, http.StatusOK)
		ids := i.get(t, "/notifications?pageNumber=0&pageSize=0&read=true").ids(t)
		slices.Sort(ids)
		if !slices.Equal(ids, posted) {
			t.Errorf("%s lists %d as read, %d were posted", name, len(ids), len(posted))
		}
	}
	agree(t, after, again)
	agree(t, again, after)
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// agree checks that each instance sees what the other has done.
func agree(t *testing.T, one, other *instance) {
	t.Helper()
	const scope = `{"origin":"test","title":%q,"targetUsers":["default/guest"],"scope":"build"}`
	replaced, err := one.do(t, http.MethodPost, "/notifications", fmt.Sprintf(scope, "one")).messageID()
	if err != nil {
		t.Fatal(err)
	}
	id, err := other.do(t, http.MethodPost, "/notifications", fmt.Sprintf(scope, "other")).messageID()
	if err != nil {
		t.Fatal(err)
	}
	one.get(t, "/notifications/"+replaced).want(t, http.StatusNotFound)
	if n := one.get(t, "/notifications/"+id).want(t, http.StatusOK); !strings.Contains(n.body, `"other"`) {
		t.Errorf("the notification is %s", n.body)
	}
	one.do(t, http.MethodPut, "/notifications/state", `{"ids":["`+id+`"],"saved":true}`).want(t, http.StatusOK)
	if saved := other.get(t, "/notifications?saved=true").ids(t); !slices.Contains(saved, id) {
		t.Errorf("%s was saved, and is not among %q", id, saved)
	}
	other.do(t, http.MethodDelete, "/notifications/"+id, "").want(t, http.StatusNoContent)
	one.get(t, "/notifications/"+id).want(t, http.StatusNotFound)
}
