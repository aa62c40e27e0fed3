package dbtest

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
	"gorm.io/gorm"
)

// Replicated is a PostgreSQL server for one test, with a standby.
type Replicated struct {
	Primary, Standby *pgcluster.Cluster
	t                testing.TB
}

// StartReplicated starts both servers. They stop when the test ends.
func StartReplicated(t testing.TB, o pgcluster.Options) *Replicated {
	t.Helper()
	primary := StartPostgres(t, o)
	return &Replicated{Primary: primary, Standby: closing(t)(primary.Standby()), t: t}
}

// Open opens a database on one of the servers, with a pool of 5 connections.
func (r *Replicated) Open(c *pgcluster.Cluster) *gorm.DB {
	r.t.Helper()
	return r.OpenAs(c, "")
}

// OpenAs is Open with another role, which has no password.
func (r *Replicated) OpenAs(c *pgcluster.Cluster, role string) *gorm.DB {
	r.t.Helper()
	return r.open(c, func(u *url.URL) {
		if role != "" {
			u.User = url.User(role)
		}
	})
}

// OpenDatabase is Open for another database of the server.
func (r *Replicated) OpenDatabase(c *pgcluster.Cluster, name string) *gorm.DB {
	r.t.Helper()
	return r.open(c, func(u *url.URL) { u.Path = "/" + name })
}

func (r *Replicated) open(c *pgcluster.Cluster, edit func(u *url.URL)) *gorm.DB {
	r.t.Helper()
	u, err := url.Parse(c.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	edit(u)
	db, err := database.OpenPostgres(r.t.Context(), database.PostgresConfig{URL: u.String(), MaxConns: poolSize, AcquireTimeout: acquireTimeout})
	if err != nil {
		r.t.Fatal(err)
	}
	return closed(r.t, db)
}

// CatchUp returns when the standby has everything that the primary has.
func (r *Replicated) CatchUp() {
	r.t.Helper()
	var position string
	// Another record is written, because the standby may not reach the position
	// itself: it can be that of the first record on a page that has none yet.
	r.ask(r.Primary, &position, "SELECT pg_current_wal_insert_lsn()::text")
	r.ask(r.Primary, nil, "SELECT pg_logical_emit_message(true, 'test', '')")
	r.Until(r.Standby, "SELECT pg_last_wal_replay_lsn() >= '"+position+"'::pg_lsn")
}

// Pause stops the standby from applying what it receives.
func (r *Replicated) Pause() {
	r.t.Helper()
	r.ask(r.Standby, nil, "SELECT pg_wal_replay_pause()")
	r.Until(r.Standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
}

// Resume ends a pause.
func (r *Replicated) Resume() {
	r.t.Helper()
	r.ask(r.Standby, nil, "SELECT pg_wal_replay_resume()")
}

// Until asks one of the servers repeatedly, until the answer is true.
func (r *Replicated) Until(c *pgcluster.Cluster, question string) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(acquireTimeout)
	for {
		var yes bool
		if r.ask(c, &yes, question); yes {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			r.t.Fatalf("it never came true: %s", question)
		}
	}
}

// ask runs a statement in the database postgres. It reads one value, unless to
// is nil.
func (r *Replicated) ask(c *pgcluster.Cluster, to any, statement string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), acquireTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if to == nil {
		_, err = conn.Exec(ctx, statement)
	} else {
		err = conn.QueryRow(ctx, statement).Scan(to)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", statement, err)
	}
}
