// Package pgcluster starts and stops throw-away PostgreSQL servers from the
// programs installed on the machine. A server listens on a socket in its own
// directory, and on no network.
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

// commandTimeout bounds each step: creating, starting, stopping.
const commandTimeout = time.Minute

// ErrNotInstalled means that the programs of a PostgreSQL server were not found.
var ErrNotInstalled = errors.New("no initdb in PATH or /usr/lib/postgresql/*/bin: install a PostgreSQL server")

// Options of a cluster. The zero value is a fast one that trusts everybody who
// reaches its socket.
type Options struct {
	// Password of the superuser. When it is set, every role needs its own;
	// empty asks for none.
	Password string
	// Durable makes commits survive a loss of power, as in production. A
	// crash of the server alone, see [Cluster.Crash], loses nothing either way.
	Durable bool
	// Settings are further lines of postgresql.conf. They win.
	Settings []string
}

// Cluster is one PostgreSQL server with its data. Its methods are not safe for
// concurrent use.
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

// Standby copies a running cluster and starts a server on the copy, which
// follows the first one and answers reads (streaming replication, hot standby).
// The caller must Close it, too.
func (c *Cluster) Standby() (*Cluster, error) {
	dir, err := os.MkdirTemp("", "notifications-pg-")
	if err != nil {
		return nil, err
	}
	s := &Cluster{bin: c.bin, dir: dir, owner: c.owner, password: c.password}
	return s.started(s.copyOf(c))
}

// started starts the server of a cluster that was made, unless that failed.
func (c *Cluster) started(err error) (*Cluster, error) {
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// copyOf makes the data directory of a standby.
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

// URL is that of the superuser in the database postgres. It stays the same
// over restarts.
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

// Start starts the server after [Cluster.Stop] or [Cluster.Crash], and returns
// when it takes connections.
func (c *Cluster) Start() error {
	if err := c.pgctl("start", "-l", c.path("log")); err != nil {
		log, _ := os.ReadFile(c.path("log")) // an empty one says as much
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// Stop ends the server in good order: connections are cut, everything is
// written out.
func (c *Cluster) Stop() error { return c.pgctl("stop", "-m", "fast") }

// Crash ends the server at once, as a failure would: nothing is written out,
// and the next start recovers from the log.
func (c *Cluster) Crash() error { return c.pgctl("stop", "-m", "immediate") }

// Restart is Stop and Start.
func (c *Cluster) Restart() error {
	if err := c.Stop(); err != nil {
		return err
	}
	return c.Start()
}

// Close ends the server, if it runs, and removes its data.
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

// create makes the data directory and its configuration.
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
		// An order that differs from that of bytes shows which queries forgot
		// to ask for theirs.
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
		"wal_level = replica", "max_wal_senders = 4", // see Standby
		"max_connections = 300",       // many tests at once, a few connections each
		"timezone = 'Asia/Kathmandu'", // +05:45, which shows who relies on UTC
	}
	if !o.Durable {
		conf = append(conf, "fsync = off", "full_page_writes = off")
	}
	return c.append(append(conf, o.Settings...)...)
}

func (c *Cluster) socket() string { return "unix_socket_directories = '" + c.dir + "'" }

// append adds lines to the configuration, where the last one counts.
func (c *Cluster) append(conf ...string) error {
	f, err := os.OpenFile(filepath.Join(c.path("data"), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(conf, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// pgctl waits until the server is in the state asked for.
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

// binDir finds the programs of the server, which Debian keeps out of PATH.
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
