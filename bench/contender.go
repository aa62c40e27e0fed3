package main

import (
	"context"
	"fmt"

	"github.com/notifications-go/notifications"
)

// The names of the contenders, which are all measured at the same things.
const (
	floorName   = "floor"
	serviceName = "service"
	httpName    = "http"
)

// contender is one way to do the operations.
type contender interface {
	name() string
	// offers reports whether it can do the operation at all.
	offers(ctx context.Context, op *operation) (bool, error)
	// worker returns what one goroutine calls to do the operation, and what
	// it calls in the end.
	worker(ctx context.Context, op *operation) (do func(i int) error, done func(), err error)
}

// serviceContender calls the library.
type serviceContender struct{ svc *notifications.Service }

func (serviceContender) name() string { return serviceName }

func (serviceContender) offers(context.Context, *operation) (bool, error) { return true, nil }

func (c serviceContender) worker(ctx context.Context, op *operation) (func(int) error, func(), error) {
	do := func(i int) error {
		_, err := op.service(ctx, c.svc, i%op.period)
		return err
	}
	return do, func() {}, nil
}

// scripts are the recorded operations.
type scripts map[*operation][]script

// record does every time of the operation through a service whose connections
// are noted, so that whatever SQL the library runs is what the floor runs.
func (s scripts) record(ctx context.Context, svc *notifications.Service, rec *recorder, op *operation) error {
	if s[op] != nil {
		return nil
	}
	// What is done only once in a connection's life is done before. The last
	// time of a period leaves a mark as it found it.
	if _, err := op.service(ctx, svc, op.period-1); err != nil {
		return fmt.Errorf("%s: %w", op.title, err)
	}
	for i := range op.period {
		rec.start()
		id, err := op.service(ctx, svc, i)
		steps := rec.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", op.title, err)
		}
		made, err := newScript(steps, id)
		if err != nil {
			return fmt.Errorf("%s: %w", op.title, err)
		}
		s[op] = append(s[op], made)
	}
	return nil
}
