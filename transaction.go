package notifications

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"
)

// binding is what makes a Service one of the host's transaction.
type binding struct {
	tx    *gorm.DB // nil with a fault
	fault error    // why it is no transaction
}

// WithTx returns the same Service inside the host's transaction: every verb of
// it reads and writes there, and what it does appears when tx commits and is
// gone when it rolls back. The Catalog and the Policy find tx in their context;
// see [TxFrom]. No second connection is taken.
//
// tx is a transaction on the database of Config.DB, begun by the host. If it is
// something else, or has ended, every verb returns [ErrNoTransaction]. An error
// that matches [ErrRetry] says that the transaction met another one. Migrate,
// Baseline, Run, Purge, Ready and httpapi.New refuse the returned Service:
// [ErrBound].
//
// On PostgreSQL a failed statement of a verb is taken back alone, by a
// savepoint, where the verb has several. A verb that is a single statement
// spoils the whole transaction when that fails, as any statement does. Bad
// input, ErrKeyReused and ErrTargetsDiffer are no failed statements.
//
// On SQLite a verb that writes takes the write lock before it asks the policy
// and the catalog. A host that has read in the same transaction before may
// then get [ErrRetry]; BEGIN IMMEDIATE ("_txlock=immediate") avoids that.
func (s *Service) WithTx(tx *gorm.DB) *Service {
	if tx == nil {
		return s.boundTo(&binding{fault: fmt.Errorf("%w: it is nil", ErrNoTransaction)})
	}
	if err := s.store.checkTransaction(tx); err != nil {
		return s.boundTo(&binding{fault: err})
	}
	return s.boundTo(&binding{tx: tx})
}

// WithSQLTx is [Service.WithTx] for a host that has its transactions from
// database/sql, or from a package over it, such as sqlx.
func (s *Service) WithSQLTx(tx *sql.Tx) *Service {
	if tx == nil {
		return s.boundTo(&binding{fault: fmt.Errorf("%w: it is nil", ErrNoTransaction)})
	}
	// With a context the session has a statement of its own; else tx would
	// become the connection of Config.DB.
	db := s.store.root.Session(&gorm.Session{NewDB: true, SkipDefaultTransaction: true, Context: context.Background()})
	db.Statement.ConnPool = tx
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
// transaction, or in one of another kind of database.
func (s *store) checkTransaction(tx *gorm.DB) error {
	switch {
	case tx.Statement == nil || !isTransaction(tx):
		return fmt.Errorf("%w: the *gorm.DB is not in one", ErrNoTransaction)
	case tx.Name() != s.root.Name():
		return fmt.Errorf("%w: it is of %s, Config.DB of %s", ErrNoTransaction, tx.Name(), s.root.Name())
	}
	return nil
}

// isTransaction reports whether a handle is in a transaction.
func isTransaction(db *gorm.DB) bool {
	if _, is := db.Statement.ConnPool.(gorm.TxCommitter); !is {
		return false
	}
	v := reflect.ValueOf(db.Statement.ConnPool)
	return v.Kind() != reflect.Pointer || !v.IsNil()
}

// txKey is the key of a context's transaction, a *gorm.DB.
type txKey struct{}

// TxFrom returns the host's transaction that a Service bound by
// [Service.WithTx] or [Service.WithSQLTx] gives to its Catalog and Policy, as a
// handle without conditions; false if there is none.
func TxFrom(ctx context.Context) (*gorm.DB, bool) {
	tx, ok := ctx.Value(txKey{}).(*gorm.DB)
	if !ok {
		return nil, false
	}
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx}), true
}

// SQLTxFrom is [TxFrom] for a host that uses database/sql. It is false too
// where GORM's transaction is none of database/sql.
func SQLTxFrom(ctx context.Context) (*sql.Tx, bool) {
	tx, ok := ctx.Value(txKey{}).(*gorm.DB)
	if !ok {
		return nil, false
	}
	pool := tx.Statement.ConnPool
	if prepared, is := pool.(*gorm.PreparedStmtTX); is {
		pool = prepared.Tx
	}
	sqlTx, ok := pool.(*sql.Tx)
	return sqlTx, ok
}

// bind returns the context in which the policy and the catalog are asked.
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

// begin is the first line of every verb: it asks the policy, and returns the
// context for what follows. A bound Service takes SQLite's write lock before
// anything reads: whoever reads first and then writes may find that somebody
// else has written, and cannot go on.
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

// lockForWriting takes SQLite's write lock, by a statement that changes
// nothing.
func (s *store) lockForWriting(ctx context.Context) error {
	if !s.dialect.oneWriter() {
		return nil
	}
	return s.ended(s.session(ctx, s.db).Exec("UPDATE notification_scopes SET used_at = used_at WHERE FALSE").Error)
}

// ended is failed, which also knows that a transaction of the host has ended.
func (s *store) ended(err error) error {
	if s.bound && errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("%w: it has ended: %w", ErrNoTransaction, err)
	}
	return failed(err)
}
