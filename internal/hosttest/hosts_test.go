package hosttest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"           // the driver "postgres"
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// poolSize is how many connections a host has.
const poolSize = 10

// host is a program with tables of its own, and a Service over its database.
type host struct {
	t       testing.TB
	svc     *notifications.Service
	db      *gorm.DB // Config.DB
	pool    *sql.DB
	people  *people
	policy  *policy
	inTx    func(h *host, do func(tx transaction) error) error
	numbers bool // parameters are written $1
}

// transaction is one of the host, and the Service in it.
type transaction struct {
	svc  *notifications.Service
	exec func(query string, args ...any) error
}

// tables are the host's own.
var tables = []string{
	"CREATE TABLE users (name text PRIMARY KEY)",
	"CREATE TABLE memberships (user_name text, team text, PRIMARY KEY (user_name, team))",
	"CREATE TABLE orders (id integer PRIMARY KEY, customer text)",
	"INSERT INTO users VALUES ('jane'), ('john')",
	"INSERT INTO memberships VALUES ('jane', 'ops'), ('john', 'ops'), ('jane', 'dev')",
}

// kinds are the ways of hosts, by name.
var kinds = []struct {
	name string
	open func(t testing.TB) *host
}{
	{"gorm over pgx", func(t testing.TB) *host { return gormHost(t, false) }},
	{"gorm with prepared statements", func(t testing.TB) *host { return gormHost(t, true) }},
	{"database/sql over pgx", func(t testing.TB) *host { return sqlHost(t, "pgx", inSQLTx) }},
	{"database/sql over lib/pq", func(t testing.TB) *host { return sqlHost(t, "postgres", inSQLTx) }},
	{"sqlx over pgx", func(t testing.TB) *host { return sqlHost(t, "pgx", inSQLXTx("pgx")) }},
	{"sqlx over lib/pq", func(t testing.TB) *host { return sqlHost(t, "postgres", inSQLXTx("postgres")) }},
	{"gorm over SQLite", func(t testing.TB) *host { return sqliteHost(t, "immediate", inGormTx) }},
	{"database/sql over SQLite", func(t testing.TB) *host { return sqliteHost(t, "immediate", inSQLTx) }},
	{"gorm over SQLite, plain BEGIN", func(t testing.TB) *host { return sqliteHost(t, "deferred", inGormTx) }},
	{"database/sql over SQLite, plain BEGIN", func(t testing.TB) *host { return sqliteHost(t, "deferred", inSQLTx) }},
}

// eachHost runs body with each kind of host.
func eachHost(t *testing.T, body func(t *testing.T, h *host)) {
	t.Helper()
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			body(t, kind.open(t))
		})
	}
}

// postgresURL is that of a new database, as both drivers take it.
func postgresURL(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(dbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("sslmode", "disable") // lib/pq asks for TLS, on a socket too
	u.RawQuery = q.Encode()
	return u.String()
}

func gormHost(t testing.TB, prepare bool) *host {
	t.Helper()
	db, err := gorm.Open(postgres.Open(postgresURL(t)), &gorm.Config{PrepareStmt: prepare, Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, db, inGormTx, true)
}

// sqlHost has its database from database/sql, and GORM for the library alone.
func sqlHost(t testing.TB, driver string, inTx func(*host, func(transaction) error) error) *host {
	t.Helper()
	pool, err := sql.Open(driver, postgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, db, inTx, true)
}

// sqliteHost has a file, and transactions that begin with the lock.
func sqliteHost(t testing.TB, lock string, inTx func(*host, func(transaction) error) error) *host {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "host.db") + "?_journal_mode=WAL&_busy_timeout=20000&_txlock=" + lock
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, db, inTx, false)
}

