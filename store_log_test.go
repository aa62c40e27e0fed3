package notifications

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// TestQueriesLogged: failed and slow queries are logged, without their
// parameters.
func TestQueriesLogged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		var out bytes.Buffer
		st, err := newStore(db, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := st.session(t.Context(), db).Exec("SELECT ?", "a parameter").Error; err != nil || out.Len() > 0 {
			t.Errorf("a query that went well: %v, logged %s", err, &out)
		}
		if err := st.session(t.Context(), db).Exec("SELECT ? FROM nowhere", "a parameter").Error; err == nil {
			t.Error("a query of no table went well")
		}
		if s := out.String(); !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "FROM nowhere") || strings.Contains(s, "a parameter") {
			t.Errorf("a query that failed: logged %s", s)
		}
		for took, want := range map[time.Duration]string{slowQuery / 2: "", 2 * slowQuery: "level=WARN"} {
			out.Reset()
			st.gormLog.Trace(t.Context(), time.Now().Add(-took), func() (string, int64) { return "SELECT 1", 1 }, nil)
			if s := out.String(); (s == "") != (want == "") || !strings.Contains(s, want) {
				t.Errorf("a query of %v: logged %q, want %q", took, s, want)
			}
		}
	})
}
