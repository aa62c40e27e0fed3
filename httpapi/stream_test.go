package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/api"
	"github.com/notifications-go/notifications/httpapi"
	"github.com/notifications-go/notifications/internal/dbtest"
)

// event is one block of a stream.
type event struct {
	kind, id, data string
	retry          string
	comment        bool
}

// follower reads a stream.
type follower struct {
	s      *server
	res    *http.Response
	events chan event // closed at the end of the stream
	cancel context.CancelFunc
	last   string // the id of the latest event
	retry  string // the latest one
	counts []event
}

// eventually bounds the wait of a test for an event.
const eventually = 20 * time.Second

// follow begins a stream of jane, unless an option says of whom, and reads its
// first event.
func (s *server) follow(path string, options ...option) *follower {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/notifications/stream"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	as(jane)(s, req)
	for _, o := range options {
		o(s, req)
	}
	res, err := s.client.Do(req) //nolint:bodyclose // read closes it
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(res.Body)
		s.t.Fatalf("a stream is answered with %d %v %s", res.StatusCode, res.Header, body)
	}
	f := &follower{s: s, res: res, events: make(chan event, 10_000), cancel: cancel}
	go f.read(res.Body)
	hello := f.next()
	if hello.kind != "hello" {
		s.t.Fatalf("the first event is %+v", hello)
	}
	return f
}

// read reads blocks, as the HTML Standard, section 9.2.6, says.
func (f *follower) read(body io.ReadCloser) {
	defer close(f.events)
	defer func() { _ = body.Close() }()
	var e event
	for lines := bufio.NewReader(body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			if line != "" {
				f.s.t.Errorf("a stream ends with %q", line)
			}
			return
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n":
			f.events <- e
			e = event{}
		case field == "":
			e.comment = true
		case field == "event":
			e.kind = value
		case field == "id":
			e.id = value
		case field == "retry":
			e.retry = value
		case field == "data" && e.data == "":
			e.data = value
		default:
			f.s.t.Errorf("a stream has the line %q", line)
		}
	}
}

// dataSchemas are the schemas of the data of events.
var dataSchemas = map[string]string{
	"hello": "StreamHello", "notification": "Notification", "removed": "StreamRemoved", "state": "StreamState", "count": "Status", "resync": "StreamResync",
}

// any returns the next event, and false at the end of the stream.
func (f *follower) any(patience <-chan time.Time) (event, bool) {
	f.s.t.Helper()
	select {
	case e, open := <-f.events:
		if e.id != "" {
			f.last = e.id
		}
		if e.retry != "" {
			f.retry = e.retry
		}
		if e.kind != "" {
			f.check(e)
		}
		return e, open
	case <-patience:
		f.s.t.Fatal("no event came")
	}
	return event{}, false
}

func (f *follower) check(e event) {
	f.s.t.Helper()
	var data any
	if err := json.Unmarshal([]byte(e.data), &data); err != nil || e.id == "" {
		f.s.t.Fatalf("an event is %+v: %v", e, err)
	}
	if err := schemaOf(f.s.t, dataSchemas[e.kind]).VisitJSON(data); err != nil {
		f.s.t.Errorf("the event %+v is not as in openapi.yaml: %v", e, err)
	}
}

func schemaOf(t *testing.T, name string) *openapi3.Schema {
	t.Helper()
	ref := document(t).Components.Schemas[name]
	if ref == nil {
		t.Fatalf("openapi.yaml has no schema %q", name)
	}
	return ref.Value
}

// next returns the next event that is neither a count nor idle.
func (f *follower) next() event {
	f.s.t.Helper()
	for patience := time.After(eventually); ; {
		e, open := f.any(patience)
		switch {
		case !open:
			f.s.t.Fatal("the stream has ended")
		case e.kind == "count":
			f.counts = append(f.counts, e)
		case e.kind != "":
			return e
		}
	}
}

// want checks the next event.
func (f *follower) want(kind, data string) {
	f.s.t.Helper()
	if e := f.next(); e.kind != kind || e.data != data {
		f.s.t.Errorf("the next event is %s %s, want %s %s", e.kind, e.data, kind, data)
	}
}

// wantTitle checks that the next event is a notification.
func (f *follower) wantTitle(title string) {
	f.s.t.Helper()
	var n api.Notification
	e := f.next()
	if _ = json.Unmarshal([]byte(e.data), &n); e.kind != "notification" || n.Title != title {
		f.s.t.Errorf("the next event is %+v, want the notification %q", e, title)
	}
}

