package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func nested(levels int) string {
	return `{"a":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
}

var refused = []struct {
	name, body, field, reason string
}{
	{"empty", "", "body", "is empty, a JSON object is required"},
	{"white space", " \r\n\t ", "body", "is empty, a JSON object is required"},
	{"null", "null", "body", "must be a JSON object"},
	{"array", `[{"title":"a"}]`, "body", "must be a JSON object"},
	{"text", `"title"`, "body", "must be a JSON object"},
	{"number", "1", "body", "must be a JSON object"},

	{"cut short", `{"title":"a"`, "body", "cannot be read as JSON"},
	{"byte order mark", "\ufeff{}", "body", "cannot be read as JSON"},
	{"comment", `{} // no`, "body", "cannot be read as JSON"},
	{"second value", `{} {}`, "body", "cannot be read as JSON"},
	{"trailing bracket", `{}}`, "body", "cannot be read as JSON"},
	{"trailing NUL", "{}\x00", "body", "cannot be read as JSON"},
	{"trailing comma", `{"a":1,}`, "body", "cannot be read as JSON"},
	{"single quotes", `{'a':1}`, "body", "cannot be read as JSON"},
	{"leading zero", `{"a":01}`, "body", "cannot be read as JSON"},
	{"NaN", `{"a":NaN}`, "body", "cannot be read as JSON"},
	{"raw line break", "{\"a\":\"b\nc\"}", "body", "cannot be read as JSON"},
	{"deeper than encoding/json goes", nested(10_001), "body", "cannot be read as JSON"},

	{"invalid UTF-8 in a text", "{\"a\":\"\xff\"}", "body", "is not valid UTF-8"},
	{"invalid UTF-8 in a key", "{\"\xc3\":1}", "body", "is not valid UTF-8"},
	{"surrogate as UTF-8", "{\"a\":\"\xed\xa0\x80\"}", "body", "is not valid UTF-8"},
	{"overlong NUL", "{\"a\":\"\xc0\x80\"}", "body", "is not valid UTF-8"},

	{"raw NUL in a text", "{\"a\":\"\x00\"}", "body", "cannot be read as JSON"},
	{"raw NUL in a key", "{\"\x00\":1}", "body", "cannot be read as JSON"},
	{"escaped NUL", `{"title":"a\u0000b"}`, "title", "contains a control character other than TAB, LF and CR"},
	{"escaped control", `{"title":"a\u001Fb"}`, "title", "contains a control character other than TAB, LF and CR"},
	{"escaped backspace", `{"title":"\b"}`, "title", "contains a control character other than TAB, LF and CR"},
	{"escaped form feed", `{"title":"x\f"}`, "title", "contains a control character other than TAB, LF and CR"},
	{"escaped NUL inside", `{"a":[1,{"b":"\u0000"}]}`, "a[1].b", "contains a control character other than TAB, LF and CR"},
	{"escaped NUL in a key", `{"\u0000":1}`, "body", "has a key that contains a control character other than TAB, LF and CR"},
	{"escaped NUL in an inner key", `{"a":[{"\u0000":1}]}`, "a[0]", "has a key that contains a control character other than TAB, LF and CR"},

	{"high surrogate at the end", `{"title":"\ud83d"}`, "title", "contains half a surrogate pair"},
	{"high surrogate, upper case", `{"title":"\uD83D!"}`, "title", "contains half a surrogate pair"},
	{"high surrogate before a letter", `{"title":"\ud83dabcdef"}`, "title", "contains half a surrogate pair"},
	{"high surrogate before an escape", `{"title":"\ud83d\n"}`, "title", "contains half a surrogate pair"},
	{"high surrogate before an escape and the digits of a low one", `{"title":"\ud83d\ndc00"}`, "title", "contains half a surrogate pair"},
	{"high surrogate before u", `{"title":"\ud83d\\ude00"}`, "title", "contains half a surrogate pair"},
	{"two high surrogates", `{"title":"\ud83d\ud83d"}`, "title", "contains half a surrogate pair"},
	{"low surrogate first", `{"title":"\ude00\ud83d"}`, "title", "contains half a surrogate pair"},
	{"low surrogate after a pair", `{"title":"\ud83d\ude00\ude00"}`, "title", "contains half a surrogate pair"},
	{"surrogate before NUL", `{"title":"\ud83d\u0000"}`, "title", "contains half a surrogate pair"},
	{"surrogate in a key", `{"a":{"\udc00":1}}`, "a", "has a key that contains half a surrogate pair"},

	{"duplicate key", `{"title":"a","title":"b"}`, "title", "is given twice"},
	{"duplicate key, far apart", `{"title":"a","x":{"title":1},"title":"b"}`, "title", "is given twice"},
	{"duplicate key, same value", `{"title":null,"title":null}`, "title", "is given twice"},
	{"duplicate key, escaped", `{"title":"a","\u0074itle":"b"}`, "title", "is given twice"},
	{"duplicate key, inner", `{"actions":[{"url":"a"},{"url":"b","url":"c"}]}`, "actions[1].url", "is given twice"},
	{"duplicate key, empty", `{"":1,"":2}`, `""`, "is given twice"},
	{"key in another case", `{"title":"a","Title":"b"}`, "Title", "is title again in another spelling"},
	{"key in another case, first", `{"TITLE":"a","title":"b"}`, "title", "is TITLE again in another spelling"},
	{"long s", `{"messageScope":1,"me\u017fſageScope":1}`, `"meſſageScope"`, "is messageScope again in another spelling"},
	{"kelvin sign", "{\"k\":1,\"\u212a\":2}", "\"\u212a\"", "is k again in another spelling"},
	{"final sigma", `{"σ":1,"ς":2}`, `"ς"`, `is "σ" again in another spelling`},
	{"composed and decomposed", `{"é":1,"e\u0301":2}`, "\"e\u0301\"", `is "é" again in another spelling`},

	{"17 levels", nested(17), "a" + strings.Repeat("[0]", 15), "nests deeper than 16 levels"},
	{"17 levels of objects", strings.Repeat(`{"a":`, 16) + `{}` + strings.Repeat(`}`, 16),
		strings.Repeat("a.", 15) + "a", "nests deeper than 16 levels"},
	{"17 levels after shallow ones", `{"x":[[[[]]]],"a":` + nested(16) + `}`, "a.a" + strings.Repeat("[0]", 14), "nests deeper than 16 levels"},

	{"odd key", `{"a b.c":"\u0000"}`, `"a b.c"`, "contains a control character other than TAB, LF and CR"},
	{"key with quotes", `{"\"\\\u007f":["\u0000"]}`, `"\"\\\x7f"[0]`, "contains a control character other than TAB, LF and CR"},
	{"long key", `{"` + strings.Repeat("k", 100_000) + `":"\u0000"}`, `"` + strings.Repeat("k", 64) + `…"`, "contains a control character other than TAB, LF and CR"},
	{"long key, cut inside a character", `{"` + strings.Repeat("k", 63) + `éé":"\u0000"}`, `"` + strings.Repeat("k", 63) + `…"`, "contains a control character other than TAB, LF and CR"},
}

// accept is Parse, and also refuses what Parse leaves to Reader.Faults.
func accept(body []byte) (*Reader, error) {
	r, err := Parse(body)
	if err == nil && len(*r.faults) > 0 {
		return nil, (*r.faults)[0]
	}
	return r, err
}

// Texts, keys and repetitions that are refused do not hide the other faults.
func TestParseReadsOn(t *testing.T) {
	t.Parallel()
	r := mustParse(t, `{"title":"\u0000","a":["x","\ud800"],"\u0001":{"b":"\b"},"origin":"o","Origin":7,"n":"1"}`)
	title, origin := r.String("title"), r.String("origin")
	a, _ := r.Strings("a")
	r.Bool("n")
	if title != "" || origin != "o" || !slices.Equal(a, []string{"x", ""}) {
		t.Errorf("title is %q, origin %q, a %q", title, origin, a)
	}
	var got []string
	for _, f := range r.Faults() {
		got = append(got, f.Field)
	}
	if want := []string{"title", "a[1]", "body", `"".b`, "Origin", "n"}; !slices.Equal(got, want) {
		t.Errorf("the faults are of %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := accept([]byte(tc.body))
			var fault Fault
			if !errors.As(err, &fault) || r != nil {
				t.Fatalf("Parse = %v, %v, want no Reader and a Fault", r, err)
			}
			reason, _, _ := strings.Cut(fault.Reason, ", see byte ") // the offset is encoding/json's
			if fault.Field != tc.field || reason != tc.reason {
				t.Errorf("got  %q: %q\nwant %q: %q", fault.Field, fault.Reason, tc.field, tc.reason)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		want       map[string]any
	}{
		{"empty object", ` { } `, map[string]any{}},
		{"every type", `{"s":"x","n":-1.50E+2,"t":true,"f":false,"z":null,"a":[1,"2",null,[],{}],"o":{"p":{"q":0}}}`, map[string]any{
			"s": "x", "n": json.Number("-1.50E+2"), "t": true, "f": false, "z": nil,
			"a": []any{json.Number("1"), "2", nil, []any{}, map[string]any{}},
			"o": map[string]any{"p": map[string]any{"q": json.Number("0")}},
		}},
		{"white space everywhere", "\n{\t\"a\" :\r[ 1 , 2\n] , \"b\" : null }\n", map[string]any{
			"a": []any{json.Number("1"), json.Number("2")}, "b": nil,
		}},
		{"escapes", `{"a":"\"\\\/\n\r\t\u0009\u000A\u000d\u00e9\u20AC","\u0062":"x\\u0000"}`, map[string]any{
			"a": "\"\\/\n\r\t\t\n\ré€", "b": `x\u0000`,
		}},
		{"pairs of surrogates", `{"a":"\ud83d\ude00","b":"x\uD83D\uDE00y\udbff\udfff"}`, map[string]any{"a": "😀", "b": "x😀y\U0010ffff"}},
		{"the replacement character is a character", `{"a":"\ufffd�"}`, map[string]any{"a": "\ufffd\ufffd"}},
		{"brackets and commas in a text", `{"a":"]},:[{ ,","b":":"}`, map[string]any{"a": "]},:[{ ,", "b": ":"}},
		{"a number no float holds", `{"a":123456789012345678901234567890,"b":1e999}`, map[string]any{
			"a": json.Number("123456789012345678901234567890"), "b": json.Number("1e999"),
		}},
		{"one key on two levels", `{"a":{"a":[{"a":1},{"a":2}]}}`, map[string]any{
			"a": map[string]any{"a": []any{map[string]any{"a": json.Number("1")}, map[string]any{"a": json.Number("2")}}},
		}},
		{"characters that look alike", `{"a":1,"а":2,"ß":3,"ss":4}`, map[string]any{
			"a": json.Number("1"), "а": json.Number("2"), "ß": json.Number("3"), "ss": json.Number("4"),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := accept([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := plain(r.members); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %#v\nwant %#v", got, tc.want)
			}
		})
	}
}

// CheckObject refuses a field for the same reason for which Parse refuses a
// body.
func TestCheckObjectRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := "metadata"
			if tc.field != "body" {
				want += "." + tc.field
			}
			var fault Fault
			if err := CheckObject("metadata", []byte(tc.body), 0); !errors.As(err, &fault) {
				t.Fatalf("CheckObject = %v, want a Fault", err)
			}
			reason, _, _ := strings.Cut(fault.Reason, ", see byte ")
			if fault.Field != want || reason != tc.reason {
				t.Errorf("got  %q: %q\nwant %q: %q", fault.Field, fault.Reason, want, tc.reason)
			}
		})
	}
}

