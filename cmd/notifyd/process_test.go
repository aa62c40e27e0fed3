package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"github.com/notifications-go/notifications/internal/gogc"
)

// databases runs a test on SQLite and on PostgreSQL, with the argument for
// each.
func databases(t *testing.T, body func(t *testing.T, database string)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		body(t, "--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		body(t, "--database="+dbtest.PostgresURL(t))
	})
}

// SIGTERM and SIGINT end the server after it has answered.
func TestGracefulEnd(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			database := "--database=sqlite:" + filepath.Join(t.TempDir(), "test.db")
			i := spawn(t, database)
			conn, finish := i.inFlight(t)
			if err := i.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			i.stderr.wait(t, "requests in flight are finished")
			eventually(t, "no more connections are taken", func() bool {
				c, err := net.Dial("tcp", conn.RemoteAddr().String())
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			})
			id, err := finish().messageID()
			if err != nil {
				t.Fatal(err)
			}
			_ = i.cmd.Wait() // the exit status is read below
			if code := i.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit status %d: %s", code, i.stderr)
			}
			if ids := spawn(t, database).get(t, "/notifications").ids(t); !slices.Equal(ids, []string{id}) {
				t.Errorf("stored are %q, not %q", ids, id)
			}
		})
	}
}

// A second signal ends the process at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	i := spawn(t, "--shutdown-timeout=1h")
	i.inFlight(t)
	ended := make(chan struct{})
	go func() {
		_ = i.cmd.Wait() // the exit status is read below
		close(ended)
	}()
	eventually(t, "a signal ends it", func() bool {
		_ = i.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if status := i.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		t.Errorf("it ended with %v", i.cmd.ProcessState)
	}
}

// A signal during the start ends the server without an error.
func TestEndWhileStarting(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a PostgreSQL that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	stderr := newOutput()
	status := make(chan int)
	go func() {
		status <- run(ctx, process{args: []string{"--database=postgres://x@" + l.Addr().String() + "/x"}, stdout: stderr, stderr: stderr})
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if code := <-status; code != 0 {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	stderr.wait(t, "stopped while starting")
}

// After the process was killed under load, every acknowledged post is there.
func TestKill(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		const posters, postsEach, killAfter = 8, 25, 100
		i := spawn(t, database)
		var mu sync.Mutex
		var acknowledged []string
		note := func(id string) {
			mu.Lock()
			defer mu.Unlock()
			if acknowledged = append(acknowledged, id); len(acknowledged) == killAfter {
				if err := i.cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		var load sync.WaitGroup
		for range posters {
			load.Go(func() {
				for range postsEach {
					r, err := i.try(context.Background(), http.MethodPost, "/notifications", draft("default/guest"))
					if err != nil {
						return // the server was killed
					}
					id, err := r.messageID()
					if err != nil {
						t.Error(err)
						return
					}
					note(id)
				}
			})
		}
		load.Wait()
		i.stop()
		if status := i.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
			t.Fatalf("it was not killed but ended with %v", i.cmd.ProcessState)
		}

		stored := spawn(t, database).get(t, "/notifications?pageSize=0&pageNumber=0").ids(t)
		for _, id := range acknowledged {
			if !slices.Contains(stored, id) {
				t.Errorf("%s was acknowledged and is lost", id)
			}
		}
		// One post of each poster may be stored without an answer.
		if len(stored) > len(acknowledged)+posters {
			t.Errorf("%d are stored, %d were acknowledged", len(stored), len(acknowledged))
		}
	})
}

// Several servers that start on an empty database at once all start.
func TestStartAtOnce(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, database string) {
		const instances = 4
		lines := make([]*instance, instances)
		t.Run("at once", func(t *testing.T) {
			for n := range instances {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					t.Parallel()
					lines[n] = spawn(t, database)
					lines[n].post(t, "default/guest").want(t, http.StatusOK)
				})
			}
		})
		if ids := spawn(t, database).get(t, "/notifications").ids(t); len(ids) != instances {
			t.Errorf("%d posts are stored, want %d", len(ids), instances)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		start(t, "--database=sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("postgres", func(t *testing.T) { // the database itself is missing
		t.Parallel()
		start(t, "--database="+missingDatabase(t))
	})
}

