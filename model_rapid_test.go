package notifications_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
	"pgregory.net/rapid"
)

// How many sequences TestModel runs: with PostgreSQL, and where it is left out.
const (
	modelSequences           = 2000
	modelSequencesSQLiteOnly = 200
)

// modelParts is how many subtests share them, each with databases of its own.
const modelParts = 4

// TestModel does random sequences of operations on both databases and on the
// model, and wants the same answer to every operation, and the same lists and
// numbers for every user after it. CONTRIBUTING.md says how to run one again.
func TestModel(t *testing.T) {
	t.Parallel()
	var databases [modelParts][]*gorm.DB
	for part := range databases {
		databases[part] = openModelDatabases(t)
	}
	sequences := modelSequences
	if len(databases[0]) == 1 {
		sequences = modelSequencesSQLiteOnly
	}
	checks := rapidChecks(t, sequences/modelParts)
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

// village is the catalog: three users and two groups. It is the same for the
// model and the services, and changes between steps only.
type village struct {
	members  map[[2]string]time.Time // user and group: since when; zero where that is not known
	accounts map[string]time.Time    // user: since when there is an account; zero where that is not known
	left     map[string]bool         // users it does not know any more
}

var (
	villagers     = []string{"user:jane", "user:john", "user:mary"}
	villageGroups = []string{"group:ops", "group:dev"}
)

func (v *village) joined(user, group string) (since time.Time, member bool) {
	since, member = v.members[[2]string{user, group}]
	return since, member && !v.left[user]
}

func (v *village) knows(ref string) bool {
	return slices.Contains(villagers, ref) && !v.left[ref] || slices.Contains(villageGroups, ref)
}

// Canonical knows names in any case.
func (v *village) Canonical(kind notifications.Kind, ref string) (string, error) {
	return string(kind) + ":" + strings.TrimPrefix(strings.ToLower(ref), string(kind)+":"), nil
}

func (v *village) Groups(_ context.Context, user string) (in []notifications.Membership, _ error) {
	for _, g := range villageGroups {
		if since, member := v.joined(user, g); member {
			in = append(in, notifications.Membership{Group: g, Since: since})
		}
	}
	return in, nil
}

func (v *village) Missing(_ context.Context, refs []string) ([]string, error) {
	return slices.DeleteFunc(slices.Clone(refs), v.knows), nil
}

func (v *village) AccountSince(_ context.Context, user string) (time.Time, error) {
	return v.accounts[user], nil
}

// modelPolicy lets services post to everybody, and one of them withdraw
// whatever it likes.
func modelPolicy(who notifications.Identity, p notifications.Permission) bool {
	switch p {
	case notifications.PermissionCreateSystem:
		return who.Kind == notifications.KindService
	case notifications.PermissionDeleteAny:
		return who == modelAdmin
	default:
		return true
	}
}

var (
	modelAdmin   = notifications.ServiceAccount("admin")
	modelPosters = []notifications.Identity{notifications.ServiceAccount("ci"), notifications.User("jane"), modelAdmin}
)

// subject is what is asked: the model, or a service over a database.
type subject interface {
	Post(who notifications.Identity, d notifications.Draft, to []string) (string, error)
	Withdraw(who notifications.Identity, id string) error
	WithdrawScope(who notifications.Identity, origin, scope string) (int64, error)
	Purge(olderThan time.Duration) error
	EraseUser(user string) error
	MarkRead(who notifications.Identity, id string, read bool) error
	SetState(who notifications.Identity, sel notifications.Selection, change notifications.StateChange) (int64, error)
	List(who notifications.Identity, q notifications.ListQuery) ([]notifications.Notification, error)
	Get(who notifications.Identity, id string) (notifications.Notification, error)
	Count(who notifications.Identity, f notifications.Filter) (int64, error)
	Status(who notifications.Identity, scope notifications.SystemFilter) (notifications.Status, error)
	Topics(who notifications.Identity, scope notifications.SystemFilter) (notifications.Topics, error)
	Reach(who notifications.Identity, id string) (notifications.Reach, error)
	Explain(id, user string) (notifications.Explanation, error)
}

// stored is a service over a database, with the ids of the model.
type stored struct {
	svc       *notifications.Service
	ids, name map[string]string // from the model's to the real ones, and back
}

// openModelDatabases opens one database of each kind.
func openModelDatabases(t *testing.T) []*gorm.DB {
	t.Helper()
	databases := []*gorm.DB{fastSQLite(t)}
	if pg := dbtest.PostgresIfWanted(t); pg != nil {
		if err := newService(t, pg).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		databases = append(databases, pg)
	}
	return databases
}

// fastSQLite does not wait for the disk: the model commits thousands of times,
// and is not about a loss of power.
func fastSQLite(t *testing.T) *gorm.DB {
	t.Helper()
	db := dbtest.SQLite(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1) // the setting is one of a connection
	if err := db.Exec("PRAGMA synchronous = OFF").Error; err != nil {
		t.Fatal(err)
	}
	if err := newService(t, db).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// emptied is a database without a row.
func emptied(db *gorm.DB) error {
	for _, table := range []string{"messages", "deliveries", "states", "scopes", "idempotency_keys"} {
		if err := db.Exec("DELETE FROM notification_" + table).Error; err != nil {
			return err
		}
	}
	return nil
}

func (s *stored) real(id string) string {
	if real, known := s.ids[id]; known {
		return real
	}
	return "00000000-0000-7000-8000-000000000000" // is before all others, and of nobody
}

// shout writes the name of a user in another way than it is stored.
func shout(who notifications.Identity) notifications.Identity {
	if who.Kind == notifications.KindUser {
		who.Name = strings.ToUpper(who.Name)
	}
	return who
}

func (s *stored) Post(who notifications.Identity, d notifications.Draft, to []string) (string, error) {
	for _, a := range to {
		kind, name, _ := strings.Cut(a, ":")
		switch kind {
		case "user":
			d.To = d.To.And(notifications.Users(strings.ToUpper(name)))
		case "group":
			d.To = d.To.And(notifications.Groups(name))
		default:
			d.To = d.To.And(notifications.Everyone())
		}
	}
	id, err := s.svc.Post(context.Background(), shout(who), d)
	if err != nil {
		return "", err
	}
	if s.name[id] == "" {
		s.name[id] = strconv.Itoa(len(s.ids) + 1)
		s.ids[s.name[id]] = id
	}
	return s.name[id], nil
}

func (s *stored) Withdraw(who notifications.Identity, id string) error {
	return s.svc.Withdraw(context.Background(), shout(who), s.real(id))
}

func (s *stored) WithdrawScope(who notifications.Identity, origin, scope string) (int64, error) {
	return s.svc.WithdrawScope(context.Background(), shout(who), origin, scope)
}

func (s *stored) Purge(olderThan time.Duration) error {
	// In small batches, so that there are several.
	_, err := s.svc.Purge(context.Background(), notifications.PurgeOptions{OlderThan: olderThan, Batch: 2})
	return err
}

func (s *stored) EraseUser(user string) error {
	return s.svc.EraseUser(context.Background(), modelAdmin, strings.ToUpper(strings.TrimPrefix(user, "user:")))
}

func (s *stored) MarkRead(who notifications.Identity, id string, read bool) error {
	return s.svc.MarkRead(context.Background(), shout(who), s.real(id), read)
}

func (s *stored) SetState(who notifications.Identity, sel notifications.Selection, change notifications.StateChange) (int64, error) {
	if sel.UpTo != "" {
		sel.UpTo = s.real(sel.UpTo)
	}
	sel.IDs = slices.Clone(sel.IDs)
	for i, id := range sel.IDs {
		sel.IDs[i] = s.real(id)
	}
	return s.svc.SetState(context.Background(), shout(who), sel, change)
}

// List follows the cursors, or, where an offset is given, the offsets.
func (s *stored) List(who notifications.Identity, q notifications.ListQuery) (list []notifications.Notification, err error) {
	byOffset := q.Offset > 0
	for q.Offset = 0; ; {
		page, err := s.svc.List(context.Background(), shout(who), q)
		if err != nil {
			return nil, err
		}
		for _, n := range page.Items {
			list = append(list, s.named(n))
		}
		switch {
		case page.Next == "":
			return list, nil
		case byOffset:
			q.Offset += q.Limit
		default:
			q.After = page.Next
		}
	}
}

func (s *stored) named(n notifications.Notification) notifications.Notification {
	n.ID = s.name[n.ID]
	return n
}

func (s *stored) Get(who notifications.Identity, id string) (notifications.Notification, error) {
	n, err := s.svc.Get(context.Background(), shout(who), s.real(id))
	return s.named(n), err
}

func (s *stored) Count(who notifications.Identity, f notifications.Filter) (int64, error) {
	return s.svc.Count(context.Background(), shout(who), f)
}

func (s *stored) Status(who notifications.Identity, scope notifications.SystemFilter) (notifications.Status, error) {
	return s.svc.Status(context.Background(), shout(who), scope)
}

func (s *stored) Topics(who notifications.Identity, scope notifications.SystemFilter) (notifications.Topics, error) {
	return s.svc.Topics(context.Background(), shout(who), scope)
}

func (s *stored) Reach(who notifications.Identity, id string) (notifications.Reach, error) {
	return s.svc.Reach(context.Background(), shout(who), s.real(id))
}

// Explain leaves of the reasons the set of their codes.
func (s *stored) Explain(id, user string) (notifications.Explanation, error) {
	e, err := s.svc.Explain(context.Background(), modelAdmin, s.real(id), strings.ToUpper(strings.TrimPrefix(user, "user:")))
	codes := map[notifications.ReasonCode]bool{}
	for _, r := range e.Reasons {
		codes[r.Code] = true
	}
	e.Reasons = nil
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		e.Reasons = append(e.Reasons, notifications.Reason{Code: code})
	}
	return e, err
}

// world is one sequence under way.
type world struct {
	*village
	model  *model
	clock  time.Time
	posted []posting // whatever was tried to be posted
}

type posting struct {
	who notifications.Identity
	d   notifications.Draft
	to  []string
}

// tick is added to the times given to the services, and must not matter.
const tick = 900 * time.Microsecond

// modelStart is not on a millisecond either.
var modelStart = time.Date(2026, 1, 1, 0, 0, 0, 100_000, time.UTC)

// nth is the nth of the posts, counted round: the latest first, and those that
// are over after all others. It is nil for a negative n, and where there is
// none.
func (w *world) nth(n int) *modelPost {
	if n < 0 || len(w.model.posts) == 0 {
		return nil
	}
	var current, over []*modelPost
	for _, p := range slices.Backward(w.model.posts) {
		if w.model.gone(p) || w.model.expired(p) {
			over = append(over, p)
		} else {
			current = append(current, p)
		}
	}
	return append(current, over...)[n%len(w.model.posts)]
}

// id is the id of the nth post, or "0", which is of none.
func (w *world) id(n int) string {
	if p := w.nth(n); p != nil {
		return p.id
	}
	return "0"
}

// about is an instant close to the creation of the nth post.
func (w *world) about(n, offset int) time.Time {
	at := w.clock
	if p := w.nth(n); p != nil {
		at = p.created
	}
	return ms(at).Add(time.Duration(offset)*time.Millisecond + tick)
}

// free is the first millisecond from at on of which there is no post.
func (w *world) free(at time.Time) time.Time {
	for slices.ContainsFunc(w.model.posts, func(p *modelPost) bool { return p.created.Equal(ms(at)) }) {
		at = at.Add(time.Millisecond)
	}
	return at
}

// events are the instants at which something happens by itself, in order.
func (w *world) events() []time.Time {
	var list []time.Time
	for _, p := range w.model.posts {
		list = append(list, p.created, p.Expires)
	}
	for _, a := range w.model.keys {
		list = append(list, a.forgotten)
	}
	list = slices.DeleteFunc(list, func(at time.Time) bool { return !at.After(w.clock) })
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// step does one thing to the world, or looks what is to be done to it.
type step func(w *world) action

// action is what a step does, in words and, unless it changed the catalog or
// the clock alone, as a question to a subject. The zero action is nothing.
type action struct {
	words string
	ask   func(subject) (any, error)
}

// program is a sequence of steps. It is drawn before the first is done, so
// that what is left of it after shrinking means the same.
type program struct {
	groupHistory, systemHistory notifications.History
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
	if lie != nil {
		subjects[0] = lie(w.model)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GroupHistory %d, SystemHistory %d\n", p.groupHistory, p.systemHistory)
	for i, step := range p.steps {
		a := step(w)
		if a.words == "" {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", text(ms(w.clock)), a.words)
		if a.ask != nil {
			answers := together(subjects, func(s subject) string { return answer(a.ask(s)) })
			fmt.Fprintf(&b, "\t%s\n", answers[0])
			if difference := compare(answers); difference != "" {
				return b.String(), difference
			}
		}
		scope := notifications.Scope(i % 2) // user and system by turns
		views := together(subjects, func(s subject) string { return view(s, scope) })
		if difference := compare(views); difference != "" {
			return b.String(), difference
		}
	}
	return b.String(), ""
}

// begin makes an empty world, the model first among its subjects.
func (p program) begin(databases []*gorm.DB) (*world, []subject, error) {
	v := &village{
		members: map[[2]string]time.Time{
			{"user:jane", "group:ops"}: {}, {"user:jane", "group:dev"}: {}, {"user:john", "group:ops"}: {},
			{"user:mary", "group:dev"}: {},
		},
		accounts: map[string]time.Time{},
		left:     map[string]bool{},
	}
	w := &world{village: v, clock: modelStart}
	clock := func() time.Time { return w.clock }
	w.model = &model{
		village: v, clock: clock, groupHistory: p.groupHistory, systemHistory: p.systemHistory,
		states: map[[2]string]modelState{}, keys: map[[2]string]modelAnswer{},
	}
	subjects := []subject{w.model}
	for _, db := range databases {
		if err := emptied(db); err != nil {
			return nil, nil, err
		}
		svc, err := notifications.New(notifications.Config{
			DB: db, Catalog: v, GroupHistory: p.groupHistory, SystemHistory: p.systemHistory,
			Policy: policyFunc(func(who notifications.Identity, p notifications.Permission) (notifications.Decision, error) {
				if modelPolicy(who, p) {
					return notifications.Allow, nil
				}
				return notifications.Deny, nil
			}),
		})
		if err != nil {
			return nil, nil, err
		}
		notifications.SetClock(svc, clock)
		subjects = append(subjects, &stored{svc: svc, ids: map[string]string{}, name: map[string]string{}})
	}
	return w, subjects, nil
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

// answer is an answer, or the error that stands in its place.
func answer(value any, err error) string {
	var invalid *notifications.InvalidError
	switch {
	case errors.As(err, &invalid):
		return "invalid"
	case err != nil:
		for _, known := range []error{
			notifications.ErrNotFound, notifications.ErrForbidden, notifications.ErrKeyReused, notifications.ErrTargetsDiffer,
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

// view is all that the users see: everything they can, and the numbers, also
// of one more scope.
func view(s subject, scope notifications.SystemFilter) string {
	var b strings.Builder
	everything := notifications.ListQuery{Filter: notifications.Filter{
		Scope: notifications.SystemOrNot, Archived: notifications.ArchivedOrNot,
	}, Limit: notifications.MaxLimit}
	for _, user := range villagers {
		who := notifications.User(strings.TrimPrefix(user, "user:"))
		list, err := s.List(who, everything)
		for i, n := range list {
			fmt.Fprintf(&b, "%s lists %d: %s\n", who.Name, i, text(n))
		}
		if err != nil {
			fmt.Fprintf(&b, "%s lists: %s\n", who.Name, answer(nil, err))
		}
		for _, scope := range []notifications.SystemFilter{notifications.SystemOrNot, scope} {
			fmt.Fprintf(&b, "%s has in scope %d: %s\n", who.Name, scope, answer(s.Status(who, scope)))
		}
	}
	return b.String()
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
		if at, is := v.Interface().(time.Time); is {
			return at.Sub(ms(modelStart)).String()
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

// liar is a model that breaks one rule.
type liar struct {
	*model
	rule string
}

func (l liar) Post(who notifications.Identity, d notifications.Draft, to []string) (string, error) {
	if l.rule == "a key is remembered" {
		d.IdempotencyKey = ""
	}
	return l.model.Post(who, d, to)
}

func (l liar) SetState(who notifications.Identity, sel notifications.Selection, c notifications.StateChange) (int64, error) {
	if l.rule == "what is after upTo is left alone" && sel.Filter != nil {
		sel.UpTo = ""
	}
	return l.model.SetState(who, sel, c)
}

func (l liar) Withdraw(who notifications.Identity, id string) error {
	if l.rule == "what is withdrawn is gone" {
		return nil
	}
	return l.model.Withdraw(who, id)
}

func (l liar) Purge(olderThan time.Duration) error {
	if l.rule == "what is saved is not purged" {
		for _, p := range l.posts {
			p.removed = p.removed || olderThan > 0 && p.created.Before(l.now().Add(-olderThan))
		}
	}
	return l.model.Purge(olderThan)
}

func (l liar) EraseUser(user string) error {
	if l.rule == "what an erased user marked is forgotten" {
		marks := maps.Clone(l.states)
		defer func() { l.states = marks }()
	}
	return l.model.EraseUser(user)
}

// TestModelNotices breaks one rule at a time in the model, and wants the same
// sequences each time to find that a database keeps it.
func TestModelNotices(t *testing.T) {
	t.Parallel()
	databases := []*gorm.DB{fastSQLite(t)}
	for _, rule := range []string{
		"a key is remembered",
		"what is after upTo is left alone",
		"what is withdrawn is gone",
		"what is saved is not purged",
		"what an erased user marked is forgotten",
		"members see what their group was sent since they joined",
		"what is older than the account counts as read",
	} {
		const most = 300
		found := -1
		for seed := 0; found < 0 && seed < most; seed++ {
			_, difference := programs.Example(seed).run(databases, func(m *model) subject {
				switch rule {
				case "members see what their group was sent since they joined":
					m.groupHistory = notifications.HistoryAll
				case "what is older than the account counts as read":
					m.systemHistory = min(m.systemHistory, notifications.HistorySinceJoining)
				}
				return liar{m, rule}
			})
			if difference != "" {
				found = seed
			}
		}
		if found < 0 {
			t.Errorf("%d sequences do not notice when the model breaks the rule that %s", most, rule)
		}
		t.Logf("%s: sequence %d", rule, found)
	}
}
