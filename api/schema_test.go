package api_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/httpapi"
)

// schemas are the Go types of the schemas of openapi.yaml, by their names or,
// where they have none, by where they stand.
var schemas = map[string]any{
	"Notifications":                     []api.Notification(nil),
	"Notification":                      api.Notification{},
	"Action":                            api.Action{},
	"CreateBody":                        api.CreateBody{},
	"CreateBody.actions[]":              api.CreateAction{},
	"createNotification answers 200":    api.Created{},
	"getNotificationsCount answers 200": api.Count{},
	"StateBody":                         api.StateBody{},
	"StateFilter":                       api.StateFilter{},
	"Updated":                           api.Updated{},
	"WithdrawBody":                      api.WithdrawBody{},
	"Withdrawn":                         api.Withdrawn{},
	"Status":                            api.Status{},
	"Topics":                            api.Topics{},
	"TopicCount":                        api.TopicCount{},
	"OriginCount":                       api.OriginCount{},
	"Reach":                             api.Reach{},
	"Audience":                          api.Audience{},
	"Problem":                           api.Problem{},
	"InvalidField":                      api.InvalidField{},
	"Health":                            api.Health{},
	"StreamHello":                       api.StreamHello{},
	"StreamRemoved":                     api.StreamRemoved{},
	"StreamState":                       api.StreamState{},
	"StreamResync":                      api.StreamResync{},
}

// TestSchemas: openapi.yaml and this package have the same types, with the same
// fields.
func TestSchemas(t *testing.T) {
	t.Parallel()
	c := comparison{t: t, source: parseSource(t), unused: maps.Clone(schemas)}
	doc := document(t)
	for name, schema := range doc.Components.Schemas {
		c.compareNamed(name, schema.Value)
	}
	eachBody(doc, func(place string, media *openapi3.MediaType) {
		c.compare(place, media.Schema, nil)
	})
	for name := range c.unused {
		t.Errorf("openapi.yaml has no %s", name)
	}
	inTable := map[string]bool{}
	for _, value := range schemas {
		inTable[reflect.TypeOf(value).Name()] = true
	}
	for _, name := range c.source.structs {
		if !inTable[name] && name != "Time" {
			t.Errorf("%s has no schema", name)
		}
	}
}

// TestExamples decodes every example of openapi.yaml and encodes it again.
func TestExamples(t *testing.T) {
	t.Parallel()
	seen := 0
	eachBody(document(t), func(place string, media *openapi3.MediaType) {
		name := place
		if media.Schema.Ref != "" {
			name = refName(media.Schema)
		}
		examples := map[string]any{"": media.Example}
		for title, example := range media.Examples {
			examples[title] = example.Value.Value
		}
		for title, example := range examples {
			if example == nil {
				continue
			}
			seen++
			if err := checkExample(example, reflect.TypeOf(schemas[name])); err != nil {
				t.Errorf("%s, example %q: %v", place, title, err)
			}
		}
	})
	for name, schema := range document(t).Components.Schemas {
		if schema.Value.Example == nil {
			continue
		}
		seen++
		if err := checkExample(schema.Value.Example, reflect.TypeOf(schemas[name])); err != nil {
			t.Errorf("the example of %s: %v", name, err)
		}
	}
	if seen < 24 {
		t.Errorf("there are %d examples", seen)
	}
}

func checkExample(example any, typ reflect.Type) error {
	text, err := json.Marshal(example)
	if err != nil {
		return err
	}
	value := reflect.New(typ)
	if err := decode(string(text), value.Interface()); err != nil {
		return err
	}
	again, err := json.Marshal(value.Interface())
	if err != nil {
		return err
	}
	var got, want any
	if err := json.Unmarshal(again, &got); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &want); err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("encoded again it is %s, not %s", again, text)
	}
	return nil
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	doc := document(t)
	post := doc.Paths.Find("/notifications").Post
	if post.Parameters.GetByInAndName("header", api.IdempotencyKeyHeader) == nil {
		t.Errorf("createNotification has no header %s", api.IdempotencyKeyHeader)
	}
	if name := doc.Components.SecuritySchemes["sharedSecret"].Value.Name; name != api.SecretHeader {
		t.Errorf("the shared secret is in the header %s", name)
	}
	list := doc.Paths.Find("/notifications").Get
	if list.Responses.Status(200).Value.Headers[api.PollIntervalHeader] == nil {
		t.Errorf("the answer of getNotifications has no header %s", api.PollIntervalHeader)
	}
	stream := doc.Paths.Find("/notifications/stream").Get
	if stream.Parameters.GetByInAndName("header", api.LastEventIDHeader) == nil {
		t.Errorf("streamNotifications has no header %s", api.LastEventIDHeader)
	}
	if post.Responses.Status(200).Value.Headers[api.RequestIDHeader] == nil {
		t.Errorf("the answer of createNotification has no header %s", api.RequestIDHeader)
	}
}

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(httpapi.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// eachBody calls use with every body that is JSON.
func eachBody(doc *openapi3.T, use func(place string, media *openapi3.MediaType)) {
	isJSON := func(content openapi3.Content, place string) {
		for mediaType, media := range content {
			if strings.HasSuffix(mediaType, "json") {
				use(place, media)
			}
		}
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody != nil {
				isJSON(op.RequestBody.Value.Content, op.OperationID+" takes")
			}
			for status, response := range op.Responses.Map() {
				isJSON(response.Value.Content, op.OperationID+" answers "+status)
			}
		}
	}
}