// missingDatabase returns the URL of a database that can be created. It is
// dropped at the end.
func missingDatabase(t *testing.T) string {
	t.Helper()
	address := dbtest.PostgresURL(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	if _, err := connect(t, dbtest.ServerURL(t)).Exec(t.Context(), "DROP DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return address
}

// The PG* variables complete the URL.
func TestPostgresEnvironment(t *testing.T) {
	t.Parallel()
	const password = "from-the-environment"
	u, err := url.Parse(dbtest.StartPostgres(t, pgcluster.Options{Password: password}).URL())
	if err != nil {
		t.Fatal(err)
	}
	i := spawnProgram(t, binary, []string{
		"PGHOST=" + u.Query().Get("host"), "PGUSER=postgres", "PGPASSWORD=" + password, "PGDATABASE=from_environment",
	}, "--database=postgres://")
	i.post(t, "default/guest").want(t, http.StatusOK)
	if !strings.Contains(i.line, "postgres://postgres@") || !strings.Contains(i.line, "/from_environment,") || strings.Contains(i.line, password) {
		t.Errorf("the line at the start is %q", i.line)
	}
}

// The error about an unreachable database contains no password.
func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const password = "hunter2-and-more"
	for name, database := range map[string]string{
		"password":           "postgres://x:" + password + "@" + nobody + "/x",
		"password parameter": "postgres://x@" + nobody + "/x?password=" + password,
		"password with @":    "postgres://x:" + password + "@" + password + "@" + nobody + "/x",
		"bad parameter":      "postgres://x:" + password + "@" + nobody + "/x?sslmode=perhaps",
		"bad port":           "postgres://x:" + password + "@127.0.0.1:port/x",
	} {
		for _, command := range [][]string{{}, {"migrate"}, {"migrate", "--dry-run"}, operatorCommands["explain"], operatorCommands["erase-user"]} {
			r := invoke(t, []string{"NOTIFYD_DATABASE=" + database, "NOTIFYD_DATABASE_WAIT=1ms"}, command...)
			if r.status == 0 || r.stdout != "" || r.stderr == "" {
				t.Errorf("%s: exit status %d: %s%s", name, r.status, r.stdout, r.stderr)
			}
			if strings.Contains(r.stderr, password) {
				t.Errorf("%s: the password is in %q", name, r.stderr)
			}
		}
	}
}

// Builds with and without cgo read each other's files.
func TestBuildsShareFiles(t *testing.T) {
	t.Parallel()
	program := map[string]string{}
	for _, cgo := range []string{"0", "1"} {
		program[cgo] = filepath.Join(t.TempDir(), "notifyd")
		if cgo == "1" && !compilesC(t) {
			t.Skip("there is no C compiler") // there is only one build
		}
		if err := build(program[cgo], "CGO_ENABLED="+cgo); err != nil {
			t.Fatal(err)
		}
	}
	database := "--database=sqlite:" + filepath.Join(t.TempDir(), "test.db")
	var posted []string
	for _, cgo := range []string{"1", "0", "1", "0"} {
		i := spawnProgram(t, program[cgo], nil, database)
		id, err := i.post(t, "default/guest").messageID()
		if err != nil {
			t.Fatal(err)
		}
		posted = append(posted, id)
		ids := i.get(t, "/notifications?orderByDirec=asc").ids(t)
		if !slices.Equal(ids, posted) {
			t.Errorf("with CGO_ENABLED=%s the list is %q, want %q", cgo, ids, posted)
		}
		if code := i.stop(); code != 0 {
			t.Errorf("exit status %d: %s", code, i.stderr)
		}
	}
}

// compilesC reports whether a build with cgo works here.
func compilesC(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	if len(fields) == 0 {
		return false
	}
	_, err = exec.LookPath(fields[0])
	return err == nil
}

// The heap may grow to the runtime's minimum, which is 4 MB at 100 percent. The
// first collection frees the memory of the start.
func TestGarbageCollection(t *testing.T) {
	t.Parallel()
	for variable, percent := range map[string]int{"": gogc.Percent, "100": 100} {
		t.Run("GOGC="+variable, func(t *testing.T) {
			t.Parallel()
			i := spawnProgram(t, binary, []string{"GODEBUG=gctrace=1", "GOGC=" + variable}, "--rate-limits=off")
			trace := regexp.MustCompile(`, (\d+) MB goal,`) // skips a line that is broken by the log
			var goals [][]string
			eventually(t, "garbage is collected several times", func() bool {
				for range 20 {
					i.get(t, "/notifications").want(t, http.StatusOK)
				}
				goals = trace.FindAllStringSubmatch(i.stderr.String(), -1)
				return len(goals) >= 3
			})
			for _, goal := range goals {
				if want := strconv.Itoa(4 * percent / 100); goal[1] != want {
					t.Errorf("the heap may grow to %s MB, want %s", goal[1], want)
				}
			}
		})
	}
}
