package notifications_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// semanticsCase is one row of the table in docs/semantics.md. The clock of its
// fixture stands still unless it is advanced.
type semanticsCase struct {
	name string
	test func(f *fixture)
}

// TestSemantics has a case for each row of the table, and no others.
func TestSemantics(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(stateCases, bulkCases, scopeCases, keepPlaceCases, idempotencyCases, timeCases, goneCases)
	names := make([]string, len(cases))
	for i, tc := range cases {
		names[i] = tc.name
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *gorm.DB) { tc.test(newClockedFixture(t, db)) })
		})
	}
	text, err := os.ReadFile("docs/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := tableRows(string(text))
	for _, row := range rows {
		if !slices.Contains(names, row) {
			t.Errorf("docs/semantics.md: row %q has no case", row)
		}
	}
	for _, name := range names {
		if !slices.Contains(rows, name) {
			t.Errorf("case %q has no row in docs/semantics.md", name)
		}
	}
	if !t.Failed() && !slices.Equal(rows, names) {
		t.Errorf("docs/semantics.md has the rows in another order, or one of them twice\n%q, the cases are\n%q", rows, names)
	}
}

var rowPattern = regexp.MustCompile(`(?m)^\| *([^|]*?) *\| *[^|]+ *\|$`)

// tableRows returns the first cell of each row of the table in a Markdown
// text, its head left out.
func tableRows(text string) []string {
	var rows []string
	for _, m := range rowPattern.FindAllStringSubmatch(text, -1) {
		rows = append(rows, m[1])
	}
	if len(rows) < 2 || strings.Trim(rows[1], "-") != "" {
		return nil
	}
	return rows[2:]
}

func TestTableRows(t *testing.T) {
	t.Parallel()
	text := "# x\n| a | b |\n|---|---|\n| r1 | text `x` |\n|r=2 × r3|y|\nno | row\n"
	if got, want := tableRows(text), []string{"r1", "r=2 × r3"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

const day = 24 * time.Hour

var (
	toJane     = notifications.Users("default/jane")
	toJohn     = notifications.Users("default/john")
	toOps      = notifications.Groups("default/ops")
	toEveryone = notifications.Everyone()
)

// everything selects all that a reader can see, archived or not.
var everything = notifications.Filter{Archived: notifications.ArchivedOrNot}

// about is a draft of the scope "build 7".
func about(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, Scope: "build 7", To: to}
}

// keeping is about with resurface=false.
func keeping(title string, to notifications.Audience) notifications.Draft {
	d := about(title, to)
	d.KeepPlace = true
	return d
}

// at is a scheduled draft.
func at(when time.Time, title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, NotBefore: when, To: to}
}

// until is a draft that expires.
func until(when time.Time, title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, Expires: when, To: to}
}

// keyed is a draft with an idempotency key.
func keyed(title string, to notifications.Audience) notifications.Draft {
	return notifications.Draft{Origin: "test", Title: title, IdempotencyKey: "key 1", To: to}
}

func (f *fixture) now() time.Time { return f.clock.now() }

// advance lets time pass, and returns the time then.
func (f *fixture) advance(d time.Duration) time.Time {
	f.clock.pass(d)
	return f.clock.now()
}

// see checks what who sees at all, newest first, archived or not.
func (f *fixture) see(who notifications.Identity, titles ...string) {
	f.t.Helper()
	f.expect(who, notifications.ListQuery{Filter: everything}, titles...)
}

func (f *fixture) get(who notifications.Identity, id string) notifications.Notification {
	f.t.Helper()
	n, err := f.Get(f.t.Context(), who, id)
	if err != nil {
		f.t.Errorf("Get(%s, %s): %v", who, id, err)
	}
	return n
}

// hidden checks that who cannot get the notification.
func (f *fixture) hidden(who notifications.Identity, id string) {
	f.t.Helper()
	if n, err := f.Get(f.t.Context(), who, id); !errors.Is(err, notifications.ErrNotFound) {
		f.t.Errorf("Get(%s, %s) = %+v, %v; want ErrNotFound", who, id, n, err)
	}
}

