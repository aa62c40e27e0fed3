package notifications

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"
)

// Limits of [Service.PostMany].
const (
	MaxDrafts      = 1000    // 1,000 in one call
	MaxDraftsBytes = 8 << 20 // 8 MiB of text in one call
)

// Posted is the result of a post.
type Posted struct {
	// ID is the id of the notification: a new one, or the earlier one if
	// Repeated, or if KeepPlace replaced its content.
	ID string
	// Repeated reports that an earlier post had the same idempotency key and
	// content. This post changed nothing.
	Repeated bool
	// Replaced reports that this post replaced an earlier one of the same
	// scope, for all or some of its audience. It is false if Repeated.
	Replaced bool
}

// Post stores a notification for its audience. After it returns without an
// error, the notification is stored.
//
// It needs [PermissionCreate], and for [Everyone] also
// [PermissionCreateSystem]. A user whom the catalog does not know gets
// [ErrForbidden]. A draft that breaks a limit or names a recipient
// that the catalog does not know is an [*InvalidError], and nothing is stored.
// A used idempotency key gives Repeated or [ErrKeyReused]. A draft with
// KeepPlace may give [ErrTargetsDiffer].
func (s *Service) Post(ctx context.Context, who Identity, d Draft) (Posted, error) {
	list, err := s.post(ctx, who, []Draft{d}, unprefixed)
	if err != nil {
		return Posted{}, err
	}
	return list[0].result, nil
}

// PostMany stores several notifications in one transaction, all or none. Use it
// for texts that differ from reader to reader. It returns one result a draft,
// in their order.
//
// It takes 1 to 1,000 drafts with up to 8 MiB of text together. No two drafts
// may have the same idempotency key, or the same origin and scope. The rest is
// as in [Service.Post], and the policy is asked about each draft. In an
// [*InvalidError], "[3].Title" is the title of the fourth draft.
func (s *Service) PostMany(ctx context.Context, who Identity, drafts []Draft) ([]Posted, error) {
	list, err := s.post(ctx, who, drafts, func(i int) string { return "[" + strconv.Itoa(i) + "]." })
	results := make([]Posted, len(list))
	for i, p := range list {
		results[i] = p.result
	}
	return results, err
}

// posting is a draft on its way to the database.
type posting struct {
	field     string // what is before the names of its fields in errors
	draft     Draft
	poster    string
	now       time.Time
	audiences []string // as stored, sorted
	// audienceArray is the column audiences, a JSON array.
	audienceArray string
	actions       string // the column actions
	id            string // set by mint
	content       string // a hash; empty without an idempotency key
	forgotten     time.Time
	untimely      faults // faults that depend on the time; a repeated post may come late
	result        Posted
}

func (p *posting) severity() int   { return severityRank[p.draft.Severity] }
func (p *posting) scheduled() bool { return p.draft.scheduled(p.now) }
func (p *posting) plain() bool     { return p.draft.IdempotencyKey == "" && p.draft.Scope == "" }

// expiry returns the expires_at of the deliveries.
func (p *posting) expiry() int64 {
	if p.draft.Expires.IsZero() {
		return never
	}
	return p.draft.Expires.UnixMilli()
}

// Check returns the error that [Service.Post] would return for an invalid
// draft, and nil for a valid one. It needs the same permissions, and stores
// nothing.
func (s *Service) Check(ctx context.Context, who Identity, d Draft) error {
	c := s.posts([]Draft{d}, unprefixed)
	ctx, err := s.beginPost(ctx, who, c.list)
	if err != nil {
		return err
	}
	c.checkAll(who)
	return c.settle(ctx)
}

func unprefixed(int) string { return "" }

// posts returns the drafts on their way to the database. field returns the
// prefix of the fields of a draft.
func (s *Service) posts(drafts []Draft, field func(i int) string) posts {
	postings := make([]posting, min(len(drafts), MaxDrafts))
	c := posts{Service: s, field: field, list: make([]*posting, len(postings))}
	for i := range postings {
		postings[i].draft, postings[i].field = drafts[i], field(i)
		c.list[i] = &postings[i]
	}
	return c
}

