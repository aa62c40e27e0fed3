// Command withpostgres runs a command with a temporary PostgreSQL server:
//
//	go run ./internal/dbtest/withpostgres [--durable] [--set name=value ...] -- go test ./...
//
// The command gets the server's URL in its environment, in the variable of
// package dbtest. Tests that need PostgreSQL then fail rather than skip. The
// exit status is that of the command. As root on Debian, withpostgres first
// installs a missing server, and PgBouncer and nginx, which some tests need.
//
// By default a loss of power may lose commits, which makes tests faster. With
// --durable the server waits for the disk, as in production. --set adds a
// setting, such as --set shared_buffers=4GB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

// grace is the time the command has to end after SIGTERM.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		os.Exit(1)
	}
}

// run returns the error of the command or of the server.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("withpostgres", flag.ContinueOnError)
	flags.SetOutput(stderr)
	durable := flags.Bool("durable", false, "wait for the disk at each commit")
	var settings []string
	flags.Func("set", "a `setting` of the server: name=value", func(s string) error {
		if name, value, ok := strings.Cut(s, "="); !ok || name == "" || value == "" {
			return errors.New("it is not name=value")
		}
		settings = append(settings, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if args = flags.Args(); len(args) == 0 {
		return errors.New("usage: withpostgres [--durable] [--set name=value ...] -- command [argument ...]")
	}
	if err := install(ctx, stderr); err != nil {
		return err
	}
	server, err := pgcluster.Start(pgcluster.Options{Durable: *durable, Settings: settings})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Env = append(os.Environ(),
		"NOTIFICATIONS_TEST_POSTGRES="+server.URL(),
		"NOTIFICATIONS_TEST_REQUIRE=1",
	)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd.Run()
}

// install installs PostgreSQL, PgBouncer and nginx as root on Debian. On other
// machines [pgcluster.Start] and the tests say what is missing.
func install(ctx context.Context, output io.Writer) error {
	var missing []string
	if !pgcluster.Installed() {
		missing = append(missing, "postgresql")
	}
	if !pgcluster.PgBouncerInstalled() {
		missing = append(missing, "pgbouncer")
	}
	if _, err := exec.LookPath("nginx"); err != nil {
		missing = append(missing, "nginx-light")
	}
	if len(missing) == 0 || os.Geteuid() != 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil //nolint:nilerr // not Debian
	}
	for _, args := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = output, output
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}
