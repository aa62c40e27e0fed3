package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
)

const nowhere = "00000000-0000-7000-8000-000000000000" // no notification has this id

// operatorCommands are the commands that work on an existing database.
var operatorCommands = map[string][]string{
	"explain":    {"explain", "--user=default/jane", nowhere},
	"erase-user": {"erase-user", "default/jane"},
}

// The commands create neither a database nor tables.
func TestOperatorNeedsTheTables(t *testing.T) {
	t.Parallel()
	for name, command := range operatorCommands {
		on := func(t *testing.T, database string) result {
			t.Helper()
			return invoke(t, nil, slices.Concat(command, []string{"--database=" + database})...)
		}
		t.Run(name+"/sqlite", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "test.db")
			refused(t, on(t, "sqlite:"+path), exitFailure, "sqlite:"+path+" does not exist")
			if found, err := filepath.Glob(path + "*"); err != nil || len(found) > 0 {
				t.Errorf("made are %q, %v", found, err)
			}
			refused(t, on(t, "sqlite:"+file(t, "empty.db", "")), exitFailure, "empty.db does not exist or is empty")
			openLibrary(t, "--database=sqlite:"+path).exec(t, "DROP TABLE notification_scopes")
			refused(t, on(t, "sqlite:"+path), exitFailure, "the database sqlite:"+path+" is not ready", "00002_states_updates_expiry.sql has not been applied")
		})
		t.Run(name+"/postgres", func(t *testing.T) {
			t.Parallel()
			missing := missingDatabase(t)
			for range 2 { // the first run did not create it
				refused(t, on(t, missing), exitFailure, "the database postgres://", "does not exist")
			}
			refused(t, on(t, dbtest.PostgresURL(t)), exitFailure, "the database postgres://", "00001_create_tables.sql has not been applied")
		})
	}
}

// The commands accept all settings of the server, and use those of the database
// and the catalog.
func TestOperatorTakesServerSettings(t *testing.T) {
	t.Parallel()
	argument := newSQLite(t)
	openLibrary(t, argument)
	database := strings.TrimPrefix(argument, "--database=")
	for name, command := range operatorCommands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := file(t, "notifyd.yaml", "database: "+database+"\nlisten: :7007\n")
			r := invoke(t, []string{"NOTIFYD_JWKS_URL=https://id.example/keys"}, slices.Concat(command, []string{"--config", config, "--external-caller-secret-file=/no/secret"})...)
			if r.status != 0 || r.stderr != "" || r.stdout == "" {
				t.Errorf("exit status %d: %s%s", r.status, r.stdout, r.stderr)
			}
			for want, settings := range map[string][]string{
				"-nope":               {"--nope"},
				"--database: must be": {"--database=mysql://"},
				"--open-catalog: cannot be combined with --catalog": {"--open-catalog", "--catalog=x"},
				"--catalog: open /no/catalog":                       {"--catalog=/no/catalog"},
				`unexpected argument "more"`:                        {"more"},
				"--purge-interval: \"0s\" is not":                   {"--purge-interval=0s"},
			} {
				refused(t, invoke(t, []string{"NOTIFYD_DATABASE=" + database}, slices.Concat(command, settings)...), exitUsage, want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		l := openLibrary(t, database)
		direct, archived := l.post(t, notifications.Users("default/jane")), l.post(t, notifications.Users("default/jane"))
		group := l.post(t, notifications.Groups("default/ops"))
		l.mark(t, archived, notifications.StateChange{Archived: new(true)})
		serving(t, database) // it does not change the database
		for _, tt := range []struct {
			id, user string
			settings []string
			want     string // … stands for a time
		}{
			{id: direct, user: "default/jane", want: "visible\ndirect user:default/jane\n"},
			{id: strings.ToUpper(direct), user: "User:Default/JANE", want: "visible\ndirect user:default/jane\n"},
			{id: group, user: "default/jane", want: "visible\ngroup group:default/ops\n"},
			{id: archived, user: "default/jane", want: "visible, not listed (archived)\ndirect user:default/jane\narchived …\n"},
			{id: direct, user: "default/john", want: "not visible\nnot-addressed\n"},
			{id: nowhere, user: "default/jane", want: "not visible\nunknown\n"},
			{id: group, user: "default/jim", want: "not visible\nno-such-user user:default/jim\nnot-addressed\n"},
			{id: group, user: "default/jane", settings: []string{"--open-catalog"}, want: "not visible\nnot-addressed\n"},
			{id: group, user: "default/jim", want: "visible\ngroup group:default/ops\n",
				settings: []string{"--catalog", file(t, "users.yaml", "kind: User\nmetadata: {name: jim}\nspec: {memberOf: [ops]}\n---\nkind: Group\nmetadata: {name: ops}\n")}},
		} {
			got := succeeds(t, append([]string{"explain", tt.id, "--user", tt.user, database}, tt.settings...)...)
			before, _, _ := strings.Cut(tt.want, "…")
			if !strings.HasPrefix(got, before) || strings.Count(got, "\n") != strings.Count(tt.want, "\n") {
				t.Errorf("%s of %s with %q: %q, want %q", tt.id, tt.user, tt.settings, got, tt.want)
			}
		}
		if got := succeeds(t, "explain", "--user=default/jane", database, "--", direct); !strings.HasPrefix(got, "visible\n") {
			t.Errorf("with the id last it is %q", got)
		}
	})
}

