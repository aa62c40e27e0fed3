package notifications

import (
	"bytes"
	"encoding/json"
	"strings"
)

// storedAction is an [Action] in the column actions.
type storedAction struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// actionsColumn writes the column actions. "&" in a URL stays what it is.
func actionsColumn(actions []storedAction) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(actions)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// noActions is the column actions of a message that has none.
const noActions = "[]"

// actionsOf reads the column actions. Where nothing is escaped, which is
// nearly always, its texts are cut out of it as they are.
func actionsOf(column string) ([]Action, error) {
	if column == noActions {
		return nil, nil
	}
	if actions, plain := plainActions(column); plain {
		return actions, nil
	}
	var stored []storedAction
	if err := json.Unmarshal([]byte(column), &stored); err != nil {
		return nil, err
	}
	actions := make([]Action, len(stored))
	for i, a := range stored {
		actions[i] = Action(a)
	}
	return actions, nil
}

// plainActions reads what json.Marshal makes of storedAction, unless something
// in it is escaped. Then a quotation mark ends a text, whatever comes before.
func plainActions(column string) (actions []Action, plain bool) {
	if strings.Contains(column, `\`) {
		return nil, false
	}
	rest, plain := strings.CutPrefix(column, "[")
	text := func(before string) (value string) {
		if plain {
			if rest, plain = strings.CutPrefix(rest, before); plain {
				value, rest, plain = strings.Cut(rest, `"`)
			}
		}
		return value
	}
	for plain {
		a := Action{ID: text(`{"id":"`), Title: text(`,"title":"`), URL: text(`,"url":"`)}
		if !plain {
			break
		}
		actions = append(actions, a)
		if rest == "}]" {
			return actions, true
		}
		rest, plain = strings.CutPrefix(rest, "},")
	}
	return nil, false
}
