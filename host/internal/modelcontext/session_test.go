package modelcontext

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waited bounds what a test waits for; nothing takes a hundredth of it.
const waited = 20 * time.Second

// conversation is a legacy client of a served toy.
type conversation struct {
	t       *testing.T
	url     string
	session string
}

func converse(t *testing.T, s *Server, capabilities string) *conversation {
	t.Helper()
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	c := &conversation{t: t, url: server.URL}
	r := c.post(t.Context(), `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`}}`)
	bodyOf(t, r)
	if c.session = r.Header.Get("Mcp-Session-Id"); c.session == "" {
		t.Fatal("no session")
	}
	return c
}

// post sends a message; the caller reads the answer.
func (c *conversation) post(ctx context.Context, body string) *http.Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waited)
	c.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Accept", bothAccepted)
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
		r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// event reads the next event of a stream.
func event(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, found := strings.CutPrefix(strings.TrimSpace(line), "data: "); found {
			return data
		}
	}
}

// waitCall begins a call that waits, and returns its stream once the tool runs.
func (c *conversation) waitCall(id string) *bufio.Reader {
	c.t.Helper()
	r := c.post(c.t.Context(), `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"wait","_meta":{"progressToken":1}}}`)
	stream := bufio.NewReader(r.Body)
	if begun := event(c.t, stream); !strings.Contains(begun, "notifications/progress") {
		c.t.Fatalf("the call begins with %s", begun)
	}
	return stream
}

func (c *conversation) cancel(id string) {
	c.t.Helper()
	if r := c.post(c.t.Context(), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`); r.StatusCode != http.StatusAccepted {
		c.t.Errorf("cancelling answers %d", r.StatusCode)
	}
}

// TestCancel ends a call without an answer, and only the one that is meant: a client that cancels a request of another, whose
// ids it guesses, cancels nothing.
func TestCancel(t *testing.T) {
	release := make(chan struct{})
	s := toy(t, release)
	mine, other := converse(t, s, `{}`), converse(t, s, `{}`)
	first, second, text := mine.waitCall("1"), mine.waitCall("2"), mine.waitCall(`"1"`)
	other.cancel("1")
	other.cancel("2")
	mine.cancel("3")
	anonymous := *mine
	anonymous.session = ""
	anonymous.cancel("1")
	mine.cancel("1")
	if rest, err := io.ReadAll(first); err != nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Errorf("after it was cancelled the call answers %q, %v", rest, err)
	}
	close(release)
	for name, stream := range map[string]*bufio.Reader{"2": second, `"1"`: text} {
		if got := event(t, stream); !strings.Contains(got, "waited") {
			t.Errorf("%s answers %s", name, got)
		}
	}
	mine.cancel("2") // too late: nothing happens
}

// TestSameID refuses a request under the id of one that is being answered: a cancellation could mean either.
func TestSameID(t *testing.T) {
	release := make(chan struct{})
	c := converse(t, toy(t, release), `{}`)
	stream := c.waitCall("1")
	if got := bodyOf(t, c.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); !strings.Contains(got, "is being answered") {
		t.Errorf("the second request answers %s", got)
	}
	close(release)
	event(t, stream)
	if got := bodyOf(t, c.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); !strings.Contains(got, `"result"`) {
		t.Errorf("afterwards: %s", got)
	}
}