// wantCount waits for a count.
func (f *follower) wantCount(data string) {
	f.s.t.Helper()
	for patience := time.After(eventually); ; {
		e, open := f.any(patience)
		if !open {
			f.s.t.Fatalf("the stream has ended before a count %s", data)
		}
		if e.kind == "count" && e.data == data {
			return
		}
	}
}

// wantEnd reads to the end of the stream.
func (f *follower) wantEnd() {
	f.s.t.Helper()
	for patience := time.After(eventually); ; {
		if _, open := f.any(patience); !open {
			return
		}
	}
}

const toJane = `{"origin":"o","title":%q,"targetUsers":["default/jane"]}`

// TestStream: each event has the name, the data and the position that
// openapi.yaml says, and a client that reconnects misses nothing.
func TestStream(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		f := s.follow("?messageScope=all")
		h := f.res.Header
		if h.Get("Cache-Control") != "no-cache, no-transform" || h.Get("X-Accel-Buffering") != "no" || h.Get("Vary") == "" || h.Get("X-Request-Id") == "" {
			t.Errorf("headers %v", h)
		}
		if len(f.retry) != 4 || f.retry[0] < '1' || f.retry[0] > '4' { // 1 to 5 seconds
			t.Errorf("at the beginning retry is %q", f.retry)
		}
		f.wantCount(`{"unread":0,"read":0,"saved":0,"archived":0}`)
		one := s.post(fmt.Sprintf(toJane, "one"))
		f.want("notification", s.get1(jane, one))
		all := s.post(`{"origin":"o","title":"all"}`)
		f.want("notification", s.get1(jane, all))
		s.mark(jane, `{"ids":["`+one+`"],"read":true}`)
		f.want("state", `{"ids":["`+one+`"]}`)
		s.mark(jane, `{"filter":{"messageScope":"all"},"saved":true}`)
		f.want("state", `{"many":true}`)
		s.do("DELETE", "/notifications/"+all, as("ci")).want(http.StatusNoContent)
		f.want("removed", `{"id":"`+all+`"}`)
		status := strings.TrimSpace(s.do("GET", "/notifications/status?messageScope=all", as(jane)).want(http.StatusOK).body)
		f.wantCount(status)

		f.cancel()
		for _, title := range []string{"two", "three"} {
			s.post(fmt.Sprintf(toJane, title))
		}
		for _, resumed := range []*follower{
			s.follow("", header("Last-Event-ID", f.last)), s.follow("?after=" + f.last),
		} {
			resumed.wantTitle("two")
			resumed.wantTitle("three")
			// Of the two positions the header counts.
			s.follow("?after="+resumed.last, header("Last-Event-ID", f.last)).wantTitle("two")
		}
	})
}

// get1 returns one notification as the list shows it.
func (s *server) get1(who, id string) string {
	s.t.Helper()
	one := strings.TrimSpace(s.do("GET", "/notifications/"+id, as(who)).want(http.StatusOK).body)
	if list := s.do("GET", "/notifications?messageScope=all", as(who)).body; !strings.Contains(list, one) {
		s.t.Errorf("alone it is %s, the list is %s", one, list)
	}
	return one
}

// TestHelloOfAStream: it says whose inbox it is, and whether the stream goes on
// where the client said.
func TestHelloOfAStream(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		first := s.do("GET", "/notifications/stream", as("user:Default/Jane")).want(http.StatusOK).body
		if !strings.Contains(first, "\nevent: hello\nid: ") || !strings.HasSuffix(first, "\ndata: {\"resumed\":false,\"reader\":\"default/jane\"}\n\n") {
			t.Errorf("it begins %q", first)
		}
		_, id, _ := strings.Cut(first, "\nid: ")
		id, _, _ = strings.Cut(id, "\n")
		if again := s.do("GET", "/notifications/stream?after="+id, as(jane)).want(http.StatusOK).body; !strings.Contains(again, `{"resumed":true,`) {
			t.Errorf("with its position it begins %q", again)
		}
		// The position of another reader is one too: it says nothing of them.
		if other := s.do("GET", "/notifications/stream?after="+id, as(john)).want(http.StatusOK).body; !strings.Contains(other, `{"resumed":true,"reader":"default/john"}`) {
			t.Errorf("for another reader it begins %q", other)
		}
		foreign := newServer(t, dbtest.SQLite(t)).run().do("GET", "/notifications/stream", as(jane)).body
		_, id, _ = strings.Cut(foreign, "\nid: ")
		id, _, _ = strings.Cut(id, "\n")
		f := s.follow("", header("Last-Event-ID", id))
		f.want("resync", `{"reason":"epoch"}`)
		s.post(fmt.Sprintf(toJane, "afterwards"))
		f.wantTitle("afterwards")
	})
}