// comparison is one of the document and the package.
type comparison struct {
	t      *testing.T
	source source
	unused map[string]any // of schemas
}

func (c comparison) compareNamed(name string, schema *openapi3.Schema) {
	c.t.Helper()
	typ := reflect.TypeOf(schemas[name])
	if typ == nil {
		c.t.Errorf("the schema %s has no type", name)
		return
	}
	if delete(c.unused, name); typ.Kind() == reflect.Struct && typ.Name() != name && c.source.has(name) {
		c.t.Errorf("the schema %s is compared to %s", name, typ)
	}
	c.compareValue(name, schema, typ)
}

// compare holds a schema at a place against the type there; nil stands for that
// of the table.
func (c comparison) compare(place string, schema *openapi3.SchemaRef, typ reflect.Type) {
	c.t.Helper()
	name := place
	if schema.Ref != "" {
		name = refName(schema)
	}
	if known := reflect.TypeOf(schemas[name]); known != nil {
		if typ != nil && typ != known {
			c.t.Errorf("%s is of type %s, want %s", place, typ, known)
		}
		typ = known
	}
	switch {
	case typ == nil:
		c.t.Errorf("%s has no type", place)
	case schema.Ref == "": // what has a name is compared once
		delete(c.unused, name)
		c.compareValue(place, schema.Value, typ)
	}
}

func (c comparison) compareValue(place string, schema *openapi3.Schema, typ reflect.Type) {
	c.t.Helper()
	if !c.matches(schema, typ) {
		c.t.Errorf("%s is of type %s, which is not %s %s %v", place, typ, schema.Type, schema.Format, schema.Enum)
		return
	}
	switch {
	case schema.Type.Is("array"):
		c.compare(place+"[]", schema.Items, typ.Elem())
	case typ.Kind() == reflect.Struct && len(schema.Properties) > 0:
		c.compareFields(place, schema, typ)
	}
}

// matches reports whether the JSON type of typ is that of the schema. It does
// not look at properties and elements.
func (c comparison) matches(schema *openapi3.Schema, typ reflect.Type) bool {
	is := schema.Type.Is
	switch {
	case len(schema.OneOf) > 0:
		return slices.ContainsFunc(schema.OneOf, func(one *openapi3.SchemaRef) bool { return c.matches(one.Value, typ) })
	case is("string") && schema.Format == "date-time":
		return typ == reflect.TypeFor[api.Time]()
	case is("string") && len(schema.Enum) > 1:
		return typ.Kind() == reflect.String && slices.Equal(c.source.constants[typ.Name()], sortedWords(schema.Enum))
	case is("string"):
		return typ == reflect.TypeFor[string]()
	case is("boolean"):
		return typ == reflect.TypeFor[bool]()
	case is("integer") && schema.Format == "int64":
		return typ == reflect.TypeFor[int64]()
	case is("integer"):
		return typ == reflect.TypeFor[int]()
	case is("array"):
		return typ.Kind() == reflect.Slice && typ != reflect.TypeFor[json.RawMessage]()
	case is("object") && len(schema.Properties) == 0:
		return typ == reflect.TypeFor[json.RawMessage]()
	default:
		return is("object") && typ.Kind() == reflect.Struct
	}
}

func (c comparison) compareFields(place string, schema *openapi3.Schema, typ reflect.Type) {
	c.t.Helper()
	missing := maps.Clone(schema.Properties)
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := schema.Properties[name]
		if property == nil || !strings.EqualFold(name, field.Name) {
			c.t.Errorf("%s has no property for the field %s", place, field.Name)
			continue
		}
		delete(missing, name)
		optional := options == "omitempty" || options == "omitzero"
		if required := slices.Contains(schema.Required, name); required == optional {
			c.t.Errorf("%s.%s: required is %v in openapi.yaml, and the options are %q", place, name, required, options)
		}
		inner := field.Type
		if inner.Kind() == reflect.Pointer && optional {
			inner = inner.Elem()
		}
		c.compare(place+"."+name, property, inner)
	}
	for name := range missing {
		c.t.Errorf("%s: %s has no field for the property %s", place, typ, name)
	}
}

func refName(schema *openapi3.SchemaRef) string { return filepath.Base(schema.Ref) }

// sortedWords are the words of an enumeration; null is no word.
func sortedWords(enum []any) []string {
	var words []string
	for _, value := range enum {
		if word, ok := value.(string); ok {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return words
}

// source is what reflection does not tell of a package.
type source struct {
	structs   []string            // exported ones
	constants map[string][]string // by type, sorted
}

func (s source) has(name string) bool { return slices.Contains(s.structs, name) }

// parseSource reads the files of this package.
func parseSource(t *testing.T) source {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	s := source{constants: map[string][]string{}}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s.note(n)
			return true
		})
	}
	for _, words := range s.constants {
		slices.Sort(words)
	}
	return s
}

func (s *source) note(n ast.Node) {
	switch n := n.(type) {
	case *ast.TypeSpec:
		if _, ok := n.Type.(*ast.StructType); ok && n.Name.IsExported() {
			s.structs = append(s.structs, n.Name.Name)
		}
	case *ast.ValueSpec:
		if typ, ok := n.Type.(*ast.Ident); ok && len(n.Values) == 1 {
			if literal, ok := n.Values[0].(*ast.BasicLit); ok {
				word, _ := strconv.Unquote(literal.Value)
				s.constants[typ.Name] = append(s.constants[typ.Name], word)
			}
		}
	}
}
