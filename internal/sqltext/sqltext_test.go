package sqltext

import (
	"reflect"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	t.Parallel()
	for numbered, want := range map[bool]string{
		true:  "SELECT $1, $2 WHERE a = $3 AND b = $4 UNION a = $3 LIMIT $5",
		false: "SELECT ?, ? WHERE a = ? AND b = ? UNION a = ? LIMIT ?",
	} {
		sql := Statement(numbered).Add("SELECT ?, ? WHERE ", 1, 2)
		begin := sql.Len()
		sql.AddPart(Part("a = ?", 3))
		a := sql.From(begin)
		sql.AddPart(Part(" AND b = ?", 4)).Add(" UNION ")
		sql.Repeat(a)
		sql.Add(" LIMIT ?", 5)
		if sql.String() != want || !reflect.DeepEqual(sql.Args(), []any{1, 2, 3, 4, 5}) {
			t.Errorf("%q %v, want %q", sql.String(), sql.Args(), want)
		}
	}
}

func TestParametersAndArgumentsMustMatch(t *testing.T) {
	t.Parallel()
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "2 parameters, 1 arguments") {
			t.Errorf("panic %q", text)
		}
	}()
	Part("a = ? AND b = ?", 1)
}
