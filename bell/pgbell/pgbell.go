// Package pgbell is a [notifications.Bell] over LISTEN and NOTIFY of
// PostgreSQL.
package pgbell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/coalesce"
)

// DefaultChannel is the channel of a [Config] without one.
const DefaultChannel = "notifications"

// ErrPooled is the error of [Bell.Listen] over a pooler that gives each
// transaction another connection to the server, such as PgBouncer in transaction
// mode. There, rings are not heard. Connect to the server itself, or use session
// mode.
var ErrPooled = errors.New("pgbell: the connection does not keep LISTEN, as with PgBouncer in transaction mode: " +
	"connect to PostgreSQL itself, or to a pool in session mode")

const (
	// gap is the least time between two rings of a Bell.
	gap = 10 * time.Millisecond
	// maxChannel is the longest name that PostgreSQL takes without cutting it.
	maxChannel = 63
	// minPause and maxPause bound the wait before the next attempt to connect.
	minPause, maxPause = 200 * time.Millisecond, 10 * time.Second
)

// Config has the settings of a Bell.
type Config struct {
	// Conn says how to connect. It must come from [pgx.ParseConfig], or from the
	// Config of a pgxpool.Pool, and must lead to a server that takes writes.
	// Without a ConnectTimeout, an attempt ends after 10 seconds. Required.
	Conn *pgx.ConnConfig
	// Channel is the channel to notify, at most 63 bytes. All instances need the
	// same one. A channel belongs to one database. Empty means [DefaultChannel].
	Channel string
	// Logger receives a WARN when the connection is lost, and an INFO when there
	// is one again. Nil discards them.
	Logger *slog.Logger
}

// Bell is a [notifications.Bell] with one connection of its own for as long as
// Listen runs. Rings are sent over it, at most one in 10 ms, outside of any
// transaction.
type Bell struct {
	config  *pgx.ConnConfig
	channel string
	quoted  string // the channel, as SQL
	log     *slog.Logger
	rung    coalesce.Signal

	// A server that does not answer is noticed after the sum of both: how long
	// the connection is left alone, and how long an answer may take.
	idle, patience time.Duration
}

var _ notifications.Bell = (*Bell)(nil)

// New returns a Bell. It does not connect; [Bell.Listen] does.
func New(c Config) (*Bell, error) {
	if c.Channel == "" {
		c.Channel = DefaultChannel
	}
	var faults []error
	if c.Conn == nil {
		faults = append(faults, errors.New("pgbell: Conn: is required"))
	}
	if len(c.Channel) > maxChannel {
		faults = append(faults, fmt.Errorf("pgbell: Channel: has %d bytes, %d are allowed", len(c.Channel), maxChannel))
	}
	if !utf8.ValidString(c.Channel) || strings.ContainsRune(c.Channel, 0) {
		faults = append(faults, errors.New("pgbell: Channel: is not UTF-8 without NUL"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bell{
		config: c.Conn.Copy(), channel: c.Channel, quoted: pgx.Identifier{c.Channel}.Sanitize(), log: c.Logger,
		rung: coalesce.NewSignal(), idle: 15 * time.Second, patience: 10 * time.Second,
	}
	if b.config.ConnectTimeout == 0 {
		b.config.ConnectTimeout = b.patience
	}
	return b, nil
}

// Ring implements [notifications.Bell]. It never blocks and never fails. While no
// Listen of this Bell is connected, one ring is kept and sent by the next one;
// a process in which no Listen runs rings nobody.
func (b *Bell) Ring(context.Context) error {
	b.rung.Set()
	return nil
}

// Listen implements [notifications.Bell]. It holds one connection, and connects
// again after pauses that grow to 10 seconds. A server that does not answer any
// more is noticed within 25 seconds. The only error is [ErrPooled]. To find that
// out, it opens a second connection for a moment if the first one leads through
// a pooler.
func (b *Bell) Listen(ctx context.Context, heard func()) error {
	pause := minPause
	for said := false; ; {
		err := b.session(ctx, heard, func() {
			if said {
				b.log.Info("the bell is connected to PostgreSQL again")
			}
			pause, said = minPause, false
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrPooled):
			return err
		case !said:
			b.log.Warn("the bell lost its connection to PostgreSQL and tries again; changes of other instances are found by polling", "error", err)
			said = true
		default:
			b.log.Debug("the bell is still not connected to PostgreSQL", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, maxPause)
	}
}

// session is one connection of Listen. It calls connected when rings are heard
// from now on, and returns the error that ended it.
func (b *Bell) session(ctx context.Context, heard, connected func()) error {
	s := &session{bell: b, heard: heard}
	conn, err := b.connect(ctx, s.notified)
	if err != nil {
		return err
	}
	defer b.close(conn)
	s.conn = conn
	if _, err := s.exec(ctx, "LISTEN "+b.quoted); err != nil {
		return err
	}
	if err := s.checkPooler(ctx); err != nil {
		return err
	}
	connected()
	heard()
	return s.serve(ctx)
}

func (b *Bell) connect(ctx context.Context, notified pgconn.NotificationHandler) (*pgconn.PgConn, error) {
	config := b.config.Config.Copy()
	config.OnNotification = notified
	return pgconn.ConnectConfig(ctx, config)
}

// close ends a connection, also if its server does not answer.
func (b *Bell) close(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), min(time.Second, b.patience))
	defer cancel()
	_ = conn.Close(ctx) // it ends in any case
	select {
	case <-conn.CleanupDone():
	case <-ctx.Done():
		_ = conn.Conn().Close()
	}
}