// TestHostileTextsInAStream: no text of a poster ends a line.
func TestHostileTextsInAStream(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		f := s.follow("")
		for _, text := range []string{
			"a\nb", "a\r\nb", "a\rb", "\n\nevent: removed\ndata: {}\n\n", "data: x", "\u2028\u2029\u0085", ": comment", "\ufeffid: 1", strings.Repeat("\n", 200),
		} {
			encoded, _ := json.Marshal(text)
			id := s.post(`{"origin":` + string(encoded) + `,"title":` + string(encoded) + `,"message":` + string(encoded) + `,"topic":` + string(encoded) +
				`,"metadata":{"x":` + string(encoded) + `},"targetUsers":["default/jane"]}`)
			f.want("notification", s.get1(jane, id))
		}
		spread := "{\r\n\t\"b\" : 1 ,\n\r\"a\" : \"\\n\" }"
		id := s.post(`{"origin":"o","title":"t","metadata":` + spread + `,"targetUsers":["default/jane"]}`)
		f.want("notification", strings.NewReplacer("\r", " ", "\n", " ").Replace(s.get1(jane, id)))
	})
}

// TestFiltersOfAStream: they are the list's.
func TestFiltersOfAStream(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		high, topic, origin := s.follow("?minSeverity=high"), s.follow("?topic=a&user=default/jane"), s.follow("?origin=ci")
		system, both, own := s.follow("?messageScope=system"), s.follow("?messageScope=all"), s.follow("")
		for _, post := range []string{
			`{"origin":"o","title":"low","severity":"low","targetUsers":["default/jane"]}`,
			`{"origin":"o","title":"high","severity":"critical","targetGroups":["default/ops"]}`,
			`{"origin":"o","title":"topic","topic":"a","targetUsers":["default/jane"]}`,
			`{"origin":"ci","title":"origin","targetUsers":["default/jane"]}`,
			`{"origin":"ci","title":"system","severity":"critical","topic":"a"}`,
			`{"origin":"ci","title":"last","severity":"critical","topic":"a","targetUsers":["default/jane"]}`,
		} {
			s.post(post)
		}
		for _, tt := range []struct {
			f      *follower
			titles string
		}{
			{high, "high last"}, {topic, "topic last"}, {origin, "origin last"}, {system, "system"},
			{both, "low high topic origin system last"}, {own, "low high topic origin last"},
		} {
			for title := range strings.SplitSeq(tt.titles, " ") {
				tt.f.wantTitle(title)
			}
		}
	})
}

// TestStreamsRefused: what is wrong is answered before a stream begins, as it is
// for a list.
func TestStreamsRefused(t *testing.T) {
	eachServer(t, func(s *server) {
		const path = "/notifications/stream"
		if a := s.do("GET", path, as(jane)).problem(http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" { // without Run
			t.Errorf("headers %v", a.header)
		}
		s.run()
		for _, bad := range []string{"X", "1", "a.b", strings.Repeat("a", 600)} {
			s.do("GET", path+"?after="+bad, as(jane)).problem(http.StatusBadRequest, "after")
			s.do("GET", path+"?after=x", as(jane), header("Last-Event-ID", bad)).problem(http.StatusBadRequest, "Last-Event-ID")
		}
		s.do("GET", path+"?after=", as(jane)).problem(http.StatusBadRequest, "after")
		s.do("GET", path, as(jane), header("Last-Event-ID", "")).problem(http.StatusBadRequest, "Last-Event-ID")
		s.do("GET", path, as(jane), header("Last-Event-ID", "a"), header("Last-Event-ID", "a")).problem(http.StatusBadRequest, "Last-Event-ID")
		s.do("GET", path+"?read=true&minSeverity=x", as(jane)).problem(http.StatusBadRequest, "minSeverity", "read")
		s.do("GET", path+"?topic="+long, as(jane)).problem(http.StatusBadRequest, "topic")
		s.do("GET", path+"?user=default/john", as(jane)).problem(http.StatusForbidden)
		s.do("GET", path, as("user:default/nobody")).problem(http.StatusForbidden)
		s.do("GET", path, as("ci")).problem(http.StatusForbidden)
		s.do("GET", path+"?minSeverity=x&topic="+long, as(jane), header("Last-Event-ID", "x")).problem(http.StatusBadRequest, "minSeverity", "topic", "Last-Event-ID")
		// The type that the client accepts is ignored, as elsewhere.
		s.do("GET", path, as(jane), header("Accept", "application/json")).want(http.StatusOK)
		head := s.do("HEAD", path, as(jane)).want(http.StatusOK)
		if head.header.Get("Content-Type") != "text/event-stream" || head.header.Get("X-Accel-Buffering") != "no" || head.body != "" {
			t.Errorf("HEAD answers %v", head.header)
		}
		s.do("HEAD", path+"?after=x", as(jane)).want(http.StatusBadRequest)
	})
}

