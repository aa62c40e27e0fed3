package notifications

import (
	"bytes"
	"encoding/json"
	"strings"
)

// actionsColumn returns the value of the column actions, a JSON array of
// [Action]. It keeps "&" in a URL as it is.
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

// noActions is the column of a message without actions.
const noActions = "[]"

// actionsOf reads the column. Escapes are rare, so plainActions nearly always
// reads it without a JSON decoder.
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

// plainActions reads the column if it holds no escape: a quotation mark then
// always ends a text.
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
