package notifications

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/sqltext"
	"gorm.io/gorm"
)

// Position is a point in the log of changes: what had been committed when a
// list, a count or a status was read. [ByFilterSeen] marks what was there at a
// position. It is opaque, of at most 512 lower-case letters, digits, dots and
// dashes. A position can be used for about 15 minutes, and longer while nothing
// changes; then, and in another database, the error is [ErrPosition]. The zero
// Position is none.
type Position string

// epochRow is the row of notification_epoch with the newest tick, and the
// identity of the server and table that were asked.
type epochRow struct {
	Identity string `gorm:"column:identity"` // what the log was written on
	Present  string `gorm:"column:present"`  // what it is on
	Nonce    string `gorm:"column:nonce"`
	Snapshot string `gorm:"column:snapshot"` // of the newest tick; empty if there is none
	Tick     string `gorm:"column:tick"`     // its nonce
}

// epoch returns the first part of positions.
func (e epochRow) epoch() string {
	sum := sha256.Sum256([]byte(e.Identity + " " + e.Nonce))
	return hex.EncodeToString(sum[:8])
}

// selectEpoch begins a query for the identities and the nonce of the epoch.
func (s *store) selectEpoch() string {
	return "SELECT epoch.identity, " + s.dialect.identity() + " AS present, epoch.nonce"
}

// epochs is what a Service knows of the log of changes.
type epochs struct {
	mu     sync.Mutex
	epoch  string    // empty if it is not known
	tick   string    // the nonce of the newest tick; empty if there is none
	asked  time.Time // when the database was asked; zero to ask it again
	ticked time.Time // when posts last looked after the log
	kept   bool      // Run looks after it
}

// epochTrust is how long an epoch is used before the database is asked again. A
// position with an epoch that has ended is refused, so it does no harm.
const epochTrust = 10 * time.Second

// known returns the epoch and the newest tick, and whether they are still to be
// used. If not, it expects the caller to ask.
func (e *epochs) known() (epoch, tick string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.asked.IsZero() && time.Since(e.asked) < epochTrust {
		return e.epoch, e.tick, true
	}
	e.asked = time.Now() // others go on with what is known
	return e.epoch, e.tick, false
}

// latest returns the epoch and the newest tick as far as they are known.
func (e *epochs) latest() (epoch, tick string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.epoch, e.tick
}

func (e *epochs) set(epoch, tick string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch, e.tick, e.asked = epoch, tick, time.Now()
}

// forget makes the next reader ask the database.
func (e *epochs) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch, e.tick, e.asked = "", "", time.Time{}
}

// reading is what a position needs to know before the read that it is of: if
// the epoch ends in between, the position is of the old one, and is refused.
type reading struct{ epoch, tick string }

// beginReading is called before a read that gives a position. Its failure does
// not fail the read, which then gives none.
func (s *store) beginReading(ctx context.Context) reading {
	epoch, tick, ok := s.epochs.known()
	if ok || s.bound && epoch != "" {
		return reading{epoch, tick}
	}
	row, err := s.currentEpoch(ctx)
	if err != nil {
		s.epochs.forget()
		s.log.DebugContext(ctx, "there is no position, because the log of changes could not be read", "error", err)
		return reading{}
	}
	if !s.bound { // else it may be what only this transaction sees
		s.epochs.set(row.epoch(), row.Tick)
		if err := s.takeView(ctx, row.epoch()); err != nil {
			s.log.DebugContext(ctx, "the position of the replica is not known", "error", err)
		}
	}
	return reading{row.epoch(), row.Tick}
}

// currentEpoch asks for the epoch, and begins another one if the tables are not
// where the log was written.
func (s *store) currentEpoch(ctx context.Context) (row epochRow, err error) {
	const attempts = 3 // others may begin one at the same time
	for range attempts {
		if row, err = s.askEpoch(ctx); err != nil || row.Identity == row.Present {
			return row, err
		}
		if s.bound {
			return row, errors.New("the tables are not where the log of changes was written")
		}
		if err := s.beginEpoch(ctx, row); err != nil {
			return row, err
		}
	}
	return row, errors.New("the tables move between servers")
}

