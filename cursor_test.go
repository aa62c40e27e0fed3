package notifications

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/uuid/v5"
)

// FuzzParseCursor: PostgreSQL accepts the parts of every cursor that
// parseCursor accepts.
func FuzzParseCursor(f *testing.F) {
	f.Add(cursor{Query: "q", ID: "01890000-0000-7000-8000-000000000000"}.String())
	f.Add(cursor{Query: "q", Key: new("é"), ID: "01890000-0000-7000-8000-000000000000"}.String())
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"q":"","k":"\u0000","i":"01890000-0000-7000-8000-000000000000"}`)))
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := parseCursor(s)
		if !ok {
			return
		}
		if _, err := uuid.FromString(c.ID); err != nil || len(c.ID) != 36 {
			t.Errorf("id %q", c.ID)
		}
		if c.Key != nil && strings.ToValidUTF8(strings.ReplaceAll(*c.Key, "\x00", "\xff"), "") != *c.Key {
			t.Errorf("key %q", *c.Key)
		}
	})
}

// TestIDsTellTheTime: idTime and firstIDAfter agree.
func TestIDsTellTheTime(t *testing.T) {
	t.Parallel()
	for range 1000 {
		id := uuid.Must(uuid.NewV7())
		at := idTime(id.String())
		next, _ := firstIDAfter(at)
		before, _ := firstIDAfter(at.Add(-time.Nanosecond))
		if id.String() >= next || id.String() < before {
			t.Fatalf("id %s of %v is not between %s and %s", id, at, before, next)
		}
	}
	for _, id := range []string{"", "x", "+19b2c3d-4e5f-7000-8000-000000000000", "019b2c3d_4e5g-7000-8000-000000000000"} {
		if at := idTime(id); !at.IsZero() {
			t.Errorf("%q is of %v", id, at)
		}
	}
}
