package httpapi

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
	wire "github.com/notifications-go/notifications/api"
)

// asJSON returns a value as encoding/json writes it without HTML escaping.
func asJSON(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var awkward = []string{
	"", "plain", `"`, `\`, "/", "<script>&</script>", "\x00\x01\x08\x09\x0a\x0b\x0c\x0d\x1f\x20\x7f", "é", "e\u0301", "\U0001f389", "\ufffd", "\u2027\u2028\u2029\u202a",
	"\xff", "a\xc0\xafb", "\xed\xa0\x80", "\xe2\x80", "\xe2\x80\xa8", "\ufeff", "\uffff", strings.Repeat("é\n", 1000),
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range awkward {
		if got, want := string(appendString(nil, s)), asJSON(t, s); got != want {
			t.Errorf("%q is written as %s, want %s", s, got, want)
		}
	}
	for c := range rune(0x3000) {
		if got, want := string(appendString([]byte("x"), string(c))), "x"+asJSON(t, string(c)); got != want {
			t.Errorf("%U is written as %s, want %s", c, got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		b := make([]byte, random.IntN(40))
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		s := string(b) + awkward[random.IntN(len(awkward))] + string(b[len(b)/2:])
		if got, want := string(appendString(nil, s)), asJSON(t, s); got != want {
			t.Fatalf("%q is written as %s, want %s", s, got, want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range awkward {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(appendString(nil, s)), asJSON(t, s); got != want {
			t.Errorf("%q is written as %s, want %s", s, got, want)
		}
	})
}

// full returns a notification with a value in every field.
func full() notifications.Notification {
	at := time.Date(2025, 3, 14, 9, 26, 53, 589_000_000, time.UTC)
	return notifications.Notification{
		ID: "019593fa-5d95-7c3a-9d21-6f0b8a4e5c17", Created: at, Updated: at.Add(time.Millisecond), Expires: at.Add(time.Hour),
		Read: true, Saved: true, Archived: true, System: true,
		Origin: "ci", Title: "Build \"4711\" <failed>", Message: "3 of\n812", Topic: "builds", Link: "/builds/4711", Icon: "fire", Scope: "4711", PostedBy: "service:ci",
		Severity: notifications.SeverityHigh, Metadata: json.RawMessage("{ \"n\" : 1.0e+2,\n\"a\":[ ] }"),
		Actions: []notifications.Action{{ID: "5b0f4f5a-2f57-4a57-9c0c-0f3b7f1f7d4e", Title: "Log", URL: "/log"}, {ID: "x", Title: "Again", URL: "https://x/?a=1&b=2"}},
	}
}

func TestEncodeNotifications(t *testing.T) {
	t.Parallel()
	whole := `{"id":"019593fa-5d95-7c3a-9d21-6f0b8a4e5c17","created":"2025-03-14T09:26:53.589Z","readByUser":true,"isSystem":true,` +
		`"origin":"ci","title":"Build \"4711\" <failed>","message":"3 of\n812","topic":"builds",` +
		`"actions":[{"id":"5b0f4f5a-2f57-4a57-9c0c-0f3b7f1f7d4e","title":"Log","url":"/log"},{"id":"x","title":"Again","url":"https://x/?a=1&b=2"}],` +
		`"severity":"high","saved":true,"archived":true,"link":"/builds/4711","icon":"fire","metadata":` + "{ \"n\" : 1.0e+2,\n\"a\":[ ] }" +
		`,"scope":"4711","updated":"2025-03-14T09:26:53.590Z","expires":"2025-03-14T10:26:53.589Z","postedBy":"service:ci"}`
	bare := notifications.Notification{ID: "i", Origin: "o", Title: "t", Severity: notifications.SeverityNormal}
	const least = `{"id":"i","created":"0001-01-01T00:00:00.000Z","readByUser":false,"isSystem":false,"origin":"o","title":"t","actions":[],` +
		`"severity":"normal","saved":false,"archived":false}`
	n := full()
	for got, want := range map[string]string{
		string(encodeNotification(&n)):                                             whole + "\n",
		string(encodeNotification(&bare)):                                          least + "\n",
		string(appendNotifications(nil, nil)):                                      "[]\n",
		string(appendNotifications(nil, []notifications.Notification{n})):          "[" + whole + "]\n",
		string(appendNotifications(nil, []notifications.Notification{n, bare, n})): "[" + whole + "," + least + "," + whole + "]\n",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// wireOf converts a notification to package api.
func wireOf(n notifications.Notification) wire.Notification {
	body := wire.Notification{
		ID: n.ID, Created: wire.Time{Time: n.Created}, ReadByUser: n.Read, IsSystem: n.System, Origin: n.Origin, Title: n.Title,
		Message: n.Message, Topic: n.Topic, Actions: make([]wire.Action, len(n.Actions)), Severity: wire.Severity(n.Severity),
		Saved: n.Saved, Archived: n.Archived, Link: n.Link, Icon: n.Icon, Metadata: n.Metadata, Scope: n.Scope,
		Updated: wire.Time{Time: n.Updated}, Expires: wire.Time{Time: n.Expires}, PostedBy: n.PostedBy,
	}
	for i, a := range n.Actions {
		body.Actions[i] = wire.Action(a)
	}
	return body
}

// checkEncoding compares the encoder with encoding/json over package api.
// encoding/json would remove white space from metadata, so it gets another
// object in its place, which the test replaces afterwards.
func checkEncoding(t *testing.T, n notifications.Notification) {
	t.Helper()
	const others = `,"metadata":{}` // within a string the quotes would be escaped
	body := wireOf(n)
	if len(n.Metadata) > 0 {
		body.Metadata = json.RawMessage("{}")
	}
	want := strings.Replace(asJSON(t, body), others, `,"metadata":`+string(n.Metadata), 1) + "\n"
	if got := string(encodeNotification(&n)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The encoder agrees with package api on a notification with a value in every
// field, and on one with none.
func TestEncodeAsPackageAPI(t *testing.T) {
	t.Parallel()
	n := full()
	for _, v := range []reflect.Value{reflect.ValueOf(n), reflect.ValueOf(wireOf(n)), reflect.ValueOf(n.Actions[0]), reflect.ValueOf(wireOf(n).Actions[0])} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s of %s has no value here", v.Type().Field(i).Name, v.Type())
			}
		}
	}
	checkEncoding(t, n)
	checkEncoding(t, notifications.Notification{})
	for _, s := range awkward {
		n.ID, n.Origin, n.Title, n.Message, n.Topic, n.Link, n.Icon, n.Scope, n.PostedBy, n.Severity = s, s, s, s, s, s, s, s, s, notifications.Severity(s)
		n.Actions = []notifications.Action{{ID: s, Title: s, URL: s}}
		checkEncoding(t, n)
	}
}

func FuzzEncodeNotification(f *testing.F) {
	for i, s := range awkward {
		f.Add(s, `,"metadata":{}`, s+"x", `{"a": 1}`, int64(i)*1_234_567_890_123, int64(i), uint8(i*5), uint8(i%4))
	}
	f.Fuzz(func(t *testing.T, a, b, c, metadata string, created, updated int64, flags, actions uint8) {
		const end = 253_402_300_800_000_000 // the end of the year 9999, in microseconds
		is := func(bit int) bool { return flags>>bit&1 == 1 }
		n := notifications.Notification{
			ID: a, Created: time.UnixMicro(created % end).UTC(), Read: is(0), System: is(1), Saved: is(2), Archived: is(3), Origin: b, Title: c,
			Message: a, Topic: b, Link: c, Icon: a, Scope: b, PostedBy: c, Severity: notifications.Severity(c), Metadata: json.RawMessage(metadata),
		}
		if is(4) {
			n.Updated = time.UnixMicro(updated % end).UTC()
		}
		if is(5) {
			n.Expires = time.UnixMicro((created ^ updated) % end).UTC()
		}
		if min(n.Created.Year(), n.Updated.Year(), n.Expires.Year()) < 0 {
			t.Skip("RFC 3339 has no such year")
		}
		for range actions % 4 {
			n.Actions = append(n.Actions, notifications.Action{ID: b, Title: a, URL: c})
		}
		checkEncoding(t, n)
	})
}

// The buffer of one page serves the next.
func TestEncodeAllocations(t *testing.T) {
	items := page()
	buf := appendNotifications(nil, items)
	if n := testing.AllocsPerRun(100, func() { appendNotifications(buf[:0], items) }); n > 0 {
		t.Errorf("a page costs %v allocations", n)
	}
}

// Lists of different lengths get the right bodies in any order.
func TestBodiesAreTheirOwn(t *testing.T) {
	t.Parallel()
	long := slices.Repeat(page(), 20) // longer than maxKeptBody
	lists := [][]notifications.Notification{nil, page()[:1], page(), long}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 40 {
				items := lists[(i+j)%len(lists)]
				withNotifications(items, func(body []byte) {
					if want := appendNotifications(nil, items); !bytes.Equal(body, want) {
						t.Errorf("a list of %d is %d bytes long, want %d", len(items), len(body), len(want))
					}
				})
			}
		})
	}
	all.Wait()
}

func page() []notifications.Notification {
	items := make([]notifications.Notification, notifications.DefaultLimit)
	for i := range items {
		items[i] = full()
	}
	return items
}

func BenchmarkEncodeNotifications(b *testing.B) {
	items := page()
	b.ReportAllocs()
	for b.Loop() {
		withNotifications(items, func(body []byte) { b.SetBytes(int64(len(body))) })
	}
}