// TestStreamLimits: one user cannot take all streams, and a stream that has
// ended makes room.
func TestStreamLimits(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		first, second := s.follow(""), s.follow("")
		if a := s.do("GET", "/notifications/stream", as(jane)).problem(http.StatusTooManyRequests); a.header.Get("Retry-After") == "" {
			t.Errorf("headers %v", a.header)
		}
		s.follow("", as(john))
		if a := s.do("GET", "/notifications/stream", as("user:default/u7")).problem(http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" {
			t.Errorf("headers %v", a.header)
		}
		first.cancel()
		second.cancel()
		patience := time.Now().Add(eventually)
		for s.do("GET", "/notifications/stream", as("user:default/u7")).status != http.StatusOK { // when the server has noticed
			if time.Now().After(patience) {
				t.Fatal("streams that have ended make no room")
			}
		}
		s.do("GET", "/notifications", as(jane)).want(http.StatusOK)
	}, func(_ *notifications.Config, c *httpapi.Config) {
		c.StreamsPerUser, c.Streams = 2, 3
		c.RateLimits.ReadsAtOnce = 1 // streams take no turns
	})
}

// A stream counts as one read, however long it lasts.
func TestStreamsCountAsReads(t *testing.T) {
	s, _ := limited(t, httpapi.RateLimits{Reads: slowly(2)})
	s.run()
	f := s.follow("")
	for range 3 {
		id := s.post(fmt.Sprintf(toJane, "x"))
		if e := f.next(); !strings.Contains(e.data, id) {
			t.Errorf("the next event is %+v", e)
		}
	}
	s.do("GET", "/notifications", as(jane)).want(http.StatusOK)
	s.do("GET", "/notifications", as(jane)).tooMany(1000)
}

func TestStreamConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := httpapi.New(nil, httpapi.Config{Streams: -1, StreamsPerUser: -1, Timeout: -1})
	for _, name := range []string{"Streams", "StreamsPerUser", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), "Config."+name+" ") {
			t.Errorf("a wrong %s: %v", name, err)
		}
	}
}

// TestStreamsEndWithRun: all streams end at once, and their clients are to come
// back soon.
func TestStreamsEndWithRun(t *testing.T) {
	eachServer(t, func(s *server) {
		stop := s.runUntil()
		f := s.follow("")
		f.wantCount(`{"unread":0,"read":0,"saved":0,"archived":0}`)
		stop()
		f.wantEnd()
		if len(f.retry) != 3 { // less than a second
			t.Errorf("in the end retry is %s", f.retry)
		}
		s.post(fmt.Sprintf(toJane, "meanwhile"))
		s.do("GET", "/notifications/stream", as(jane)).problem(http.StatusServiceUnavailable)
		s.run()
		s.follow("", header("Last-Event-ID", f.last)).wantTitle("meanwhile")
	})
}

// TestStreamEndsBeforeItsToken: a client needs a new token to continue.
func TestStreamEndsBeforeItsToken(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		expires := time.Now().Add(7 * time.Second)
		token := s.issuer.TokenUntil(t, jane, expires)
		f := s.follow("", func(_ *server, r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		f.wantEnd()
		if now := time.Now(); !now.Before(expires) {
			t.Errorf("it has ended %v after its token", now.Sub(expires))
		}
		if len(f.retry) != 3 {
			t.Errorf("in the end retry is %s", f.retry)
		}
	})
}