func (s *store) askEpoch(ctx context.Context) (row epochRow, err error) {
	sql := s.sql(s.selectEpoch() + ", coalesce(CAST(tick.snapshot AS text), '') AS snapshot, coalesce(tick.nonce, '') AS tick" +
		" FROM notification_epoch epoch LEFT JOIN (SELECT tick.snapshot, tick.nonce FROM notification_ticks tick" +
		" ORDER BY tick.at DESC LIMIT 1) tick ON TRUE")
	var rows []epochRow
	err = s.read(ctx, func(db *gorm.DB) error { rows = nil; return find(db, sql, &rows) })
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("notification_epoch has %d rows", len(rows))
	}
	if err != nil {
		return row, err
	}
	return rows[0], nil
}

// beginEpoch empties the log and gives it a new nonce, unless another instance
// has done so. A new log is empty enough.
func (s *store) beginEpoch(ctx context.Context, was epochRow) error {
	nonce := was.Nonce
	if was.Identity != "" {
		nonce = newNonce()
	}
	return s.writeTx(ctx, long, func(tx *gorm.DB) error {
		n, err := exec(tx, s.sql("UPDATE notification_epoch SET identity = ?, nonce = ? WHERE identity = ? AND nonce = ?",
			was.Present, nonce, was.Identity, was.Nonce))
		if err != nil || n == 0 || was.Identity == "" {
			return err
		}
		s.log.WarnContext(ctx, "the tables were restored or moved: what was seen before counts no more, and streams begin anew")
		return s.execAll(tx,
			counted{s.sql("DELETE FROM notification_changes"), nil},
			counted{s.sql("DELETE FROM notification_ticks"), nil})
	})
}

// newNonce returns a random text of lower-case letters and digits.
func newNonce() string { return strings.ToLower(rand.Text()[:12]) }

// position returns the position of a read; none if it is not known. seen is
// what a column [dialect.snapshot] has, and counts unless the read was of the
// replica.
func (r reading) position(d dialect, in inbox, from readFrom, seen string) Position {
	if r.epoch == "" {
		return ""
	}
	p := changelog.Position{Epoch: r.epoch, At: in.now, Nonce: r.tick}
	if from.replica {
		if from.view.epoch != r.epoch {
			return ""
		}
		p.Seen = from.view.seen
	} else {
		var err error
		if p.Seen, err = d.parseSnapshot(seen); err != nil {
			return ""
		}
	}
	return Position(p.String())
}

// checkSeen returns ErrPosition unless the log still has all changes that are
// not visible at a position. tx is the transaction that uses the position.
func (s *store) checkSeen(tx *gorm.DB, p changelog.Position, now time.Time) error {
	var rows []struct {
		Epoch     epochRow `gorm:"embedded"`
		Latest    string   `gorm:"column:latest"`
		Oldest    string   `gorm:"column:oldest"`
		Continues bool     `gorm:"column:continues"`
	}
	sql := s.sql(s.selectEpoch()+", "+s.dialect.snapshot(false)+" AS latest"+
		", coalesce((SELECT CAST(tick.snapshot AS text) FROM notification_ticks tick WHERE tick.at < ? ORDER BY tick.at DESC LIMIT 1), '') AS oldest, ",
		now.Add(-resumable).UnixMilli())
	s.dialect.continues(sql, p)
	if err := find(tx, sql.Add(" AS continues FROM notification_epoch epoch"), &rows); err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("notification_epoch has %d rows", len(rows))
	}
	row := rows[0]
	latest, err := s.dialect.parseSnapshot(row.Latest)
	if err != nil {
		return err
	}
	if row.Epoch.Identity != row.Epoch.Present || row.Epoch.epoch() != p.Epoch || !row.Continues || p.Seen.Xmax > latest.Xmax {
		s.epochs.forget()
		return fmt.Errorf("%w: it is of another database, or of one that was restored", ErrPosition)
	}
	if row.Oldest == "" {
		return nil // nothing has been pruned
	}
	oldest, err := s.dialect.parseSnapshot(row.Oldest)
	if err == nil && !p.Seen.Includes(oldest) {
		err = errTooOld
	}
	return err
}

// errTooOld says that the log does not go back to a position.
var errTooOld = fmt.Errorf("%w: it is too old", ErrPosition)

// hasTick writes the condition that the tick before a position is there, if it
// names one.
func hasTick(sql *sqltext.Text, p changelog.Position) {
	if p.Nonce == "" {
		sql.Add("TRUE")
		return
	}
	sql.Add("EXISTS (SELECT 1 FROM notification_ticks tick WHERE tick.nonce = ?)", p.Nonce)
}