func TestCheckObjectAtItsDepth(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		field, object string
		depth         int
		want          string // empty if there is no fault
	}{
		{"m", "{}", 0, ""}, {"m", nested(16), 0, ""}, {"m", nested(15), 1, ""}, {"m", nested(2), 14, ""}, {"m", " {}\n", 15, ""},
		{"m", nested(17), 0, "m.a" + strings.Repeat("[0]", 15) + ": nests deeper than 16 levels"},
		{"m", nested(16), 1, "m.a" + strings.Repeat("[0]", 14) + ": nests deeper than 16 levels"},
		{"list[3].m", nested(2), 15, "list[3].m.a: nests deeper than 16 levels"},
		{"m", "{}", 16, "m: nests deeper than 16 levels"},
		{"m", `{"a":{"b":1,"b":2}}`, 1, "m.a.b: is given twice"},
	} {
		got := ""
		if err := CheckObject(tc.field, []byte(tc.object), tc.depth); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("CheckObject(%q, %s, %d) = %q, want %q", tc.field, tc.object, tc.depth, got, tc.want)
		}
	}
}

func TestParseAcceptsSixteenLevels(t *testing.T) {
	t.Parallel()
	for _, body := range []string{nested(16), strings.Repeat(`{"a":`, 15) + `{}` + strings.Repeat(`}`, 15), `{"a":[[],[],[],[]],"b":` + nested(15) + `}`} {
		if _, err := accept([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// encoding/json accepts all of these documents, and Parse accepts none.
func TestEncodingJSONIsLax(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"title":"a","title":"b"}`,
		`{"title":"a","Title":"b"}`,
		`{"title":"a","\u0074itle":"b"}`,
		`{"title":"a\u0000b"}`,
		`{"title":"\ud83d"}`,
		"{\"title\":\"\xff\"}",
		`{"extra":` + nested(10_000-1) + `}`,
		`null`,
	} {
		name := body[:min(len(body), 32)]
		var lax struct{ Title string }
		if err := json.Unmarshal([]byte(body), &lax); err != nil {
			t.Errorf("encoding/json refuses %s: %v", name, err)
		}
		t.Logf("encoding/json reads %s with title %q", name, lax.Title)
		if _, err := accept([]byte(body)); err == nil {
			t.Errorf("Parse accepts %s", name)
		}
	}
}

func TestParseKeepsNoReference(t *testing.T) {
	t.Parallel()
	body := []byte(`{"title":"abc","number":123}`)
	r, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	if got := r.String("title"); got != "abc" {
		t.Errorf("title = %q after the body was overwritten", got)
	}
	if got := r.Raw("number"); string(got) != "123" {
		t.Errorf("number = %q after the body was overwritten", got)
	}
}

// plain converts a parsed value to that of encoding/json.
func plain(v any) any {
	switch v := v.(type) {
	case []member:
		object := make(map[string]any, len(v))
		for _, m := range v {
			object[m.key] = plain(m.value)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	default:
		return v
	}
}

const seedBody = `{"title": "My message title", "message": "I have nothing to say", "origin": "my-origin", "topic": "my topic",` +
	` "targetUsers": ["default/guest"], "actions": [{"title": "my-title", "url": "http://foo.bar"}, {"title": "another action", "url": "https://foo.foo.bar"}]}`

var benchmarks = []struct{ name, body string }{
	{"post", seedBody},
	{"long message", `{"origin":"o","title":"t","message":"` + strings.Repeat(`line\n`, 10_000) + `"}`},
	{"1 MiB of numbers", `{"a":[` + strings.Repeat("1,", 1<<19-8) + `1]}`},
	{"1 MiB of keys", manyKeys(1 << 20)},
}

func BenchmarkParse(b *testing.B) {
	for _, bc := range benchmarks {
		b.Run(bc.name, func(b *testing.B) {
			body := []byte(bc.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncodingJSON is for comparison with [BenchmarkParse].
func BenchmarkEncodingJSON(b *testing.B) {
	for _, bc := range benchmarks {
		b.Run(bc.name, func(b *testing.B) {
			body := []byte(bc.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var into any
				if err := json.Unmarshal(body, &into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
