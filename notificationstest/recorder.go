package notificationstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
)

// Recorder takes the place of a [notifications.Service] in code that only posts,
// by an interface of that code's own:
//
//	type poster interface {
//		Post(context.Context, notifications.Identity, notifications.Draft) (notifications.Posted, error)
//	}
//
// It records what was posted and stores nothing. It checks neither drafts nor
// permissions, and knows no scopes and no idempotency keys; [New] returns a
// Service, which does. The zero Recorder is ready for use. It is safe for
// concurrent use and must not be copied.
type Recorder struct {
	mu      sync.Mutex
	posts   []RecordedPost
	failing error
}

// RecordedPost is one post.
type RecordedPost struct {
	Who   notifications.Identity
	Draft notifications.Draft // as it was given
	ID    string              // as it was returned
}

// Post records a post. The ids it returns are different ones in ascending
// order. With a context that has ended it is [notifications.ErrUnavailable], and
// of nobody [notifications.ErrUnauthenticated].
func (r *Recorder) Post(ctx context.Context, who notifications.Identity, d notifications.Draft) (notifications.Posted, error) {
	posted, err := r.PostMany(ctx, who, []notifications.Draft{d})
	if err != nil {
		return notifications.Posted{}, err
	}
	return posted[0], nil
}

// PostMany records posts, all or none, as [Recorder.Post] does.
func (r *Recorder) PostMany(ctx context.Context, who notifications.Identity, drafts []notifications.Draft) ([]notifications.Posted, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failing != nil:
		return nil, r.failing
	case who.IsZero():
		return nil, notifications.ErrUnauthenticated
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %w", notifications.ErrUnavailable, ctx.Err())
	}
	posted := make([]notifications.Posted, len(drafts))
	for i, d := range drafts {
		d.Actions, d.Metadata = slices.Clone(d.Actions), slices.Clone(d.Metadata)
		posted[i].ID = fmt.Sprintf("00000000-0000-7000-8000-%012d", len(r.posts)+1)
		r.posts = append(r.posts, RecordedPost{Who: who, Draft: d, ID: posted[i].ID})
	}
	return posted, nil
}

// Fail makes every post fail with err; nil makes them succeed again.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = err
}

// Posts returns what was posted, in order.
func (r *Recorder) Posts() []RecordedPost {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// RequirePosted ends the test unless, for each of want, a draft was posted that
// is as it says. It returns those posts in the order of want. The rules are
// those of [RequirePosted], but for this: of equal drafts the earliest is taken
// first, audiences are compared by [notifications.Audience.Equal], and an empty
// severity that was posted is normal.
func (r *Recorder) RequirePosted(t testing.TB, want ...notifications.Draft) []RecordedPost {
	t.Helper()
	posts := r.Posts()
	found, failure := find(describePosts(posts), describeDrafts(want))
	if failure != "" {
		t.Fatalf("the Recorder has %s", failure)
	}
	matched := make([]RecordedPost, len(found))
	for i, j := range found {
		matched[i] = posts[j]
	}
	return matched
}

// RequireNotPosted ends the test if a draft was posted that is as one of
// unwanted says; without unwanted, if any was.
func (r *Recorder) RequireNotPosted(t testing.TB, unwanted ...notifications.Draft) {
	t.Helper()
	if failure := findNone(describePosts(r.Posts()), describeDrafts(unwanted)); failure != "" {
		t.Fatalf("the Recorder has %s", failure)
	}
}

func describePosts(posts []RecordedPost) []description {
	drafts := make([]notifications.Draft, len(posts))
	for i, p := range posts {
		if drafts[i] = p.Draft; p.Draft.Severity == "" {
			drafts[i].Severity = notifications.SeverityNormal
		}
	}
	return describeDrafts(drafts)
}

func describeDrafts(drafts []notifications.Draft) []description {
	all := make([]description, len(drafts))
	for i, draft := range drafts {
		all[i] = describeDraft(draft)
	}
	return all
}
