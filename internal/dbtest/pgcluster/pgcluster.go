// Package pgcluster starts and stops temporary PostgreSQL servers, with the
// programs that are installed on the machine. A server listens only on a Unix
// socket in its own directory.
package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// superuser owns every cluster.
const superuser = "postgres"

// commandTimeout limits each step: creating, starting, stopping.
const commandTimeout = time.Minute

// ErrNotInstalled says that the programs of a PostgreSQL server were not found.
var ErrNotInstalled = errors.New("no initdb in PATH or /usr/lib/postgresql/*/bin: install a PostgreSQL server")

// Options are the settings of a cluster. The zero Options gives a fast server
// that trusts every user of its socket.
type Options struct {
	// Password is the password of the superuser. If it is set, every role needs
	// a password. Empty means that no role needs one.
	Password string
	// Durable makes commits survive a loss of power, as in production.
	// [Cluster.Crash] loses nothing in either case.
	Durable bool
	// Settings are further lines of postgresql.conf. They override the others.
	Settings []string
}

// Cluster is one PostgreSQL server with its data. It is not safe for concurrent
// use.
type Cluster struct {
	bin, dir string
	owner    *owner
	password string
}

// Start creates a cluster and starts its server. The caller must Close it.
func Start(o Options) (*Cluster, error) {
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "notifications-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, dir: dir, owner: who, password: o.Password}
	return c.started(c.create(o))
}

// Standby copies a running cluster and starts a server on the copy. It follows
// the first server and answers reads (streaming replication, hot standby). The
// caller must Close it, too.
func (c *Cluster) Standby() (*Cluster, error) {
	dir, err := os.MkdirTemp("", "notifications-pg-")
	if err != nil {
		return nil, err
	}
	s := &Cluster{bin: c.bin, dir: dir, owner: c.owner, password: c.password}
	return s.started(s.copyOf(c))
}

// started starts the server of a new cluster, unless creating that failed.
func (c *Cluster) started(err error) (*Cluster, error) {
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// copyOf creates the data directory of a standby.
func (c *Cluster) copyOf(primary *Cluster) error {
	if err := c.owner.own(c.dir); err != nil {
		return err
	}
	if _, err := c.run("pg_basebackup", "-D", c.path("data"), "-d", primary.URL(), "--write-recovery-conf",
		"--wal-method=stream", "--checkpoint=fast", "--no-sync"); err != nil {
		return err
	}
	return c.append(c.socket())
}

// URL returns the URL of the superuser and the database postgres. A restart
// does not change it.
func (c *Cluster) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Path:     "/postgres",
		RawQuery: url.Values{"host": {c.dir}}.Encode(),
	}
	if c.password != "" {
		u.User = url.UserPassword(superuser, c.password)
	}
	return u.String()
}

// Start starts the server after [Cluster.Stop] or [Cluster.Crash]. It returns
// when the server accepts connections.
func (c *Cluster) Start() error {
	if err := c.pgctl("start", "-l", c.path("log")); err != nil {
		log, _ := os.ReadFile(c.path("log")) // may be empty
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// Stop ends the server in order: it closes connections and writes everything to
// disk.
func (c *Cluster) Stop() error { return c.pgctl("stop", "-m", "fast") }

// Crash ends the server at once, as a failure would. The next start recovers
// from the log.
func (c *Cluster) Crash() error { return c.pgctl("stop", "-m", "immediate") }

// Restart calls Stop and Start.
func (c *Cluster) Restart() error {
	if err := c.Stop(); err != nil {
		return err
	}
	return c.Start()
}

// Close ends the server if it runs, and removes its data.
func (c *Cluster) Close() error {
	var err error
	if c.running() {
		err = c.Crash()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *Cluster) running() bool {
	_, err := os.Stat(filepath.Join(c.path("data"), "postmaster.pid"))
	return err == nil
}

// create creates the data directory and its configuration.
func (c *Cluster) create(o Options) error {
	args := []string{"-D", c.path("data"), "-U", superuser, "--encoding=UTF8", "--locale=C", "--no-sync", "--auth=trust"}
	if o.Password != "" {
		pwfile := c.path("password")
		if err := os.WriteFile(pwfile, []byte(o.Password), 0o600); err != nil {
			return err
		}
		if err := c.owner.own(pwfile); err != nil {
			return err
		}
		args = append(args, "--auth=scram-sha-256", "--pwfile="+pwfile)
	}
	if err := c.owner.own(c.dir); err != nil {
		return err
	}
	help, err := c.run("initdb", "--help")
	if err != nil {
		return err
	}
	if strings.Contains(help, "--icu-locale") {
		// This order differs from that of bytes. It shows which queries do not
		// ask for their order.
		args = append(args, "--locale-provider=icu", "--icu-locale=en-US")
	}
	if _, err := c.run("initdb", args...); err != nil {
		return err
	}
	return c.configure(o)
}

func (c *Cluster) configure(o Options) error {
	conf := []string{
		"listen_addresses = ''",
		c.socket(),
		"wal_level = replica", "max_wal_senders = 4", // for Standby
		"max_connections = 300",       // many tests at once, with a few connections each
		"timezone = 'Asia/Kathmandu'", // +05:45 shows which code relies on UTC
	}
	if !o.Durable {
		conf = append(conf, "fsync = off", "full_page_writes = off")
	}
	return c.append(append(conf, o.Settings...)...)
}

func (c *Cluster) socket() string { return "unix_socket_directories = '" + c.dir + "'" }

// append adds lines to the configuration. The last line of a setting counts.
func (c *Cluster) append(conf ...string) error {
	f, err := os.OpenFile(filepath.Join(c.path("data"), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(conf, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// pgctl runs pg_ctl, and waits until the server has the new state.
func (c *Cluster) pgctl(verb string, args ...string) error {
	_, err := c.run("pg_ctl", append([]string{verb, "-w", "-D", c.path("data")}, args...)...)
	return err
}

func (c *Cluster) run(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	c.owner.runAs(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return string(out), nil
}

// binDir finds the programs of the server. On Debian they are not in PATH.
func binDir() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", ErrNotInstalled
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Installed reports whether [Start] would find a PostgreSQL server.
func Installed() bool {
	_, err := binDir()
	return err == nil
}
