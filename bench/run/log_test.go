package run

import (
	"regexp"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		var out strings.Builder
		c.Output = &out
		if err := Log(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`\| mark one \| \d+ \| \d+ \| \d+ \| -?\d+\.\d % \| at most 10: `, `\| post to 1 user \| \d+ \| \d+ \| \d+ \| -?\d+`} {
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("there is no %s in\n%s", want, &out)
			}
		}
	})
}

// Without the log, a script leaves no change, and all else.
func TestWithoutLog(t *testing.T) {
	onEach(t, func(t *testing.T, c Config) {
		b, ops := opened(t, c)
		count := func(table string) (n int64) {
			if err := b.db.Table(table).Count(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		entries, err := b.entries(t.Context(), ops)
		if err != nil {
			t.Fatal(err)
		}
		floor, err := b.floor(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name != "post-user" && e.Name != "mark-one" {
				continue
			}
			changes, messages := count("notification_changes"), count("notification_messages")
			scripts := e.Scripts
			for i := range scripts {
				scripts[i] = scripts[i].WithoutLog()
			}
			do, done, err := floor.Worker(t.Context(), scripts)
			if err != nil {
				t.Fatal(err)
			}
			err = do(0)
			done()
			if err != nil || count("notification_changes") != changes || (e.Name == "post-user") != (count("notification_messages") == messages+1) {
				t.Errorf("%s: %v, or there is a change, or no message", e.Name, err)
			}
		}
	})
}
