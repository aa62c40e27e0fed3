package notifications

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"
)

// readyPatience is how long Ready waits.
const readyPatience = 2 * time.Second

// Ready reports whether the Service can work, within 2 seconds. The database
// must answer and take writes, all [Migrations] must have been applied, by
// [Service.Migrate] or another tool, and the catalog must be ready if it has a
// method Ready(context.Context) error. The error names the cause, such as the
// file of the first missing migration. On SQLite, Ready writes a little to the
// file, because only that shows that the disk is not full. Ready does not ask
// Config.Replica, because DB takes over when that fails.
func (s *Service) Ready(ctx context.Context) error {
	if s.InTransaction() {
		return ErrBound
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.isReady(ctx) }() // a driver may not return at the end of ctx
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return unavailable("database", ctx.Err())
	}
}

func (s *Service) isReady(ctx context.Context) error {
	err := s.store.ready(ctx)
	for attempt := 1; again(ctx, err, attempt); attempt++ {
		err = s.store.ready(ctx)
	}
	if err != nil {
		return err
	}
	if c, ok := s.catalog.(interface{ Ready(context.Context) error }); ok {
		if err := c.Ready(ctx); err != nil {
			return unavailable("catalog", err)
		}
	}
	return nil
}

// ready fails unless the database answers, takes writes, and every migration
// was applied. It selects from the tables, because only that shows that the
// Service may read them.
func (s *store) ready(ctx context.Context) error {
	if s.probe != nil {
		s = &store{root: s.probe, db: s.probe, log: s.log, gormLog: s.gormLog, dialect: s.dialect, file: s.file, queue: s.queue}
	}
	all, err := Migrations(s.db.Name())
	if err != nil {
		return err
	}
	if err := s.compatible(ctx, all); errors.Is(err, ErrUnavailable) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, m := range all {
		for _, a := range additions[m.Name] {
			err := s.session(ctx, s.db).Exec("SELECT " + strings.Join(a.columns, ", ") + " FROM " + a.table + " LIMIT 0").Error
			if err == nil {
				continue
			}
			if lack, askErr := s.lacks(ctx, a); askErr == nil && lack != "" {
				return fmt.Errorf("%w: migration %s has not been applied: %s", ErrUnavailable, m.Name, lack)
			}
			return unavailable("database", err)
		}
	}
	if err := s.dialect.takesWrites(ctx, s); err != nil {
		return unavailable("database", err)
	}
	return nil
}

// takesWrites asks whether this is a standby, or a database that was set to
// read only.
func (d postgres) takesWrites(ctx context.Context, s *store) error {
	var readOnly string
	if err := find(s.session(ctx, s.db), s.sql("SELECT current_setting('transaction_read_only')"), &readOnly); err != nil {
		return err
	}
	if readOnly != "off" {
		return errors.New("it takes no writes")
	}
	return nil
}

// databaseFile is the file of a SQLite database.
type databaseFile struct {
	mu    sync.Mutex
	first os.FileInfo // as it was at the first call
}

// takesWrites looks for the file, which SQLite does not miss when it is
// deleted, and stores a notification to nobody and deletes it. That needs as
// much room on the disk as a short post.
func (d sqlite) takesWrites(ctx context.Context, s *store) error {
	db := s.session(ctx, s.db)
	var path string
	if err := find(db, s.sql("SELECT file FROM pragma_database_list WHERE name = 'main'"), &path); err != nil {
		return err
	}
	if path == "" { // in memory
		return nil
	}
	if err := s.file.check(path); err != nil {
		return err
	}
	if s.queue != nil && s.queue.Working() {
		return nil // it takes writes, and this one would wait for them
	}
	const nobody = "nobody" // every other audience is systemAudience or has a colon
	trial := &posting{id: firstID, actions: noActions, audiences: []string{nobody}, audienceArray: jsonArray([]string{nobody})}
	return s.writeTx(ctx, short, func(tx *gorm.DB) error {
		if err := d.insertOne(tx, trial); err != nil {
			return err
		}
		if err := s.removeDeliveries(tx, deliveriesOf(trial.id, trial.audiences)); err != nil {
			return err
		}
		_, err := exec(tx, s.sql("DELETE FROM notification_messages WHERE id = ?", trial.id))
		return err
	})
}

// check fails if the file is not there, is another one than before, or must not
// be written.
func (f *databaseFile) check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		f.first = info
	}
	switch {
	case !os.SameFile(f.first, info):
		return fmt.Errorf("%s has been replaced by another file", path)
	case info.Mode().Perm()&0o222 == 0:
		return fmt.Errorf("%s is read-only", path)
	}
	return nil
}
