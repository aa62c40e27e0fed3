package notifications_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/database"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestStatementTimeout: in its own transactions the library sets
// statement_timeout to the time that is left, and never to more than the host
// did. Without a deadline, in a transaction of the host and outside of
// transactions it sets nothing.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	keyed := func(ctx context.Context, s *notifications.Service) error {
		_, err := s.Post(ctx, ci, keyedDraft("keyed "+time.Now().String(), toJane))
		return err
	}
	for name, tt := range map[string]struct {
		host    time.Duration // the host's limit; 0 is none
		left    time.Duration // until the deadline; 0 is none
		do      func(ctx context.Context, s *notifications.Service) error
		inHosts bool
		least   string // of the setting, as an interval
		most    string
	}{
		"no deadline":           {0, 0, keyed, false, "0", "0"},
		"the host's is shorter": {time.Second, time.Hour, keyed, false, "1s", "1s"},
		"the host's is longer":  {90 * time.Minute, time.Hour, keyed, false, "30min", "1h"},
		"the host has none":     {0, time.Hour, keyed, false, "30min", "1h"},
		"in the host's":         {0, time.Hour, keyed, true, "0", "0"},
		"a withdrawal": {0, time.Hour, func(ctx context.Context, s *notifications.Service) error {
			_, err := s.WithdrawScope(ctx, ci, notifications.ScopeKey{Origin: "o", Scope: "s"})
			return err
		}, false, "30min", "1h"},
		"a purge": {time.Second, time.Hour, func(ctx context.Context, s *notifications.Service) error {
			_, err := s.Purge(ctx, notifications.PurgeOptions{})
			return err
		}, false, "0", "0"},
		"one statement": {0, time.Hour, func(ctx context.Context, s *notifications.Service) error {
			_, err := s.Post(ctx, ci, draft("plain", toJane))
			return err
		}, false, "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openPostgres(t, database.PostgresConfig{URL: dbtest.PostgresURL(t), MaxConns: 2, StatementTimeout: tt.host})
			f := newFixture(t, db)
			ctx := t.Context()
			if tt.left > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.left)
				defer cancel()
			}
			checked := 0
			beforeStatements(t, db, func(db *gorm.DB) {
				sql := db.Statement.SQL.String()
				if strings.Contains(sql, "statement_timeout") || !strings.HasPrefix(sql, "INSERT") && !strings.HasPrefix(sql, "UPDATE") && !strings.HasPrefix(sql, "DELETE") && !strings.HasPrefix(sql, "WITH") {
					return
				}
				checked++
				var ok bool
				if err := db.Statement.ConnPool.QueryRowContext(ctx, "SELECT current_setting('statement_timeout')::interval BETWEEN $1::interval AND $2::interval",
					tt.least, tt.most).Scan(&ok); err != nil || !ok {
					t.Errorf("statement_timeout is not %s to %s (%v) in %s", tt.least, tt.most, err, sql)
				}
			})
			do := func(db *gorm.DB) error {
				s := f.Service
				if tt.inHosts {
					s = s.WithTx(db)
				}
				return tt.do(ctx, s)
			}
			var err error
			if tt.inHosts {
				err = db.Transaction(do)
			} else {
				err = do(nil)
			}
			if err != nil || checked == 0 {
				t.Errorf("%v, %d statements", err, checked)
			}
			var after string
			if err := db.Raw("SELECT current_setting('statement_timeout')").Scan(&after).Error; err != nil || tt.host == 0 && after != "0" {
				t.Errorf("afterwards it is %s, %v", after, err)
			}
		})
	}
}

// openPostgres opens a database with settings of its own.
func openPostgres(t *testing.T, c database.PostgresConfig) *gorm.DB {
	t.Helper()
	db, err := database.OpenPostgres(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return db
}
