package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes of PostgreSQL (its manual, appendix A).
const (
	codeNoSuchDatabase    = "3D000"
	codeDuplicateDatabase = "42P04"
	codeUniqueViolation   = "23505"
	codeCannotConnectNow  = "57P03" // it starts, ends or recovers
)

// EnsureDatabase creates the PostgreSQL database of c with encoding UTF-8, if
// it does not exist. Several callers may do so at once. If the role must not
// create databases, the error contains the statement for a role that may.
// Errors contain no password. Of the pool's settings it uses only
// AcquireTimeout, for each attempt to connect.
func EnsureDatabase(ctx context.Context, c PostgresConfig) error {
	config, err := c.parse()
	if err != nil {
		return fmt.Errorf("open PostgreSQL database: %w", err)
	}
	target := config.ConnConfig
	if target.ConnectTimeout == 0 {
		target.ConnectTimeout = c.acquireTimeout()
	}
	conn, err := pgx.ConnectConfig(ctx, target)
	if err == nil {
		return conn.Close(ctx)
	}
	name := cmp.Or(target.Database, target.User) // the server's own default
	if hasCode(err, codeNoSuchDatabase) {
		err = createDatabase(ctx, target, name)
	}
	if err != nil {
		return fmt.Errorf("open PostgreSQL database %q on %s: %w", name, target.Host, err)
	}
	return nil
}

// createDatabase succeeds too if another caller creates the database first.
func createDatabase(ctx context.Context, target *pgx.ConnConfig, name string) error {
	conn, err := connectMaintenance(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	create := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " ENCODING 'UTF8' TEMPLATE template0"
	_, err = conn.Exec(ctx, create)
	if err != nil && !hasCode(err, codeDuplicateDatabase) && !hasCode(err, codeUniqueViolation) {
		return fmt.Errorf("it does not exist, and %s failed: %w", create, err)
	}
	return nil
}

// connectMaintenance connects to a database that every server has: "postgres",
// or "template1" if that was dropped or the role must not connect to it.
func connectMaintenance(ctx context.Context, target *pgx.ConnConfig) (*pgx.Conn, error) {
	var errs []error
	for _, name := range []string{"postgres", "template1"} {
		config := target.Copy()
		config.Database = name
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// NotUp reports whether an error of [EnsureDatabase] or [OpenPostgres] says that
// nobody listens, that the host has no address yet, or that the server is
// starting. The same call may succeed soon.
func NotUp(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code == codeCannotConnectNow
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	var name *net.DNSError
	return errors.As(err, &connect) && (errors.As(err, &network) || errors.As(err, &name) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) // a proxy that listens for a server that does not
}

func hasCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}
