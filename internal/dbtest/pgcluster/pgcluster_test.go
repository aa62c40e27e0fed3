package pgcluster_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	c := dbtest.StartPostgres(t, pgcluster.Options{Durable: true})
	u, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, c, "CREATE TABLE kept (a INTEGER)")
	for name, bounce := range map[string]func() error{
		"restart": c.Restart,
		"crash": func() error {
			if err := c.Crash(); err != nil {
				return err
			}
			return c.Start()
		},
	} {
		if err := bounce(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		exec(t, c, "INSERT INTO kept VALUES (1)")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(u.Query().Get("host")); !os.IsNotExist(err) {
		t.Errorf("its directory after Close: %v", err)
	}
	if conn, err := pgx.Connect(t.Context(), c.URL()); err == nil {
		t.Errorf("it answers after Close: %v", conn.Close(t.Context()))
	}
}

// A standby follows its primary, refuses writes, and continues after a restart.
func TestStandby(t *testing.T) {
	t.Parallel()
	r := dbtest.StartReplicated(t, pgcluster.Options{Password: "of the test"})
	exec(t, r.Primary, "CREATE TABLE kept (a INTEGER)")
	r.CatchUp()
	exec(t, r.Standby, "SELECT * FROM kept")
	r.Pause()
	exec(t, r.Primary, "CREATE TABLE later (a INTEGER)")
	refuses(t, r.Standby, "SELECT * FROM later", "does not exist")
	r.Resume()
	r.CatchUp()
	exec(t, r.Standby, "SELECT * FROM later")
	refuses(t, r.Standby, "INSERT INTO kept VALUES (1)", "read-only")

	if err := r.Standby.Stop(); err != nil {
		t.Fatal(err)
	}
	exec(t, r.Primary, "CREATE TABLE latest (a INTEGER)")
	if err := r.Standby.Start(); err != nil {
		t.Fatal(err)
	}
	r.CatchUp()
	exec(t, r.Standby, "SELECT * FROM latest")
}

func refuses(t *testing.T, c *pgcluster.Cluster, statement, why string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v, want %q", statement, err, why)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func exec(t *testing.T, c *pgcluster.Cluster, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
