package catalogtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
	"github.com/notifications-go/notifications/catalog/catalogtest"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	cat := catalog.Open(func(_ context.Context, user string) ([]string, error) {
		return map[string][]string{"42": {"Editors", "staff"}}[user], nil
	})
	catalogtest.Run(t, cat, catalogtest.Sample{
		Users: []string{"42", "Jane", "jane", "a/b/c", "jane doe"}, Groups: []string{"Editors", "staff"},
		Members: map[string][]string{"42": {"staff", "Editors"}, "jane": nil},
	})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	files, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(`
{kind: User, metadata: {name: jane}, spec: {memberOf: [ops, dev]}}
---
{kind: User, metadata: {name: john, namespace: other}}
---
{kind: Group, metadata: {name: ops}}
---
{kind: Group, metadata: {name: dev}}
`)}}, "org.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catalogtest.Run(t, files, catalogtest.Sample{
		Users: []string{"user:Default/JANE", "other/john"}, Groups: []string{"default/ops", "default/dev"},
		NoUsers: []string{"default/john", "default/ops"}, NoGroups: []string{"default/jane", "default/x"},
		Members: map[string][]string{"default/jane": {"default/dev", "Group:Default/Ops"}, "other/john": {}},
	})
}

func directory() *notificationstest.Directory {
	dir := new(notificationstest.Directory)
	dir.SetUser("jane", "ops", "dev")
	dir.SetUser("john")
	return dir
}

var sample = catalogtest.Sample{
	Users: []string{"jane", "john"}, Groups: []string{"ops", "dev"},
	NoUsers: []string{"kim", "ops"}, NoGroups: []string{"none", "jane"},
	Members: map[string][]string{"jane": {"dev", "ops"}, "john": nil},
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, directory(), sample)
}

// fakeT takes what is reported to it.
type fakeT struct {
	testing.TB
	ctx    context.Context
	faults []string
}

func (*fakeT) Helper()                    {}
func (t *fakeT) Context() context.Context { return t.ctx }
func (t *fakeT) Fatal(args ...any)        { t.Errorf("%s", fmt.Sprint(args...)) }
func (t *fakeT) Errorf(format string, args ...any) {
	t.faults = append(t.faults, fmt.Sprintf(format, args...))
}

// broken is a directory of which some answers are others.
type broken struct {
	*notificationstest.Directory
	canonical func(kind notifications.Kind, name string) (string, error)
	groups    func(ctx context.Context, user string) ([]notifications.Membership, error)
	missing   func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error)
	since     func(ctx context.Context) error
	size      func(group string) (int, bool, error)
}

func (b broken) Canonical(kind notifications.Kind, name string) (string, error) {
	if b.canonical != nil {
		return b.canonical(kind, name)
	}
	return b.Directory.Canonical(kind, name)
}

func (b broken) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	if b.groups != nil {
		return b.groups(ctx, user)
	}
	return b.Directory.Groups(ctx, user)
}

func (b broken) Missing(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	if b.missing != nil {
		return b.missing(ctx, refs)
	}
	return b.Directory.Missing(ctx, refs)
}

func (b broken) AccountSince(ctx context.Context, user string) (time.Time, error) {
	if b.since != nil {
		return time.Time{}, b.since(ctx)
	}
	return b.Directory.AccountSince(ctx, user)
}

func (b broken) Size(ctx context.Context, group string) (int, bool, error) {
	if b.size != nil {
		return b.size(group)
	}
	return b.Directory.Size(ctx, group)
}

func (b broken) check(t *testing.T, says string, sample catalogtest.Sample) {
	t.Helper()
	fake := &fakeT{ctx: t.Context()}
	catalogtest.Run(fake, b, sample)
	if !slices.ContainsFunc(fake.faults, func(fault string) bool { return strings.Contains(fault, says) }) {
		t.Errorf("it says\n%s\nwant one with %s", strings.Join(fake.faults, "\n"), says)
	}
}

