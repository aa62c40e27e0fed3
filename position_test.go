package notifications_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/changelog"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

func seen(at notifications.Position) notifications.Selection {
	return notifications.ByFilterSeen(all, at)
}

// at returns the position of what the reader sees now.
func (f *fixture) at(who notifications.Identity) notifications.Position {
	f.t.Helper()
	at := f.list(who, notifications.ListQuery{}).Position
	if at == "" {
		f.t.Fatal("the list has no position")
	}
	return at
}

// wantGone checks that a position is refused.
func (f *fixture) wantGone(at notifications.Position) {
	f.t.Helper()
	if n, err := f.SetState(f.t.Context(), jane, seen(at), read); !errors.Is(err, notifications.ErrPosition) {
		f.t.Errorf("marking what was seen at %s = %d, %v; want ErrPosition", at, n, err)
	}
}

// visibleAt returns the messages whose posts are visible at a position.
func (f *fixture) visibleAt(at notifications.Position) (ids []string) {
	f.t.Helper()
	p, err := changelog.ParsePosition(string(at))
	if err != nil {
		f.t.Fatalf("position %q: %v", at, err)
	}
	number := map[string]string{"postgres": "CAST(CAST(xact AS text) AS bigint)", "sqlite": "seq"}[f.db.Name()]
	var rows []struct {
		Number    uint64
		MessageID string
	}
	if err := f.db.Raw("SELECT " + number + " AS number, message_id FROM notification_changes WHERE kind = 1").Find(&rows).Error; err != nil {
		f.t.Fatal(err)
	}
	for _, r := range rows {
		if p.Seen.Sees(r.Number) {
			ids = append(ids, r.MessageID)
		}
	}
	slices.Sort(ids)
	return ids
}

// While others post, some in transactions that stay open or roll back, the
// position of a list, a count or a status sees exactly the posts that are in it.
func TestPositionsSeeWhatIsShown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		const posters, posts = 4, 40
		var working sync.WaitGroup
		for p := range posters {
			working.Go(func() {
				for i := range posts {
					err := db.Transaction(func(tx *gorm.DB) error {
						if p%2 == 0 && i%3 == 0 {
							if _, err := f.WithTx(tx).Post(t.Context(), ci, draft("undone", toJane)); err != nil {
								return err
							}
							return errUndone
						}
						if p%2 == 0 {
							_, err := f.WithTx(tx).Post(t.Context(), ci, draft("in a transaction", toJane))
							return err
						}
						return nil
					})
					if err == nil && p%2 == 1 {
						_, err = f.Post(t.Context(), ci, draft("x", toJane))
					}
					if err != nil && !errors.Is(err, errUndone) {
						t.Error(err)
						return
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { working.Wait(); close(done) }()
		type shown struct {
			at  notifications.Position
			ids []string // nil: only n is known
			n   int64
		}
		var answers []shown
		for more := true; more; {
			select {
			case <-done:
				more = false
			default:
			}
			page := f.list(jane, notifications.ListQuery{Limit: 1000})
			list := []string{}
			for _, n := range page.Items {
				list = append(list, n.ID)
			}
			slices.Sort(list)
			n, countAt, err := f.CountAt(t.Context(), jane, all)
			status, statusErr := f.Status(t.Context(), jane, notifications.SystemOrNot)
			if err := errors.Join(err, statusErr); err != nil {
				t.Fatal(err)
			}
			answers = append(answers, shown{page.Position, list, int64(len(list))}, shown{countAt, nil, n}, shown{status.Position, nil, status.Unread})
		}
		for _, a := range answers {
			visible := f.visibleAt(a.at)
			if int64(len(visible)) != a.n || a.ids != nil && !slices.Equal(visible, a.ids) {
				t.Fatalf("%d are shown, and %d are visible at %s", a.n, len(visible), a.at)
			}
		}
	})
}

var errUndone = errors.New("undone")

// What was posted, rewritten or due after a position is not marked at it.
func TestSeen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newClockedFixture(t, db)
		empty := f.at(jane)
		old := f.post("old", toJane)
		f.setState(jane, seen(empty), read, 0)
		rewritten := f.postDraft(scopedDraft("s", toEveryone))
		later := f.postDraft(scheduledDraft(f.now().Add(time.Minute), "later", toJane))
		page := f.at(jane)
		unseen := f.post("new", toOps)
		f.postDraft(keepPlaceDraft("rewritten", toEveryone))
		f.advance(2 * time.Minute)
		f.setState(jane, seen(page), read, 1)
		f.wantMarks(jane, old, "read")
		for _, id := range []string{rewritten, later, unseen} {
			f.wantMarks(jane, id, "")
		}
		f.setState(jane, seen(page), saved, 1)
		f.setState(jane, seen(f.at(jane)), read, 3)
		f.setState(jane, notifications.ByFilterSeen(notifications.Filter{Archived: notifications.Archived}, f.at(jane)), read, 0)
	})
}

