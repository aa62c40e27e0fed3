package api_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/notifications-go/notifications/api"
)

var someTime = api.Time{Time: time.Date(2025, 3, 14, 9, 26, 53, 589_000_000, time.UTC)}

// Every type is the same after encoding and decoding, whether all of its fields
// have a value or none.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, zero := range schemas {
		full := reflect.New(reflect.TypeOf(zero))
		fill(full.Elem())
		for _, value := range []any{zero, full.Elem().Interface()} {
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			decoded := reflect.New(reflect.TypeOf(zero))
			if err := decode(string(encoded), decoded.Interface()); err != nil {
				t.Errorf("%s: %v in %s", name, err, encoded)
			} else if got := decoded.Elem().Interface(); !reflect.DeepEqual(got, value) {
				t.Errorf("%s: got %+v, want %+v from %s", name, got, value, encoded)
			}
		}
	}
}

// decode accepts known fields only.
func decode(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// fill gives v, and everything in it, a value that is not zero.
func fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[api.Time]():
		v.Set(reflect.ValueOf(someTime))
		return
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.Set(reflect.ValueOf(json.RawMessage(`{"a":[1]}`)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		panic("no value for a " + v.Type().String()) // a new kind of field; fill must learn it
	}
}

func TestTimeInJSON(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("", 5400)
	for want, at := range map[string]time.Time{
		"2025-03-14T09:26:53.589Z": time.Date(2025, 3, 14, 10, 56, 53, 589_999_999, east),
		"2025-03-14T09:26:53.000Z": time.Date(2025, 3, 14, 9, 26, 53, 999_999, time.UTC),
		"1969-12-31T23:59:59.500Z": time.UnixMilli(-500),
		"0001-01-01T00:00:00.000Z": {},
		"0000-12-31T22:30:00.000Z": time.Date(1, 1, 1, 0, 0, 0, 0, east),
		"9999-12-31T23:59:59.999Z": time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		encoded, err := json.Marshal(api.Time{Time: at})
		if err != nil || string(encoded) != `"`+want+`"` {
			t.Errorf("%s is encoded as %s, %v; want %s", at, encoded, err, want)
		}
		text, err := api.Time{Time: at}.MarshalText()
		if s := (api.Time{Time: at}).String(); err != nil || string(text) != want || s != want {
			t.Errorf("%s is %s and %s as text, %v; want %s", at, text, s, err, want)
		}
		var decoded api.Time
		if err := json.Unmarshal(encoded, &decoded); err != nil || !decoded.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("%s is decoded as %s, %v", encoded, decoded, err)
		}
	}
	for _, at := range []time.Time{time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, east)} {
		if encoded, err := json.Marshal(api.Time{Time: at}); err == nil {
			t.Errorf("%s is encoded as %s, which is not RFC 3339", at, encoded)
		}
	}
	var offset api.Time
	if err := json.Unmarshal([]byte(`"2025-03-14T10:56:53.58900+01:30"`), &offset); err != nil || !offset.Equal(someTime.Time) {
		t.Errorf("a time with an offset is decoded as %s, %v", offset, err)
	}
	if err := json.Unmarshal([]byte(`"2025-03-14"`), &offset); err == nil {
		t.Error("a date is decoded as a time")
	}
}

// Targets that are there and empty must reach the server, which refuses them:
// without them the notification would be for everybody.
func TestEmptyTargetsStay(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(api.CreateBody{Origin: "o", Title: "t", TargetUsers: []string{}, TargetGroups: []string{}})
	if want := `{"origin":"o","title":"t","targetUsers":[],"targetGroups":[]}`; err != nil || string(encoded) != want {
		t.Errorf("got %s, %v; want %s", encoded, err, want)
	}
	encoded, err = json.Marshal(api.StateBody{IDs: []string{}})
	if want := `{"ids":[]}`; err != nil || string(encoded) != want {
		t.Errorf("got %s, %v; want %s", encoded, err, want)
	}
}

// A client sees metadata as it was posted.
func TestMetadataByteForByte(t *testing.T) {
	t.Parallel()
	const metadata = `{ "n" : 1.0e+2, "a":[ ] }`
	var n api.Notification
	if err := json.Unmarshal([]byte(`{"metadata":`+metadata+`}`), &n); err != nil || string(n.Metadata) != metadata {
		t.Errorf("got %s, %v; want %s", n.Metadata, err, metadata)
	}
}