// refusing is a Canonical that refuses what is malformed, but for some of it.
func refusing(but string) func(notifications.Kind, string) (string, error) {
	return func(_ notifications.Kind, name string) (string, error) {
		for what, is := range map[string]bool{
			"empty": name == "", "long": len(name) > 255, "NUL": strings.Contains(name, "\x00"), "not UTF-8": !utf8.ValidString(name),
			"kind": strings.Contains(name, ":"),
		} {
			if is && what != but {
				return "", errors.New("is " + what)
			}
		}
		return name, nil
	}
}

func TestFindsBrokenNames(t *testing.T) {
	t.Parallel()
	dir := directory()
	for name, test := range map[string]struct {
		canonical func(kind notifications.Kind, name string) (string, error)
		says      string
	}{
		"empty":     {refusing("empty"), `Canonical(user, "") is empty, and no error`},
		"too long":  {refusing("long"), `has 256 bytes, the limit is 255`},
		"not UTF-8": {refusing("not UTF-8"), `which is not valid UTF-8`},
		"NUL":       {refusing("NUL"), `which has a NUL character`},
		"refuses a name of the sample": {func(kind notifications.Kind, name string) (string, error) {
			if name == "jane" {
				return "", errors.New("is odd")
			}
			return dir.Canonical(kind, name)
		}, `Canonical(user, "jane"): is odd; it is a name of the sample`},
		"with the kind": {func(kind notifications.Kind, name string) (string, error) {
			name, err := dir.Canonical(kind, name)
			return string(kind) + ":" + name, err
		}, `Canonical(user, "jane") is "user:jane", and must be without the kind`},
		"not idempotent": {func(kind notifications.Kind, name string) (string, error) {
			name, err := dir.Canonical(kind, name)
			return name + "x", err
		}, `Canonical(user, "jane") is "janex", and of that it is "janexx", <nil>; it must be idempotent`},
		"one for all": {func(notifications.Kind, string) (string, error) {
			return "jane", nil
		}, `Canonical(user, "john") is "jane", as for another user of the sample`},
		"its kind is part of the name": {func(_ notifications.Kind, name string) (string, error) {
			return refusing("")("", strings.ReplaceAll(name, ":", "-"))
		}, `Canonical(user, "user:jane") is "user-jane", and "jane" without the kind; it must be the same, or an error`},
		"another kind is dropped": {func(kind notifications.Kind, name string) (string, error) {
			return dir.Canonical(kind, name[strings.Index(name, ":")+1:])
		}, `Canonical(user, "group:jane") is "jane": a group is taken for a user`},
		"folds more than ASCII": {func(kind notifications.Kind, name string) (string, error) {
			return dir.Canonical(kind, strings.ToLower(name))
		}, `Canonical(user, "Kim") is "kim", as for "kim"; fold no letters but A to Z`},
		"system is empty": {func(kind notifications.Kind, name string) (string, error) {
			name, err := dir.Canonical(kind, name)
			return strings.TrimPrefix(name, "system"), err
		}, `Canonical(group, "system") is empty, and no error`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken{Directory: dir, canonical: test.canonical}.check(t, test.says, sample)
		})
	}
}

func TestFindsBrokenMissing(t *testing.T) {
	t.Parallel()
	dir := directory()
	for name, test := range map[string]struct {
		missing func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error)
		says    string
	}{
		"none": {func(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
			return nil, nil
		}, "Missing([user:kim]) is [], want [user:kim]"},
		"all": {func(_ context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
			return refs, nil
		}, "Missing([user:jane]) is [user:jane], want []"},
		"more than were asked for": {func(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
			return []notifications.Ref{notifications.UserRef("kim")}, nil
		}, "Missing([]) is [user:kim], want []"},
		"only the first": {func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
			return dir.Missing(ctx, refs[:min(len(refs), 1)])
		}, "is [user:kim], want [user:kim user:ops group:none group:jane]"},
		"other names": {func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
			missing, err := dir.Missing(ctx, refs)
			for i := range missing {
				missing[i].Name = strings.ToUpper(missing[i].Name)
			}
			return missing, err
		}, "Missing([user:kim]) is [user:KIM], want [user:kim]"},
		"users and groups are one": {func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
			return slices.DeleteFunc(slices.Clone(refs), func(ref notifications.Ref) bool {
				return slices.Contains([]string{"jane", "john", "ops", "dev"}, ref.Name)
			}), nil
		}, "Missing([user:ops]) is [], want [user:ops]"},
		"cannot tell": {func(context.Context, []notifications.Ref) ([]notifications.Ref, error) {
			return nil, errors.New("no idea")
		}, "Missing([user:jane]): no idea"},
		"none when it is cancelled": {func(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
			if ctx.Err() != nil {
				return nil, nil
			}
			return dir.Missing(ctx, refs)
		}, "with a cancelled context is [], and not [group:jane group:none user:kim user:ops] or an error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken{Directory: dir, missing: test.missing}.check(t, test.says, sample)
		})
	}
}

