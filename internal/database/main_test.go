package database_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A closed database leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
