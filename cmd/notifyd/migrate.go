package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/internal/database"
)

func migrateHelp(w io.Writer) {
	fmt.Fprint(w, `notifyd migrate creates the database and its tables, or updates them, and ends.
The server does the same when it starts.

Usage:
  notifyd migrate [--dry-run] [settings]
  notifyd migrate export --format FORMAT --dir DIR [settings]
  notifyd migrate baseline VERSION [settings]

  --dry-run
      Print the SQL that would be executed, and change nothing.

export writes the migrations as files for another tool, in the dialect of
--database, which is not opened. It refuses to change existing files.

  --format FORMAT
      goose, golang-migrate or plain. Use plain for psql, sqlite3 and others.
  --dir DIR
      Directory for the files, created if needed.

baseline records that another tool has applied the migrations up to a version,
after it has compared the tables with them. Use it once for a database prepared
by golang-migrate, psql or sqlite3, before the server or notifyd migrate uses it.

Each command accepts all settings of the server, so that both can use one command
line or file. It uses --database…, --config and --log-….
`)
	printSettings(w)
}

// migrateCommands are the commands after the word migrate.
var migrateCommands = map[string]func(ctx context.Context, p process) error{
	"":         runUp,
	"export":   runExport,
	"baseline": runBaseline,
}

func runMigrate(ctx context.Context, p process) error {
	word := ""
	if len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		word, p.args = p.args[0], p.args[1:]
	}
	do, ok := migrateCommands[word]
	if !ok {
		return usageError{fmt.Errorf("there is no command %q; see notifyd migrate --help", "migrate "+word)}
	}
	return do(ctx, p)
}

// runUp applies the missing migrations, or prints them.
func runUp(ctx context.Context, p process) error {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	dryRun := flags.Bool("dry-run", false, "")
	c, err := loadConfig(flags, p.args, p.environ)
	if err != nil {
		return err
	}
	if err := c.checkDatabase(); err != nil {
		return usageError{err}
	}
	log := c.logger(p.stderr)
	if *dryRun {
		return printPending(ctx, c, p.stdout, log)
	}
	return applyPending(ctx, c, p.stdout, log)
}

func applyPending(ctx context.Context, c *config, w io.Writer, log *slog.Logger) (err error) {
	db, err := openDatabase(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := schemaOnly(db, log)
	if err != nil {
		return err
	}
	pending, err := svc.PendingMigrations(ctx)
	if err != nil {
		return err
	}
	if err := svc.Migrate(ctx); err != nil {
		return err
	}
	for _, m := range pending {
		fmt.Fprintln(w, "applied", m.Name)
	}
	fmt.Fprintln(w, "the tables are up to date")
	return nil
}

// printPending prints the SQL of the missing migrations and nothing else.
func printPending(ctx context.Context, c *config, w io.Writer, log *slog.Logger) error {
	pending, err := findPending(ctx, c, log)
	for _, m := range pending {
		fmt.Fprintf(w, "-- %s\n%s\n", m.Name, m.SQL)
	}
	return err
}

// findPending returns the missing migrations: all of them if there is no
// database.
func findPending(ctx context.Context, c *config, log *slog.Logger) (_ []notifications.Migration, err error) {
	db, err := openExisting(ctx, c, log)
	if err != nil {
		return nil, err
	}
	if db == nil {
		return notifications.Migrations(c.dialect())
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := schemaOnly(db, log)
	if err != nil {
		return nil, err
	}
	return svc.PendingMigrations(ctx)
}

// schemaOnly returns a service that is used only for its migrations.
func schemaOnly(db *gorm.DB, log *slog.Logger) (*notifications.Service, error) {
	return notifications.New(notifications.Config{
		DB: db, Catalog: catalog.Open(nil), Policy: notifications.AllowAll{}, Logger: log,
	})
}

// openExisting opens the database, and returns nil if it does not exist.
func openExisting(ctx context.Context, c *config, log *slog.Logger) (*gorm.DB, error) {
	if path, ok := c.sqlitePath(); ok {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			return nil, nil
		}
		return database.OpenSQLite(path, database.SQLiteLogger(log))
	}
	cfg, err := postgresConfig(c, log)
	if err != nil {
		return nil, err
	}
	const noSuchDatabase = "3D000" // PostgreSQL's manual, appendix A
	db, err := database.OpenPostgres(ctx, cfg)
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == noSuchDatabase {
		return nil, nil
	}
	return db, err
}

// runBaseline records the migrations that another tool applied.
func runBaseline(ctx context.Context, p process) (err error) {
	var operand string
	c, err := loadConfig(flag.NewFlagSet("migrate baseline", flag.ContinueOnError), p.args, p.environ, &operand)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(operand, 10, 64)
	if err != nil {
		err = fmt.Errorf("VERSION is required: the number of the last applied migration, not %q", operand)
	}
	if err := errors.Join(err, c.checkDatabase()); err != nil {
		return usageError{err}
	}
	log := c.logger(p.stderr)
	db, err := openExisting(ctx, c, log)
	if err != nil {
		return err
	}
	if db == nil {
		return fmt.Errorf("the database %s does not exist or is empty", c.databaseName())
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	svc, err := schemaOnly(db, log)
	if err != nil {
		return err
	}
	if err := svc.Baseline(ctx, version); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "recorded version", version)
	return nil
}
