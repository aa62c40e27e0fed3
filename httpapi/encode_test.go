package httpapi

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notifications-go/notifications"
)

// literal is a string as encoding/json writes it without escaping for HTML.
func literal(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
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
		if got, want := string(appendString(nil, s)), literal(t, s); got != want {
			t.Errorf("%q is written as %s, want %s", s, got, want)
		}
	}
	for c := range rune(0x3000) {
		if got, want := string(appendString([]byte("x"), string(c))), "x"+literal(t, string(c)); got != want {
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
		if got, want := string(appendString(nil, s)), literal(t, s); got != want {
			t.Fatalf("%q is written as %s, want %s", s, got, want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range awkward {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(appendString(nil, s)), literal(t, s); got != want {
			t.Errorf("%q is written as %s, want %s", s, got, want)
		}
	})
}

// full has a value in every field.
func full() notifications.Notification {
	at := time.Date(2025, 3, 14, 9, 26, 53, 589_000_000, time.UTC)
	return notifications.Notification{
		ID: "019593fa-5d95-7c3a-9d21-6f0b8a4e5c17", Created: at, Updated: at.Add(time.Millisecond), Expires: at.Add(time.Hour),
		Read: true, Saved: true, Archived: true, System: true,
		Origin: "ci", Title: "Build \"4711\" <failed>", Message: "3 of\n812", Topic: "builds", Link: "/builds/4711", Icon: "fire", Scope: "4711",
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
		`,"scope":"4711","updated":"2025-03-14T09:26:53.590Z","expires":"2025-03-14T10:26:53.589Z"}`
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

// A page goes into the memory of the page before.
func TestEncodeAllocations(t *testing.T) {
	items := page()
	buf := appendNotifications(nil, items)
	if n := testing.AllocsPerRun(100, func() { appendNotifications(buf[:0], items) }); n > 0 {
		t.Errorf("a page costs %v allocations", n)
	}
}

// However lists of different lengths take turns, each gets its own.
func TestBodiesAreTheirOwn(t *testing.T) {
	t.Parallel()
	long := slices.Repeat(page(), 20) // more than is kept
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
