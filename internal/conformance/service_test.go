package conformance_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/notificationstest"
	"gorm.io/gorm"
)

// subject is what is asked: the model, or a service over a database. Its ids
// are those of the model, and the names of users and groups canonical.
type subject interface {
	Post(who notifications.Identity, d notifications.Draft) (notifications.Posted, error)
	PostMany(who notifications.Identity, drafts []notifications.Draft) ([]notifications.Posted, error)
	Withdraw(who notifications.Identity, id string) error
	WithdrawScope(who notifications.Identity, key notifications.ScopeKey) (int64, error)
	Purge(olderThan time.Duration) (removed int64, err error)
	EraseUser(user string) error

	MarkRead(who notifications.Identity, id string, read bool) error
	SetState(who notifications.Identity, sel selection, change notifications.StateChange) (int64, error)
	// List gives all pages, which are of q.Limit.
	List(who notifications.Identity, q notifications.ListQuery) ([]notifications.Notification, error)
	All(who notifications.Identity, f notifications.Filter) ([]notifications.Notification, error)
	Get(who notifications.Identity, id string) (notifications.Notification, error)
	Count(who notifications.Identity, f notifications.Filter) (int64, error)
	Status(who notifications.Identity, f notifications.SystemFilter) (notifications.Status, error)
	Topics(who notifications.Identity, f notifications.SystemFilter) (notifications.Topics, error)
	Reach(who notifications.Identity, id string) (notifications.Reach, error)
	// Explain gives of the reasons the codes, sorted, each once.
	Explain(q notifications.ExplainQuery) (notifications.Explanation, error)

	// Look lists, and returns a number for what was there, for selection.Seen.
	Look(who notifications.Identity) (int, error)
	// Follow begins to follow what a stream tells a user from now on.
	Follow(user string) (stream, error)

	// Begin begins a transaction of the host, to which everything then belongs
	// until Commit or Rollback. Others sees what everybody else sees.
	Begin(how beginner) error
	Commit() error
	Rollback() error
	Others() subject
}

// selection is a [notifications.Selection] that can be looked into: by the ids,
// or by the filter, up to an id unless that is empty, or what a look saw unless
// that is zero.
type selection struct {
	IDs    []string
	Filter *notifications.Filter
	UpTo   string
	Seen   int
}

// beginner is a way to begin a transaction.
type beginner string

const (
	byGORM beginner = "GORM"
	bySQL  beginner = "database/sql"
)

// admin may withdraw the posts of others, erases users and explains.
var admin = notifications.ServiceAccount("admin")

// service is a subject over a database.
type service struct {
	db          *gorm.DB
	unbound     *notifications.Service
	transaction *transaction // nil outside of one
	purged      <-chan struct{}
	running     *running // nil unless Run of unbound runs
	*names
}

type transaction struct {
	bound            *notifications.Service
	commit, rollback func() error
}

// newService makes a subject that asks what the model asks, over a database
// whose tables are there.
func newService(db *gorm.DB, m *model) (*service, error) {
	log := newPurgeLog()
	svc, err := notifications.New(notifications.Config{
		DB: db, Catalog: watched{m.directory}, Policy: policy{},
		GroupHistory: m.groupHistory, SystemHistory: m.systemHistory, Now: m.clock, Logger: slog.New(log),
	})
	return &service{db: db, unbound: svc, purged: log.purged, names: &names{ids: map[string]string{}, name: map[string]string{}}}, err
}

// run starts Run, unless it runs.
func (s *service) run() (err error) {
	if s.running == nil {
		s.running, err = run(s.unbound, s.purged)
	}
	return err
}

// stop ends Run, if it runs.
func (s *service) stop() {
	if s.running != nil {
		s.running.stop()
		s.running = nil
	}
}

func (s *service) Follow(user string) (stream, error) {
	if err := s.run(); err != nil {
		return nil, err
	}
	return newFollowing(newFollower(s.unbound, user, notifications.SystemOrNot), s.names)
}

// names translates between the model and the service.
type names struct {
	ids, name map[string]string // from the model's ids to the service's, and back
	looks     []notifications.Position
	asked     int
}

// id is the service's id.
func (n *names) id(id string) string {
	if real, known := n.ids[id]; known {
		return real
	}
	return "00000000-0000-7000-8000-000000000000" // is before all others, and of none
}

// named gives an id the next of the model's ids, if it is a new one.
func (n *names) named(p notifications.Posted) notifications.Posted {
	if n.name[p.ID] == "" {
		n.name[p.ID] = strconv.Itoa(len(n.ids) + 1)
		n.ids[n.name[p.ID]] = p.ID
	}
	p.ID = n.name[p.ID]
	return p
}