// TestStreamsInTheLog: each is one line when it ends, and no error if it is the
// client who ends it.
func TestStreamsInTheLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var log bytes.Buffer
	s := newServer(t, dbtest.SQLite(t), func(_ *notifications.Config, c *httpapi.Config) {
		c.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	})
	stop := s.runUntil()
	s.do("HEAD", "/notifications/stream", as(jane)).want(http.StatusOK)
	left, ended := s.follow(""), s.follow("")
	left.cancel()
	for logged := 0; logged < 2; { // until the server has noticed
		mu.Lock()
		logged = strings.Count(log.String(), "operation=streamNotifications")
		mu.Unlock()
	}
	stop()
	ended.wantEnd()
	s.close()
	mu.Lock()
	defer mu.Unlock()
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "operation=streamNotifications") {
			lines = append(lines, line)
			if !strings.HasPrefix(line[strings.Index(line, "level="):], "level=INFO ") || !strings.Contains(line, " status=200 duration=") ||
				!strings.Contains(line, " caller=user:default/jane ") {
				t.Errorf("the log has %s", line)
			}
		}
	}
	if len(lines) != 3 {
		t.Errorf("the log has %q", lines)
	}
	if errors := strings.Count(log.String(), " error="); errors != 1 || !strings.Contains(log.String(), "Run has ended") {
		t.Errorf("the log has %d errors:\n%s", errors, &log)
	}
}

// lockedWriter is a writer for several goroutines.
type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// TestTimeoutsDoNotCutStreams: those of the server are for whole requests, and
// so is that of the handler. The second count comes two seconds after the first.
func TestTimeoutsDoNotCutStreams(t *testing.T) {
	const short = 500 * time.Millisecond
	eachServer(t, func(s *server) {
		s.run()
		for _, http2 := range []bool{false, true} {
			srv := httptest.NewUnstartedServer(s.handler)
			srv.Config.ReadTimeout, srv.Config.WriteTimeout = short, short
			if srv.EnableHTTP2 = http2; http2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			t.Cleanup(srv.Close)
			over := *s
			over.client, over.url = srv.Client(), srv.URL+httpapi.DefaultPrefix
			f := over.follow("")
			if (f.res.ProtoMajor == 2) != http2 {
				t.Errorf("the protocol is %s", f.res.Proto)
			}
			status := strings.TrimSpace(s.do("GET", "/notifications/status", as(jane)).body)
			f.wantCount(status)
			id := s.post(fmt.Sprintf(toJane, "one"))
			f.want("notification", s.get1(jane, id))
			f.wantCount(strings.TrimSpace(s.do("GET", "/notifications/status", as(jane)).body))
			id = s.post(fmt.Sprintf(toJane, "two"))
			f.want("notification", s.get1(jane, id))
			f.cancel()
		}
	}, func(_ *notifications.Config, c *httpapi.Config) { c.Timeout = short })
}

// wrapped hides all but the methods of http.ResponseWriter.
type wrapped struct{ http.ResponseWriter }

// unwrappable is wrapped, but http.ResponseController sees through it.
type unwrappable struct{ wrapped }

func (w unwrappable) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestStreamsThroughMiddleware: a writer that cannot flush is answered at once.
func TestStreamsThroughMiddleware(t *testing.T) {
	eachServer(t, func(s *server) {
		s.run()
		for _, tt := range []struct {
			wrap   func(http.ResponseWriter) http.ResponseWriter
			status int
		}{
			{func(w http.ResponseWriter) http.ResponseWriter { return unwrappable{wrapped{w}} }, http.StatusOK},
			{func(w http.ResponseWriter) http.ResponseWriter { return wrapped{w} }, http.StatusServiceUnavailable},
		} {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(tt.wrap(w), r) }))
			t.Cleanup(srv.Close)
			through := *s
			through.url = srv.URL + httpapi.DefaultPrefix
			a := through.do("GET", "/notifications/stream", as(jane)).want(tt.status)
			if tt.status != http.StatusOK {
				a.problem(tt.status)
				if a.header.Get("Cache-Control") != "private, no-cache" || a.header.Get("X-Accel-Buffering") != "" {
					t.Errorf("headers %v", a.header)
				}
			}
		}
	})
}

// Clients that poll are told how often to ask.
func TestPollInterval(t *testing.T) {
	eachServer(t, func(s *server) {
		for _, path := range []string{"", "/count", "/status"} {
			a := s.do("GET", "/notifications"+path, as(jane)).want(http.StatusOK)
			again := s.do("GET", "/notifications"+path, as(jane), header("If-None-Match", a.header.Get("ETag"))).want(http.StatusNotModified)
			if seconds := a.header.Get("Notifications-Poll-Interval"); seconds != "30" || again.header.Get("Notifications-Poll-Interval") != seconds {
				t.Errorf("%s: headers %v, and then %v", path, a.header, again.header)
			}
		}
	})
}
