package dbtest

import (
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

// PgBouncerURL starts a PgBouncer in a pool mode for a database of
// [PostgresURL], and returns the URL through it.
func PgBouncerURL(t testing.TB, database, mode string) string {
	t.Helper()
	if !pgcluster.PgBouncerInstalled() {
		noPostgres(t, pgcluster.ErrNoPgBouncer.Error())
	}
	p, err := pgcluster.StartPgBouncer(database, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p.URL()
}
