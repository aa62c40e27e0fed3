package database

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func TestPostgresConfigReachesThePool(t *testing.T) {
	t.Parallel()
	const url = "postgres://jane:one@localhost/app"
	const fromURL = url + "?pool_min_conns=2&pool_max_conns=7&pool_max_conn_idle_time=9m"
	for _, tc := range []struct {
		name   string
		config PostgresConfig
		check  func(c *pgxpool.Config) bool
	}{
		{"defaults", PostgresConfig{URL: url}, func(c *pgxpool.Config) bool {
			return c.MinConns == 0 && c.MaxConns >= 4 && c.MaxConnIdleTime == 30*time.Minute
		}},
		{"the URL's", PostgresConfig{URL: fromURL}, func(c *pgxpool.Config) bool {
			return c.MinConns == 2 && c.MaxConns == 7 && c.MaxConnIdleTime == 9*time.Minute
		}},
		{"ours", PostgresConfig{URL: fromURL, MinConns: 3, MaxConns: 12, MaxIdleTime: time.Second}, func(c *pgxpool.Config) bool {
			return c.MinConns == 3 && c.MaxConns == 12 && c.MaxConnIdleTime == time.Second && c.HealthCheckPeriod == time.Second
		}},
		{"the URL's password", PostgresConfig{URL: url}, func(c *pgxpool.Config) bool {
			return c.ConnConfig.Password == "one"
		}},
		{"our password", PostgresConfig{URL: url, Password: "two"}, func(c *pgxpool.Config) bool {
			return c.ConnConfig.Password == "two"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := tc.config.parse()
			if err != nil {
				t.Fatal(err)
			}
			if !tc.check(c) {
				t.Errorf("min %d, max %d, idle %v, looked at every %v, password %q",
					c.MinConns, c.MaxConns, c.MaxConnIdleTime, c.HealthCheckPeriod, c.ConnConfig.Password)
			}
		})
	}
}
