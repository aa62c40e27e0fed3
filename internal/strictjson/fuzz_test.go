package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/notifications-go/notifications/internal/fold"
)

// FuzzParse compares Parse with encoding/json, which decides what a document
// means, and with slow checks that share no code with Parse and decide whether
// it is acceptable.
func FuzzParse(f *testing.F) {
	for _, tc := range refused {
		f.Add([]byte(tc.body))
	}
	for _, body := range []string{
		seedBody, nested(16), `{ "a" : [ 1.0, {"c":"\u0061" } ] ,"b":-0E+1 }`, `{"a":{"b":[{"c":"\ud83d\ude00\\ud83d"},-0.5e-7]}}`, `{"a":"\\\\u0000","b":"\\\\\ud800\udc00"}`, `{"a":"\ud83d\\\ude00"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		input := bytes.Clone(data)
		r, err := accept(data)
		if !bytes.Equal(input, data) {
			t.Fatal("Parse wrote to its input")
		}
		checkAsField(t, data)
		want, acceptable := secondOpinion(data)
		if (err == nil) != acceptable {
			t.Fatalf("Parse says %v, the second opinion is %v", err, acceptable)
		}
		if err != nil {
			return
		}
		if got := plain(r.members); !reflect.DeepEqual(got, want) {
			t.Fatalf("Parse reads    %#v\nencoding/json %#v", got, want)
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		r2, err := Parse(again)
		if err != nil || !reflect.DeepEqual(plain(r2.members), want) {
			t.Fatalf("%s, written again as %s, reads otherwise: %v", data, again, err)
		}
		checkRaw(t, r, data)
		checkReader(t, r)
	})
}

// checkAsField checks an object as a field of a body and as JSON from Go, and
// compares the results.
func checkAsField(t *testing.T, data []byte) {
	object := bytes.TrimSpace(data)
	body := slices.Concat([]byte(`{"metadata":`), data, []byte("}"))
	if !bytes.HasPrefix(object, []byte("{")) || !json.Valid(object) || !json.Valid(body) || !utf8.Valid(data) {
		return
	}
	r, parseErr := accept(body)
	if err := CheckObject("metadata", data, 1); !errors.Is(err, parseErr) {
		t.Fatalf("CheckObject says %v, Parse says %v", err, parseErr)
	}
	if parseErr == nil && !bytes.Equal(r.Raw("metadata"), object) {
		t.Fatalf("Raw is %q", r.Raw("metadata"))
	}
}

// checkRaw reads every field with Raw and compares it with encoding/json. To be
// parsed again, a value needs an object around it.
func checkRaw(t *testing.T, r *Reader, data []byte) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, m := range r.members {
		raw := r.Raw(m.key)
		if m.value == nil && raw == nil {
			continue
		}
		if m.value == nil || !bytes.Equal(raw, want[m.key]) {
			t.Fatalf("Raw(%q) is\n%q\nencoding/json %q", m.key, raw, want[m.key])
		}
		again, err := Parse(slices.Concat([]byte(`{"v":`), raw, []byte("}")))
		if err != nil || !bytes.Equal(again.Raw("v"), raw) {
			t.Fatalf("Raw(%q) is %q, which reads otherwise: %v", m.key, raw, err)
		}
		if !reflect.DeepEqual(plain(again.members[0].value), plain(m.value)) {
			t.Fatalf("Raw(%q) is %q, which is not its value", m.key, raw)
		}
	}
	r.asked = nil
}

// checkReader asks for the fields with methods that may not fit.
func checkReader(t *testing.T, r *Reader) {
	unknown := len(r.members)
	for i, m := range slices.Clone(r.members) {
		switch i % 8 {
		case 0:
			r.String(m.key)
		case 1:
			r.Strings(m.key)
		case 2:
			r.Objects(m.key, func(_ int, element *Reader) { element.String("title") })
		case 3:
			r.Raw(m.key)
		case 4:
			r.Bool(m.key)
		case 5:
			r.Object(m.key, func(inner *Reader) { inner.Choice("title", "true", "a") })
		case 6:
			r.Choice(m.key, "false", "a")
		case 7:
			continue
		}
		unknown--
	}
	faults := r.Faults()
	if len(faults) < min(unknown, maxFaults) {
		t.Fatalf("%d faults for %d unknown fields", len(faults), unknown)
	}
	for _, fault := range faults {
		if fault.Field == "" || fault.Reason == "" || !utf8.ValidString(fault.Error()) {
			t.Fatalf("unfit fault %q", fault)
		}
	}
}

var (
	otherEscape   = regexp.MustCompile(`\\[^u]`)
	surrogatePair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	halfOrControl = regexp.MustCompile(`\\u([dD][89a-fA-F][0-9a-fA-F]{2}|00(0[0-8bBcCeEfF]|1[0-9a-fA-F]))`)
)

func secondOpinion(data []byte) (value any, acceptable bool) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, false
	}
	// Escaped backslashes become "-". Left in, one before a u would look like an
	// escape; removed, it would make a pair of the halves around it.
	escapes := otherEscape.ReplaceAll(data, []byte("-"))
	for _, escape := range otherEscape.FindAll(data, -1) {
		if escape[1] == 'b' || escape[1] == 'f' {
			return nil, false
		}
	}
	if halfOrControl.Match(surrogatePair.ReplaceAll(escapes, nil)) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	value, acceptable = walk(d, 1)
	if _, object := value.(map[string]any); !object {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return value, acceptable
}

// walk reads one value token by token. It reports whether the value is shallow,
// and has no keys that are equal or differ only in case.
func walk(d *json.Decoder, level int) (value any, ok bool) {
	token, err := d.Token()
	if err != nil {
		return nil, false
	}
	delim, opens := token.(json.Delim)
	if !opens {
		return token, true
	}
	ok = level <= 16
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, fine := walk(d, level+1)
			list, ok = append(list, v), ok && fine
		}
		_, err = d.Token()
		return list, ok && err == nil
	}
	object := map[string]any{}
	var keys []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		folded := fold.Text(key.(string))
		ok = ok && !slices.Contains(keys, folded)
		keys = append(keys, folded)
		v, fine := walk(d, level+1)
		object[key.(string)], ok = v, ok && fine
	}
	_, err = d.Token()
	return object, ok && err == nil
}
