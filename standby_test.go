package notifications_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/notifications-go/notifications"
	"gorm.io/gorm"
)

// A position of a list from the replica never sees a post that the list does not
// show, while others post on the primary, some in transactions that stay open or
// roll back, and while the replica lags. It catches up with what was posted.
func TestPositionsOfReplica(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	notifications.AskReplicaAlways(r.Service)
	post := func(p, i int) error {
		err := r.db.Transaction(func(tx *gorm.DB) error {
			s := r.WithTx(tx)
			_, err := s.Post(t.Context(), ci, draft("x", toJane))
			for range p { // stays open for a while
				if err == nil {
					_, err = s.Count(t.Context(), john, all)
				}
			}
			if i%4 == 3 {
				err = errors.Join(err, errUndone)
			}
			return err
		})
		if errors.Is(err, errUndone) {
			return nil
		}
		return err
	}
	var posters sync.WaitGroup
	for p := range 3 {
		posters.Go(func() {
			for i := range 60 {
				if err := post(p, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { posters.Wait(); close(done) }()
	shown := map[notifications.Position][]string{}
	read := func() (at notifications.Position) {
		r.fixture.tick()
		r.standby.take()
		page := r.list(jane, notifications.ListQuery{Limit: 1000})
		if containing(r.standby.take(), aRead) == 0 {
			t.Fatal("the replica was not asked")
		}
		if page.Position != "" {
			shown[page.Position] = idsOf(page.Items)
		}
		return page.Position
	}
	for more, rounds := true, 0; more; rounds++ {
		select {
		case <-done:
			more = false
		default:
		}
		if rounds == 5 {
			r.Pause()
		}
		if rounds == 15 {
			r.Resume()
		}
		read()
	}
	last := r.post("last", toJane)
	read() // takes a view
	r.CatchUp()
	if at := read(); !slices.Contains(r.visibleAt(at), last) {
		t.Errorf("what the replica has caught up with is not visible at its position %q", at)
	}
	if len(shown) < 5 {
		t.Errorf("only %d lists had a position", len(shown))
	}
	for at, ids := range shown {
		for _, id := range r.visibleAt(at) {
			if !slices.Contains(ids, id) {
				t.Errorf("%s is visible at %s, and not in the list", id, at)
			}
		}
	}
}