// spelled writes a name in capitals every second time.
func (n *names) spelled(name string) string {
	if n.asked++; n.asked%2 == 0 {
		return strings.ToUpper(name)
	}
	return name
}

func (n *names) identity(who notifications.Identity) notifications.Identity {
	if who.Kind == notifications.KindUser {
		who.Name = n.spelled(who.Name)
	}
	return who
}

// draft is a draft with other spellings.
func (n *names) draft(d notifications.Draft) notifications.Draft {
	var to notifications.Audience
	for _, ref := range d.To.Refs() {
		if ref.Kind == notifications.KindUser {
			to = to.And(notifications.Users(n.spelled(ref.Name)))
		} else {
			to = to.And(notifications.Groups(n.spelled(ref.Name)))
		}
	}
	if d.To.IsEveryone() {
		to = to.And(notifications.Everyone())
	}
	d.To = to
	return d
}

// shown is a notification as the model has it. Nothing is known of the ids of
// actions.
func (n *names) shown(list ...notifications.Notification) []notifications.Notification {
	for i := range list {
		list[i].ID = n.name[list[i].ID]
		for j := range list[i].Actions {
			list[i].Actions[j].ID = ""
		}
		if len(list[i].Actions) == 0 {
			list[i].Actions = nil
		}
	}
	return list
}

// current returns the Service to ask, and the context to ask it in.
func (s *service) current() (context.Context, *notifications.Service) {
	if s.transaction != nil {
		return expecting(true), s.transaction.bound
	}
	return expecting(false), s.unbound
}

func (s *service) Post(who notifications.Identity, d notifications.Draft) (notifications.Posted, error) {
	ctx, svc := s.current()
	posted, err := svc.Post(ctx, s.identity(who), s.draft(d))
	if err != nil {
		return notifications.Posted{}, err
	}
	return s.named(posted), nil
}

func (s *service) PostMany(who notifications.Identity, drafts []notifications.Draft) ([]notifications.Posted, error) {
	ctx, svc := s.current()
	spelled := make([]notifications.Draft, len(drafts))
	for i, d := range drafts {
		spelled[i] = s.draft(d)
	}
	posted, err := svc.PostMany(ctx, s.identity(who), spelled)
	for i, p := range posted {
		posted[i] = s.named(p)
	}
	return posted, err
}

func (s *service) Withdraw(who notifications.Identity, id string) error {
	ctx, svc := s.current()
	return svc.Withdraw(ctx, s.identity(who), s.id(id))
}

func (s *service) WithdrawScope(who notifications.Identity, key notifications.ScopeKey) (int64, error) {
	ctx, svc := s.current()
	return svc.WithdrawScope(ctx, s.identity(who), key)
}

// Purge works in small batches, so that there are several.
func (s *service) Purge(olderThan time.Duration) (int64, error) {
	ctx, svc := s.current()
	result, err := svc.Purge(ctx, notifications.PurgeOptions{OlderThan: olderThan, Batch: 2})
	return result.Removed, err
}

func (s *service) EraseUser(user string) error {
	ctx, svc := s.current()
	_, err := svc.EraseUser(ctx, admin, s.spelled(user))
	return err
}

func (s *service) MarkRead(who notifications.Identity, id string, read bool) error {
	ctx, svc := s.current()
	return svc.MarkRead(ctx, s.identity(who), s.id(id), read)
}

func (s *service) SetState(who notifications.Identity, sel selection, change notifications.StateChange) (int64, error) {
	ctx, svc := s.current()
	return svc.SetState(ctx, s.identity(who), s.selection(sel), change)
}

func (s *service) selection(sel selection) notifications.Selection {
	switch {
	case sel.Filter == nil:
		ids := make([]string, len(sel.IDs))
		for i, id := range sel.IDs {
			ids[i] = s.id(id)
		}
		return notifications.ByIDs(ids...)
	case sel.Seen > 0:
		return notifications.ByFilterSeen(*sel.Filter, s.looks[sel.Seen-1])
	case sel.UpTo != "":
		return notifications.ByFilterUpTo(*sel.Filter, s.id(sel.UpTo))
	default:
		return notifications.ByFilter(*sel.Filter)
	}
}

func (s *service) Look(who notifications.Identity) (int, error) {
	ctx, svc := s.current()
	page, err := svc.List(ctx, s.identity(who), notifications.ListQuery{})
	s.looks = append(s.looks, page.Position)
	return len(s.looks), err
}

