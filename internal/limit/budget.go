// Package limit keeps one caller from taking what all callers share: memory and
// time.
package limit

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// ErrOwnShare is for a key that holds its whole share.
	ErrOwnShare = errors.New("limit: the caller's share is in use")
	// ErrAllInUse is for keys that together hold everything.
	ErrAllInUse = errors.New("limit: everything is in use")
)

// Budget lets keys hold amounts, such as bytes, up to a limit for each key and
// up to a limit for all keys together. It is safe for concurrent use.
type Budget struct {
	share, total int64

	mu      sync.Mutex
	used    int64
	byKey   map[string]int64 // only keys that hold something
	waiting list.List        // of *waiter, the first came first
}

type waiter struct {
	key     string
	n       int64
	granted chan struct{} // closed when the amount is held
}

// NewBudget returns a Budget in which a key can hold share, and all keys
// together total.
func NewBudget(share, total int64) *Budget {
	return &Budget{share: min(share, total), total: total, byKey: map[string]int64{}}
}

// Acquire holds n for the key until release is called, which must happen once.
// An n above the share counts as the share. If there is no room it waits up to
// patience; zero does not wait. The error is [ErrOwnShare], [ErrAllInUse] or
// that of the context. Of those who wait and have room, the one whose key holds
// least is next, and of several the first: a key in a loop does not hold up the
// others, nor a large amount a small one.
func (b *Budget) Acquire(ctx context.Context, key string, n int64, patience time.Duration) (release func(), err error) {
	n = min(n, b.share)
	b.mu.Lock()
	err = b.room(key, n)
	if err == nil {
		b.take(key, n)
		b.mu.Unlock()
		return func() { b.release(key, n) }, nil
	}
	if patience <= 0 {
		b.mu.Unlock()
		return nil, err
	}
	w := &waiter{key, n, make(chan struct{})}
	place := b.waiting.PushBack(w)
	b.mu.Unlock()
	return b.wait(ctx, w, place, patience)
}

func (b *Budget) wait(ctx context.Context, w *waiter, place *list.Element, patience time.Duration) (release func(), err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.granted:
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted: // perhaps at the last moment
		return func() { b.release(w.key, w.n) }, nil
	default:
	}
	b.waiting.Remove(place)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := b.room(w.key, w.n); err != nil {
		return nil, err
	}
	return nil, ErrAllInUse // there is room since a moment ago; the caller may come again
}

// room returns nil if n fits. The caller holds mu, here and below.
func (b *Budget) room(key string, n int64) error {
	switch {
	case b.byKey[key]+n > b.share:
		return ErrOwnShare
	case b.used+n > b.total:
		return ErrAllInUse
	}
	return nil
}

func (b *Budget) take(key string, n int64) {
	b.used += n
	b.byKey[key] += n
}

func (b *Budget) release(key string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.byKey[key] -= n; b.byKey[key] == 0 {
		delete(b.byKey, key)
	}
	for next := b.next(); next != nil; next = b.next() {
		w := b.waiting.Remove(next).(*waiter)
		b.take(w.key, w.n)
		close(w.granted)
	}
}

// next returns the waiter that is next, and nil if none has room.
func (b *Budget) next() (next *list.Element) {
	least := int64(-1)
	for place := b.waiting.Front(); place != nil; place = place.Next() {
		w := place.Value.(*waiter)
		if held := b.byKey[w.key]; b.room(w.key, w.n) == nil && (next == nil || held < least) {
			next, least = place, held
		}
	}
	return next
}