func newHost(t testing.TB, db *gorm.DB, inTx func(*host, func(transaction) error) error, numbers bool) *host {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	pool.SetMaxOpenConns(poolSize)
	h := &host{t: t, db: db, pool: pool, people: &people{pool: pool, numbers: numbers}, policy: new(policy), inTx: inTx, numbers: numbers}
	for _, table := range tables {
		if _, err := pool.ExecContext(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	h.svc, err = notifications.New(notifications.Config{DB: db, Catalog: h.people, Policy: h.policy})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// tx runs do in a transaction of the host, which commits if do returns nil.
func (h *host) tx(do func(tx transaction) error) error { return h.inTx(h, do) }

func inGormTx(h *host, do func(transaction) error) error {
	return h.db.WithContext(h.t.Context()).Transaction(func(tx *gorm.DB) error {
		return do(transaction{h.svc.WithTx(tx), func(query string, args ...any) error { return tx.Exec(query, args...).Error }})
	})
}

func inSQLTx(h *host, do func(transaction) error) error {
	tx, err := h.pool.BeginTx(h.t.Context(), nil)
	if err != nil {
		return err
	}
	return h.end(tx, do)
}

func inSQLXTx(driver string) func(h *host, do func(transaction) error) error {
	return func(h *host, do func(transaction) error) error {
		tx, err := sqlx.NewDb(h.pool, driver).BeginTxx(h.t.Context(), nil)
		if err != nil {
			return err
		}
		return h.end(tx.Tx, do)
	}
}

// end runs do in a transaction and ends that.
func (h *host) end(tx *sql.Tx, do func(transaction) error) error {
	err := do(transaction{h.svc.WithSQLTx(tx), func(query string, args ...any) error {
		_, err := tx.ExecContext(h.t.Context(), numbered(query, h.numbers), args...)
		return err
	}})
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// numbered writes parameters as $1 if the database wants that.
func numbered(query string, numbers bool) string {
	if numbers {
		return sqlx.Rebind(sqlx.DOLLAR, query)
	}
	return query
}

// people is the catalog over the host's tables. It reads in the transaction it
// finds, and else on a connection of the pool.
type people struct {
	pool    *sql.DB
	numbers bool
	asked   func(ctx context.Context, question string) // by the service; nil: nobody wants to know
}

func (p *people) Canonical(_ notifications.Kind, name string) (string, error) {
	if name == "" || len(name) > 40 || strings.ContainsAny(name, ":\x00") {
		return "", errors.New("is no name")
	}
	return strings.ToLower(name), nil
}

func (p *people) Groups(ctx context.Context, user string) (in []notifications.Membership, _ error) {
	teams, err := p.query(ctx, "Groups", "SELECT team FROM memberships WHERE user_name = ? ORDER BY team", user)
	for _, team := range teams {
		in = append(in, notifications.Membership{Group: team})
	}
	return in, err
}

func (p *people) Missing(ctx context.Context, refs []notifications.Ref) (missing []notifications.Ref, _ error) {
	for _, ref := range refs {
		query := "SELECT name FROM users WHERE name = ?"
		if ref.Kind == notifications.KindGroup {
			query = "SELECT DISTINCT team FROM memberships WHERE team = ?"
		}
		found, err := p.query(ctx, "Missing", query, ref.Name)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

func (p *people) Size(ctx context.Context, group string) (int, bool, error) {
	query := "SELECT user_name FROM memberships WHERE team = ?"
	if group == "" {
		query = "SELECT name FROM users WHERE name <> ?"
	}
	found, err := p.query(ctx, "Size", query, group)
	return len(found), true, err
}

// query returns one column.
func (p *people) query(ctx context.Context, question, query string, args ...any) (column []string, err error) {
	if p.asked != nil {
		p.asked(ctx, question)
	}
	run := p.pool.QueryContext
	if tx, found := notifications.SQLTxFrom(ctx); found {
		run = tx.QueryContext
	}
	rows, err := run(ctx, numbered(query, p.numbers), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		column = append(column, value)
	}
	return column, rows.Err()
}

// policy allows everything, and tells whom it may concern.
type policy struct {
	asked func(ctx context.Context, question string)
}

func (p *policy) Decide(ctx context.Context, r notifications.Request) (notifications.Decision, error) {
	if p.asked != nil {
		p.asked(ctx, fmt.Sprint("Decide ", r.Permission))
	}
	return notifications.Allow, nil
}

var (
	shop = notifications.ServiceAccount("shop")
	jane = notifications.User("jane")
	john = notifications.User("john")
)

// titles is what a reader sees.
func titles(ctx context.Context, svc *notifications.Service, who notifications.Identity) (list []string, err error) {
	for n, err := range svc.All(ctx, who, notifications.Filter{}) {
		if err != nil {
			return nil, err
		}
		list = append(list, n.Title)
	}
	return list, nil
}

// sees checks what a reader sees.
func (h *host) sees(who notifications.Identity, want ...string) {
	h.t.Helper()
	got, err := titles(h.t.Context(), h.svc, who)
	if err != nil || strings.Join(got, ", ") != strings.Join(want, ", ") {
		h.t.Errorf("%s sees %q, %v, want %q", who, got, err, want)
	}
}

// rows checks how many rows one of the host's tables has.
func (h *host) rows(table string, want int) {
	h.t.Helper()
	var n int
	if err := h.pool.QueryRowContext(h.t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != want {
		h.t.Errorf("%s has %d rows, %v, want %d", table, n, err, want)
	}
}