func TestRefusedExplanations(t *testing.T) {
	t.Parallel()
	database := newSQLite(t)
	openLibrary(t, database)
	refused(t, invoke(t, nil, "explain", database), exitUsage, "notifyd: --user is required", "notifyd: the ID of a notification is required")
	refused(t, invoke(t, nil, "explain", database, "--user=jane", "x"), exitUsage, "notifyd: ID: is not a UUID", "notifyd: --user: must be of the form")
	refused(t, invoke(t, nil, "explain", database, "--user=group:default/ops", nowhere), exitUsage, "--user: names a group")
}

// A user is erased even if the catalog does not know the user any more, and
// while a server is running.
func TestEraseUser(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		before := openLibrary(t, database, "--catalog", file(t, "users.yaml", "kind: User\nmetadata: {name: jim}\n---\nkind: User\nmetadata: {name: guest}\n"))
		alone, shared := before.post(t, notifications.Users("default/jim")), before.post(t, notifications.Users("default/jim", "default/guest"))
		i := serving(t, database)
		const told = `user:default/jim is erased
  0 marks
  1 notifications to this user alone
  1 notifications to the user and others, which the others keep
  0 posts of the user, which stay without a poster
  0 idempotency keys
`
		if got := succeeds(t, "erase-user", "Default/Jim", database); got != told {
			t.Errorf("the output is %q, want %q", got, told)
		}
		refused(t, invoke(t, nil, "erase-user", "Default/Jim", database), exitFailure, // the first one erased the last trace
			"notifyd: nothing is erased: neither the catalog nor the database knows user:default/jim")
		if got := succeeds(t, "erase-user", "default/jane", database); !strings.HasPrefix(got, "user:default/jane is erased\n  0 marks\n") {
			t.Errorf("of a user in the catalog without data the output is %q", got)
		}
		if before.stored(t, alone) {
			t.Error("what was addressed to him alone is still there")
		}
		page, err := before.List(t.Context(), notifications.User("default/jim"), notifications.ListQuery{})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("he still sees %v, %v", page.Items, err)
		}
		if ids := i.get(t, "/notifications").want(t, http.StatusOK).ids(t); len(ids) != 1 || ids[0] != shared {
			t.Errorf("the guest sees %q, want %s", ids, shared)
		}
	})
}

func TestRefusedErasures(t *testing.T) {
	t.Parallel()
	database := newSQLite(t)
	openLibrary(t, database)
	refused(t, invoke(t, nil, "erase-user", database), exitUsage, "notifyd: the REF of a user is required")
	refused(t, invoke(t, nil, "erase-user", database, "jane"), exitUsage, "notifyd: REF: must be of the form")
	refused(t, invoke(t, nil, "erase-user", database, "group:default/ops"), exitUsage, "notifyd: REF: names a group")
	refused(t, invoke(t, nil, "erase-user", database, "default/jane", "default/john"), exitUsage, `unexpected argument "default/john"`)
	refused(t, invoke(t, nil, "erase-user", database, "--user=default/jane"), exitUsage, "-user")
}
