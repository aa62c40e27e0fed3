package notifications

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestActionsColumn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, url string
		plain      bool
	}{
		{"Open", "https://ci.example/runs/1?tab=log&line=7#end", true},
		{"", "", true},
		{"}]", "},{", true},
		{"Öffnen ✓", "/ä", true},
		{`say "yes"`, "/", false},
		{`a\b`, "/", false},
		{"two\nlines", "/", false},
		{`","url":"x`, `"}]`, false},
		{"\u2028", "/", false},
	} {
		column, err := newIDs(time.Now).actionsColumn([]ActionDraft{{tt.title, tt.url}, {tt.url, tt.title}})
		if err != nil {
			t.Fatal(err)
		}
		var want []Action
		if err := json.Unmarshal([]byte(column), &want); err != nil || len(want) != 2 || want[0].ID == want[1].ID ||
			want[0].Title != tt.title || want[0].URL != tt.url {
			t.Errorf("%s holds %v, %v", column, want, err)
		}
		if _, plain := plainActions(column); plain != tt.plain {
			t.Errorf("%s is plain: %v, want %v", column, plain, tt.plain)
		}
		escaped, err := json.Marshal(want) // with "&" escaped, as well
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{column, string(escaped)} {
			if got, err := actionsOf(column); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is read as %v, %v", column, got, err)
			}
		}
	}
}

func TestActionsOfOthers(t *testing.T) {
	t.Parallel()
	whole := []Action{{ID: "1", Title: "a", URL: "b"}}
	for column, want := range map[string][]Action{
		"[]":                                 nil,
		`[{"id":"1","title":"a","url":"b"}]`: whole,
		`[ {"title": "a", "url": "b", "id": "1"} ]`:     whole,
		`[{"id":"1","title":"a","url":"b","more":"c"}]`: whole,
		`[{"id":"1","title":"a","url":"b"}] `:           whole,
	} {
		if got, err := actionsOf(column); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %v, %v", column, got, err)
		}
	}
	for _, column := range []string{"", "[", `[{"id":"1","title":"a","url":"b"}`, `[{"id":"1","title":"a","url":"b"},]`, `[{"id":"1`} {
		if got, err := actionsOf(column); err == nil {
			t.Errorf("%s is read as %v", column, got)
		}
	}
}
