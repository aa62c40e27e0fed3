package notifications

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofrs/uuid/v5"
	"github.com/notifications-go/notifications/internal/fold"
	"gorm.io/gorm"
)

// Post stores a notification for its audience and returns its id. When it
// returns without error the notification is stored.
//
// It needs [PermissionCreate], and for [Everyone] also
// [PermissionCreateSystem]. A draft that breaks a limit, or that names a
// recipient the catalog does not know, is an [*InvalidError], and nobody gets
// it. With an idempotency key that was used before it is [ErrKeyReused], or
// the id of the first time and nothing else; see there. A draft that keeps its
// place may be refused with [ErrTargetsDiffer].
func (s *Service) Post(ctx context.Context, who Identity, d Draft) (string, error) {
	return s.post(ctx, nil, who, d)
}

// PostTx is [Service.Post] inside the host's transaction: the notification, and
// the memory of its idempotency key, appear when tx commits and are gone when
// it rolls back. Every query of it uses tx, which must be on the same database
// as Config.DB. An error that matches [ErrRetry] says that the transaction met
// another one.
//
// On PostgreSQL a failed statement spoils the whole transaction, as always.
// Faults of the draft are found before the first statement, and [ErrKeyReused]
// and [ErrTargetsDiffer] are no failures of a statement.
func (s *Service) PostTx(ctx context.Context, tx *gorm.DB, who Identity, d Draft) (string, error) {
	return s.post(ctx, tx, who, d)
}

// posting is a draft on its way to the database.
type posting struct {
	draft     Draft
	poster    string
	audiences []string // canonical, sorted
	row       *messageRow
	content   string // hash; empty without an idempotency key
	forgotten time.Time
	now       time.Time
}

// post is PostTx, and Post where tx is nil.
func (s *Service) post(ctx context.Context, tx *gorm.DB, who Identity, d Draft) (string, error) {
	p, targets, err := s.prepare(ctx, who, d)
	if err != nil {
		return "", err
	}
	if d.IdempotencyKey != "" {
		// Before anything that may have changed since the first time.
		if id, err := s.store.posted(ctx, tx, p); id != "" || err != nil {
			return id, err
		}
	}
	bad := d.checkTimes(p.now)
	if err := bad.err(); err != nil {
		return "", err
	}
	if err := s.checkExistence(ctx, targets, p.audiences); err != nil {
		return "", err
	}
	if p.row, err = s.newMessage(p); err != nil {
		return "", err
	}
	return s.store.post(ctx, tx, p)
}

// prepare does everything of a post that depends on the draft alone.
func (s *Service) prepare(ctx context.Context, who Identity, d Draft) (*posting, []target, error) {
	if err := s.Authorize(ctx, who, PermissionCreate); err != nil {
		return nil, nil, err
	}
	if d.To.everyone {
		if err := s.Authorize(ctx, who, PermissionCreateSystem); err != nil {
			return nil, nil, err
		}
	}
	p := &posting{draft: d, poster: s.nameOf(who), now: s.now()}
	bad := d.check()
	targets := d.To.targets()
	if len(targets) == 0 && !d.To.everyone {
		bad.add("targetUsers", "the audience is empty: name users or groups, or say Everyone")
	}
	p.audiences = s.resolve(targets, &bad)
	if len(bad) > 0 {
		bad = append(bad, d.checkTimes(p.now)...)
		return nil, nil, bad.err()
	}
	if d.To.everyone {
		p.audiences = append(p.audiences, systemAudience)
	}
	if d.IdempotencyKey != "" {
		p.content, p.forgotten = contentHash(p), p.now.Add(s.idempotencyWindow)
	}
	return p, targets, nil
}

// nameOf is the identity as it is stored: users in canonical form.
func (s *Service) nameOf(who Identity) string {
	if who.Kind == KindUser {
		if canon, err := s.canonical(KindUser, who.Name); err == nil {
			return canon
		}
	}
	return who.String()
}

