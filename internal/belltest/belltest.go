// Package belltest checks what every [notifications.Bell] promises.
package belltest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
)

// patience is how long a test waits for a ring that should come at once.
const patience = 30 * time.Second

// Network connects bells.
type Network struct {
	// New returns a bell of the network.
	New func(t *testing.T) notifications.Bell
	// Stop and Start end the servers and start them again, or cut and mend
	// what lies between.
	Stop, Start func(t *testing.T)
}

// Run checks the bells of a network. Whether they leave goroutines behind is for
// a goleak in TestMain.
func Run(t *testing.T, n Network) {
	t.Run("RingIsHeard", func(t *testing.T) { ringIsHeard(t, n) })
	t.Run("RingsMerge", func(t *testing.T) { ringsMerge(t, n) })
	t.Run("RingBeforeListen", func(t *testing.T) { ringBeforeListen(t, n) })
	t.Run("ServerIsAway", func(t *testing.T) { serverIsAway(t, n) })
	t.Run("ServerIsAwayAtFirst", func(t *testing.T) { serverIsAwayAtFirst(t, n) })
	t.Run("ContextEnds", func(t *testing.T) { contextEnds(t, n) })
}

// Listener is a Listen that runs.
type Listener struct {
	// Heard has a value for each time that heard was called.
	Heard chan struct{}
	// Stop ends it, and returns its error.
	Stop func() error
}

// Listen starts Listen of a bell. It ends with the test, and must then return
// nil.
func Listen(t *testing.T, bell notifications.Bell) *Listener {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{Heard: make(chan struct{}, 100_000)}
	var returned sync.Once
	ended := make(chan error, 1)
	go func() {
		err := bell.Listen(ctx, func() {
			select {
			case l.Heard <- struct{}{}:
			default: // the test does not look any more
			}
		})
		close(l.Heard) // a call of heard after that panics
		ended <- err
	}()
	var result error
	l.Stop = func() error {
		returned.Do(func() { cancel(); result = <-ended })
		return result
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Errorf("Listen: %v", err)
		}
	})
	return l
}

// Wait waits until heard was called once more.
func (l *Listener) Wait(t *testing.T, why string) {
	t.Helper()
	select {
	case _, ok := <-l.Heard:
		if !ok {
			t.Fatalf("%s: Listen ended: %v", why, l.Stop())
		}
	case <-time.After(patience):
		t.Fatalf("%s: nothing was heard", why)
	}
}

// Drain takes what was heard until now, and returns how often.
func (l *Listener) Drain() int {
	for n := 0; ; n++ {
		select {
		case <-l.Heard:
		default:
			return n
		}
	}
}

// Ring rings, and fails the test if that fails.
func Ring(t *testing.T, bell notifications.Bell) {
	t.Helper()
	if err := bell.Ring(t.Context()); err != nil {
		t.Errorf("Ring: %v", err)
	}
}

// RingUntilHeard rings again and again until the listener hears it: bells do
// not promise that a single ring arrives while a network comes up.
func RingUntilHeard(t *testing.T, bell notifications.Bell, l *Listener) {
	t.Helper()
	l.Drain()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for end := time.After(patience); ; {
		Ring(t, bell)
		select {
		case _, ok := <-l.Heard:
			if !ok {
				t.Fatalf("Listen ended: %v", l.Stop())
			}
			return
		case <-again.C:
		case <-end:
			t.Fatal("no ring was heard")
		}
	}
}

// pair returns two bells that listen and are connected.
func pair(t *testing.T, n Network) (a, b notifications.Bell, inA, inB *Listener) {
	t.Helper()
	a, b = n.New(t), n.New(t)
	inA, inB = Listen(t, a), Listen(t, b)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	return a, b, inA, inB
}

func ringIsHeard(t *testing.T, n Network) {
	a, b, inA, inB := pair(t, n)
	inA.Drain()
	inB.Drain()
	Ring(t, a)
	inB.Wait(t, "A rang")
	inA.Drain() // some hear themselves
	Ring(t, b)
	inA.Wait(t, "B rang")
}

// Rings of many goroutines are heard, and at most one in 10 ms is sent. The last
// of them is heard too.
func ringsMerge(t *testing.T, n Network) {
	a, _, _, inB := pair(t, n)
	RingUntilHeard(t, a, inB)
	start := time.Now()
	var posters sync.WaitGroup
	for range 8 {
		posters.Go(func() {
			for time.Since(start) < 300*time.Millisecond {
				Ring(t, a)
			}
		})
	}
	posters.Wait()
	inB.Wait(t, "after many rings")
	heard := 1 + inB.Drain()
	// One is on its way from before, one is sent at once, one is what is left.
	if most := int(time.Since(start)/(10*time.Millisecond)) + 3; heard > most {
		t.Errorf("%d rings were heard in a time for %d", heard, most)
	}
	RingUntilHeard(t, a, inB)
}

// A ring before Listen does not block; it is sent by Listen.
func ringBeforeListen(t *testing.T, n Network) {
	a, b := n.New(t), n.New(t)
	inB := Listen(t, b)
	inB.Wait(t, "B is connected")
	for range 1000 {
		Ring(t, a)
	}
	Listen(t, a)
	inB.Wait(t, "a ring from before")
}

// While the server is away rings do not block, and afterwards both sides hear,
// also what was rung meanwhile.
func serverIsAway(t *testing.T, n Network) {
	a, _, inA, inB := pair(t, n)
	RingUntilHeard(t, a, inB)
	n.Stop(t)
	inA.Drain()
	inB.Drain()
	for range 1000 {
		_ = a.Ring(t.Context()) // it may say that the ring is lost
	}
	n.Start(t)
	inA.Wait(t, "A is connected again")
	inB.Wait(t, "B is connected again")
	RingUntilHeard(t, a, inB)
}

func serverIsAwayAtFirst(t *testing.T, n Network) {
	n.Stop(t)
	a, b := n.New(t), n.New(t)
	inA, inB := Listen(t, a), Listen(t, b)
	n.Start(t)
	inA.Wait(t, "A is connected")
	inB.Wait(t, "B is connected")
	RingUntilHeard(t, a, inB)
}

// The end of the context ends Listen, connected or not. A bell can listen
// again.
func contextEnds(t *testing.T, n Network) {
	a := n.New(t)
	for range 3 {
		l := Listen(t, a)
		l.Wait(t, "connected")
		if err := l.Stop(); err != nil {
			t.Errorf("Listen: %v", err)
		}
	}
	n.Stop(t)
	if err := Listen(t, a).Stop(); err != nil {
		t.Errorf("Listen without a server: %v", err)
	}
	n.Start(t)
}
