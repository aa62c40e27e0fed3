package gogc_test

import (
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/notifications-go/notifications/internal/gogc"
)

// Not parallel, because the percentage belongs to the process.
func TestSet(t *testing.T) {
	const runtimes = 70 // the percentage from the environment
	before := debug.SetGCPercent(runtimes)
	defer debug.SetGCPercent(before)
	for _, c := range []struct{ variable, want string }{
		{"70", "70"}, {"off", "70"}, {"nonsense", "70"}, {"", strconv.Itoa(gogc.Percent)},
	} {
		if gogc.Set(c.variable); gogc.Get() != c.want {
			t.Errorf("after GOGC=%s it is %s, want %s", c.variable, gogc.Get(), c.want)
		}
	}
}

func TestGetOff(t *testing.T) {
	before := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(before)
	if got := gogc.Get(); got != "off" {
		t.Errorf("it is %s, want off", got)
	}
}
