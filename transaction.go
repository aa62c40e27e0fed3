package notifications

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// binding is the host's transaction that a Service is bound to.
type binding struct {
	tx    *gorm.DB // nil if there is a fault
	fault error    // why it is not a transaction
}

// WithTx returns the same Service inside the host's transaction. All its verbs
// read and write in tx and take no second connection. Their writes appear when
// tx commits, and disappear when it rolls back. The Catalog and the Policy find
// tx in their context; see [TxFrom].
//
// tx must be a transaction that the host has begun on the pool of Config.DB. If
// it is not, or has ended, every verb returns [ErrNoTransaction]. It is used by
// one goroutine at a time, and must have no open rows. If it conflicts with
// another transaction, the error matches [ErrRetry]. The returned Service
// refuses Migrate, PendingMigrations, Baseline, Run, Purge and Ready with
// [ErrBound]; so does httpapi.New.
//
// On PostgreSQL a failed statement aborts the host's transaction, with one
// exception: a verb that runs several statements uses a savepoint, and undoes
// only its own work. Invalid input, ErrKeyReused and ErrTargetsDiffer abort
// nothing.
//
// On SQLite a verb that writes takes the write lock before it asks the policy
// and the catalog. If the host has read in the transaction before, the verb may
// return [ErrRetry]; BEGIN IMMEDIATE ("_txlock=immediate") avoids that.
//
// A catalog or policy over the host's own tables must read in the transaction
// that TxFrom finds. On another connection it would not see what the host has
// just written, and would wait for ever if the pool has no other connection.
func (s *Service) WithTx(tx *gorm.DB) *Service {
	if tx == nil {
		return s.boundTo(&binding{fault: fmt.Errorf("%w: it is nil", ErrNoTransaction)})
	}
	if err := s.store.checkTransaction(tx); err != nil {
		return s.boundTo(&binding{fault: err})
	}
	return s.boundTo(&binding{tx: tx})
}

// WithSQLTx is [Service.WithTx] for a transaction of database/sql, or of a
// package based on it, such as sqlx.
func (s *Service) WithSQLTx(tx *sql.Tx) *Service {
	if tx == nil {
		return s.boundTo(&binding{fault: fmt.Errorf("%w: it is nil", ErrNoTransaction)})
	}
	// A session with a context has its own statement. Without one, tx would
	// become the connection of Config.DB.
	db := s.store.root.Session(&gorm.Session{NewDB: true, SkipDefaultTransaction: true, Context: context.Background()})
	db.Statement.ConnPool = tx
	if err := s.store.checkPool(db); err != nil {
		return s.boundTo(&binding{fault: err})
	}
	return s.boundTo(&binding{tx: db})
}

// InTransaction reports whether the Service is bound to a transaction.
func (s *Service) InTransaction() bool { return s.bound != nil }

func (s *Service) boundTo(b *binding) *Service {
	bound := *s
	bound.bound = b
	bound.store = s.store.in(b.tx)
	return &bound
}

// checkTransaction returns ErrNoTransaction for a handle that is not in a
// transaction, or belongs to another kind of database.
func (s *store) checkTransaction(tx *gorm.DB) error {
	switch {
	case tx.Statement == nil || !isTransaction(tx):
		return fmt.Errorf("%w: the *gorm.DB is not in one (its error: %v)", ErrNoTransaction, tx.Error) //nolint:errorlint // may be nil
	case tx.DryRun:
		return fmt.Errorf("%w: it is a dry run", ErrNoTransaction)
	case tx.Name() != s.root.Name():
		return fmt.Errorf("%w: it is of %s, Config.DB of %s", ErrNoTransaction, tx.Name(), s.root.Name())
	}
	return s.checkPool(tx)
}

// checkPool returns ErrNoTransaction for a transaction of another pool than that
// of Config.DB, as far as GORM can tell.
func (s *store) checkPool(tx *gorm.DB) error {
	ours, err := s.root.DB()
	if err != nil {
		return nil //nolint:nilerr // a pool that is none of database/sql
	}
	if theirs, err := tx.DB(); err == nil && theirs != ours {
		return fmt.Errorf("%w: it is of another pool of connections than Config.DB", ErrNoTransaction)
	}
	return nil
}

