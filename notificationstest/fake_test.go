package notificationstest_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// fakeT stands for the *testing.T of a test whose failure is looked at.
type fakeT struct {
	testing.TB
	failure  string
	cleanups []func()
}

func (*fakeT) Helper()                     {}
func (*fakeT) Context() context.Context    { return context.Background() }
func (t *fakeT) Cleanup(f func())          { t.cleanups = append(t.cleanups, f) }
func (t *fakeT) Errorf(f string, a ...any) { t.failure = fmt.Sprintf(f, a...) }
func (t *fakeT) Fatal(a ...any)            { t.Fatalf("%s", fmt.Sprint(a...)) }

// Fatalf ends the test.
func (t *fakeT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(t)
}

func (t *fakeT) TempDir() string {
	dir, err := os.MkdirTemp("", "notificationstest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// failureOf returns why a test fails; empty if it does not.
func failureOf(test func(t testing.TB)) (failure string) {
	fake := new(fakeT)
	defer func() {
		if r := recover(); r != nil && r != any(fake) {
			panic(r)
		}
		for _, cleanup := range slices.Backward(fake.cleanups) {
			cleanup()
		}
		failure = fake.failure
	}()
	test(fake)
	return ""
}
