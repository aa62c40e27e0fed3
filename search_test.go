package notifications_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestSearchIsLiteral: no character of a text is special on either database.
func TestSearchIsLiteral(t *testing.T) {
	t.Parallel()
	texts := []string{
		`.`, `.*`, `^a$`, `a|b`, `(`, `)`, `[a-z]`, `{2}`, `a{2}`, `+`, `?`, `\`, `\\`, `\d`, `\y`, `\Z`, `***=`, `***:`, `***=***=`,
		`(?i)`, `(?#`, `%`, `_`, `'`, `''`, `"`, `$1`, `?`, `:x`, `@x`, "\t", "a\nb", "a\r\nb", ` `, `é`, `ß`, `日本`, "\U0001f600",
	}
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		for _, text := range texts {
			f.postDraft(notifications.Draft{Origin: "test", Title: "x" + text + "y", To: toJane})
			f.postDraft(notifications.Draft{Origin: "test", Title: "m", Message: "x" + text + "y", To: toJane})
		}
		for _, needle := range append(texts, "", "aa", "xé", strings.Repeat("z", notifications.MaxSearchChars)) {
			want := 0
			for _, text := range texts {
				if strings.Contains("x"+text+"y", needle) {
					want += 2
				} else if strings.Contains("m", needle) {
					want++
				}
			}
			page := f.list(jane, notifications.ListQuery{Filter: notifications.Filter{Text: needle}, Limit: 1000})
			if len(page.Items) != want {
				t.Errorf("%q is in %d notifications, want %d", needle, len(page.Items), want)
			}
			if n, err := f.Count(t.Context(), jane, notifications.Filter{Text: needle}); err != nil || n != int64(want) {
				t.Errorf("the count of %q is %d, %v; want %d", needle, n, err, want)
			}
		}
		for _, tooLong := range []string{strings.Repeat("é", notifications.MaxSearchChars+1), strings.Repeat(".*", 4096)} {
			_, err := f.List(t.Context(), jane, notifications.ListQuery{Filter: notifications.Filter{Text: tooLong}})
			wantFields(t, err, "Text")
		}
	})
}

// searches are the verbs that search.
var searches = map[string]func(ctx context.Context, f *fixture, who notifications.Identity) error{
	"list": func(ctx context.Context, f *fixture, who notifications.Identity) error {
		_, err := f.List(ctx, who, notifications.ListQuery{Filter: searched})
		return err
	},
	"count": func(ctx context.Context, f *fixture, who notifications.Identity) error {
		_, err := f.Count(ctx, who, searched)
		return err
	},
	"mark": func(ctx context.Context, f *fixture, who notifications.Identity) error {
		_, err := f.SetState(ctx, who, notifications.ByFilter(searched), read)
		return err
	},
}

var searched = notifications.Filter{Text: "x"}

// TestSearchesAreBounded: a search ends after its time. A reader can run two at
// once; the next one waits, and so does nobody else.
func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		running := make(chan struct{})
		beforeStatements(t, db, func(db *gorm.DB) {
			if slices.ContainsFunc(db.Statement.Vars, func(v any) bool { return v == "x" || v == "***=x" }) {
				running <- struct{}{}
				<-db.Statement.Context.Done() // the statement takes very long
			}
		})
		for name, search := range searches {
			t.Run(name, func(t *testing.T) {
				notifications.SetSearchLimit(f.Service, time.Millisecond)
				done := make(chan error)
				go func() { done <- search(t.Context(), f, jane) }()
				select {
				case <-running:
					if err := <-done; !errors.Is(err, notifications.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("a search that takes too long: %v", err)
					}
				case err := <-done: // its time ended before its statement
					if !errors.Is(err, notifications.ErrUnavailable) {
						t.Error(err)
					}
				}

				notifications.SetSearchLimit(f.Service, time.Hour)
				ctx, cancel := context.WithCancel(t.Context())
				const others = notifications.MaxSearchesAtOnce
				for range others {
					go func() { done <- searches["count"](ctx, f, jane) }()
					<-running
				}
				notifications.SetSearchLimit(f.Service, time.Millisecond)
				if err := search(t.Context(), f, jane); !errors.Is(err, notifications.ErrTooMany) {
					t.Errorf("one search too many: %v", err)
				}
				if n, err := f.Count(t.Context(), jane, all); err != nil {
					t.Errorf("a count that is no search: %d, %v", n, err)
				}
				notifications.SetSearchLimit(f.Service, time.Hour)
				other, cancelOther := context.WithCancel(t.Context())
				go func() { done <- search(other, f, john) }()
				<-running
				cancelOther()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("the search of another reader: %v", err)
				}
				cancel()
				for range others {
					if err := <-done; !errors.Is(err, context.Canceled) {
						t.Errorf("a waiting search of the reader: %v", err)
					}
				}
				if n := notifications.Searchers(f.Service); n != 0 {
					t.Errorf("%d readers are remembered", n)
				}
			})
		}
	})
}