// isTransaction reports whether a handle is in a transaction. One that could
// not begin holds a nil pointer.
func isTransaction(db *gorm.DB) bool {
	conn := connOf(db)
	if _, is := conn.(gorm.TxCommitter); !is {
		return false
	}
	v := reflect.ValueOf(conn)
	return v.Kind() != reflect.Pointer || !v.IsNil()
}

// connOf returns the connection of a handle, without GORM's prepared statements.
func connOf(db *gorm.DB) gorm.ConnPool {
	if prepared, is := db.Statement.ConnPool.(*gorm.PreparedStmtTX); is && prepared != nil {
		return prepared.Tx
	}
	return db.Statement.ConnPool
}

// txKey is the context key of the host's transaction, a *gorm.DB.
type txKey struct{}

// TxFrom returns the host's transaction in the context that a bound Service
// gives to its Catalog and Policy; false if there is none. The handle has no
// conditions. See [Service.WithTx] and [Service.WithSQLTx].
func TxFrom(ctx context.Context) (*gorm.DB, bool) {
	tx, ok := ctx.Value(txKey{}).(*gorm.DB)
	if !ok {
		return nil, false
	}
	clean := tx.Session(&gorm.Session{NewDB: true, Context: ctx})
	// Else the host's conditions would come back with WithContext.
	clean.Statement = &gorm.Statement{
		DB: clean, ConnPool: clean.Statement.ConnPool, Context: ctx, Clauses: map[string]clause.Clause{}, Vars: make([]any, 0, 8),
	}
	return clean, true
}

// SQLTxFrom is [TxFrom] for hosts that use database/sql. It is also false if
// GORM's transaction is not one of database/sql.
func SQLTxFrom(ctx context.Context) (*sql.Tx, bool) {
	tx, ok := ctx.Value(txKey{}).(*gorm.DB)
	if !ok {
		return nil, false
	}
	sqlTx, ok := connOf(tx).(*sql.Tx)
	return sqlTx, ok
}

// bind returns the context for the policy and the catalog.
func (s *Service) bind(ctx context.Context) (context.Context, error) {
	if s.bound == nil {
		return ctx, nil
	}
	if s.bound.fault != nil {
		return ctx, s.bound.fault
	}
	return context.WithValue(ctx, txKey{}, s.bound.tx), nil
}

// access says what a verb does to the database.
type access int

const (
	reads access = iota
	writes
)

// begin is the first line of every verb. It asks the policy, and returns the
// context for the rest of the verb. A bound Service takes SQLite's write lock
// before anything reads: a transaction that reads first fails if another one
// writes before it does.
func (s *Service) begin(ctx context.Context, does access, r Request) (context.Context, error) {
	ctx, err := s.bind(ctx)
	if err != nil {
		return ctx, err
	}
	if does == writes && s.bound != nil && r.Who.valid() {
		if err := s.store.lockForWriting(ctx); err != nil {
			return ctx, err
		}
	}
	return ctx, s.authorize(ctx, r)
}

// lockStatement takes SQLite's write lock and changes nothing.
const lockStatement = "UPDATE notification_scopes SET used_at = used_at WHERE FALSE"

// lockForWriting takes SQLite's write lock in the host's transaction.
func (s *store) lockForWriting(ctx context.Context) error {
	return s.ended(s.lockIn(s.session(ctx, s.db)))
}

// lockIn is lockForWriting in a transaction.
func (s *store) lockIn(tx *gorm.DB) error {
	if !s.dialect.oneWriter() {
		return nil
	}
	return tx.Exec(lockStatement).Error
}

// takeLock takes SQLite's write lock in a transaction of the library. It leaves
// out GORM, which would take longer than SQLite.
func takeLock(tx *gorm.DB) error {
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, lockStatement)
	return err
}

// ended is failed, but also recognises that the host's transaction has ended.
func (s *store) ended(err error) error {
	if s.bound && errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("%w: it has ended: %w", ErrNoTransaction, err)
	}
	return failed(err)
}

// away returns the error of a policy or catalog that failed. The cause may be
// that the host's transaction, in which they asked, has ended.
func (s *Service) away(what string, err error) error {
	if s.bound != nil && errors.Is(err, sql.ErrTxDone) {
		return s.store.ended(err)
	}
	return &hostError{what, err}
}

// alive fails if the transaction of a bound Service has ended.
func (s *Service) alive(ctx context.Context) error {
	if s.bound == nil {
		return nil
	}
	return s.store.read(ctx, func(db *gorm.DB) error { return db.Exec("SELECT 1").Error })
}
