// Package gogc sets how often the programs of this module collect garbage. The
// library leaves that setting to its host.
package gogc

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// Percent is the default of GOGC. A larger value takes less time and more
// memory. See docs/decisions/0015-garbage-collection.md for the choice.
const Percent = 200

// Set sets Percent, unless the variable GOGC has a value, which the runtime has
// already read. GOMEMLIMIT works with any percentage.
func Set(variable string) {
	if variable == "" {
		debug.SetGCPercent(Percent)
	}
}

// Get returns the current percentage in the form of GOGC.
func Get() string {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	percent := sample[0].Value.Uint64()
	if percent > math.MaxInt32 {
		return "off"
	}
	return strconv.FormatUint(percent, 10)
}