func TestFindsBrokenGroups(t *testing.T) {
	t.Parallel()
	dir := directory()
	in := func(groups ...string) func(context.Context, string) ([]notifications.Membership, error) {
		return func(_ context.Context, user string) (in []notifications.Membership, _ error) {
			for _, group := range groups {
				in = append(in, notifications.Membership{Group: group})
			}
			return in, nil
		}
	}
	var mu sync.Mutex
	asking := 0
	for name, test := range map[string]struct {
		groups func(ctx context.Context, user string) ([]notifications.Membership, error)
		says   string
	}{
		"of a user who does not exist": {in("ops"), `Groups("kim") is [group:ops], of a user who does not exist`},
		"not all":                      {in("ops"), `Groups("jane") is [group:ops], want [group:dev group:ops]`},
		"not canonical":                {in("Ops"), `Groups("jane") has "Ops", of which the canonical form is "ops", <nil>`},
		"with the kind":                {in("group:ops"), `Groups("jane") has "group:ops", of which the canonical form is "ops", <nil>`},
		"no name at all":               {in("a:b"), `Groups("jane") has "a:b", of which the canonical form is "", must be`},
		"that do not exist":            {in("none"), `Missing([group:none]) is [group:none], want []`},
		"cannot tell": {func(context.Context, string) ([]notifications.Membership, error) {
			return nil, errors.New("no idea")
		}, `Groups("jane"): no idea`},
		"cannot tell of who does not exist": {func(ctx context.Context, user string) ([]notifications.Membership, error) {
			if user == "kim" {
				return nil, errors.New("no such user")
			}
			return dir.Groups(ctx, user)
		}, `Groups("kim"): no such user`},
		"none when it is cancelled": {func(ctx context.Context, user string) ([]notifications.Membership, error) {
			if ctx.Err() != nil {
				return nil, nil
			}
			return dir.Groups(ctx, user)
		}, `Groups("jane") with a cancelled context is [], and not [{dev`},
		"of another user when it is asked at once": {func(ctx context.Context, user string) ([]notifications.Membership, error) {
			mu.Lock()
			asking++
			early := asking < 40 // the rest is asked in parallel
			mu.Unlock()
			if early {
				return dir.Groups(ctx, user)
			}
			return nil, nil
		}, `Groups("jane"), with others asking at once, is [], <nil>, and not [{dev`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken{Directory: dir, groups: test.groups}.check(t, test.says, sample)
		})
	}
}

func TestFindsBrokenDatesAndSizes(t *testing.T) {
	t.Parallel()
	dir := directory()
	broken{Directory: dir, since: func(context.Context) error { return errors.New("no idea") }}.check(t, `AccountSince("jane"): no idea`, sample)
	for says, size := range map[string]func(string) (int, bool, error){
		`Size("ops"): no idea`:                              func(string) (int, bool, error) { return 0, false, errors.New("no idea") },
		`Size("ops") is 0, the sample alone has 1`:          func(string) (int, bool, error) { return 0, true, nil },
		`Size("") is 1, the sample alone has 2`:             func(string) (int, bool, error) { return 1, true, nil },
		`Size("none") is 2, of a group that does not exist`: func(string) (int, bool, error) { return 2, true, nil },
	} {
		broken{Directory: dir, size: size}.check(t, says, sample)
	}
	broken{Directory: dir, size: func(string) (int, bool, error) { return -1, true, nil }}.check(t, `Size("ops") is -1`,
		catalogtest.Sample{Users: sample.Users, Groups: sample.Groups})
}