// List follows the cursors, or, where an offset is given, the offsets.
func (s *service) List(who notifications.Identity, q notifications.ListQuery) (list []notifications.Notification, err error) {
	ctx, svc := s.current()
	byOffset := q.Offset > 0
	for q.Offset = 0; ; {
		page, err := svc.List(ctx, s.identity(who), q)
		if err != nil {
			return nil, err
		}
		list = append(list, s.shown(page.Items...)...)
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

func (s *service) All(who notifications.Identity, f notifications.Filter) (list []notifications.Notification, err error) {
	ctx, svc := s.current()
	for n, err := range svc.All(ctx, s.identity(who), f) {
		if err != nil {
			return nil, err
		}
		list = append(list, s.shown(n)...)
	}
	return list, nil
}

func (s *service) Get(who notifications.Identity, id string) (notifications.Notification, error) {
	ctx, svc := s.current()
	n, err := svc.Get(ctx, s.identity(who), s.id(id))
	return s.shown(n)[0], err
}

func (s *service) Count(who notifications.Identity, f notifications.Filter) (int64, error) {
	ctx, svc := s.current()
	return svc.Count(ctx, s.identity(who), f)
}

func (s *service) Status(who notifications.Identity, f notifications.SystemFilter) (notifications.Status, error) {
	ctx, svc := s.current()
	status, err := svc.Status(ctx, s.identity(who), f)
	status.Position = "" // the model has none
	return status, err
}

func (s *service) Topics(who notifications.Identity, f notifications.SystemFilter) (notifications.Topics, error) {
	ctx, svc := s.current()
	return svc.Topics(ctx, s.identity(who), f)
}

func (s *service) Reach(who notifications.Identity, id string) (notifications.Reach, error) {
	ctx, svc := s.current()
	return svc.Reach(ctx, s.identity(who), s.id(id))
}

func (s *service) Explain(q notifications.ExplainQuery) (notifications.Explanation, error) {
	ctx, svc := s.current()
	e, err := svc.Explain(ctx, admin, notifications.ExplainQuery{ID: s.id(q.ID), User: s.spelled(q.User)})
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

func (s *service) Begin(how beginner) error {
	if how == byGORM {
		tx := s.db.Begin()
		s.transaction = &transaction{
			bound:    s.unbound.WithTx(tx),
			commit:   func() error { return tx.Commit().Error },
			rollback: func() error { return tx.Rollback().Error },
		}
		return tx.Error
	}
	pool, err := s.db.DB()
	if err != nil {
		return err
	}
	tx, err := pool.BeginTx(context.Background(), &sql.TxOptions{})
	if err != nil {
		return err
	}
	s.transaction = &transaction{bound: s.unbound.WithSQLTx(tx), commit: tx.Commit, rollback: tx.Rollback}
	return nil
}

func (s *service) Commit() error {
	commit := s.transaction.commit
	s.transaction = nil
	return commit()
}

func (s *service) Rollback() error {
	rollback := s.transaction.rollback
	s.transaction = nil
	return rollback()
}

func (s *service) Others() subject {
	if s.transaction == nil {
		return s
	}
	others := *s
	others.transaction = nil
	return &others
}

// inTransaction is the key of whether a context is to hold a transaction where
// the catalog and the policy are asked.
type inTransaction struct{}

func expecting(tx bool) context.Context {
	return context.WithValue(context.Background(), inTransaction{}, tx)
}

// expected returns an error if the context holds a transaction where there is
// none, or the other way round.
func expected(ctx context.Context) error {
	_, gorm := notifications.TxFrom(ctx)
	_, sql := notifications.SQLTxFrom(ctx)
	if want, _ := ctx.Value(inTransaction{}).(bool); gorm != want || sql != want {
		return fmt.Errorf("TxFrom %t, SQLTxFrom %t, in a transaction %t", gorm, sql, want)
	}
	return nil
}

// policy is allows.
type policy struct{}

func (policy) Decide(ctx context.Context, r notifications.Request) (notifications.Decision, error) {
	if allows(r.Who, r.Permission) {
		return notifications.Allow, expected(ctx)
	}
	return notifications.Deny, expected(ctx)
}

// watched is a directory that is asked in a transaction where there is one.
type watched struct{ *notificationstest.Directory }

func (w watched) Groups(ctx context.Context, user string) ([]notifications.Membership, error) {
	groups, err := w.Directory.Groups(ctx, user)
	return groups, errors.Join(err, expected(ctx))
}

func (w watched) Missing(ctx context.Context, refs []notifications.Ref) ([]notifications.Ref, error) {
	missing, err := w.Directory.Missing(ctx, refs)
	return missing, errors.Join(err, expected(ctx))
}

func (w watched) AccountSince(ctx context.Context, user string) (time.Time, error) {
	since, err := w.Directory.AccountSince(ctx, user)
	return since, errors.Join(err, expected(ctx))
}

func (w watched) Size(ctx context.Context, group string) (int, bool, error) {
	size, known, err := w.Directory.Size(ctx, group)
	return size, known, errors.Join(err, expected(ctx))
}
