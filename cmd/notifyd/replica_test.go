package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/internal/dbtest/pgcluster"
)

func effectOfReplica(t *testing.T) {
	const password, wrong = "p@ss/word:with?signs", "wrong-and-never-printed"
	r := dbtest.StartReplicated(t, pgcluster.Options{Password: password})
	of := func(c *pgcluster.Cluster) string {
		u, err := url.Parse(c.URL())
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), wrong)
		return u.String()
	}
	args := []string{"--database=" + of(r.Primary), "--database-password-file=" + file(t, "password", password)}
	i := serving(t, append(args, "--database-replica="+named(of(r.Standby)))...)
	if !strings.Contains(i.line, ", reads from the replica postgres://postgres@") || strings.Contains(i.line, "word") || strings.Contains(i.line, wrong) {
		t.Errorf("the line at the start is %q", i.line)
	}
	first := posted(t, i)
	r.CatchUp()
	r.Pause()
	posted(t, i)
	if ids := i.get(t, "/notifications").ids(t); !slices.Equal(ids, []string{first}) {
		t.Errorf("listed are %q, and the replica has %s", ids, first)
	}
	r.Until(r.Standby, "SELECT count(*) >= 3 FROM pg_stat_activity WHERE application_name = 'notifyd'") // --database-min-conns

	i.stop()
	if err := r.Standby.Stop(); err != nil {
		t.Fatal(err)
	}
	i = serving(t, append(args, "--database-replica="+of(r.Standby))...)
	if ids := i.get(t, "/notifications").ids(t); len(ids) != 2 {
		t.Errorf("without the replica, listed are %q", ids)
	}
	i.stderr.wait(t, `level=WARN msg="the replica failed, and the database is asked instead"`)
	i.get(t, "/readyz").want(t, http.StatusOK)
	if text := i.stderr.String(); strings.Contains(text, "word:") || strings.Contains(text, wrong) {
		t.Errorf("the password is in %s", text)
	}
}

// posted posts to the guest.
func posted(t *testing.T, i *instance) string {
	t.Helper()
	id, err := i.post(t, "default/guest").messageID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A browser sees the marks of its user on every instance, however far the
// replica is behind.
func TestReplicaOfSeveral(t *testing.T) {
	t.Parallel()
	r := dbtest.StartReplicated(t, pgcluster.Options{})
	args := []string{"--database=" + r.Primary.URL(), "--database-replica=" + r.Standby.URL()}
	one, two := serving(t, args...), serving(t, args...)
	id := posted(t, one)
	r.CatchUp()
	r.Pause()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	one.client.Jar = jar // the jar ignores ports
	one.do(t, http.MethodPut, "/notifications/read?read=true&messageId="+id, "").want(t, http.StatusOK)
	isRead := func(i *instance, want bool) {
		t.Helper()
		body := i.get(t, "/notifications").want(t, http.StatusOK).body
		if strings.Contains(body, `"readByUser":true`) != want || !strings.Contains(body, id) {
			t.Errorf("want read %t, listed is %s", want, body)
		}
	}
	isRead(one, true)
	isRead(two, false) // without the cookie
	two.client.Jar = jar
	isRead(two, true)
	for _, path := range []string{"/notifications/count?read=false", "/notifications/status", "/notifications/topics", "/notifications/" + id} {
		if a, b := one.get(t, path).want(t, http.StatusOK), two.get(t, path).want(t, http.StatusOK); a.body != b.body {
			t.Errorf("%s is %s and %s", path, a.body, b.body)
		}
	}
	r.Resume()
	r.CatchUp()
	two.client.Jar = nil
	isRead(two, true)
}