// TestClientLeaves cancels the call of a client that closes its connection.
func TestClientLeaves(t *testing.T) {
	ended := make(chan *Error, 1)
	s := toy(t, nil)
	s.options.Observe = func(_ context.Context, o Observation) *Error {
		if o.Name == "wait" {
			ended <- o.Err
		}
		return nil
	}
	c := converse(t, s, `{}`)
	ctx, leave := context.WithCancel(t.Context())
	r := c.post(ctx, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","_meta":{"progressToken":1}}}`)
	event(t, bufio.NewReader(r.Body))
	leave()
	select {
	case err := <-ended:
		if err == nil || err.Unwrap() != context.Canceled {
			t.Errorf("the call ends with %v", err)
		}
	case <-time.After(waited):
		t.Error("the call goes on")
	}
}

// TestAsk asks a client in the middle of a call; only its own answer counts.
func TestAsk(t *testing.T) {
	s := toy(t, nil)
	mine, other := converse(t, s, `{"roots":{}}`), converse(t, s, `{"roots":{}}`)
	stream := bufio.NewReader(mine.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}`).Body)
	if got := event(t, stream); got != `{"jsonrpc":"2.0","id":"server-1","method":"roots/list","params":{}}` {
		t.Fatalf("the client is asked %s", got)
	}
	if r := other.post(t.Context(), `{"jsonrpc":"2.0","id":"server-1","result":{"roots":"forged"}}`); r.StatusCode != http.StatusBadRequest {
		t.Errorf("the answer of another client is taken: %d", r.StatusCode)
	}
	if r := mine.post(t.Context(), `{"jsonrpc":"2.0","id":"server-1","result":{"roots":[]}}`); r.StatusCode != http.StatusAccepted {
		t.Errorf("the answer is refused: %d", r.StatusCode)
	}
	if got := event(t, stream); !strings.Contains(got, `{\"roots\":[]}`) {
		t.Errorf("the call answers %s", got)
	}
	if r := mine.post(t.Context(), `{"jsonrpc":"2.0","id":"server-1","result":{}}`); r.StatusCode != http.StatusBadRequest {
		t.Errorf("an answer is taken twice: %d", r.StatusCode)
	}
}

// TestSessionOutlives uses a session of a host that is gone: its id says all that is needed.
func TestSessionOutlives(t *testing.T) {
	gone := converse(t, toy(t, nil), `{"sampling":{},"elicitation":{}}`)
	here := converse(t, toy(t, nil), `{}`)
	here.session = gone.session
	if got := bodyOf(t, here.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"need"}}`)); !strings.Contains(got, `"result"`) {
		t.Errorf("the capability is forgotten: %s", got)
	}
}

// TestLogLevel keeps the level that a session asked for, and forgets some when there are too many.
func TestLogLevel(t *testing.T) {
	s := toy(t, nil)
	c := converse(t, s, `{}`)
	told := func() int {
		return strings.Count(bodyOf(t, c.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tell"}}`)), "notifications/message")
	}
	for _, test := range []struct {
		level string
		want  int
	}{{"", 1}, {"debug", 2}, {"error", 0}, {"info", 1}} {
		if test.level != "" {
			bodyOf(t, c.post(t.Context(), `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"`+test.level+`"}}`))
		}
		if got := told(); got != test.want {
			t.Errorf("level %q: %d messages, want %d", test.level, got, test.want)
		}
	}
	for i := range 2 * maxLevels {
		s.levels.set(fmt.Sprint(i), 0)
	}
	if len(s.levels.of) > maxLevels {
		t.Errorf("%d levels are kept", len(s.levels.of))
	}
}

func TestSessionID(t *testing.T) {
	id := newSessionID("es")
	if c, ok := parseSessionID(id); !ok || c != "es" || !c.has("sampling") || c.has("roots") {
		t.Errorf("%s reads %q, %v", id, c, ok)
	}
	for _, bad := range []string{"", "stdio", "x", id[:31] + "-es", id + "s", id[:33] + "x", "\x00", strings.Repeat("a", 1<<16)} {
		if _, ok := parseSessionID(bad); ok {
			t.Errorf("%.50q is taken", bad)
		}
	}
	if again := newSessionID("es"); again == id {
		t.Error("ids repeat")
	}
}

// TestLines talks over standard input: requests are served beside one another, and one can be cancelled.
func TestLines(t *testing.T) {
	release := make(chan struct{})
	s := toy(t, release)
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- s.ServeLines(t.Context(), bufio.NewReader(in), out)
		out.Close()
	}()
	lines := bufio.NewReader(fromServer)
	say := func(message string) {
		t.Helper()
		if _, err := io.WriteString(toServer, message+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want string) {
		t.Helper()
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Fatalf("got %q, %v; want %s", line, err, want)
		}
	}
	say(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}}}}`)
	next(`"serverInfo"`)
	say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	wait := func(id string) {
		say(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"wait","_meta":{"progressToken":` + id + `}}}`)
		next(`"progressToken":` + id)
	}
	wait("2")
	wait("3")
	say(`{"jsonrpc":"2.0","id":4,"method":"ping"}`)
	next(`"id":4,"result":{}`)
	say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
	say(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"ask"}}`)
	next(`"method":"roots/list"`)
	say(`{"jsonrpc":"2.0","id":"server-1","result":{"roots":[]}}`)
	next(`"id":5`)
	say(`{"jsonrpc":"2.0","id":6,"method":"tools/list","params":{` + now + `}}`)
	next(`"resultType":"complete"`)
	say(`{"jsonrpc":"2.0","id":7,"method":"server/discover"}`)
	next(`"code":-32602`)
	say(`{"jsonrpc":"2.0","id":8,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`)
	next(`"code":-32022`)
	// The end of input leaves what was asked to be answered.
	toServer.Close()
	close(release)
	next(`"id":3`)
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("the cancelled call is answered: %q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLinesEnd ends a server whose client says nothing, calls without end, or does not read.
func TestLinesEnd(t *testing.T) {
	for _, test := range []struct {
		name, input string
		mute        bool
	}{
		{"silent", "", false},
		{"half a line", `{"jsonrpc"`, false},
		{"a call in flight", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}` + "\n", false},
		{"nobody reads", `{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			in, toServer := io.Pipe()
			defer toServer.Close()
			fromServer, out := io.Pipe()
			if test.mute {
				fromServer.Close()
			}
			done := make(chan error, 1)
			go func() { done <- toy(t, nil).ServeLines(ctx, bufio.NewReader(in), out) }()
			if _, err := io.WriteString(toServer, test.input); err != nil {
				t.Fatal(err)
			}
			if !test.mute {
				cancel()
			}
			select {
			case err := <-done:
				if (err != nil) != test.mute {
					t.Error(err)
				}
			case <-time.After(waited):
				t.Error("the server goes on")
			}
			cancel()
		})
	}
}
