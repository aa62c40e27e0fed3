package catalog_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/notifications-go/notifications/catalog"
)

// TestSpellings has forms of YAML that all define the user a in the group g,
// and the group g.
func TestSpellings(t *testing.T) {
	t.Parallel()
	const plain = "kind: User\nmetadata:\n  name: a\nspec:\n  memberOf:\n    - g\n---\nkind: Group\nmetadata:\n  name: g\n"
	tests := map[string]string{
		"plain":              plain,
		"CRLF":               strings.ReplaceAll(plain, "\n", "\r\n"),
		"CR":                 strings.ReplaceAll(plain, "\n", "\r"),
		"byte order mark":    "\uFEFF" + plain,
		"no final newline":   strings.TrimSuffix(plain, "\n"),
		"first marker":       "---\n" + plain,
		"empty documents":    "---\n---\n\n---\n# nothing\n---\n" + plain + "---\n---\n",
		"null document":      "null\n---\n~\n---\n" + plain,
		"document ends":      strings.ReplaceAll(plain, "---\n", "...\n") + "...\n",
		"ends and starts":    "...\n---\n...\n" + strings.ReplaceAll(plain, "---\n", "... # end\n---\t# start\n") + "...\n",
		"directives":         "# first\n%YAML 1.2\n---\n" + strings.ReplaceAll(plain, "---\n", "...\n\n%YAML 1.2\n--- # second\n"),
		"tab after marker":   strings.ReplaceAll(plain, "---\n", "---\t# group\n"),
		"key like a marker":  strings.ReplaceAll(plain, "spec:", "---x: 1\nspec:"),
		"comments":           "# one\n" + strings.ReplaceAll(plain, "\n", " # more\n"),
		"kind in lower case": strings.ReplaceAll(plain, "User", "user"),
		"flow":               `{"kind": "User", metadata: {name: 'a'}, spec: {memberOf: [g,]}}` + "\n---\n" + `{"kind":"Group","metadata":{"name":"g"}}`,
		"explicit keys":      "? kind\n: User\n? metadata\n: name: a\nspec:\n  ? memberOf\n  : - g\n---\n? &k kind\n: Group\nmetadata: {&l name: g}\n",
		"colons in braces":   "kind: User\nmetadata: {name: a, annotations: {x: url:https://example.com, y: a:b}}\nspec: {memberOf: [group:default/g, Group:g]}\n---\nkind: Group\nmetadata: {name: g}\nspec: {members: [user:a, user:7, user:true]}\n",
		"escapes":            `{"kind": "User", metadata: {name: "\x61"}, spec: {memberOf: ["\u0067"]}}` + "\n---\nkind: Group\nmetadata: {name: g}",
		"block scalars":      "kind: >-\n  User\nmetadata:\n  name: |-\n    a\nspec:\n  memberOf:\n  - |-\n    g\n---\nkind: Group\nmetadata: {name: g}\n",
		"marker in a scalar": "kind: User\nmetadata:\n  name: a\n  description: |\n    ---\n    ...\n  title: ---x\nspec:\n  memberOf: [g]\n---\nkind: Group\nmetadata: {name: g}\n",
		"aliases":            "x: &list [&g g]\ny: &m {name: &n a}\nkind: &k User\nmetadata: *m\nspec: {memberOf: *list}\n---\ny: &y {x: &n g, z: &n h}\nx: &n g\nkind: Group\nmetadata: {name: *n}\n",
		"anchors":            "&doc\nkind: User\nmetadata: &m\n  name: &n a\nspec: &s\n  memberOf: &l\n    - &g g\n---\nkind: Group\nmetadata: {name: g}\n",
		"nulls":              "kind: User\nmetadata: {name: a, namespace: &x ~}\nspec: {memberOf: null}\n---\nkind: Group\nmetadata: {name: g, namespace: }\nspec: {members: [a]}\n",
		"no spec":            "kind: User\nmetadata: {name: a}\nspec:\n---\nkind: Group\nmetadata: {name: g}\nspec: {members: [a]}\n",
		"other kinds": "kind: Component\nmetadata: [1, 2]\nspec: text\n---\nkind: Template\nbase: &b {x: y}\nmetadata: {<<: *b, name: 7}\n---\n" +
			"kind: API\nmetadata: {name: a}\n---\n" + plain,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := mustLoad(t, text)
			if users, groups := files.Len(); users != 1 || groups != 1 {
				t.Errorf("%d users and %d groups", users, groups)
			}
			if got := groupsOf(t, files, "user:default/a"); !slices.Equal(got, []string{"default/g"}) {
				t.Errorf("a is in %q", got)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"malformed":           {"kind: User\nmetadata: {name: a}\n---\nkind: User\n metadata: {}\n", "org.yaml:4: mapping value is not allowed in this context"},
		"tab":                 {"kind: User\nmetadata:\n\tname: a\n", "org.yaml:3: found character '\t' that cannot start any token"},
		"duplicate key":       {"kind: User\nmetadata: {name: a}\nkind: Group\n", `org.yaml:3: mapping key "kind" already defined at [1:1]`},
		"in a later document": {"kind: User\nmetadata: {name: a}\n---\nkind: User\nkind: Group\n", `org.yaml:5: mapping key "kind" already defined at [4:1]`},
		"half a marker":       {"kind: User\nmetadata: {name: a}\n...x: 1\n", "org.yaml:3: this begins another document\norg.yaml:3: entity: kind: is missing"},
		"not UTF-8":           {"kind: User\nmetadata: {name: \xff}\n", "org.yaml: is not valid UTF-8"},
		"not a mapping":       {"\n\n- kind: User\n", "org.yaml:3: an entity must be a mapping, not of type sequence"},
		"no kind":             {"---\nmetadata: {name: a}\n", "org.yaml:2: entity: kind: is missing"},
		"kind of wrong type":  {"kind: 1\n", "org.yaml:1: entity: kind: must be a string, not of type int"},
		"no metadata":         {"kind: User\n", "org.yaml:1: User: metadata.name: is missing"},
		"null name":           {"kind: User\nmetadata: {name: }\n", "org.yaml:1: User: metadata.name: is missing"},
		"empty name":          {"kind: User\nmetadata: {name: ''}\n", "org.yaml:2: User: metadata.name: must not be empty"},
		"name is a bool":      {"kind: User\nmetadata:\n  name: true\n", "org.yaml:3: User: metadata.name: must be a string, not of type boolean"},
		"name is a list":      {"kind: User\nmetadata: {name: [a]}\n", "org.yaml:2: User: metadata.name: must be a string, not of type sequence"},
		"name with a tag":     {"kind: User\nmetadata: {name: !!str 7}\n", "org.yaml:2: User: metadata.name: must be a string, not of type tag"},
		"name with a slash":   {"kind: User\nmetadata: {name: a/b}\n", "org.yaml:2: User: metadata.name: must not contain '/' or ':'"},
		"name with a colon":   {"kind: User\nmetadata: {name: 'user:a'}\n", "org.yaml:2: User: metadata.name: must not contain '/' or ':'"},
		"name with a space":   {"kind: User\nmetadata: {name: a b}\n", "org.yaml:2: User: metadata.name: contains white space or control characters"},
		"name with NUL":       {"kind: User\nmetadata: {name: \"a\\0\"}\n", "org.yaml:2: User: metadata.name: contains white space or control characters"},
		"name with newline":   {"kind: User\nmetadata:\n  name: |\n    a\n", "org.yaml:3: User: metadata.name: contains white space or control characters"},
		"name too long":       {"kind: User\nmetadata: {name: " + strings.Repeat("n", 248) + "}\n", "org.yaml:2: User: metadata.name: with its namespace is longer than 255 bytes"},
		"namespace":           {"kind: User\nmetadata: {name: a, namespace: 'user:x'}\n", "org.yaml:2: User: metadata.namespace: must not contain '/' or ':'"},
		"metadata":            {"kind: Group\nmetadata: a\n", "org.yaml:2: Group: metadata: must be a mapping, not of type string\norg.yaml:1: Group: metadata.name: is missing"},
		"spec":                {"kind: User\nmetadata: {name: a}\nspec: []\n", "org.yaml:3: user:default/a: spec: must be a mapping, not of type sequence"},
		"memberOf":            {"kind: User\nmetadata: {name: a}\nspec: {memberOf: g}\n", "org.yaml:3: user:default/a: spec.memberOf: must be a list, not of type string"},
		"null in a list":      {"kind: User\nmetadata: {name: a}\nspec:\n  memberOf:\n  - g\n  -\n", "org.yaml:6: user:default/a: spec.memberOf[1]: must be a string, not of type null"},
		"wrong kind":          {"kind: Group\nmetadata: {name: g}\nspec: {members: [a, 'group:default/h']}\n", `org.yaml:3: group:default/g: spec.members[1]: "group:default/h" names a group, a user is expected`},
		"alias of nothing":    {"kind: User\nmetadata: {name: *x}\nx: &x a\n", "org.yaml:2: User: metadata.name: must be a string, not of type alias"},
		"alias of an alias":   {"x: &x\n  *x\nkind: User\nmetadata: {name: *x}\n", "org.yaml:4: User: metadata.name: must be a string, not of type alias"},
		"list in itself":      {"kind: User\nmetadata: {name: a}\nspec: {memberOf: &l [*l]}\n", "org.yaml:3: user:default/a: spec.memberOf[0]: must be a string, not of type sequence"},
		"item is a mapping": {"kind: User\nmetadata: {name: a}\nspec: {memberOf: [group: g, {group: g}, {group:g}, 'group':g, group:'g']}\n", strings.Join([]string{
			"org.yaml:3: user:default/a: spec.memberOf[0]: must be a string, not of type mapping",
			"org.yaml:3: user:default/a: spec.memberOf[1]: must be a string, not of type mapping",
			"org.yaml:3: user:default/a: spec.memberOf[2]: must be a string, not of type mapping",
			"org.yaml:3: user:default/a: spec.memberOf[3]: must be a string, not of type mapping",
			"org.yaml:3: user:default/a: spec.memberOf[4]: must be a string, not of type mapping",
		}, "\n")},
		"item is a key":       {"kind: Group\nmetadata: {name: g}\nspec:\n  members:\n  - user:\n  - a\n", "org.yaml:5: group:default/g: spec.members[0]: must be a string, not of type mapping"},
		"merge key":           {"kind: User\nx: &x {namespace: n}\nmetadata:\n  <<: *x\n  name: a\n", `org.yaml:4: User: metadata: the merge key "<<" is not supported`},
		"merge key of a user": {"kind: User\n<<: {metadata: {name: b}}\nmetadata: {name: a}\n", `org.yaml:2: User: entity: the merge key "<<" is not supported`},
		"defined twice":       {"kind: User\nmetadata: {name: Kim}\n---\nkind: Group\nmetadata: {name: kim}\n---\n# again\nkind: User\nmetadata: {name: \"K\\u0049M\"}\n---\nkind: User\nmetadata: {name: kım}\n---\nkind: User\nmetadata: {name: kim}\n", "org.yaml:8: user:default/kim: is already defined at org.yaml:1\norg.yaml:14: user:default/kim: is already defined at org.yaml:1"},
		"after markers":       {"# c\n...\n%YAML 1.2\n---\nkind: User\nmetadata: {name: a}\n...\n\nkind: User\nmetadata: {}\n", "org.yaml:9: User: metadata.name: is missing"},
		"after CRLF":          {"kind: User\r\nmetadata: {name: a}\r\n---\r\nkind: User\r\nmetadata: {}\r\n", "org.yaml:4: User: metadata.name: is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, tt.text); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestLimits has files that would take the YAML library, or a naive expansion
// of aliases, too much time or memory.
func TestLimits(t *testing.T) {
	t.Parallel()
	const big = "org.yaml:1: the document is larger than 1048576 bytes"
	const deep = "org.yaml:1: the document has more than 5000 keys, or is nested as deeply"
	tests := map[string]struct{ text, want string }{
		"large file":         {strings.Repeat("#\n", 16<<20) + "#", "org.yaml: is larger than 33554432 bytes"},
		"large document":     {"kind: User\nx: " + strings.Repeat("x", 1<<20), big},
		"brackets":           {strings.Repeat("[", 1<<20), deep},
		"braces":             {strings.Repeat("{a: ", 1<<18), deep},
		"dashes":             {strings.Repeat("- ", 1<<19), deep},
		"question marks":     {strings.Repeat("? ", 1<<19), deep},
		"tags":               {strings.Repeat("! ", 1<<19), deep},
		"keys":               {lines(5001, "k%d: v\n"), deep},
		"many documents":     {strings.Repeat("---\n", 100_000), "<nil>"},
		"many users":         {lines(20_000, "---\nkind: User\nmetadata: {name: u%d}\n"), "<nil>"},
		"list of nulls":      {"kind: Component\nx:\n" + strings.Repeat("-\n", 10_000), "<nil>"},
		"aliases of nothing": {"kind: Component\nx: &y [" + strings.Repeat("*x,", 200_000) + "]\n", "<nil>"},
		"long list":          {"kind: Group\nmetadata: {name: g}\nspec:\n  members:\n" + lines(40_000, "  - u%d\n"), "<nil>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, tt.text); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %.300v\nwant %s", err, tt.want)
			}
		})
	}
}

// Aliases are never expanded, so a file of nested aliases stays small.
func TestBillionLaughs(t *testing.T) {
	t.Parallel()
	var lists, merges strings.Builder
	lists.WriteString("l0: &l0 [g]\n")
	merges.WriteString("m0: &m0 {name: a}\n")
	for i := range 30 {
		fmt.Fprintf(&lists, "l%d: &l%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*l%d,", i), 10))
		fmt.Fprintf(&merges, "m%d: &m%d {<<: [%s]}\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*m%d,", i), 10))
	}
	tests := map[string]struct{ text, want string }{
		"unused":         {lists.String() + merges.String() + "kind: User\nmetadata: {name: a}\nspec: {memberOf: *l0}\n", "<nil>"},
		"other kind":     {lists.String() + merges.String() + "kind: Component\nmetadata: *m30\nspec: {memberOf: *l30}\n", "<nil>"},
		"list of lists":  {lists.String() + "kind: User\nmetadata: {name: a}\nspec: {memberOf: [*l30]}\n", "org.yaml:34: user:default/a: spec.memberOf[0]: must be a string, not of type sequence"},
		"name of lists":  {lists.String() + "kind: User\nmetadata: {name: *l30}\n", "org.yaml:33: User: metadata.name: must be a string, not of type sequence"},
		"merge of merge": {merges.String() + "kind: User\nmetadata: {name: a}\nspec: *m30\n", "org.yaml:31: user:default/a: spec: the merge key \"<<\" is not supported"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, tt.text); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %.300v\nwant %s", err, tt.want)
			}
		})
	}
}

// FuzzLoad loads arbitrary bytes. The result is a catalog, or an error with the
// name of the file and a line in it.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"kind: User\nmetadata: {name: a}\nspec: {memberOf: [g]}\n---\nkind: Group\nmetadata: {name: g}\nspec: {members: [a]}\n",
		"%YAML 1.2\n---\n? kind\n: &a User\nmetadata: &m {name: *a}\n...\n",
		"kind: User\nmetadata:\n  <<: *x\n", "kind: >-\n  User\n", "a: &a\n  *a\n", "--- |\n", "\uFEFF---\r\n\t", "[[{", "? - &a !!str", "a: 'b\n---\n'",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: data}}, "org.yaml")
		if err == nil {
			files.Len()
			return
		}
		last := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r"))
		var line int
		if _, scanErr := fmt.Sscanf(err.Error(), "org.yaml:%d:", &line); scanErr != nil {
			if err.Error() != "org.yaml: is not valid UTF-8" {
				t.Errorf("%q has no line", err)
			}
		} else if line < 1 || line > last {
			t.Errorf("%q is beyond line %d", err, last)
		}
	})
}

// lines formats each of the first n numbers.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