// resolve returns the audiences the targets stand for, each once.
func (s *Service) resolve(targets []target, bad *faults) []string {
	var audiences []string
	for i := range targets {
		t := &targets[i]
		canon, err := s.canonical(t.kind, t.ref)
		if err != nil {
			bad.add(t.field(), "%s", err)
			continue
		}
		t.canon = canon
		audiences = append(audiences, canon)
	}
	slices.Sort(audiences)
	audiences = slices.Compact(audiences)
	if len(audiences) > MaxTargets {
		bad.add("targetUsers", "names %d different users and groups together with targetGroups, the limit is %d", len(audiences), MaxTargets)
	}
	return audiences
}

// checkExistence reports every target the catalog does not know.
func (s *Service) checkExistence(ctx context.Context, targets []target, audiences []string) error {
	if len(targets) == 0 {
		return nil
	}
	named := slices.DeleteFunc(slices.Clone(audiences), func(a string) bool { return a == systemAudience })
	missing, err := s.catalog.Missing(ctx, named)
	if err != nil {
		return unavailable("catalog", err)
	}
	var bad faults
	for _, t := range targets {
		if slices.Contains(missing, t.canon) {
			bad.add(t.field(), "there is no %s %q", t.kind, t.ref)
		}
	}
	return bad.err()
}

