package notifications

import (
	"encoding/json"
	"reflect"
	"testing"
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
		stored := []storedAction{{"1", tt.title, tt.url}, {"2", tt.url, tt.title}}
		want := []Action{{ID: "1", Title: tt.title, URL: tt.url}, {ID: "2", Title: tt.url, URL: tt.title}}
		column, err := actionsColumn(stored)
		if err != nil {
			t.Fatal(err)
		}
		if _, plain := plainActions(column); plain != tt.plain {
			t.Errorf("%s is plain: %v, want %v", column, plain, tt.plain)
		}
		escaped, err := json.Marshal(stored) // with "&" escaped, as well
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
