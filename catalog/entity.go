package catalog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/fold"
)

// entity is the content of a document of kind User or Group, as far as it is
// kept.
type entity struct {
	ref   notifications.Ref // canonical
	place string            // file and line
	links []string          // canonical: the groups of a user, the members of a group
}

// parse returns the entities of a file, and all its faults.
func parse(file string, data []byte) ([]entity, []error) {
	if !utf8.Valid(data) {
		return nil, []error{fmt.Errorf("%s: is not valid UTF-8", file)}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	var entities []entity
	var faults []error
	for _, chunk := range split(text) {
		d := &document{chunk: chunk, file: file}
		if e, ok := d.entity(); ok {
			entities = append(entities, e)
		}
		faults = append(faults, d.faults...)
	}
	return entities, faults
}

// entity reads the document. It returns false if the document defines no user
// or group.
func (d *document) entity() (entity, bool) {
	body := d.parse()
	if body == nil {
		return entity{}, false
	}
	root, ok := d.resolve(body).(*ast.MappingNode)
	if !ok {
		d.fail(lineOf(body), "an entity must be a mapping, not of type %s", body.Type().YAMLName())
		return entity{}, false
	}
	kind, ok := d.kind(root)
	if !ok {
		return entity{}, false
	}
	d.refuseMerge(root, "entity")
	namespace, name := d.name(root, kind)
	e := entity{ref: notifications.Ref{Kind: kind, Name: name}, place: d.file + ":" + strconv.Itoa(lineOf(root))}
	spec := d.mapping(root, "spec")
	if kind == notifications.KindUser {
		e.links = d.refs(spec, "memberOf", notifications.KindGroup, namespace)
	} else {
		e.links = d.refs(spec, "members", notifications.KindUser, namespace)
	}
	return e, name != ""
}

// kind returns the kind of the entity, and false if it is neither User nor
// Group.
func (d *document) kind(root *ast.MappingNode) (notifications.Kind, bool) {
	d.subject = "entity"
	n := d.get(root, "kind")
	if n == nil {
		d.fault(root, "kind", "is missing")
		return "", false
	}
	text, ok := d.text(n, "kind")
	kind := notifications.Kind(fold.ASCII(text))
	d.subject = text
	return kind, ok && checkKind(kind) == nil
}

// name returns the namespace of the entity and its canonical name. If one has a
// fault, it returns the default namespace or an empty name.
func (d *document) name(root *ast.MappingNode, kind notifications.Kind) (namespace, name string) {
	metadata := d.mapping(root, "metadata")
	namespace = "default"
	if n := d.get(metadata, "namespace"); n != nil {
		if text, ok := d.part(n, "metadata.namespace"); ok {
			namespace = text
		}
	}
	n := d.get(metadata, "name")
	if n == nil {
		d.fault(root, "metadata.name", "is missing")
		return namespace, ""
	}
	base, ok := d.part(n, "metadata.name")
	if !ok {
		return namespace, ""
	}
	name, err := canonical(kind, namespace+"/"+base, "")
	if err != nil {
		d.fault(n, "metadata.name", "with its namespace %v", err)
		return namespace, ""
	}
	d.subject = notifications.Ref{Kind: kind, Name: name}.String()
	return namespace, name
}

// part returns a text that can be one side of the "/" in a ref.
func (d *document) part(n ast.Node, field string) (string, bool) {
	text, ok := d.text(n, field)
	switch {
	case !ok:
		return "", false
	case text == "":
		d.fault(n, field, "must not be empty")
		return "", false
	case strings.ContainsAny(text, "/:"):
		d.fault(n, field, "must not contain %q or %q", '/', ':')
		return "", false
	case strings.ContainsFunc(text, isBlank):
		d.fault(n, field, "%v", errBlank)
		return "", false
	}
	return text, true
}

// refs returns the canonical names in a list under spec.
func (d *document) refs(spec *ast.MappingNode, key string, kind notifications.Kind, namespace string) []string {
	n := d.get(spec, key)
	if n == nil {
		return nil
	}
	field := "spec." + key
	value := d.resolve(n)
	list, ok := value.(*ast.SequenceNode)
	if !ok {
		d.fault(n, field, "must be a list, not of type %s", value.Type().YAMLName())
		return nil
	}
	refs := make([]string, 0, len(list.Values))
	for i, item := range list.Values {
		field := field + "[" + strconv.Itoa(i) + "]"
		text, ok := d.text(item, field)
		if !ok {
			continue
		}
		ref, err := canonical(kind, text, namespace)
		if err != nil {
			d.fault(item, field, "%q %v", text, err)
			continue
		}
		refs = append(refs, ref)
	}
	return refs
}

// text returns the value of a string.
func (d *document) text(n ast.Node, field string) (string, bool) {
	value := d.resolve(n)
	switch value := value.(type) {
	case *ast.StringNode:
		return value.Value, true
	case *ast.LiteralNode: // a block scalar
		return value.Value.Value, true
	case *ast.MappingNode:
		if text, ok := unsplit(value); ok {
			return text, true
		}
	}
	d.fault(n, field, "must be a string, not of type %s", value.Type().YAMLName())
	return "", false
}

// mapping returns the mapping under a key, and nil if there is none.
func (d *document) mapping(root *ast.MappingNode, key string) *ast.MappingNode {
	n := d.get(root, key)
	if n == nil {
		return nil
	}
	value := d.resolve(n)
	m, ok := value.(*ast.MappingNode)
	if !ok {
		d.fault(n, key, "must be a mapping, not of type %s", value.Type().YAMLName())
		return nil
	}
	d.refuseMerge(m, key)
	return m
}

// refuseMerge reports a merge key. YAML 1.2 has none, so its content would be
// ignored silently.
func (d *document) refuseMerge(m *ast.MappingNode, field string) {
	for _, v := range m.Values {
		if v.Key.IsMergeKey() {
			d.fault(v, field, `the merge key "<<" is not supported`)
		}
	}
}
