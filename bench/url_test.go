package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func counts(t *testing.T, svc *notifications.Service, user string) (all, unread int64) {
	t.Helper()
	all, err := svc.Count(t.Context(), notifications.User(user), notifications.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	unread, err = svc.Count(t.Context(), notifications.User(user), notifications.Filter{Read: notifications.Unread})
	if err != nil {
		t.Fatal(err)
	}
	return all, unread
}

func TestURL(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		svc, s, user := served(t, db)
		out := filepath.Join(t.TempDir(), "result.json")
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte(s.tokens[user]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"--url=" + s.url, "--token-file=" + token, "--rounds=1", "--slice-operations=7", "--concurrency=2", "--out=" + out}
		succeeded(t, args...)
		r, err := readReport(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range []string{opList, opListCursor, opListPage, opListText, opUnread, opMarkOne} {
			if c := r.find(op, httpName); c == nil || c.Operations != 7 || c.P50 <= 0 || c.ToFloor != nil || c.Allocations != nil {
				t.Errorf("%s: %+v", op, c)
			}
		}
		if r.find(opPostUser, httpName) != nil || r.find(opMarkAll, httpName) != nil {
			t.Error("it posted, or marked everything")
		}
		if all, unread := counts(t, svc, user); all != 100 || unread != 100 {
			t.Errorf("afterwards there are %d messages, %d unread", all, unread)
		}
		succeeded(t, append(args, "--posts="+user, "--only=post-user")...)
		if all, _ := counts(t, svc, user); all <= 100 {
			t.Errorf("afterwards there are %d messages", all)
		}
	})
}

func TestURLRefused(t *testing.T) {
	t.Parallel()
	_, s, _ := served(t, dbtest.SQLite(t))
	r := invoke(t, nil, "--url="+s.url, "--token=not-a-secret-token")
	if r.status != exitFailure || !strings.Contains(r.stderr, "401") || strings.Contains(r.stderr, "not-a-secret-token") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
	// The token of a service: it has no inbox.
	if r := invoke(t, nil, "--url="+s.url, "--token="+s.tokens[""]); r.status != exitFailure || !strings.Contains(r.stderr, "403") {
		t.Errorf("ends with %d: %s", r.status, r.stderr)
	}
}