// post is PostMany of drafts that the caller does not keep.
func (s *Service) post(ctx context.Context, who Identity, drafts []Draft, field func(i int) string) ([]*posting, error) {
	c := s.posts(drafts, field)
	ctx, err := s.beginPost(ctx, who, c.list)
	if err != nil {
		return nil, err
	}
	if err := checkDrafts(drafts); err != nil {
		return nil, err
	}
	c.checkAll(who)
	if len(c.faulty) == 0 {
		// Before the checks whose result may have changed since the first post.
		if err := s.store.recall(ctx, c.list); err != nil {
			return nil, err
		}
	}
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	if err := s.store.post(ctx, s.ids, c.list); err != nil {
		return nil, err
	}
	s.store.tickAfterPost(ctx, s.now())
	return c.list, nil
}

// beginPost asks the policy about each draft, and the catalog about the poster.
func (s *Service) beginPost(ctx context.Context, who Identity, list []*posting) (context.Context, error) {
	if len(list) == 0 {
		return s.begin(ctx, writes, Request{Who: who, Permission: PermissionCreate, Draft: new(Draft)})
	}
	ctx, err := s.begin(ctx, writes, Request{Who: who, Permission: PermissionCreate, Draft: list[0].draftCopy()})
	for i, p := range list {
		if i > 0 && err == nil {
			err = s.authorize(ctx, Request{Who: who, Permission: PermissionCreate, Draft: p.draftCopy()})
		}
		if err == nil && p.draft.To.everyone {
			err = s.authorize(ctx, Request{Who: who, Permission: PermissionCreateSystem, Draft: p.draftCopy()})
		}
	}
	if err == nil {
		err = s.known(ctx, who)
	}
	return ctx, err
}

// draftCopy is a draft for a policy, which may do with it what it wants.
func (p *posting) draftCopy() *Draft {
	d := p.draft
	d.Actions, d.Metadata = slices.Clone(d.Actions), slices.Clone(d.Metadata)
	return &d
}

// checkDrafts refuses too many or too large drafts before looking at any.
func checkDrafts(drafts []Draft) error {
	if len(drafts) == 0 || len(drafts) > MaxDrafts {
		return Invalid("drafts", fmt.Sprintf("has %d entries, it must have 1 to %d", len(drafts), MaxDrafts))
	}
	size := 0
	for _, d := range drafts {
		size += len(d.Title) + len(d.Message) + len(d.Metadata)
		for _, a := range d.Actions {
			size += len(a.Title) + len(a.URL)
		}
	}
	if len(drafts) > 1 && size > MaxDraftsBytes {
		return Invalid("drafts", fmt.Sprintf("has %d bytes of text, the limit is %d", size, MaxDraftsBytes))
	}
	return nil
}

// posts are the drafts of one call, and their faults.
type posts struct {
	*Service
	field   func(i int) string
	list    []*posting
	targets []target
	faulty  faults // apart from posting.untimely
}

// target is one recipient as the caller named it.
type target struct {
	post, index int // of the draft, and of the target in the draft
	named       Ref
	canon       Ref
}

// fieldOf returns the path of a target.
func (c *posts) fieldOf(t target) string {
	return c.field(t.post) + "To[" + strconv.Itoa(t.index) + "]"
}

// checkAll checks the drafts as far as that needs no answer of the catalog or
// the database.
func (c *posts) checkAll(who Identity) {
	poster, now := c.nameOf(who), c.now()
	for i, p := range c.list {
		p.poster, p.now = poster, now
		c.check(i)
	}
	c.checkDistinct()
}

// check checks a draft as far as that needs no answer of the catalog or the
// database.
func (c *posts) check(i int) {
	p, field := c.list[i], c.field(i)
	var faulty faults
	faulty, p.untimely = p.draft.check(field, p.now)
	c.faulty = append(c.faulty, faulty...)
	c.resolve(i, field)
	if p.draft.IdempotencyKey != "" {
		p.content, p.forgotten = p.contentHash(), p.now.Add(c.idempotencyWindow)
	}
}

