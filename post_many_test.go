package notifications_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestPostMany: each draft has the result that Post would have given, in one
// transaction.
func TestPostMany(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		earlier := f.postDraft(scopedDraft("earlier", toJane.And(toOps)))
		place := f.postDraft(notifications.Draft{Origin: "test", Title: "old text", Scope: "build 8", To: toJohn})
		known := f.postDraft(keyedDraft("known", toJane))
		kept := notifications.Draft{Origin: "test", Title: "new text", Scope: "build 8", KeepPlace: true, To: toJohn}
		drafts := []notifications.Draft{
			draft("plain", toJane),
			scopedDraft("later", toJane),
			kept,
			keyedDraft("known", toJane),
			withKey("key 9", draft("keyed", toEveryone)),
			scheduledDraft(f.now().Add(time.Hour), "scheduled", toJohn),
			{
				Origin: "ci", Title: "whole", Message: "m", Topic: "t", Severity: "high", Link: "/l", Icon: "i", Metadata: []byte(`{"a": 1.0}`),
				Actions: []notifications.ActionDraft{{Title: "a", URL: "/?b&c"}}, Expires: f.now().Add(day), To: toJane.And(toOps),
			},
		}
		posted, err := f.PostMany(t.Context(), ci, drafts)
		if err != nil {
			t.Fatal(err)
		}
		if len(posted) != len(drafts) {
			t.Fatalf("%d results of %d drafts", len(posted), len(drafts))
		}
		seen := map[string]bool{earlier: true, place: true, known: true}
		for i, want := range []notifications.Posted{
			{}, {Replaced: true}, {ID: place, Replaced: true}, {ID: known, Repeated: true}, {}, {}, {},
		} {
			if want.ID == "" { // a new id
				want.ID = posted[i].ID
				if seen[want.ID] {
					t.Errorf("%s has the id of another", drafts[i].Title)
				}
				seen[want.ID] = true
			}
			if posted[i] != want {
				t.Errorf("%s became %+v, want %+v", drafts[i].Title, posted[i], want)
			}
		}
		f.wantVisible(jane, "whole", "keyed", "later", "plain", "known", "earlier") // "earlier" still reaches jane through ops
		f.wantVisible(john, "whole", "keyed", "new text", "earlier")
		f.advance(time.Hour)
		f.wantVisible(john, "scheduled", "whole", "keyed", "new text", "earlier")
		n := f.get(jane, posted[6].ID)
		if n.Message != "m" || n.Topic != "t" || n.Severity != "high" || n.Link != "/l" || n.Icon != "i" || string(n.Metadata) != `{"a": 1.0}` ||
			len(n.Actions) != 1 || n.Actions[0].URL != "/?b&c" || n.Expires.IsZero() || n.System {
			t.Errorf("whole is %+v", n)
		}
		again, err := f.PostMany(t.Context(), ci, drafts[3:5])
		if err != nil || !again[0].Repeated || !again[1].Repeated || again[1].ID != posted[4].ID {
			t.Errorf("again %+v, %v", again, err)
		}
	})
}

// TestPostManyAllOrNone: a fault of one draft refuses all of them.
func TestPostManyAllOrNone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.postDraft(keyedDraft("taken", toJane))
		f.postDraft(scopedDraft("of john", toJohn))
		before := f.list(jane, notifications.ListQuery{Filter: withArchived}).Items
		for name, tt := range map[string]struct {
			drafts []notifications.Draft
			want   error
			fields []string
		}{
			"none":        {nil, nil, []string{"drafts"}},
			"a fault":     {[]notifications.Draft{draft("a", toJane), {Origin: "o", To: toJane}}, nil, []string{"[1].Title"}},
			"faults":      {[]notifications.Draft{{}, draft("b", notifications.Users("default/jane", "default/nobody"))}, nil, []string{"[0].Origin", "[0].Title", "[0].To", "[1].To[1]"}},
			"same key":    {[]notifications.Draft{withKey("k", draft("a", toJane)), withKey("k", draft("a", toJane))}, nil, []string{"[1].IdempotencyKey"}},
			"same scope":  {[]notifications.Draft{scopedDraft("a", toJane), draft("b", toJane), scopedDraft("c", toJohn)}, nil, []string{"[2].Scope"}},
			"key in use":  {[]notifications.Draft{draft("a", toJane), keyedDraft("another text", toJane)}, notifications.ErrKeyReused, nil},
			"other place": {[]notifications.Draft{draft("a", toJane), keepPlaceDraft("b", toJane)}, notifications.ErrTargetsDiffer, nil},
			"late":        {[]notifications.Draft{draft("a", toJane), expiringDraft(time.Now().Add(-time.Hour), "b", toJane)}, nil, []string{"[1].Expires"}},
		} {
			posted, err := f.PostMany(t.Context(), ci, tt.drafts)
			if len(posted) > 0 {
				t.Errorf("%s: posted %+v", name, posted)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
			if tt.fields != nil {
				t.Run(name, func(t *testing.T) { wantFields(t, err, tt.fields...) })
			}
		}
		if after := f.list(jane, notifications.ListQuery{Filter: withArchived}).Items; len(after) != len(before) {
			t.Errorf("jane has %q, before %q", titlesOf(after), titlesOf(before))
		}
	})
}

