package main

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/notifications-go/notifications/bell/pgbell"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// posters is how many connections post at once.
const posters = 16

// BenchmarkNotify compares posts without a bell, with a ring after the commit,
// and with NOTIFY in the transaction of the post. Other instances listen:
//
//	go run ./internal/dbtest/withpostgres --durable -- go -C bench test -run '^$' -bench Notify -benchtime 3s -cpu 1 .
func BenchmarkNotify(b *testing.B) {
	const insert = "INSERT INTO posts (title) VALUES ('a post of usual length')"
	url := dbtest.PostgresURL(b)
	pool := openPool(b, url)
	if _, err := pool.Exec(b.Context(), "CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text)"); err != nil {
		b.Fatal(err)
	}
	bell := listening(b, url)
	listening(b, url)
	for _, way := range []struct {
		name, statement string
		ring            bool
	}{
		{"none", insert, false},
		{"after the commit", insert, true},
		{"in the transaction", "WITH post AS (" + insert + " RETURNING 1) SELECT pg_notify('notifications', '') FROM post", false},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetParallelism(posters)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := pool.Exec(b.Context(), way.statement); err != nil {
						b.Error(err)
						return
					}
					if way.ring {
						_ = bell.Ring(b.Context()) // never fails
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
}

func openPool(b *testing.B, url string) *pgxpool.Pool {
	b.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MinConns, config.MaxConns = posters, posters
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// listening returns a bell that listens until the benchmark ends.
func listening(b *testing.B, url string) *pgbell.Bell {
	b.Helper()
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	bell, err := pgbell.New(pgbell.Config{Conn: conn})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, connected := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		ended <- bell.Listen(ctx, func() {
			select {
			case connected <- struct{}{}:
			default:
			}
		})
	}()
	<-connected
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return bell
}
