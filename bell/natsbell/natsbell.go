// Package natsbell is a [notifications.Bell] over NATS core.
package natsbell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/coalesce"
)

// DefaultSubject is the subject of a bell that is given none.
const DefaultSubject = "notifications.bell"

const (
	// gap is the least time between two rings of a Bell.
	gap = 10 * time.Millisecond
	// patience is how long the server may take to confirm the subscription.
	patience = 10 * time.Second
	// most is how many rings may wait. NATS counts more as those of a slow
	// consumer.
	most = 1024
)

// Bell is a [notifications.Bell] over a connection of the host. It publishes
// empty messages, at most one in 10 ms.
type Bell struct {
	conn    *nats.Conn
	subject string
	rung    coalesce.Signal
}

var _ notifications.Bell = (*Bell)(nil)

// New returns a Bell that publishes and subscribes to a subject without
// wildcards; empty means [DefaultSubject]. It sends nothing; [Bell.Listen] does.
//
// The connection stays the host's: its options say how to prove who the client
// is, how often to connect again (for ever with nats.MaxReconnects(-1)) and how
// soon to notice a server that does not answer (nats.PingInterval). It may serve
// other purposes, too. Whether the server refuses the subject is told to its
// error handler alone.
func New(conn *nats.Conn, subject string) (*Bell, error) {
	if subject == "" {
		subject = DefaultSubject
	}
	var faults []error
	if conn == nil {
		faults = append(faults, errors.New("natsbell: the connection is nil"))
	}
	if !isPlain(subject) {
		faults = append(faults, fmt.Errorf("natsbell: %q is not a subject without wildcards", subject))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Bell{conn: conn, subject: subject, rung: coalesce.NewSignal()}, nil
}

// isPlain reports whether subject is one subject, as NATS defines them: tokens
// separated by dots.
func isPlain(subject string) bool {
	return !strings.ContainsFunc(subject, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '*' || r == '>' }) &&
		!slices.Contains(strings.Split(subject, "."), "")
}

// Ring implements [notifications.Bell]. It never blocks and never fails. While no
// Listen of this Bell runs, one ring is kept and sent by the next one; a process
// in which no Listen runs rings nobody.
func (b *Bell) Ring(context.Context) error {
	b.rung.Set()
	return nil
}

// Listen implements [notifications.Bell]. It fails if the connection is closed,
// by the host or because it used up its attempts to connect. In a cluster, a ring
// can be lost in the moment in which the servers tell each other of a new
// subscription.
func (b *Bell) Listen(ctx context.Context, heard func()) error {
	changes := b.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer b.conn.RemoveStatusListener(changes)
	rings := make(chan *nats.Msg, most)
	subscription, err := b.conn.ChanSubscribe(b.subject, rings)
	if err != nil {
		return fmt.Errorf("natsbell: subscribe to %s: %w", b.subject, err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // fails if the connection is closed

	ctx, stop := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() { b.send(ctx) })
	defer sending.Wait()
	defer stop()

	b.connected(ctx, heard)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-rings:
			heard()
		case status := <-changes:
			if status == nats.CLOSED {
				return fmt.Errorf("natsbell: %w", nats.ErrConnectionClosed)
			}
			b.rung.Set() // for the one that may have been lost
			b.connected(ctx, heard)
		}
	}
}

// connected calls heard once the server knows the subscription. If the server is
// away, it does nothing: it is called again when there is a server.
func (b *Bell) connected(ctx context.Context, heard func()) {
	if !b.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if b.conn.FlushWithContext(ctx) == nil {
		heard()
	}
}

// send publishes rings until ctx ends.
func (b *Bell) send(ctx context.Context) {
	var earliest time.Time
	for b.rung.Wait(ctx, earliest) {
		_ = b.conn.Publish(b.subject, nil) // fails without a connection; then Listen rings after the next one
		earliest = time.Now().Add(gap)
	}
}
