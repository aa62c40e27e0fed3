package notifications

import (
	"bytes"
	"encoding/json"
	"strings"
)

// actionsColumn returns the column actions of a post: a JSON array of [Action].
// "&" in a URL stays what it is.
func (g *ids) actionsColumn(drafts []ActionDraft) (string, error) {
	if len(drafts) == 0 {
		return noActions, nil
	}
	actions := make([]Action, len(drafts))
	for i, d := range drafts {
		id, err := g.action()
		if err != nil {
			return "", err
		}
		actions[i] = Action{ID: id, Title: d.Title, URL: d.URL}
	}
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
	var actions []Action
	err := json.Unmarshal([]byte(column), &actions)
	return actions, err
}

// plainActions reads what json.Marshal makes of [Action], unless something
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