// contentHash identifies what is posted, however it was written.
func contentHash(p *posting) string {
	d := p.draft
	var metadata bytes.Buffer
	_ = json.Compact(&metadata, d.Metadata) // checked before
	canonical, _ := json.Marshal([]any{     // of strings, numbers, bools: cannot fail
		d.Origin, d.Title, d.Message, d.Topic, severityRank[d.Severity], d.Link, d.Icon, metadata.String(), append([]ActionDraft{}, d.Actions...),
		d.Scope, d.KeepPlace, millis(d.Expires), millis(d.NotBefore), p.audiences,
	})
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// millis is a time as it is stored; nil for the zero time.
func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// newMessage makes the row of a checked draft.
func (s *Service) newMessage(p *posting) (*messageRow, error) {
	d := p.draft
	scheduled := d.scheduled(p.now)
	newID := s.ids.NewV7
	if scheduled {
		// The instant in the id decides where it stands in every list.
		newID = func() (uuid.UUID, error) { return s.scheduledIDs.NewV7AtTime(d.NotBefore) }
	}
	id, err := newID()
	if err != nil {
		return nil, unavailable("random source", err)
	}
	actions := make([]storedAction, len(d.Actions))
	for i, a := range d.Actions {
		actionID, err := s.ids.NewV4()
		if err != nil {
			return nil, unavailable("random source", err)
		}
		actions[i] = storedAction{ID: actionID.String(), Title: a.Title, URL: a.URL}
	}
	encoded, err := actionsColumn(actions)
	if err != nil {
		return nil, fmt.Errorf("notifications: encode actions: %w", err)
	}
	return &messageRow{
		ID: id.String(), Poster: p.poster, Origin: d.Origin, Title: d.Title, Message: optional(d.Message), Topic: optional(d.Topic),
		Severity: severityRank[d.Severity], Link: optional(d.Link), Icon: optional(d.Icon), Metadata: optional(string(d.Metadata)),
		Actions: encoded, IsSystem: d.To.everyone, Audiences: jsonArray(p.audiences),
		Scope: optional(d.Scope), ExpiresAt: millis(d.Expires), Scheduled: scheduled,
		OriginKey: fold.Text(d.Origin), TitleKey: fold.Text(d.Title),
		MessageKey: optional(fold.Text(d.Message)), TopicKey: optional(fold.Text(d.Topic)),
	}, nil
}

// optional is a text to be stored, null where it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// post stores a posting, all or nothing, in the host's transaction tx or, if
// that is nil, in one of its own, and returns the id to answer with.
func (s *store) post(ctx context.Context, tx *gorm.DB, p *posting) (id string, err error) {
	plain := p.content == "" && p.row.Scope == nil
	do := func(db *gorm.DB) (err error) {
		if plain {
			id = p.row.ID
			return s.dialect.insert(db, p.row)
		}
		id, err = s.postKeyed(db, p)
		return err
	}
	switch {
	case tx != nil:
		err = failed(do(s.door(ctx, tx)))
	case plain:
		err = s.write(ctx, do)
	default:
		err = s.writeTx(ctx, do)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// postKeyed stores a posting that has a scope, an idempotency key or both. What
// can be refused is refused before anything is stored, so that the host's
// transaction can go on.
func (s *store) postKeyed(db *gorm.DB, p *posting) (string, error) {
	var earlier []earlierPost
	kept := -1
	if p.row.Scope != nil {
		var err error
		if earlier, err = s.lockScope(db, p); err != nil {
			return "", err
		}
		if kept, err = p.keptAmong(earlier); err != nil {
			return "", err
		}
	}
	id := p.row.ID
	if kept >= 0 {
		id = earlier[kept].ID
	}
	if p.content != "" {
		if first, err := s.claimKey(db, p, id); first != id || err != nil {
			return first, err
		}
	}
	if kept >= 0 {
		return id, s.rewrite(db, p, earlier[kept])
	}
	if err := s.takeOver(db, p, earlier); err != nil {
		return "", err
	}
	return id, s.dialect.insert(db, p.row)
}

// posted returns the id that was answered to the same post before, and
// ErrKeyReused if it was another one. It only looks, and is no lock.
func (s *store) posted(ctx context.Context, tx *gorm.DB, p *posting) (string, error) {
	if tx == nil {
		tx = s.db
	} else if s.dialect.oneWriter {
		// The first statement of a transaction must write, see writeTx.
		if err := s.forgetKey(s.door(ctx, tx), p); err != nil {
			return "", failed(err)
		}
	}
	id, err := firstPosted(s.door(ctx, tx), p)
	return id, failed(err)
}

// firstPosted looks up the key of a posting; "" if it is not remembered.
func firstPosted(db *gorm.DB, p *posting) (string, error) {
	var remembered []struct {
		Content   string `gorm:"column:content"`
		MessageID string `gorm:"column:message_id"`
	}
	err := db.Raw("SELECT content, message_id FROM notification_idempotency_keys WHERE poster = ? AND key = ? AND expires_at > ?",
		p.poster, p.draft.IdempotencyKey, p.now.UnixMilli()).Find(&remembered).Error
	switch {
	case err != nil || len(remembered) == 0:
		return "", err
	case remembered[0].Content != p.content:
		return "", ErrKeyReused
	default:
		return remembered[0].MessageID, nil
	}
}

// forgetKey removes the key of a posting if its time is over.
func (s *store) forgetKey(db *gorm.DB, p *posting) error {
	return db.Exec("DELETE FROM notification_idempotency_keys WHERE poster = ? AND key = ? AND expires_at <= ?",
		p.poster, p.draft.IdempotencyKey, p.now.UnixMilli()).Error
}

// claimKey remembers the key of a posting and returns id, or, if somebody did
// so in the meantime, the id that was answered then. It waits for whoever is
// just doing so.
func (s *store) claimKey(db *gorm.DB, p *posting, id string) (string, error) {
	if err := s.forgetKey(db, p); err != nil {
		return "", err
	}
	done := db.Exec("INSERT INTO notification_idempotency_keys (poster, key, content, message_id, expires_at)"+
		" VALUES (?, ?, ?, ?, ?) ON CONFLICT (poster, key) DO NOTHING",
		p.poster, p.draft.IdempotencyKey, p.content, id, p.forgotten.UnixMilli())
	if done.Error != nil || done.RowsAffected == 1 {
		return id, done.Error
	}
	first, err := firstPosted(db, p)
	if first == "" && err == nil {
		err = errors.New("an idempotency key is neither free nor taken")
	}
	return first, err
}