// resolve brings the targets of a draft into canonical form.
func (c *posts) resolve(i int, field string) {
	p, before := c.list[i], len(c.targets)
	to := p.draft.To
	switch {
	case len(to.refs) == 0 && !to.everyone:
		c.faulty.add(field+"To", "is empty: name Users or Groups, or say Everyone")
	case len(to.refs) > maxNamed:
		c.faulty.add(field+"To", "names %d users and groups, the limit is %d", len(to.refs), MaxTargets)
		return
	}
	p.audiences = make([]string, 0, len(to.refs)+1)
	c.targets = slices.Grow(c.targets, len(to.refs))
	for j, ref := range to.refs {
		t := target{post: i, index: j, named: ref}
		var err error
		if t.canon, err = c.canonical(ref.Kind, ref.Name); err != nil {
			c.faulty.add(c.fieldOf(t), "%s", err)
			continue
		}
		c.targets = append(c.targets, t)
		p.audiences = append(p.audiences, t.canon.String())
	}
	if to.everyone {
		p.audiences = append(p.audiences, systemAudience)
	}
	slices.Sort(p.audiences)
	p.audiences = slices.Compact(p.audiences)
	if n := len(p.audiences); n > MaxTargets {
		c.faulty.add(field+"To", "names %d different users and groups, the limit is %d", n, MaxTargets)
		c.targets = c.targets[:before] // too many to ask about
	}
}

// checkDistinct reports drafts that would replace or repeat each other.
func (c *posts) checkDistinct() {
	if len(c.list) == 1 {
		return
	}
	keys, scopes := map[string]int{}, map[ScopeKey]int{}
	for i, p := range c.list {
		if key := p.draft.IdempotencyKey; key != "" {
			if first, twice := keys[key]; twice {
				c.faulty.add(c.field(i)+"IdempotencyKey", "is that of [%d] too", first)
			} else {
				keys[key] = i
			}
		}
		if scope := (ScopeKey{p.draft.Origin, p.draft.Scope}); scope.Scope != "" {
			if first, twice := scopes[scope]; twice {
				c.faulty.add(c.field(i)+"Scope", "is that of [%d] too, with the same Origin", first)
			} else {
				scopes[scope] = i
			}
		}
	}
}

// settle reports all faults of the posts that are not repetitions, and prepares
// those posts for the database.
func (c *posts) settle(ctx context.Context) error {
	bad := c.faulty
	missing, err := c.missing(ctx, c.named())
	if err != nil && len(bad) == 0 {
		return err
	}
	for _, t := range c.targets {
		if !c.list[t.post].result.Repeated && slices.Contains(missing, t.canon) {
			bad.add(c.fieldOf(t), "there is no %s %q", t.named.Kind, t.named.Name)
		}
	}
	for _, p := range c.list {
		if !p.result.Repeated {
			bad = append(bad, p.untimely...)
		}
	}
	if err := bad.err(); err != nil {
		return err
	}
	for _, p := range c.list {
		if p.result.Repeated {
			continue
		}
		p.audienceArray = jsonArray(p.audiences)
		if p.actions, err = c.ids.actionsColumn(p.draft.Actions); err != nil {
			return err
		}
	}
	return nil
}

// named returns the users and groups of the posts that are not repetitions,
// each once.
func (c *posts) named() []Ref {
	refs := make([]Ref, 0, len(c.targets))
	for _, t := range c.targets {
		if !c.list[t.post].result.Repeated {
			refs = append(refs, t.canon)
		}
	}
	slices.SortFunc(refs, compareRefs)
	return slices.Compact(refs)
}