// A post in a transaction of the host that commits after the list has a smaller
// id than what the list shows, and is not marked.
func TestSeenLeavesOutOpenTransactions(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t) // on SQLite a reader would have to wait for nothing: one writer at a time
	f := newFixture(t, db)
	tx := db.Begin()
	defer tx.Rollback()
	posted, err := f.WithTx(tx).Post(t.Context(), ci, draft("late", toJane))
	if err != nil {
		t.Fatal(err)
	}
	shown := f.post("shown", toJane)
	page := f.list(jane, notifications.ListQuery{})
	if err := tx.Commit().Error; err != nil {
		t.Fatal(err)
	}
	f.setState(jane, seen(page.Position), read, 1)
	f.wantMarks(jane, shown, "read")
	f.wantMarks(jane, posted.ID, "")
	f.setState(jane, upTo(page.Items[0].ID), read, 1) // why upTo is a bound only
	f.wantMarks(jane, posted.ID, "read")
}

// A position taken in a transaction of the host leaves out what that
// transaction writes, before and after.
func TestPositionsInTransactions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		before := f.post("before", toJane)
		if err := notifications.Tick(t.Context(), f.Service); err != nil {
			t.Fatal(err)
		}
		var inside notifications.Position
		err := db.Transaction(func(tx *gorm.DB) error {
			s := f.WithTx(tx)
			if _, err := s.Post(t.Context(), ci, draft("one", toJane)); err != nil {
				return err
			}
			page, err := s.List(t.Context(), jane, notifications.ListQuery{})
			if err != nil || len(page.Items) != 2 {
				return fmt.Errorf("the list in the transaction has %d, %w", len(page.Items), err)
			}
			inside = page.Position
			if _, err := s.Post(t.Context(), ci, draft("two", toJane)); err != nil {
				return err
			}
			n, err := s.SetState(t.Context(), jane, seen(inside), read)
			if n != 1 {
				t.Errorf("in the transaction it marks %d, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f.wantMarks(jane, before, "read")
		if visible := f.visibleAt(inside); !slices.Equal(visible, []string{before}) {
			t.Errorf("at the position in the transaction %d are visible, want 1", len(visible))
		}
		f.setState(jane, seen(inside), read, 0)

		// Numbers of a transaction that was rolled back come again on SQLite.
		err = db.Transaction(func(tx *gorm.DB) error {
			s := f.WithTx(tx)
			_, err := s.Post(t.Context(), ci, draft("undone", toJane))
			page, listErr := s.List(t.Context(), jane, notifications.ListQuery{})
			inside = page.Position
			return errors.Join(err, listErr, errUndone)
		})
		if !errors.Is(err, errUndone) {
			t.Fatal(err)
		}
		f.setState(jane, seen(f.at(jane)), read, 2)
		id := f.post("unseen", toJane)
		f.setState(jane, seen(inside), read, 0)
		f.wantMarks(jane, id, "")
	})
}

// Six posters, some with a scope and some in transactions of the host, and a
// reader who marks all after each list. Nothing that no list has shown is ever
// marked. With an id as the bound it is.
func TestNothingUnseenIsMarked(t *testing.T) {
	t.Parallel()
	rounds := 300
	if n, err := strconv.Atoi(os.Getenv("NOTIFICATIONS_TEST_ROUNDS")); err == nil {
		rounds = n // 2,000 take some minutes
	}
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		unseen := func(rounds int, mark func(page notifications.Page) notifications.Selection) (marked int) {
			more, stop := postInSixWays(f)
			defer stop()
			shown := map[string]bool{}
			for n, err := range f.All(t.Context(), jane, notifications.Filter{Read: notifications.Read}) {
				if err != nil {
					t.Fatal(err)
				}
				shown[n.ID] = true // by the rounds before
			}
			for range rounds {
				more()
				page := f.list(jane, notifications.ListQuery{Filter: notifications.Filter{Read: notifications.Unread}, Limit: 1000})
				for _, n := range page.Items {
					shown[n.ID] = true
				}
				if page.Next != "" {
					t.Fatal("more than a page is unread")
				}
				if len(page.Items) == 0 {
					continue
				}
				if _, err := f.SetState(t.Context(), jane, mark(page), read); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			for n, err := range f.All(t.Context(), jane, notifications.Filter{Read: notifications.Read}) {
				if err != nil {
					t.Fatal(err)
				}
				if !shown[n.ID] {
					marked++
				}
			}
			return marked
		}
		if n := unseen(rounds, func(page notifications.Page) notifications.Selection { return seen(page.Position) }); n > 0 {
			t.Errorf("%d were marked that no list had shown", n)
		}
		f.setState(jane, filter(all), read, f.unread(jane))
		n := unseen(rounds/4, func(page notifications.Page) notifications.Selection { return upTo(page.Items[0].ID) })
		t.Logf("in %d rounds with upTo, %d were marked that no list had shown", rounds/4, n)
	})
}

