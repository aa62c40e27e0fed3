package strictjson

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

func mustParse(t testing.TB, body string) *Reader {
	t.Helper()
	r, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readPost reads a body as the HTTP API reads a post, and returns its fields as
// a text.
func readPost(r *Reader) string {
	var saw strings.Builder
	fmt.Fprintf(&saw, "origin=%q title=%q", r.String("origin"), r.String("title"))
	for _, key := range []string{"targetUsers", "targetGroups"} {
		if refs, ok := r.Strings(key); ok {
			fmt.Fprintf(&saw, " %s=%q", key, refs)
			if len(refs) == 0 {
				r.Reject(key, "must not be empty")
			}
		}
	}
	r.Objects("actions", func(i int, a *Reader) {
		fmt.Fprintf(&saw, " action%d=%q,%q", i, a.String("title"), a.String("url"))
	})
	return saw.String()
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body, saw string
		faults          []string
	}{
		{"everything", `{"actions":[{"url":"u","title":"t"},{"title":"v","url":""}],"targetGroups":["g"],"targetUsers":["a","b"],"title":"T","origin":"O"}`,
			`origin="O" title="T" targetUsers=["a" "b"] targetGroups=["g"] action0="t","u" action1="v",""`, nil},
		{"nothing", `{}`, `origin="" title=""`, nil},
		{"null is absent", `{"origin":null,"title":null,"targetUsers":null,"targetGroups":null,"actions":null}`, `origin="" title=""`, nil},
		{"null in an inner object", `{"actions":[{"title":null,"url":null}]}`, `origin="" title="" action0="",""`, nil},
		{"empty arrays are there", `{"targetUsers":[],"actions":[]}`, `origin="" title="" targetUsers=[]`, []string{"targetUsers: must not be empty"}},

		{"wrong types", `{"actions":{"title":"t","url":"u"},"origin":1,"title":{},"targetGroups":true,"targetUsers":"a"}`, `origin="" title=""`, []string{
			"origin: must be a string", "title: must be a string", "targetUsers: must be an array of strings",
			"targetGroups: must be an array of strings", "actions: must be an array of objects",
		}},
		{"wrong elements keep the index of the others", `{"targetUsers":["a",null,"c",4,["d"]]}`, `origin="" title="" targetUsers=["a" "" "c" "" ""]`, []string{
			"targetUsers[1]: must be a string", "targetUsers[3]: must be a string", "targetUsers[4]: must be a string",
		}},
		{"wrong objects", `{"actions":[null,{"title":false,"url":"u"},"x",[]]}`, `origin="" title="" action1="","u"`, []string{
			"actions[0]: must be an object", "actions[1].title: must be a string", "actions[2]: must be an object", "actions[3]: must be an object",
		}},

		{"unknown fields", `{"x":1,"title":"T","y":null,"a b":[]}`, `origin="" title="T"`, []string{
			"x: is not a known field", "y: is not a known field", `"a b": is not a known field`,
		}},
		{"an inner field outside", `{"url":"u","actions":[{"origin":"o"}]}`, `origin="" title="" action0="",""`, []string{
			"actions[0].origin: is not a known field", "url: is not a known field",
		}},
		{"case counts", `{"Title":"T","targetusers":["a"],"actions":[{"URL":"u"}]}`, `origin="" title="" action0="",""`, []string{
			"actions[0].URL: is not a known field, did you mean url?",
			"Title: is not a known field, did you mean title?", "targetusers: is not a known field, did you mean targetUsers?",
		}},
		{"known fields as asked for, then unknown ones as written", `{"zzz":1,"actions":[{"q":1,"url":2},3],"targetUsers":[4],"aaa":5,"origin":6}`,
			`origin="" title="" targetUsers=[""] action0="",""`, []string{
				"origin: must be a string", "targetUsers[0]: must be a string", "actions[0].url: must be a string", "actions[0].q: is not a known field",
				"actions[1]: must be an object", "zzz: is not a known field", "aaa: is not a known field",
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := mustParse(t, tc.body)
			if saw := readPost(r); saw != tc.saw {
				t.Errorf("saw  %s\nwant %s", saw, tc.saw)
			}
			var faults []string
			for _, f := range r.Faults() {
				faults = append(faults, f.Error())
			}
			if !slices.Equal(faults, tc.faults) {
				t.Errorf("faults %q\nwant   %q", faults, tc.faults)
			}
		})
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`{}`, `[]`, `""`, `0`, `true`, `false`,
		`{ "b" : 1.0 ,` + "\t\r\n" + `"a":[ -0e+00, 1E9, 123456789012345678901234567890 ] }`,
		`"\u0061\/\"}\\"`, `"a\\"`, `"\ud83d\uDE00 😀"`, `"<&>\u2028"`, "\"\u2028\u007f\"",
		`[null,{"null":null}]`, `{"\u0061":{"":[[]]}}`, `-12.5e-3`,
		strings.Repeat("[", 15) + strings.Repeat("]", 15),
	} {
		for _, body := range []string{
			`{"v":%s}`, `{"v":%s,"z":0}`, `{"a":{"v":1},"v":%s}`, "\n{ \"a\" : [ 0 ] ,\r\n\"v\"\t:  %s\t\n , \"z\":{}\r} ", `{"\u0076" :%s }`,
		} {
			if got := mustParse(t, fmt.Sprintf(body, value)).Raw("v"); string(got) != value {
				t.Errorf("%s\ngot  %s\nwant %s", body, got, value)
			}
		}
	}
}