// contentHash identifies the content of a post. The order of targets, the form
// of their names and white space in metadata do not matter.
func (p *posting) contentHash() string {
	d := p.draft
	var metadata bytes.Buffer
	_ = json.Compact(&metadata, d.Metadata) // check refuses invalid JSON
	canonical, _ := json.Marshal([]any{     // of texts, numbers and bools: cannot fail
		d.Origin, d.Title, d.Message, d.Topic, p.severity(), d.Link, d.Icon, metadata.String(), append([]ActionDraft{}, d.Actions...),
		d.Scope, d.KeepPlace, millis(d.Expires), millis(d.NotBefore), p.audiences,
	})
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// mint gives a posting its id. The time in the id of a scheduled notification
// decides its place in lists.
func (p *posting) mint(ids *ids) (err error) {
	var due time.Time
	if p.scheduled() {
		due = p.draft.NotBefore
	}
	p.id, err = ids.message(due)
	p.result.ID = p.id
	return err
}

// post stores the postings that are not repetitions, all or none, and once: an
// attempt whose answer was lost may have stored them.
func (s *store) post(ctx context.Context, ids *ids, list []*posting) error {
	repeated := func(p *posting) bool { return p.result.Repeated }
	if slices.ContainsFunc(list, repeated) {
		list = slices.DeleteFunc(slices.Clone(list), repeated)
	}
	switch {
	case len(list) == 0:
		return nil
	case slices.ContainsFunc(list, func(p *posting) bool { return !p.plain() }):
		var last attempt
		return s.writeTx(ctx, short, func(db *gorm.DB) error {
			err := s.postKeyed(db, ids, list, last)
			if err == nil {
				last = newAttempt(list)
			}
			return err
		})
	}
	for _, p := range list {
		if err := p.mint(ids); err != nil {
			return err
		}
	}
	tried := false
	return s.write(ctx, short, func(db *gorm.DB) error {
		err := s.dialect.insert(db, list)
		if tried && isDuplicate(err) {
			return nil
		}
		tried = true
		return err
	})
}

// attempt is what a transaction would have stored, whose commit got no answer.
type attempt struct {
	ids     []string // of new messages
	results []Posted
}

func newAttempt(list []*posting) attempt {
	var a attempt
	for _, p := range list {
		a.results = append(a.results, p.result)
		if p.result.ID == p.id && !p.result.Repeated {
			a.ids = append(a.ids, p.id)
		}
	}
	return a
}

// committed reports whether an attempt was committed. Those who ask hold its
// locks, so that it has ended.
func (s *store) committed(db *gorm.DB, a attempt) (bool, error) {
	if len(a.ids) == 0 {
		return false, nil
	}
	var found []string
	err := find(db, s.amongIDs("SELECT id FROM notification_messages WHERE id", a.ids), &found)
	return len(found) > 0, err
}

// postKeyed stores postings of which some have a scope or an idempotency key.
// It refuses before it stores anything, so that the host's transaction can go
// on.
func (s *store) postKeyed(db *gorm.DB, ids *ids, all []*posting, last attempt) error {
	for _, p := range all {
		p.result = Posted{} // discards the result of an earlier attempt
	}
	// Ids are made after the scopes are locked, so that the ids of a scope are
	// in the order of its posts.
	earlier, err := s.lockScopes(db, all)
	if err != nil {
		return err
	}
	if err := s.recogniseLocked(db, earlier, all); err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(all), func(p *posting) bool { return p.result.Repeated })
	for _, p := range list {
		kept, err := p.keptAmong(earlier[p])
		if err != nil {
			return err
		}
		if kept >= 0 {
			p.result = Posted{ID: earlier[p][kept].ID, Replaced: true}
		} else if err := p.mint(ids); err != nil {
			return err
		}
	}
	if err := s.claimKeys(db, list); err != nil {
		return err
	}
	if done, err := s.committed(db, last); done || err != nil {
		for i, p := range all[:len(last.results)] {
			p.result = last.results[i]
		}
		return err
	}
	return s.storeKeyed(db, list, earlier)
}

// storeKeyed stores what is neither a repetition nor refused.
func (s *store) storeKeyed(db *gorm.DB, list []*posting, earlier map[*posting][]messageRow) error {
	var fresh []*posting
	var changes []change // besides those that insert logs
	for _, p := range list {
		switch {
		case p.result.Repeated:
		case p.result.Replaced:
			if err := s.rewrite(db, p); err != nil {
				return err
			}
			changes = append(changes, change{kind: changeRewritten, messageID: p.result.ID})
		default:
			removed, err := s.takeOver(db, p, earlier[p])
			if err != nil {
				return err
			}
			changes = append(changes, removed...)
			fresh = append(fresh, p)
		}
	}
	if err := s.logChanges(db, changes); err != nil || len(fresh) == 0 {
		return err
	}
	return s.dialect.insert(db, fresh)
}