// marked checks what who did with the notification: words out of "read saved
// archived".
func (f *fixture) marked(who notifications.Identity, id string, want string) {
	f.t.Helper()
	n := f.get(who, id)
	var got []string
	for _, mark := range []struct {
		is   bool
		name string
	}{{n.Read, "read"}, {n.Saved, "saved"}, {n.Archived, "archived"}} {
		if mark.is {
			got = append(got, mark.name)
		}
	}
	if strings.Join(got, " ") != want {
		f.t.Errorf("to %s, %s is %q, want %q", who, n.Title, got, want)
	}
}

// counted checks the status of all that who sees.
func (f *fixture) counted(who notifications.Identity, want notifications.Status) {
	f.t.Helper()
	got, err := f.Status(f.t.Context(), who, notifications.SystemOrNot)
	if err != nil || got != want {
		f.t.Errorf("Status(%s) = %+v, %v; want %+v", who, got, err, want)
	}
}

// again posts a draft once more and checks the id it is answered with.
func (f *fixture) again(d notifications.Draft, want string) {
	f.t.Helper()
	if id := f.postDraft(d); id != want {
		f.t.Errorf("posting %q again = %s, want %s", d.Title, id, want)
	}
}

// anew posts a draft, and checks that the id is a new one.
func (f *fixture) anew(d notifications.Draft, not ...string) string {
	f.t.Helper()
	id := f.postDraft(d)
	if slices.Contains(not, id) {
		f.t.Errorf("posting %q = %s, want a new id", d.Title, id)
	}
	return id
}

// refused checks that a draft is answered with an error.
func (f *fixture) refused(d notifications.Draft, want error) {
	f.t.Helper()
	if id, err := f.Post(f.t.Context(), ci, d); !errors.Is(err, want) {
		f.t.Errorf("posting %q = %q, %v; want %v", d.Title, id, err, want)
	}
}

func (f *fixture) withdraw(id string) {
	f.t.Helper()
	if err := f.Withdraw(f.t.Context(), ci, id); err != nil {
		f.t.Errorf("Withdraw(%s): %v", id, err)
	}
}

func (f *fixture) withdrawScope(want int64) {
	f.t.Helper()
	if n, err := f.WithdrawScope(f.t.Context(), ci, "test", "build 7"); err != nil || n != want {
		f.t.Errorf("WithdrawScope = %d, %v; want %d", n, err, want)
	}
}

// purge removes what is older than age, and checks how many that are.
func (f *fixture) purge(age time.Duration, want int64) {
	f.t.Helper()
	result, err := f.Purge(f.t.Context(), notifications.PurgeOptions{OlderThan: age})
	if err != nil || result != (notifications.PurgeResult{Removed: want}) {
		f.t.Errorf("Purge(%v) = %+v, %v; want %d removed", age, result, err, want)
	}
}

func (f *fixture) erase(user string) {
	f.t.Helper()
	if err := f.EraseUser(f.t.Context(), ci, user); err != nil {
		f.t.Errorf("EraseUser(%s): %v", user, err)
	}
}

// reach checks whom the notification reaches, and how many have marked it.
func (f *fixture) reach(id string, reads int64, audiences ...string) {
	f.t.Helper()
	r, err := f.Reach(f.t.Context(), ci, id)
	var got []string
	for _, a := range r.Audiences {
		got = append(got, a.Audience)
	}
	if err != nil || !slices.Equal(got, audiences) || r.Delivered != int64(len(audiences)) || r.Read != reads {
		f.t.Errorf("Reach(%s) = %+v, %v; want %q, %d read", id, r, err, audiences, reads)
	}
}

// because checks the reasons why a user sees a notification or not.
func (f *fixture) because(id, user string, codes ...notifications.ReasonCode) {
	f.t.Helper()
	e, err := f.Explain(f.t.Context(), ci, id, user)
	var got []notifications.ReasonCode
	for _, r := range e.Reasons {
		got = append(got, r.Code)
	}
	if err != nil || !slices.Equal(got, codes) {
		f.t.Errorf("Explain(%s, %s) = %v, %v; want %q", id, user, e.Reasons, err, codes)
	}
}

// Configurations of a service, for fixture.with.

func groupsSinceJoining(cfg *notifications.Config) {
	cfg.GroupHistory = notifications.HistorySinceJoining
}

func systemSinceJoining(cfg *notifications.Config) {
	cfg.SystemHistory = notifications.HistorySinceJoining
}

func systemRead(cfg *notifications.Config) { cfg.SystemHistory = notifications.HistoryRead }

func withoutDeleteAny(cfg *notifications.Config) { cfg.Policy = notifications.AllowAll{} }
