package notifications

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Limits of a search, which is a list, count or mark with a Filter.Text. No
// index helps it: it reads the texts of all messages that the reader can see.
const (
	MaxSearchChars     = 255             // of Filter.Text
	MaxSearchesAtOnce  = 2               // of one reader
	defaultSearchLimit = 2 * time.Second // of one search, with the wait for others of the same reader
)

// searches counts the searches of each reader.
type searches struct {
	limit time.Duration // of one search

	mu    sync.Mutex
	under map[string]*searching // by audience
}

// searching is the searches of one reader.
type searching struct {
	running chan struct{} // holds a value for each search that is running
	asking  int           // running or waiting; guarded by searches
}

func newSearches() *searches {
	return &searches{limit: defaultSearchLimit, under: map[string]*searching{}}
}

// beginSearch returns the context of a verb with a filter, and a function to call at
// its end. A search waits until it may run. In the host's transaction the host
// decides how long it may take.
func (s *Service) beginSearch(ctx context.Context, in inbox, f Filter) (context.Context, func(), error) {
	if f.Text == "" || s.bound != nil {
		return ctx, func() {}, nil
	}
	return s.searches.begin(ctx, in.audience)
}

func (s *searches) begin(ctx context.Context, reader string) (context.Context, func(), error) {
	limited, cancel := context.WithTimeout(ctx, s.limit)
	own := s.join(reader)
	select {
	case own.running <- struct{}{}:
		return limited, func() {
			<-own.running
			s.leave(reader)
			cancel()
		}, nil
	case <-limited.Done():
		s.leave(reader)
		cancel()
		if err := ctx.Err(); err != nil {
			return ctx, nil, unavailable("search", err)
		}
		return ctx, nil, fmt.Errorf("%w: %d searches of %s are running", ErrTooMany, MaxSearchesAtOnce, reader)
	}
}

func (s *searches) join(reader string) *searching {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.under[reader]
	if own == nil {
		own = &searching{running: make(chan struct{}, MaxSearchesAtOnce)}
		s.under[reader] = own
	}
	own.asking++
	return own
}

// leave forgets a reader who searches no more.
func (s *searches) leave(reader string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.under[reader]; own.asking > 1 {
		own.asking--
	} else {
		delete(s.under, reader)
	}
}
