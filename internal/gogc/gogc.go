// Package gogc sets how often the programs of this module collect garbage. The
// library leaves that to its host.
package gogc

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// Percent is GOGC where the environment says nothing: the larger it is, the
// less often garbage is collected and the more memory it takes. Why it is what
// it is: docs/decisions/0015-garbage-collection.md.
const Percent = 200

// Set takes Percent unless the variable GOGC has a value, which the runtime has
// seen then. GOMEMLIMIT does not matter here: it is kept with any percentage.
func Set(variable string) {
	if variable == "" {
		debug.SetGCPercent(Percent)
	}
}

// Get is the percentage in use, written as in GOGC.
func Get() string {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	percent := sample[0].Value.Uint64()
	if percent > math.MaxInt32 {
		return "off"
	}
	return strconv.FormatUint(percent, 10)
}