// postInSixWays posts to jane. Each call of more lets the posters post six times
// more, without waiting for them. stop ends them.
func postInSixWays(f *fixture) (more, stop func()) {
	turns := make(chan struct{}, 12)
	var working sync.WaitGroup
	for p := range 6 {
		working.Go(func() {
			for i := 0; ; i++ {
				if _, ok := <-turns; !ok {
					return
				}
				d := draft(fmt.Sprintf("%d of %d", i, p), [...]notifications.Audience{toJane, toOps, toEveryone}[i%3])
				if p < 2 {
					d.Scope = fmt.Sprint("scope ", i%2) // of both posters
				}
				if err := f.postIn(p >= 4, d); err != nil && !errors.Is(err, notifications.ErrRetry) {
					f.t.Error(err)
				}
			}
		})
	}
	more = func() {
		for range 6 {
			select {
			case turns <- struct{}{}:
			default: // they are behind
			}
		}
	}
	return more, sync.OnceFunc(func() { close(turns); working.Wait() })
}

// postIn posts, in a transaction of the host that stays open for a while if so
// asked.
func (f *fixture) postIn(transaction bool, d notifications.Draft) error {
	if !transaction {
		_, err := f.Post(f.t.Context(), ci, d)
		return err
	}
	return f.db.Transaction(func(tx *gorm.DB) error {
		s := f.WithTx(tx)
		_, err := s.Post(f.t.Context(), ci, d)
		for range 3 {
			if err == nil {
				_, err = s.Count(f.t.Context(), john, all)
			}
		}
		return err
	})
}

func (f *fixture) unread(who notifications.Identity) int64 {
	f.t.Helper()
	n, err := f.Count(f.t.Context(), who, notifications.Filter{Read: notifications.Unread})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestPositionFaults(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		f.post("x", toJane)
		at := f.at(jane)
		for _, bad := range []notifications.Position{"", "x", at + "x.", "é", notifications.Position(strings.ToUpper(string(at))), at[:len(at)/2]} {
			_, err := f.SetState(t.Context(), jane, seen(bad), read)
			wantFields(t, err, "Seen")
		}
		p, err := changelog.ParsePosition(string(at))
		if err != nil {
			t.Fatal(err)
		}
		for name, edit := range map[string]func(p *changelog.Position){
			"another epoch": func(p *changelog.Position) { p.Epoch = "a" },
			"another nonce": func(p *changelog.Position) { p.Nonce = "a" },
			"the future":    func(p *changelog.Position) { p.Seen.Xmax += 1000 },
		} {
			t.Log(name)
			edited := p
			edit(&edited)
			f.wantGone(notifications.Position(edited.String()))
		}
		if n := f.unread(jane); n != 1 {
			t.Errorf("%d are unread, want 1", n)
		}
		f.setState(jane, seen(at), read, 1)
	})
}
