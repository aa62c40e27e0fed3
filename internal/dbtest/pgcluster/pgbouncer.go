package pgcluster

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoPgBouncer says that the program PgBouncer was not found.
var ErrNoPgBouncer = errors.New("no pgbouncer in PATH or /usr/sbin: install PgBouncer")

// PgBouncer is a connection pooler before a server.
type PgBouncer struct {
	dir string
	cmd *exec.Cmd
	url url.URL
}

// StartPgBouncer starts a PgBouncer before the server of a URL. The mode is
// session, transaction or statement. The caller must Close it.
func StartPgBouncer(server, mode string) (*PgBouncer, error) {
	program, err := pgbouncerPath()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	target, err := pgx.ParseConfig(server)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "notifications-pgbouncer-")
	if err != nil {
		return nil, err
	}
	p := &PgBouncer{dir: dir, url: url.URL{
		Scheme: "postgres", User: url.User(target.User), Path: "/" + target.Database,
		RawQuery: url.Values{"host": {dir}, "port": {"6432"}}.Encode(),
	}}
	file := filepath.Join(dir, "pgbouncer.ini")
	err = errors.Join(os.WriteFile(file, []byte(pgbouncerConf(target, dir, mode)), 0o600), who.own(file), who.own(dir))
	if err == nil {
		p.cmd = exec.Command(program, "-q", file)
		p.cmd.Dir = dir
		who.runAs(p.cmd)
		err = p.start()
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func pgbouncerConf(server *pgx.ConnConfig, dir, mode string) string {
	database := fmt.Sprintf("%s = host=%s port=%d user=%s", server.Database, server.Host, server.Port, server.User)
	if server.Password != "" {
		database += " password='" + server.Password + "'"
	}
	return strings.Join([]string{
		"[databases]",
		database,
		"[pgbouncer]",
		"auth_type = any",
		"unix_socket_dir = " + dir,
		"pool_mode = " + mode,
		"logfile = " + filepath.Join(dir, "log"),
	}, "\n") + "\n"
}

// start starts the program, and waits until it listens.
func (p *PgBouncer) start() error {
	if err := p.cmd.Start(); err != nil {
		return err
	}
	const pause = 10 * time.Millisecond
	for range 10 * time.Second / pause {
		conn, err := net.Dial("unix", filepath.Join(p.dir, ".s.PGSQL.6432"))
		if err == nil {
			return conn.Close()
		}
		time.Sleep(pause)
	}
	log, _ := os.ReadFile(filepath.Join(p.dir, "log")) // may be empty
	return fmt.Errorf("pgbouncer does not listen: %s", log)
}

// URL returns the URL of the server's database, through PgBouncer.
func (p *PgBouncer) URL() string { return p.url.String() }

// Close ends it, and cuts its connections.
func (p *PgBouncer) Close() error {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // says that it was killed
	}
	return os.RemoveAll(p.dir)
}

func pgbouncerPath() (string, error) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	const path = "/usr/sbin/pgbouncer" // on Debian, where it is not in PATH for every user
	if _, err := os.Stat(path); err != nil {
		return "", ErrNoPgBouncer
	}
	return path, nil
}

// PgBouncerInstalled reports whether [StartPgBouncer] would find the program.
func PgBouncerInstalled() bool {
	_, err := pgbouncerPath()
	return err == nil
}
