package conformance_test

import (
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
	"pgregory.net/rapid"
)

// How many sequences TestModel runs: with PostgreSQL, and where it is left out.
const (
	sequences           = 2000
	sequencesSQLiteOnly = 200
)

// parts is how many subtests share them, each with databases of its own.
const parts = 4

// TestModel does random sequences of operations on both databases and on the
// model, and wants the same answer to every operation, and the same lists and
// numbers for every user after it. CONTRIBUTING.md says how to run one again.
func TestModel(t *testing.T) {
	t.Parallel()
	var databases [parts][]*gorm.DB
	for part := range databases {
		databases[part] = openDatabases(t)
	}
	n := sequences
	if len(databases[0]) == 1 {
		n = sequencesSQLiteOnly
	}
	checks := rapidChecks(t, n/parts)
	for part := range databases {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			ran := 0
			rapid.Check(t, func(rt *rapid.T) {
				ran++
				p := programs.Draw(rt, "program")
				if log, difference := p.run(databases[part], nil); difference != "" {
					rt.Log(log)
					rt.Fatal(difference)
				}
			})
			if ran < checks { // rapid is content with that
				t.Errorf("-timeout left time for %d of %d sequences", ran, checks)
			}
		})
	}
}

// rapidChecks tells rapid how many sequences to run, unless it was told on the
// command line, and returns how many those are.
func rapidChecks(t *testing.T, n int) int {
	t.Helper()
	const name = "rapid.checks"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if !given {
		if err := flag.Set(name, strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := strconv.Atoi(flag.Lookup(name).Value.String())
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		n /= 5 // as rapid does
	}
	return n
}

// openDatabases opens one database of each kind, with tables.
func openDatabases(t *testing.T) []*gorm.DB {
	t.Helper()
	databases := []*gorm.DB{fastSQLite(t)}
	if pg := dbtest.PostgresIfWanted(t); pg != nil {
		databases = append(databases, pg)
	}
	for _, db := range databases {
		migrate(t, db)
	}
	return databases
}

// fastSQLite does not wait for the disk: a model commits thousands of times,
// and is not about a loss of power.
func fastSQLite(t *testing.T) *gorm.DB {
	t.Helper()
	db := dbtest.SQLite(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	// The setting is one of a connection. A transaction has one of two.
	pool.SetMaxOpenConns(2)
	for range 2 {
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() // gives it back
		if _, err := conn.ExecContext(t.Context(), "PRAGMA synchronous = OFF"); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func migrate(t *testing.T, db *gorm.DB) {
	t.Helper()
	svc, err := notifications.New(notifications.Config{DB: db, Catalog: new(notificationstest.Directory), Policy: policy{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// emptied is a database without a row.
func emptied(db *gorm.DB) error {
	for _, table := range []string{"messages", "deliveries", "states", "scopes", "idempotency_keys", "changes", "ticks"} {
		if err := db.Exec("DELETE FROM notification_" + table).Error; err != nil {
			return err
		}
	}
	return nil
}

// step does one thing to the world, or looks what is to be done to it.
type step func(w *world) action

// action is what a step does, in words and, unless it changed the directory or
// the clock alone, as a question to a subject. The zero action is nothing.
type action struct {
	words string
	ask   func(subject) (any, error)
}

// program is a sequence of steps. It is drawn before the first is done, so
// that what is left of it after shrinking means the same.
type program struct {
	groupHistory, systemHistory notifications.History
	followed                    bool // by streams
	steps                       []step
}

// GoString is what rapid prints of it; run tells what was done.
func (p program) GoString() string { return fmt.Sprintf("%d steps", len(p.steps)) }

// run asks the model and the databases, step by step, and returns what was
// done and the first difference. lie, unless nil, spoils the model.
func (p program) run(databases []*gorm.DB, lie func(*model) subject) (log, difference string) {
	w, subjects, err := p.begin(databases)
	if err != nil {
		return "", err.Error()
	}
	defer rollBack(subjects)
	if lie != nil {
		subjects[0] = lie(w.model)
	}
	var streams readers
	if p.followed && lie == nil {
		defer func() { streams.stop() }()
		if streams, err = newReaders(w, subjects[1:]); err != nil {
			return "", err.Error()
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GroupHistory %d, SystemHistory %d\n", p.groupHistory, p.systemHistory)
	for i, step := range p.steps {
		a := step(w)
		if a.words == "" {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", text(ms(w.Now())), a.words)
		if a.ask != nil {
			answers := together(subjects, func(s subject) string { return result(a.ask(s)) })
			fmt.Fprintf(&b, "\t%s\n", answers[0])
			if difference := compare(answers); difference != "" {
				return b.String(), difference
			}
		}
		f := notifications.SystemFilter(i % 3) // by turns
		views := together(subjects, func(s subject) string { return view(s, f) })
		if difference := compare(views); difference != "" {
			return b.String(), difference
		}
		if difference := streams.check(i%2 == 1 || i == len(p.steps)-1); difference != "" {
			return b.String(), difference
		}
	}
	return b.String(), ""
}

// begin makes an empty world, the model first among its subjects.
func (p program) begin(databases []*gorm.DB) (*world, []subject, error) {
	w := newWorld(p.groupHistory, p.systemHistory)
	subjects := []subject{w.model}
	for _, db := range databases {
		if err := emptied(db); err != nil {
			return nil, nil, err
		}
		s, err := newService(db, w.model)
		if err != nil {
			return nil, nil, err
		}
		subjects = append(subjects, s)
	}
	return w, subjects, nil
}

// rollBack ends the transactions that a difference left behind.
func rollBack(subjects []subject) {
	for _, s := range subjects[1:] {
		if s.Others() != s {
			_ = s.Rollback() // the database is emptied before it is used again
		}
	}
}

// together asks all subjects at once.
func together(subjects []subject, ask func(subject) string) []string {
	answers := make([]string, len(subjects))
	var wg sync.WaitGroup
	for i, s := range subjects[1:] {
		wg.Go(func() { answers[i+1] = ask(s) })
	}
	answers[0] = ask(subjects[0])
	wg.Wait()
	return answers
}

// result is a value in words, or the error that stands in its place.
func result(value any, err error) string {
	var invalid *notifications.InvalidError
	switch {
	case errors.As(err, &invalid):
		return "invalid"
	case err != nil:
		for _, known := range []error{
			notifications.ErrNotFound, notifications.ErrForbidden, notifications.ErrKeyReused, notifications.ErrTargetsDiffer, notifications.ErrBound,
		} {
			if errors.Is(err, known) {
				return known.Error()
			}
		}
		return "unexpected: " + err.Error()
	default:
		return text(value)
	}
}

// view is all that the users see, the numbers of what a filter selects, and, in
// a transaction, what they see outside of it meanwhile.
func view(s subject, f notifications.SystemFilter) string {
	var b strings.Builder
	writeLists(&b, s, "")
	for _, user := range people {
		fmt.Fprintf(&b, "%s has of filter %d: %s\n", user, f, result(s.Status(notifications.User(user), f)))
	}
	if others := s.Others(); others != s {
		writeLists(&b, others, "outside of the transaction ")
	}
	return b.String()
}

func writeLists(b *strings.Builder, s subject, where string) {
	for _, user := range people {
		list, err := s.All(notifications.User(user), everything)
		for i, n := range list {
			fmt.Fprintf(b, "%s%s lists %d: %s\n", where, user, i, text(n))
		}
		if err != nil {
			fmt.Fprintf(b, "%s%s lists: %s\n", where, user, result(nil, err))
		}
	}
}

// compare returns in which lines the answers differ from the first, which is
// that of the model.
func compare(answers []string) string {
	var b strings.Builder
	for i, kind := range []string{"sqlite", "postgres"}[:len(answers)-1] {
		if answers[i+1] == answers[0] {
			continue
		}
		want, got := strings.Split(answers[0], "\n"), strings.Split(answers[i+1], "\n")
		without := func(lines, other []string) string {
			return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(other, l) }), "\n\t")
		}
		fmt.Fprintf(&b, "%s:\n\t%s\nmodel:\n\t%s\n", kind, without(got, want), without(want, got))
	}
	return b.String()
}

// text is a value without what is zero in it, and times counted from the start.
func text(value any) string { return textOf(reflect.ValueOf(value)) }

func textOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Invalid:
		return "done"
	case reflect.Pointer:
		return textOf(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes())
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i] = textOf(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Struct:
		switch value := v.Interface().(type) {
		case time.Time:
			return value.Sub(ms(start)).String()
		case notifications.Audience:
			return "[" + value.String() + "]"
		}
		var fields []string
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() && !f.IsZero() {
				fields = append(fields, v.Type().Field(i).Name+":"+textOf(f))
			}
		}
		return "{" + strings.Join(fields, " ") + "}"
	default:
		return fmt.Sprint(v.Interface())
	}
}