func TestNeedsUsers(t *testing.T) {
	t.Parallel()
	broken{Directory: directory()}.check(t, "the Sample has no Users", catalogtest.Sample{Groups: []string{"ops"}})
}

// table is a catalog over a table of users. It reads in the transaction it finds.
type table struct {
	notifications.Catalog
	db *gorm.DB
}

func (c table) Missing(ctx context.Context, refs []notifications.Ref) (missing []notifications.Ref, _ error) {
	db, found := notifications.TxFrom(ctx)
	if !found {
		db = c.db.WithContext(ctx)
	}
	for _, ref := range refs {
		var n int64
		if err := db.Table("users").Where("name = ?", ref.Name).Count(&n).Error; err != nil {
			return nil, err
		}
		if n == 0 {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

// remembering is a catalog that asks another one once about each list.
type remembering struct {
	notifications.Catalog
	known map[string][]notifications.Ref
}

func (c remembering) Missing(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	key := fmt.Sprint(refs)
	if _, known := c.known[key]; !known {
		missing, err := c.Catalog.Missing(ctx, refs)
		if err != nil {
			return nil, err
		}
		c.known[key] = missing
	}
	return c.known[key], nil
}

func TestTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		for _, sql := range []string{"CREATE TABLE users (name text PRIMARY KEY)", "INSERT INTO users VALUES ('jane')"} {
			if err := db.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		add := func(ctx context.Context) (string, error) {
			tx, found := notifications.TxFrom(ctx)
			if sqlTx, foundToo := notifications.SQLTxFrom(ctx); !found || !foundToo || sqlTx == nil {
				return "", errors.New("there is no transaction")
			}
			return "kim", tx.Exec("INSERT INTO users VALUES ('kim')").Error
		}
		sample := catalogtest.Sample{Users: []string{"jane"}, NoUsers: []string{"kim"}, DB: db, AddUser: add}
		good := table{catalog.Open(nil), db}
		catalogtest.Run(t, good, sample)
		if n, err := good.Missing(t.Context(), []notifications.Ref{notifications.UserRef("kim")}); err != nil || len(n) != 1 {
			t.Errorf("the user of the transaction is left behind: %v, %v", n, err)
		}

		for name, test := range map[string]struct {
			cat  notifications.Catalog
			add  func(ctx context.Context) (string, error)
			says string
		}{
			"reads elsewhere": {elsewhere{good}, add, "in a transaction: user \"kim\", who was added in it, does not exist by Missing"},
			"remembers":       {remembering{good, map[string][]notifications.Ref{fmt.Sprint([]notifications.Ref{notifications.UserRef("kim")}): {}}}, add, "after a rollback Missing says that user:kim exists"},
			"cannot add":      {good, func(context.Context) (string, error) { return "", errors.New("full") }, "in a transaction: AddUser: full"},
		} {
			t.Run(name, func(t *testing.T) {
				fake := &fakeT{ctx: t.Context()}
				broken := sample
				broken.AddUser, broken.NoUsers = test.add, nil
				catalogtest.Run(fake, test.cat, broken)
				if len(fake.faults) != 1 || !strings.HasPrefix(fake.faults[0], test.says) {
					t.Errorf("it says %q, want %s", fake.faults, test.says)
				}
			})
		}
	})
}

// elsewhere is a table that does not look for a transaction.
type elsewhere struct{ table }

func (c elsewhere) Missing(_ context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	return c.table.Missing(context.Background(), refs)
}

// TestWithoutSample: names are checked all the same.
func TestWithoutSample(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, directory())
	fake := &fakeT{ctx: t.Context()}
	catalogtest.Run(fake, broken{Directory: directory(), canonical: func(notifications.Kind, string) (string, error) { return "", nil }})
	if len(fake.faults) == 0 {
		t.Error("a catalog without a canonical form passes")
	}
}
