package dbtest_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestEach is also run by TestEnvironment, in other environments.
func TestEach(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		if got := db.Name(); !strings.HasSuffix(t.Name(), "/"+got) {
			t.Errorf("%s got a database of %s", t.Name(), got)
		}
		if err := db.Exec("CREATE TABLE mine (a INTEGER)").Error; err != nil {
			t.Error(err)
		}
	})
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *gorm.DB{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			for range 3 {
				db := open(t)
				wg.Go(func() {
					if err := db.Exec("CREATE TABLE mine (a INTEGER)").Error; err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestPostgresIsRemoved(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("user", func(t *testing.T) {
		db := dbtest.Postgres(t)
		if err := db.Raw("SELECT current_database()").Row().Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var n int
	if err := dbtest.Postgres(t).Raw("SELECT count(*) FROM pg_database WHERE datname = ?", name).Row().Scan(&n); err != nil {
		t.Fatal(err)
	}
	if name == "" || n != 0 {
		t.Errorf("database %q is still there", name)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		env  []string
		pass bool
		want []string // in the output
		not  string   // not in the output, unless empty
	}{
		{
			name: "nothing set",
			pass: true,
			want: []string{"--- PASS: TestEach/sqlite", "--- SKIP: TestEach/postgres", "make test"},
		},
		{
			name: "required",
			env:  []string{"NOTIFICATIONS_TEST_REQUIRE=1"},
			want: []string{"--- PASS: TestEach/sqlite", "--- FAIL: TestEach/postgres", "make test"},
		},
		{
			name: "SQLite on purpose",
			env:  []string{"NOTIFICATIONS_TEST_REQUIRE=1", "NOTIFICATIONS_TEST_DATABASES=sqlite"},
			pass: true,
			want: []string{"--- PASS: TestEach/sqlite"},
			not:  "TestEach/postgres",
		},
		{
			name: "no server there",
			env:  []string{"NOTIFICATIONS_TEST_POSTGRES=postgres://u@/x?host=/nowhere"},
			want: []string{"--- PASS: TestEach/sqlite", "--- FAIL: TestEach/postgres", "NOTIFICATIONS_TEST_POSTGRES"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEach$", "-test.v", "-test.count=1")
			cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
				return strings.HasPrefix(s, "NOTIFICATIONS_TEST_")
			}), tc.env...)
			out, err := cmd.CombinedOutput()
			if (err == nil) != tc.pass {
				t.Errorf("it ended with %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output has no %q", want)
				}
			}
			if tc.not != "" && strings.Contains(string(out), tc.not) {
				t.Errorf("the output has %q", tc.not)
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