func TestRawAbsent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"v":null}`, `{"v": null }`, `{"V":1}`, `{"a":{"v":1}}`} {
		if got, want := mustParse(t, body).IsNull("v"), strings.Contains(body, "null"); got != want {
			t.Errorf("%s: v is null: %t, want %t", body, got, want)
		}
		if got := mustParse(t, body).Raw("v"); got != nil {
			t.Errorf("%s: got %q", body, got)
		}
	}
}

func TestRawIsKnown(t *testing.T) {
	t.Parallel()
	r := mustParse(t, `{"v":{"x":1},"w":{"x":1}}`)
	r.Raw("v")
	r.Objects("list", func(int, *Reader) {})
	if faults := r.Faults(); !slices.Equal(faults, []Fault{{"w", "is not a known field"}}) {
		t.Errorf("faults %v", faults)
	}
	if r.Raw("v") != nil {
		t.Error("there after the reading ended")
	}
}

func TestRawInside(t *testing.T) {
	t.Parallel()
	var got []string
	mustParse(t, `{"list":[{"v": 1.0 },{},{"v":[ ]}]}`).Objects("list", func(_ int, element *Reader) {
		got = append(got, string(element.Raw("v")))
	})
	if want := []string{"1.0", "", "[ ]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A caller that keeps a title must not keep the whole body in memory, and one
// that changes the bytes must not change the body.
func TestTheReaderGivesOutCopies(t *testing.T) {
	t.Parallel()
	r := mustParse(t, `{"title":"abc","targetUsers":["def"]}`)
	title, users := r.members[0].value.(string), r.members[1].value.([]any)
	if unsafe.StringData(r.String("title")) == unsafe.StringData(title) {
		t.Error("String returns a part of the body")
	}
	if texts, _ := r.Strings("targetUsers"); unsafe.StringData(texts[0]) == unsafe.StringData(users[0].(string)) {
		t.Error("Strings returns a part of the body")
	}
	clear(r.Raw("targetUsers"))
	if got := r.Raw("targetUsers"); string(got) != `["def"]` {
		t.Errorf("Raw returns %q after its bytes were overwritten", got)
	}
}

// readChange reads a body with kinds of fields that a post does not have, and
// returns its fields as a text.
func readChange(r *Reader) string {
	var saw []string
	if read, ok := r.Bool("read"); ok {
		saw = append(saw, fmt.Sprintf("read=%t", read))
	}
	there := r.Object("filter", func(filter *Reader) {
		saw = append(saw, fmt.Sprintf("filter.read=%q filter.text=%q", filter.Choice("read", "true", "false", "all"), filter.String("text")))
		if filter.Object("origin", func(origin *Reader) { saw = append(saw, "is="+origin.Choice("is", "a", "b")) }) {
			saw = append(saw, "origin")
		}
	})
	if there {
		saw = append(saw, "filter")
	}
	return strings.Join(saw, " ")
}

func TestReadChange(t *testing.T) {
	t.Parallel()
	const nothing = `filter.read="" filter.text="" filter`
	const words, flag = "filter.read: must be one of true, false, all", "read: must be true or false"
	for _, tc := range []struct {
		name, body, saw string
		faults          []string
	}{
		{"nothing", `{}`, "", nil},
		{"null is absent", `{"read":null,"filter":null}`, "", nil},
		{"null inside is absent", `{"filter":{"read":null,"text":null,"origin":null}}`, nothing, nil},
		{"true", `{"read":true}`, "read=true", nil},
		{"false is there", `{"read":false}`, "read=false", nil},
		{"an empty object is there", `{"filter":{}}`, nothing, nil},
		{"everything", `{"filter":{"origin":{"is":"b"},"text":"x","read":"all"},"read":true}`, `read=true filter.read="all" filter.text="x" is=b origin filter`, nil},
		{"true as a choice", `{"filter":{"read":true}}`, `filter.read="true" filter.text="" filter`, nil},
		{"false as a choice", `{"filter":{"read":false}}`, `filter.read="false" filter.text="" filter`, nil},
		{"true in quotes as a choice", `{"filter":{"read":"true"}}`, `filter.read="true" filter.text="" filter`, nil},
		{"a choice in escapes", `{"filter":{"read":"\u0061ll"}}`, `filter.read="all" filter.text="" filter`, nil},

		{"true in quotes", `{"read":"true"}`, "", []string{flag}},
		{"a number for true", `{"read":1}`, "", []string{flag}},
		{"an array for true", `{"read":[true]}`, "", []string{flag}},
		{"an object for true", `{"read":{}}`, "", []string{flag}},
		{"an array for an object", `{"filter":[{}]}`, "", []string{"filter: must be an object"}},
		{"an object in quotes", `{"filter":"{}"}`, "", []string{"filter: must be an object"}},
		{"false for an object", `{"filter":false}`, "", []string{"filter: must be an object"}},
		{"a number for an object", `{"filter":0}`, "", []string{"filter: must be an object"}},

		{"another word", `{"filter":{"read":"none"}}`, nothing, []string{words}},
		{"a word in another case", `{"filter":{"read":"True"}}`, nothing, []string{words}},
		{"an empty word", `{"filter":{"read":""}}`, nothing, []string{words}},
		{"a list of words", `{"filter":{"read":"true, false"}}`, nothing, []string{words}},
		{"a number for a word", `{"filter":{"read":1}}`, nothing, []string{words}},
		{"an array for a word", `{"filter":{"read":["all"]}}`, nothing, []string{words}},
		{"an object for a word", `{"filter":{"read":{"all":true}}}`, nothing, []string{words}},
		{"true where it is no choice", `{"filter":{"origin":{"is":true}}}`, `filter.read="" filter.text="" is= origin filter`, []string{
			"filter.origin.is: must be one of a, b",
		}},

		{"unknown fields inside", `{"filter":{"x":1,"TEXT":"x","origin":{"y":null}},"z":{"x":1}}`, `filter.read="" filter.text="" is= origin filter`, []string{
			"filter.origin.y: is not a known field", "filter.x: is not a known field",
			"filter.TEXT: is not a known field, did you mean text?", "z: is not a known field",
		}},
		{"an inner field outside", `{"text":"x","filter":{"filter":{}}}`, nothing, []string{
			"filter.filter: is not a known field", "text: is not a known field",
		}},
		{"faults of all levels", `{"z":1,"filter":{"y":2,"text":3,"origin":[]},"read":4}`, nothing, []string{
			flag, "filter.text: must be a string", "filter.origin: must be an object", "filter.y: is not a known field", "z: is not a known field",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := mustParse(t, tc.body)
			if saw := readChange(r); saw != tc.saw {
				t.Errorf("saw  %s\nwant %s", saw, tc.saw)
			}
			var faults []string
			for _, f := range r.Faults() {
				faults = append(faults, f.Error())
			}
			if !slices.Equal(faults, tc.faults) {
				t.Errorf("faults %q\nwant   %q", faults, tc.faults)
			}
		})
	}
}

// A word that looks like a number is not a number.
func TestChoiceOfNumbers(t *testing.T) {
	t.Parallel()
	r := mustParse(t, `{"a":"1","b":1}`)
	if a, b := r.Choice("a", "1"), r.Choice("b", "1", ""); a != "1" || b != "" {
		t.Errorf("a=%q b=%q", a, b)
	}
	if faults := r.Faults(); len(faults) != 1 || faults[0].Field != "b" {
		t.Errorf("faults %v", faults)
	}
}

func TestFaultsTwice(t *testing.T) {
	t.Parallel()
	r := mustParse(t, `{"x":1,"title":2}`)
	r.String("title")
	first, second := r.Faults(), r.Faults()
	if len(first) != 2 || !slices.Equal(first, second) {
		t.Errorf("first %v, then %v", first, second)
	}
}

// Many faults must not make the answer larger than the body.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"targetUsers":[` + strings.Repeat("1,", 100_000) + `1]}`,
		`{"actions":[` + strings.Repeat(`{"a":1},`, 100_000) + `{}]}`,
		`{"filter":` + manyKeys(1<<20) + `}`,
		manyKeys(1 << 20),
	} {
		r := mustParse(t, body)
		readPost(r)
		readChange(r)
		if n := len(r.Faults()); n != maxFaults {
			t.Errorf("%.20s…: %d faults, want %d", body, n, maxFaults)
		}
	}
}

// manyKeys returns an object of about size bytes that has only keys.
func manyKeys(size int) string {
	var b strings.Builder
	b.WriteString(`{"0":0`)
	for i := 1; b.Len() < size-16; i++ {
		b.WriteString(`,"` + strconv.FormatInt(int64(i), 36) + `":0`)
	}
	b.WriteByte('}')
	return b.String()
}