func TestLimitsOfPostMany(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		many := slices.Repeat([]notifications.Draft{draft("a", toJane)}, notifications.MaxDrafts+1)
		_, err := f.PostMany(t.Context(), ci, many)
		wantFields(t, err, "drafts")
		posted, err := f.PostMany(t.Context(), ci, many[1:])
		if err != nil || len(posted) != notifications.MaxDrafts {
			t.Errorf("%d posted, %v", len(posted), err)
		}
		ids := map[string]bool{}
		for i, p := range posted {
			ids[p.ID] = true
			if i > 0 && p.ID < posted[i-1].ID {
				t.Fatal("the ids are not in the order of the drafts")
			}
		}
		if n, err := f.Count(t.Context(), jane, all); err != nil || n != notifications.MaxDrafts || len(ids) != notifications.MaxDrafts {
			t.Errorf("jane has %d, %v; %d ids", n, err, len(ids))
		}
		large := draft("large", toJane)
		large.Message = strings.Repeat("x", notifications.MaxMessageBytes)
		_, err = f.PostMany(t.Context(), ci, slices.Repeat([]notifications.Draft{large}, notifications.MaxDraftsBytes/notifications.MaxMessageBytes))
		wantFields(t, err, "drafts")
		if _, err = f.PostMany(t.Context(), ci, slices.Repeat([]notifications.Draft{large}, notifications.MaxDraftsBytes/notifications.MaxMessageBytes-1)); err != nil {
			t.Error(err)
		}
	})
}

// TestPostManyAsksAboutEach: the policy is asked about each draft, and denying
// one refuses all. The policy cannot change what is posted.
func TestPostManyAsksAboutEach(t *testing.T) {
	t.Parallel()
	f := newFixture(t, dbtest.SQLite(t))
	var asked []string
	s := f.with(func(cfg *notifications.Config) {
		cfg.Policy = requestPolicy(func(r notifications.Request) notifications.Decision {
			if r.Draft == nil || r.Who != ci {
				t.Errorf("%s is asked with %+v", r.Permission, r)
				return notifications.Deny
			}
			asked = append(asked, fmt.Sprint(r.Permission, " ", r.Draft.Title))
			if r.Draft.Title == "forbidden" {
				return notifications.Deny
			}
			r.Draft.Title = "changed by the policy"
			return notifications.Allow
		})
	})
	if _, err := s.PostMany(t.Context(), ci, []notifications.Draft{draft("a", toJane), draft("forbidden", toJane)}); !errors.Is(err, notifications.ErrForbidden) {
		t.Errorf("PostMany: %v, want ErrForbidden", err)
	}
	f.wantVisible(jane)
	drafts := []notifications.Draft{draft("b", toJane), draft("c", toEveryone)}
	if _, err := s.PostMany(t.Context(), ci, drafts); err != nil {
		t.Error(err)
	}
	f.wantVisible(jane, "c", "b")
	if drafts[0].Title != "b" {
		t.Errorf("the caller's draft has become %q", drafts[0].Title)
	}
	want := []string{
		"notifications.create a", "notifications.create forbidden",
		"notifications.create b", "notifications.create c", "notifications.create.system c",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
