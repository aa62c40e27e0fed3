package pgbell

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// session is a connection that listens. Only one goroutine uses it.
type session struct {
	bell  *Bell
	conn  *pgconn.PgConn
	heard func()

	mark       string // the payload of a ring that the session sent to itself
	markIsBack bool
}

// notified is called while the connection is used.
func (s *session) notified(_ *pgconn.PgConn, n *pgconn.Notification) {
	if s.mark != "" && n.Payload == s.mark {
		s.markIsBack = true
		return
	}
	s.heard()
}

// serve sends and hears rings until the connection fails or ctx ends.
func (s *session) serve(ctx context.Context) error {
	var earliest time.Time
	for {
		event, err := s.wait(ctx, earliest)
		switch {
		case err != nil:
			return err
		case event == rung:
			if _, err := s.exec(ctx, "NOTIFY "+s.bell.quoted); err != nil {
				s.bell.rung.Set() // for the next session
				return err
			}
			earliest = time.Now().Add(gap)
		case event == quiet:
			if err := s.checkListening(ctx); err != nil {
				return err
			}
		}
	}
}

// event is what a session waited for.
type event int

const (
	notified event = iota
	rung           // a ring is to be sent
	quiet          // nothing happened
)

// wait waits for the next event. It takes no ring before earliest.
func (s *session) wait(ctx context.Context, earliest time.Time) (event, error) {
	waiting, stop := context.WithTimeout(ctx, s.bell.idle)
	defer stop()
	ring := make(chan bool, 1)
	go func() {
		ring <- s.bell.rung.Wait(waiting, earliest)
		stop()
	}()
	err := s.conn.WaitForNotification(waiting)
	stop()
	switch isRung := <-ring; {
	case s.conn.IsClosed() || ctx.Err() != nil:
		if isRung {
			s.bell.rung.Set() // for the next session
		}
		return quiet, err
	case isRung:
		return rung, nil
	case err == nil:
		return notified, nil
	}
	return quiet, nil
}

// exec executes one statement. It calls notified for the notifications that
// arrive before the answer.
func (s *session) exec(ctx context.Context, statement string) ([][]byte, error) {
	return s.bell.exec(ctx, s.conn, statement)
}

// exec executes one statement, and returns the first column of its rows.
func (b *Bell) exec(ctx context.Context, conn *pgconn.PgConn, statement string) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil {
		return nil, err
	}
	var column [][]byte
	for _, row := range results[0].Rows {
		column = append(column, row[0])
	}
	return column, nil
}

// checkListening asks the server for an answer, which also shows that it is
// still the same one.
func (s *session) checkListening(ctx context.Context) error {
	channels, err := s.exec(ctx, "SELECT pg_listening_channels()")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(channels, func(c []byte) bool { return string(c) == s.bell.channel }) {
		return ErrPooled
	}
	return nil
}

// checkPooler returns [ErrPooled] if the connection leads through a pooler and
// does not hear a ring. A pooler is known by the process it names at the start,
// which is not the one of the server.
//
// The ring comes from a second connection: a pooler in transaction mode hands
// out the same connection to the server again, and a ring of the session itself
// would be heard there. After the time for a ring to arrive, an exchange with the
// server makes sure that none is on its way.
func (s *session) checkPooler(ctx context.Context) error {
	process, err := s.exec(ctx, "SELECT pg_backend_pid()")
	if err != nil {
		return err
	}
	if string(process[0]) == strconv.FormatUint(uint64(s.conn.PID()), 10) {
		return nil
	}
	s.mark = rand.Text()
	if err := s.bell.ringOnce(ctx, s.mark); err != nil {
		return fmt.Errorf("check whether the pooler passes rings on: %w", err)
	}
	arriving, cancel := context.WithTimeout(ctx, s.bell.patience/5)
	defer cancel()
	for !s.markIsBack && arriving.Err() == nil {
		if err := s.conn.WaitForNotification(arriving); err != nil && s.conn.IsClosed() {
			return err
		}
	}
	if !s.markIsBack && ctx.Err() == nil {
		if _, err := s.exec(ctx, "SELECT 1"); err != nil {
			return err
		}
	}
	if !s.markIsBack {
		_, _ = s.exec(ctx, "UNLISTEN "+s.bell.quoted) // on whichever connection that is
		return ErrPooled
	}
	return nil
}

// ringOnce rings over a connection of its own.
func (b *Bell) ringOnce(ctx context.Context, payload string) error {
	conn, err := b.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer b.close(conn)
	_, err = b.exec(ctx, conn, "NOTIFY "+b.quoted+", '"+payload+"'")
	return err
}
